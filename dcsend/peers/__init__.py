"""Connected peers: listener, dialer, offer and answer, and the channels between them.

`contract` states what a connected peer provides. This package knows no files and no messages, only
bytes and text. Nothing here imports aiortc until a connection needs it, since that takes 0.4 to
0.6 s (warm cache, Python 3.11) and the code is shown before.
"""
