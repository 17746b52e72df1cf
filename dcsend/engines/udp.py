"""One UDP port, for both address families, and what arrives on it.

A known source goes straight to its handler, by one dictionary look-up; everything else
goes to one `unknown` handler, which decides whether a source becomes known. So a running
transfer does not notice what strangers send. Knows nothing of ICE, imports no aiortc.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final, Self

from dcsend.engines.origins import Origin, Origins
from dcsend.engines.sockets import UdpSocket, watch
from dcsend.errors import ConnectionFailed, UsageError

__all__ = ["Address", "Handler", "UdpPort"]

Address = tuple[str, int]
"Host and port; an IPv6 address without flow label and scope."
Handler = Callable[[bytes, Address], None]
"Called with a datagram and its source."

_BUFFER: Final = 4 * 1024 * 1024
"SO_RCVBUF and SO_SNDBUF asked for, bytes; the system may give less."
_PORT_TRIES: Final = 8
"Random ports tried until one is free for both families."


class UdpPort:
    """The one port: a socket per address family, and the table of known sources."""

    def __init__(self) -> None:
        self.port = 0
        self._sockets: dict[socket.AddressFamily, UdpSocket] = {}
        self._routes: dict[Address, Handler] = {}
        self.unknown: Handler = lambda data, source: None
        "Gets every datagram whose source is not known."

    @classmethod
    async def open(cls, port: int = 0) -> Self:
        """Bind the port on every address of this machine.

        Args:
            port: 1 to 65535, or 0 for a random one.

        Raises:
            UsageError: the port is taken, or needs rights this user has not.
            ConnectionFailed: this machine has no network at all.
        """
        self = cls()
        waiting = _bind(port)
        try:
            while waiting:
                family, sock = waiting.popitem()
                self.port = sock.getsockname()[1]
                self._sockets[family] = await watch(sock, self.received)
        except BaseException:
            sock.close()
            for sock in waiting.values():
                sock.close()
            await self.close()
            raise
        return self

    @property
    def families(self) -> frozenset[socket.AddressFamily]:
        """The address families that can be used."""
        return frozenset(self._sockets)

    def send(self, data: bytes, target: Address, origin: Origin | None = None) -> None:
        """Send one datagram; what the network refuses is lost, as UDP always may.

        Args:
            data: it.
            target: where to.
            origin: the address of ours that it leaves from; None for the one that `keep` was
                given for *target*, and without one for what the routing table prefers.
        """
        sock = self._sockets.get(_family(target))
        if sock is not None:
            sock.send(data, target, origin)

    def reply(self, data: bytes, source: Address) -> None:
        """Answer the datagram that is being handled, from the address that it came to."""
        self.send(data, source, self.arrival(source))

    def send_all(self, datagrams: Sequence[bytes], target: Address) -> None:
        """Send several datagrams, in order and at once; of each the same is true as of `send`."""
        sock = self._sockets.get(_family(target))
        if sock is not None:
            sock.send_all(datagrams, target)

    def route(self, source: Address, handler: Handler) -> None:
        """Make *source* known: everything from it goes to *handler*."""
        self._routes[source] = handler

    def unroute(self, handler: Handler) -> None:
        """Forget every source of *handler*."""
        for source in [a for a, h in self._routes.items() if h == handler]:
            del self._routes[source]
            if (origins := self._origins(source)) is not None:
                origins.forget(source)

    def routed(self, source: Address) -> Handler | None:
        """Return the handler of *source*, or None if it is not known."""
        return self._routes.get(source)

    def received(self, data: bytes, source: Address) -> None:
        """Hand one datagram to whoever it is for."""
        self._routes.get(source, self.unknown)(data, source)

    def again(self, data: bytes, source: Address, arrival: Origin | None) -> None:
        """Handle a datagram that was put off; *arrival* is what it was then."""
        if (origins := self._origins(source)) is not None:
            origins.arriving = () if arrival is None else origins.control(source, arrival)
        self.received(data, source)

    # Addresses of ours; on systems other than Linux the routing table decides about all

    def arrival(self, source: Address) -> Origin | None:
        """Return to which address of ours the datagram of *source* came that is being handled."""
        origins = self._origins(source)
        return None if origins is None else origins.arrival

    def preferred(self, target: Address) -> Origin | None:
        """Return the address of ours that the routing table prefers for *target*."""
        origins = self._origins(target)
        return None if origins is None else origins.preferred(target)

    def kept(self, target: Address) -> Origin | None:
        """Return the address that everything for *target* leaves from, if there is one."""
        origins = self._origins(target)
        return None if origins is None else origins.kept(target)

    def keep(self, target: Address, origin: Origin) -> None:
        """Send everything for *target* from *origin*: a check from there was answered."""
        if (origins := self._origins(target)) is not None:
            origins.keep(target, origin)

    def _origins(self, address: Address) -> Origins | None:
        sock = self._sockets.get(_family(address))
        return None if sock is None else sock.origins

    async def close(self) -> None:
        """Close the sockets; idempotent."""
        self._routes.clear()
        self.unknown = lambda data, source: None
        for sock in list(self._sockets.values()):
            await sock.close()
        self._sockets.clear()


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def _bind(port: int) -> dict[socket.AddressFamily, socket.socket]:
    """Return bound sockets, one per family that works here, all on the same port."""
    if not 0 <= port <= 65535:
        raise UsageError(f"{port} is not a UDP port", "choose a --port from 1024 to 65535")
    for attempt in range(_PORT_TRIES):
        sockets: dict[socket.AddressFamily, socket.socket] = {}
        try:
            for family in (socket.AF_INET, socket.AF_INET6):
                taken = port or next((s.getsockname()[1] for s in sockets.values()), 0)
                if (sock := _bind_family(family, taken)) is not None:
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


def _bind_family(family: socket.AddressFamily, port: int) -> socket.socket | None:
    """Return a bound socket, or None where this machine does not speak *family*."""
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError:
        return None
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            # macOS refuses more than its limit instead of clamping.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        if sys.platform == "win32":
            # Without it, any other program may bind the same port and read along.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        sock.setblocking(False)
        sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    except OSError as exc:
        sock.close()
        if exc.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return None  # IPv6 compiled in but switched off
        raise
    return sock


def _port_error(port: int, exc: OSError) -> UsageError:
    if exc.errno == errno.EADDRINUSE:
        return UsageError(
            f"UDP port {port} is in use by another program",
            "choose another --port, or leave it out",
        )
    return UsageError(
        f"UDP port {port} can't be used: {exc.strerror}", "choose a --port from 1024 to 65535"
    )
