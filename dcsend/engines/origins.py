"""From which of this machine's addresses datagrams leave.

A socket for every address sends from the one that the routing table prefers. A peer that sent its
check to another one takes nothing from there (RFC 8445, 7.2.5.2.1). So on Linux the kernel reports
to which address each datagram came, and is given the address that the next one leaves from.

What arrives changes nothing that is kept here: any source address can be forged. `asking` decides
what is kept, from checks that were answered. Knows sockets only.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import Final

__all__ = ["SPACE", "Control", "Origin", "Origins"]

Control = tuple[int, int, bytes]
"Level, type and data of a control message (RFC 3542, 20.2)."
Origin = bytes
"An address of this machine: 4 bytes, or 16 and, for a link-local one, 4 of its interface's index."

_IP_PKTINFO: Final = 8
"From linux/in.h; Python has no name for it."
_IPV4: Final = struct.Struct("=I4s4s")
"Interface, address of ours to answer from, destination in the header (ip(7))."
_IPV6: Final = struct.Struct("=16sI")
"Destination, interface (RFC 3542, 6)."
_IPV6_BYTES: Final = 16
_INTERFACE: Final = struct.Struct("=I")
_LINK_LOCAL: Final = b"\xfe\x80"
SPACE: Final = socket.CMSG_SPACE(_IPV6.size) if hasattr(socket, "CMSG_SPACE") else 0
"Bytes of control messages that say where a datagram came to."


class Origins:
    """Where the datagrams of one socket came to, and where those to each peer leave from."""

    def __init__(self, sock: socket.socket) -> None:
        self.arriving: Sequence[Control] = ()
        "What the kernel reported of the datagram that is being handled."
        self._kept: dict[tuple[str, int], tuple[Origin, tuple[Control]]] = {}
        self._family = sock.family
        with contextlib.suppress(OSError):  # then the routing table decides
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    @property
    def arrival(self) -> Origin | None:
        """The address that the datagram which is being handled came to; None if unknown."""
        for level, _, data in self.arriving:
            if level == socket.IPPROTO_IPV6:
                ours, interface = _IPV6.unpack(data)
                return _origin(ours, interface)
            if level == socket.IPPROTO_IP:
                return bytes(_IPV4.unpack(data)[1])
        return None

    def preferred(self, target: tuple[str, int]) -> Origin | None:
        """Return the address that the routing table prefers for *target*; None without a route.

        Nothing is sent: the address of a connected UDP socket is what the kernel would choose.
        """
        try:
            with socket.socket(self._family, socket.SOCK_DGRAM) as sock:
                sock.connect(target)
                host, _, *more = sock.getsockname()
        except OSError:
            return None
        packed = socket.inet_pton(self._family, host.partition("%")[0])
        return _origin(packed, more[1]) if more else packed

    def keep(self, target: tuple[str, int], origin: Origin) -> None:
        """Send to *target* from *origin* from now on."""
        self._kept[target] = (origin, (_control(origin),))

    def kept(self, target: tuple[str, int]) -> Origin | None:
        """Return what `keep` was given; None if the routing table decides."""
        known = self._kept.get(target)
        return None if known is None else known[0]

    def control(self, target: tuple[str, int], origin: Origin | None) -> tuple[Control, ...]:
        """Return what the kernel needs to send to *target* from *origin*, or from what is kept."""
        if origin is not None:
            return (_control(origin),)
        known = self._kept.get(target)
        return () if known is None else known[1]

    def refused(self, target: tuple[str, int]) -> None:
        """Forget what is kept for *target*, after an error, if it is no address of ours any more.

        The error does not tell: a missing route is the same to Linux (ENETUNREACH).
        """
        origin = self.kept(target)
        if origin is None or len(origin) > _IPV6_BYTES:
            return
        with socket.socket(self._family, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind((socket.inet_ntop(self._family, origin), 0))
            except OSError:
                self.forget(target)

    def forget(self, target: tuple[str, int]) -> None:
        """Leave it to the routing table."""
        self._kept.pop(target, None)


def _origin(address: bytes, interface: int) -> Origin:
    """Return an IPv6 address, with its interface only where it means nothing without one."""
    return address + _INTERFACE.pack(interface) if address.startswith(_LINK_LOCAL) else address


def _control(origin: Origin) -> Control:
    if len(origin) == 4:
        return socket.IPPROTO_IP, _IP_PKTINFO, _IPV4.pack(0, origin, bytes(4))
    interface = _INTERFACE.unpack(origin[16:])[0] if len(origin) > _IPV6_BYTES else 0
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _IPV6.pack(origin[:16], interface)
