"""Engines: what provides connected data channels.

`base` is the contract; `listener` and `dialer` connect through aiortc; `memory` joins
two ends in one process. Engines know no files and no messages, only bytes and text.
Nothing here imports aiortc until a connection needs it: its FFmpeg bindings take half
a second or more to load (measured 0.4 to 0.6 s, warm cache, Python 3.11), and the code is
on the screen before.
"""
