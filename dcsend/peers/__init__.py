"""Connected peers: listener, dialer, offer and answer, and the channels between them.

`contract` states what a connected peer provides. This package transports bytes and text and does
not interpret them. Nothing here imports aiortc until a connection needs it, since that takes 0.4 to
0.6 s (warm cache, Python 3.11) and the code is shown before.
"""
