"""From which of this machine's addresses to answer whom: from the one that was spoken to.

A socket for every address answers from the one that the routing table likes best. To a peer who
dialed another one that is a stranger's answer: its connectivity check fails (RFC 8445, 7.2.5.2.1).
So on Linux the kernel tells for each datagram where it came to, and is told where the next leaves.
Knows sockets only.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import Final

__all__ = ["SPACE", "Control", "Origins"]

Control = tuple[int, int, bytes]
"Level, type and data of a control message (RFC 3542, 20.2)."

_IP_PKTINFO: Final = 8
"From linux/in.h; Python has no name for it."
_IPV4: Final = struct.Struct("=I4s4s")
"Interface, address of ours to answer from, destination in the header (ip(7))."
_IPV6: Final = struct.Struct("=16sI")
"Destination, interface (RFC 3542, 6)."
_LINK_LOCAL: Final = b"\xfe\x80"
_REMEMBERED: Final = 1024
"Peers, at most; 300 KB. For those forgotten the routing table decides."
SPACE: Final = socket.CMSG_SPACE(_IPV6.size) if hasattr(socket, "CMSG_SPACE") else 0
"Bytes of control messages that `note` needs."


class Origins:
    """The address that each peer knows us by."""

    def __init__(self, sock: socket.socket) -> None:
        self._arrived: dict[tuple[str, int], bytes] = {}
        "What the kernel said of the last datagram of each peer."
        self._known: dict[tuple[str, int], tuple[Control]] = {}
        self._is_ipv6 = sock.family == socket.AF_INET6
        with contextlib.suppress(OSError):  # then the routing table decides
            if self._is_ipv6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    def note(self, control: Sequence[Control], source: tuple[str, int]) -> None:
        """Remember to which address something came from *source*."""
        for level, kind, data in control:
            if level == socket.IPPROTO_UDP or data == self._arrived.get(source):
                continue
            if len(self._known) >= _REMEMBERED:
                self.forget(next(iter(self._known)))
            self._arrived[source] = data
            self._known[source] = ((level, kind, self._answer(data)),)

    def _answer(self, data: bytes) -> bytes:
        """Turn where something came to into where the answer leaves.

        The interface stays open, but for addresses that mean nothing without one.
        """
        if not self._is_ipv6:
            _, ours, _ = _IPV4.unpack(data)
            return _IPV4.pack(0, ours, bytes(4))
        ours, interface = _IPV6.unpack(data)
        return _IPV6.pack(ours, interface if ours.startswith(_LINK_LOCAL) else 0)

    def control(self, target: tuple[str, int]) -> tuple[Control, ...]:
        """Return what to tell the kernel when sending to *target*."""
        return self._known.get(target, ())

    def forget(self, target: tuple[str, int]) -> None:
        """Leave it to the routing table: our address may be gone."""
        self._known.pop(target, None)
        self._arrived.pop(target, None)
