"""The local address that datagrams of a socket have as their source.

A socket that is bound to every address sends from the one that the routing table prefers. A peer
whose check arrived at another one discards what comes from there (RFC 8445, 7.2.5.2.1). So on Linux
the kernel reports at which local address each datagram arrived, and is given the address from which
the next one leaves (IP_PKTINFO, IPV6_PKTINFO).

A datagram that arrives changes nothing here, since its source address can be forged:
`ice.check_sources` selects addresses by checks that were answered.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Final

from dcsend.net.address import Address

__all__ = ["SPACE", "Control", "LocalAddress", "SourceAddresses"]

logger = logging.getLogger(__name__)

Control = tuple[int, int, bytes]
"Level, type and data of a control message (RFC 3542, 20.2)."
LocalAddress = bytes
"4 bytes, or 16 bytes and, if link-local, 4 bytes of the index of its interface."

_IP_PKTINFO: Final = 8
"From linux/in.h; Python has no name for it."
_IPV4: Final = struct.Struct("=I4s4s")
"Index of the interface, local address for the reply, destination in the header (ip(7))."
_IPV6: Final = struct.Struct("=16sI")
"Destination, index of the interface (RFC 3542, 6)."
_IPV6_BYTES: Final = 16
_INTERFACE: Final = struct.Struct("=I")
_LINK_LOCAL: Final = b"\xfe\x80"
SPACE: Final = socket.CMSG_SPACE(_IPV6.size) if hasattr(socket, "CMSG_SPACE") else 0
"Bytes of the control messages with the local address of a datagram."


class SourceAddresses:
    """The local addresses at which datagrams arrived at a socket, and from which they leave."""

    def __init__(self, sock: socket.socket) -> None:
        self._arriving: Sequence[Control] = ()
        "Control messages of the datagram that is being handled."
        self._kept: dict[Address, tuple[LocalAddress, tuple[Control]]] = {}
        self._family = sock.family
        with contextlib.suppress(OSError):  # then the routing table decides
            if sock.family == socket.AF_INET6 and sys.platform != "win32":
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    def note_arrival(self, control: Sequence[Control]) -> None:
        """Store the control messages of the datagrams that are handled next."""
        self._arriving = control

    @property
    def arrival(self) -> LocalAddress | None:
        """The local address at which the datagram that is being handled arrived, if known."""
        for level, _, data in self._arriving:
            if level == socket.IPPROTO_IPV6:
                local, interface = _IPV6.unpack(data)
                return _with_interface(local, interface)
            if level == socket.IPPROTO_IP:
                return bytes(_IPV4.unpack(data)[1])
        return None

    def preferred(self, target: Address) -> LocalAddress | None:
        """Return the local address that the routing table prefers; None without a route.

        Sends nothing: a connected UDP socket has the address that the kernel would choose.
        """
        try:
            with socket.socket(self._family, socket.SOCK_DGRAM) as sock:
                sock.connect(target)
                host, _, *more = sock.getsockname()
        except OSError:
            return None
        packed = socket.inet_pton(self._family, host.partition("%")[0])
        return _with_interface(packed, more[1]) if more else packed

    def keep(self, target: Address, local: LocalAddress) -> None:
        """Send to *target* from *local* from now on."""
        self._kept[target] = (local, (_control(local),))
        if logger.isEnabledFor(logging.DEBUG):
            host = socket.inet_ntop(self._family, local[:_IPV6_BYTES])
            logger.debug("datagrams to %s port %d leave from %s", *target, host)

    def kept(self, target: Address) -> LocalAddress | None:
        """Return the address that `keep` was given; None if the routing table decides."""
        entry = self._kept.get(target)
        return None if entry is None else entry[0]

    def control(self, target: Address, local: LocalAddress | None) -> tuple[Control, ...]:
        """Return the control messages to send to *target* from *local*; None for the kept one."""
        if local is not None:
            return (_control(local),)
        entry = self._kept.get(target)
        return () if entry is None else entry[1]

    def refused(self, target: Address) -> None:
        """Forget the address that is kept for *target*, after an error, if it is no longer local.

        The error does not show it: Linux returns ENETUNREACH for a missing route as well.
        """
        local = self.kept(target)
        if local is None or len(local) > _IPV6_BYTES:
            return
        with socket.socket(self._family, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind((socket.inet_ntop(self._family, local), 0))
            except OSError:
                self.forget(target)

    def forget(self, target: Address) -> None:
        """Let the routing table decide from now on."""
        if self._kept.pop(target, None) is not None:
            logger.debug("the routing table selects the source of datagrams to %s", target)


def _with_interface(address: bytes, interface: int) -> LocalAddress:
    """Return an IPv6 address, with its interface only if it is link-local."""
    return address + _INTERFACE.pack(interface) if address.startswith(_LINK_LOCAL) else address


def _control(local: LocalAddress) -> Control:
    if len(local) == 4:
        return socket.IPPROTO_IP, _IP_PKTINFO, _IPV4.pack(0, local, bytes(4))
    interface = _INTERFACE.unpack(local[16:])[0] if len(local) > _IPV6_BYTES else 0
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _IPV6.pack(local[:16], interface)
