"""ICE (RFC 8445), STUN (RFC 8489) and TURN (RFC 8656) for one component.

`endpoint` is ICE with one peer. It, `agent`, `connection` and `relay` import aioice and use its
private names; they are imported only for a connection, since the import of aiortc and aioice takes
0.4 to 0.6 s (warm cache, Python 3.11). The other modules are imported at the start.
"""
