"""UDP: the port and its sockets, source addresses, interfaces, segmentation, host names.

Imports nothing of STUN, DTLS or peers.
"""
