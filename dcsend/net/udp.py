"""One UDP port for both address families, shared by all its users.

Datagrams of a source with a route are passed to its handler, by one dictionary look-up; all others
are passed to the handler of `route_unknown`, which decides whether to add a route. So a running
transfer is not affected by datagrams of other sources.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final, Self

from dcsend.errors import ConnectionFailed, UsageError
from dcsend.net.address import Address, family
from dcsend.net.sockets import UdpSocket, attach
from dcsend.net.source_address import LocalAddress, SourceAddresses
from dcsend.printable import system_reason

__all__ = ["Bind", "Handler", "UdpPort", "bind_family"]

logger = logging.getLogger(__name__)

Handler = Callable[[bytes, Address], object]
"Called with a datagram and its source; the result is ignored."

Bind = Callable[[socket.AddressFamily, int], socket.socket | None]
"Returns a socket of a family with a port, 0 for a random one; None if there is no such family."

_BUFFER: Final = 4 * 1024 * 1024
"Bytes of SO_RCVBUF and SO_SNDBUF that are requested; the system may provide less."
_PORT_TRIES: Final = 8
"Random ports that are tried until one is free in both families."


def _discard(data: bytes, source: Address) -> None:
    """Do nothing with a datagram."""


def bind_family(family: socket.AddressFamily, port: int) -> socket.socket | None:
    """Return a bound socket, or None if this machine does not support *family*.

    Raises:
        OSError: the port is in use, or needs more rights.
    """
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError:
        return None
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            # macOS refuses a size above its limit; Linux reduces it.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        if sys.platform == "win32":
            # Otherwise another program could bind the same port and receive its datagrams.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        sock.setblocking(False)
        sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    except OSError as exc:
        sock.close()
        if exc.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            logger.debug("%s is not available: %s", family.name, exc)
            return None  # the kernel has IPv6, but it is disabled
        raise
    return sock


class UdpPort:
    """The port: a socket for each address family, and the table of routes."""

    def __init__(self) -> None:
        self.port = 0
        self._sockets: dict[socket.AddressFamily, UdpSocket] = {}
        self._routes: dict[Address, Handler] = {}
        self.unknown: Handler = _discard
        "Handler of datagrams whose source has no route; see `route_unknown`."

    @classmethod
    async def open(cls, port: int = 0, bind: Bind = bind_family) -> Self:
        """Bind the port on every address of this machine.

        Args:
            port: 1 to 65535, or 0 for a random one.
            bind: opens the socket of one family.

        Raises:
            UsageError: the port is in use, or needs more rights.
            ConnectionFailed: this machine has no network.
        """
        self = cls()
        waiting = _bind(port, bind)
        try:
            while waiting:
                address_family, sock = waiting.popitem()
                self.port = sock.getsockname()[1]
                self._sockets[address_family] = await attach(sock, self.received)
        except BaseException:
            sock.close()
            for sock in waiting.values():
                sock.close()
            await self.close()
            raise
        names = ", ".join(sorted(one.name for one in self._sockets))
        logger.debug("UDP port %d is open: %s", self.port, names)
        return self

    @property
    def families(self) -> frozenset[socket.AddressFamily]:
        """The address families that have a socket."""
        return frozenset(self._sockets)

    def send(self, data: bytes, target: Address, local: LocalAddress | None = None) -> None:
        """Send a datagram; a datagram that is refused by the system is lost, as UDP allows.

        Args:
            data: the content.
            target: the remote address.
            local: the source address; None for the one that `keep` was given for *target*, or
                without one for the one that the routing table prefers.
        """
        sock = self._sockets.get(family(target[0]))
        if sock is not None:
            sock.send(data, target, local)

    def reply(self, data: bytes, source: Address) -> None:
        """Respond to the datagram that is being handled, from the address at which it arrived."""
        self.send(data, source, self.arrival(source))

    def send_all(self, datagrams: Sequence[bytes], target: Address) -> None:
        """Send several datagrams in order, in as few system calls as possible; as `send`."""
        sock = self._sockets.get(family(target[0]))
        if sock is not None:
            sock.send_all(datagrams, target)

    def route(self, source: Address, handler: Handler) -> None:
        """Pass all datagrams of *source* to *handler* from now on."""
        self._routes[source] = handler

    def route_unknown(self, handler: Handler | None) -> None:
        """Pass datagrams of sources without a route to *handler*; None discards them."""
        self.unknown = handler or _discard

    def unroute(self, handler: Handler) -> None:
        """Remove all routes to *handler*, and the source addresses that were kept for them."""
        for source in [a for a, h in self._routes.items() if h == handler]:
            self.unroute_source(source)

    def unroute_source(self, source: Address) -> None:
        """Remove the route of *source*, and the source address that was kept for it."""
        self._routes.pop(source, None)
        if (sources := self._sources(source)) is not None:
            sources.forget(source)

    def routed(self, source: Address) -> Handler | None:
        """Return the handler of *source*, or None without a route."""
        return self._routes.get(source)

    def received(self, data: bytes, source: Address) -> None:
        """Pass a datagram to its handler."""
        self._routes.get(source, self.unknown)(data, source)

    def redeliver(self, data: bytes, source: Address, arrival: LocalAddress | None) -> None:
        """Handle a datagram that was stored; *arrival* is what `arrival` returned for it."""
        if (sources := self._sources(source)) is not None:
            sources.note_arrival(() if arrival is None else sources.control(source, arrival))
        self.received(data, source)

    # Source addresses; on systems other than Linux the routing table selects all of them

    def arrival(self, source: Address) -> LocalAddress | None:
        """Return the local address at which the datagram that is being handled arrived."""
        sources = self._sources(source)
        return None if sources is None else sources.arrival

    def preferred(self, target: Address) -> LocalAddress | None:
        """Return the local address that the routing table prefers for *target*."""
        sources = self._sources(target)
        return None if sources is None else sources.preferred(target)

    def kept(self, target: Address) -> LocalAddress | None:
        """Return the local address that `keep` was given for *target*, or None."""
        sources = self._sources(target)
        return None if sources is None else sources.kept(target)

    def keep(self, target: Address, local: LocalAddress) -> None:
        """Send to *target* from *local* from now on: a check from it was answered."""
        if (sources := self._sources(target)) is not None:
            sources.keep(target, local)

    def _sources(self, address: Address) -> SourceAddresses | None:
        sock = self._sockets.get(family(address[0]))
        return None if sock is None else sock.sources

    async def close(self) -> None:
        """Close the sockets; idempotent."""
        if self._sockets:
            logger.debug("UDP port %d is closed", self.port)
        self._routes.clear()
        self.unknown = _discard
        for sock in list(self._sockets.values()):
            await sock.close()
        self._sockets.clear()


def _bind(port: int, bind: Bind) -> dict[socket.AddressFamily, socket.socket]:
    """Return bound sockets, one for each family that works here, all with the same port."""
    if not 0 <= port <= 65535:
        raise UsageError(f"{port} is not a UDP port", "choose a --port from 1024 to 65535")
    for attempt in range(_PORT_TRIES):
        sockets: dict[socket.AddressFamily, socket.socket] = {}
        try:
            for family in (socket.AF_INET, socket.AF_INET6):
                taken = port or next((s.getsockname()[1] for s in sockets.values()), 0)
                if (sock := bind(family, taken)) is not None:
                    sockets[family] = sock
        except OSError as exc:
            for sock in sockets.values():
                sock.close()
            if port or attempt == _PORT_TRIES - 1:
                raise _port_error(port, exc) from exc
            continue
        if sockets:
            return sockets
        break
    raise ConnectionFailed("this machine has no network", "connect it to a network first")


def _port_error(port: int, exc: OSError) -> UsageError:
    if exc.errno == errno.EADDRINUSE:
        return UsageError(
            f"UDP port {port} is in use by another program",
            "choose another --port, or leave it out",
        )
    return UsageError(
        f"UDP port {port} can't be used: {system_reason(exc)}", "choose a --port from 1024 to 65535"
    )
