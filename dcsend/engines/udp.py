"""One UDP port, for both address families, and what arrives on it.

A known source goes straight to its handler, by one dictionary look-up; everything else
goes to one `unknown` handler, which decides whether a source becomes known. So a running
transfer does not notice what strangers send. Knows nothing of ICE, imports no aiortc.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, Self, cast

from dcsend.engines.segmentation import Segmentation
from dcsend.errors import ConnectionFailed, UsageError

__all__ = ["Address", "Handler", "UdpPort"]

Address = tuple[str, int]
"Host and port; an IPv6 address without flow label and scope."
Handler = Callable[[bytes, Address], None]
"Called with a datagram and its source."

_DRAIN: Final = 1 if sys.platform == "win32" else 64
"""Datagrams read per wake-up of the loop, at most. asyncio reads one per turn of the loop,
20 to 24 us each; draining costs 2 to 3 us (measured, Linux 6.18, Python 3.12). Bounded, so
that a flood can't keep the loop from everything else. On Windows the loop has started to
read the next one already: reading beside it would change the order."""
_BUFFER: Final = 4 * 1024 * 1024
"SO_RCVBUF and SO_SNDBUF asked for, bytes; the system may give less."
_LARGEST: Final = 2048
"Longest datagram read, bytes: WebRTC stays below 1500; longer ones are cut, then dropped."
_PORT_TRIES: Final = 8
"Random ports tried until one is free for both families."


class UdpPort:
    """The one port: a socket per address family, and the table of known sources."""

    def __init__(self) -> None:
        self.port = 0
        self._transports: dict[socket.AddressFamily, asyncio.DatagramTransport] = {}
        self._segmentations: dict[socket.AddressFamily, Segmentation] = {}
        self._closed: list[asyncio.Future[None]] = []
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
                transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda sock=sock: _Reader(self, sock),  # type: ignore[misc]
                    sock=sock,
                )
                self._transports[family] = transport
                self._segmentations[family] = Segmentation(sock)
                self._closed.append(protocol.closed)
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
        return frozenset(self._transports)

    def send(self, data: bytes, target: Address) -> None:
        """Send one datagram; what the network refuses is lost, as UDP always may."""
        transport = self._transports.get(_family(target))
        if transport is not None and not transport.is_closing():
            transport.sendto(data, target)

    def send_all(self, datagrams: Sequence[bytes], target: Address) -> None:
        """Send several datagrams, in order and at once; of each the same is true as of `send`."""
        transport = self._transports.get(_family(target))
        if transport is None or transport.is_closing():
            return
        # What asyncio holds back for lack of room goes first. The cast: its datagram transports
        # have this method, but not by their type.
        waiting = cast(asyncio.WriteTransport, transport).get_write_buffer_size() > 0
        sent = 0 if waiting else self._segmentations[_family(target)].send(datagrams, target)
        for data in datagrams[sent:]:
            transport.sendto(data, target)

    def route(self, source: Address, handler: Handler) -> None:
        """Make *source* known: everything from it goes to *handler*."""
        self._routes[source] = handler

    def unroute(self, handler: Handler) -> None:
        """Forget every source of *handler*."""
        self._routes = {a: h for a, h in self._routes.items() if h != handler}

    def routed(self, source: Address) -> Handler | None:
        """Return the handler of *source*, or None if it is not known."""
        return self._routes.get(source)

    def received(self, data: bytes, source: Address) -> None:
        """Hand one datagram to whoever it is for."""
        self._routes.get(source, self.unknown)(data, source)

    async def close(self) -> None:
        """Close the sockets; idempotent."""
        self._routes.clear()
        self.unknown = lambda data, source: None
        for transport in self._transports.values():
            transport.close()
        for closed in self._closed:
            await closed


class _Reader(asyncio.DatagramProtocol):
    """Drains one socket into the port."""

    def __init__(self, port: UdpPort, sock: socket.socket) -> None:
        self._port = port
        self._sock = sock
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Handle the datagram asyncio has read, then all that wait behind it."""
        received = self._port.received
        received(data, addr[:2])
        # BlockingIOError is the regular end; a closed socket or an ICMP error ends it, too.
        with contextlib.suppress(OSError):
            for _ in range(_DRAIN - 1):  # may close the socket meanwhile: EBADF
                data, addr = self._sock.recvfrom(_LARGEST)
                received(data, addr[:2])

    def error_received(self, exc: Exception) -> None:
        """Ignore ICMP errors: ICE finds out by itself which addresses answer."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the socket is closed."""
        if not self.closed.done():
            self.closed.set_result(None)


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
