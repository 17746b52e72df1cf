"""ICE (RFC 8445), STUN (RFC 8489) and TURN (RFC 8656) for one component.

`endpoint` is ICE with one peer. `agent`, `connection` and `relay` use aioice and its private names,
`checks` and `check_sources` its parser. These modules are imported only for a connection, since the
import of aiortc and aioice takes 0.4 to 0.6 s (warm cache, Python 3.11). The others do not import
aioice.
"""
