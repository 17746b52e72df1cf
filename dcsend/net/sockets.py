"""One UDP socket on the event loop: many datagrams per wake-up, in few system calls.

On Linux the kernel joins datagrams of one sender that arrive together (UDP_GRO) and splits what is
sent together (`segmentation`). An event loop that can't watch a socket, as that of Windows, has
asyncio's transport read one datagram at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from dcsend.net.address import Address
from dcsend.net.segmentation import Segmentation
from dcsend.net.source_address import SPACE, Control, LocalAddress, SourceAddresses

__all__ = ["MAX_WAITING", "Received", "UdpSocket", "attach"]

Received = Callable[[bytes, Address], None]
"Called with each datagram and its source."

DRAIN: Final = 64
"""Reads per wake-up, at most, each of a datagram or a train of them. asyncio reads one per turn of
the loop (20 to 24 us each); here a read costs 2 to 3 us (measured, Linux 6.18, Python 3.12). The
bound keeps a flood from blocking the loop."""
MAX_WAITING: Final = 1024
"Datagrams that wait for room in the send buffer; further ones are lost, as UDP allows."
_UDP_GRO: Final = 104
"From linux/udp.h; Python has no name for it."
_READ_BYTES: Final = 65_535
"Bytes of the longest datagram or train."
_SEGMENT_BYTES: Final = struct.Struct("=H")
_CONTROL_BYTES: Final = SPACE + socket.CMSG_SPACE(4) if hasattr(socket, "CMSG_SPACE") else 0
"Bytes of the control messages: the local address, and the size of the segments of a train."


class UdpSocket(Protocol):
    """A UDP socket of the port."""

    sources: SourceAddresses | None
    "None if the routing table alone selects the source of datagrams."

    def send(self, data: bytes, target: Address, local: LocalAddress | None = None) -> None:
        """Send a datagram, from *local* if given; a datagram that is refused is lost."""
        ...

    def send_all(self, datagrams: Sequence[bytes], target: Address) -> None:
        """Send several datagrams, in order."""
        ...

    async def close(self) -> None:
        """Close the socket; idempotent."""
        ...


async def attach(sock: socket.socket, received: Received) -> UdpSocket:
    """Read a bound, non-blocking socket on the running loop; the result owns it from now on."""
    with contextlib.suppress(NotImplementedError):  # the loop can't watch a socket
        return _WatchedSocket(sock, received)
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Protocol(received), sock=sock
    )
    return _TransportSocket(transport, protocol)


class _WatchedSocket:
    """Reads and writes the socket itself when the loop reports that it is ready."""

    def __init__(self, sock: socket.socket, received: Received) -> None:
        self._sock = sock
        self._received = received
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._read)
        self._segmentation = Segmentation(sock)
        self._waiting: deque[tuple[bytes, Address, LocalAddress | None]] = deque()
        self._buffer = bytearray(_READ_BYTES)
        self.sources: SourceAddresses | None = None
        if sys.platform == "linux":
            self.sources = SourceAddresses(sock)
            with contextlib.suppress(OSError):  # before Linux 5.0
                sock.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)

    def _read(self) -> None:
        read = self._read_datagram if self.sources is None else self._read_train
        for _ in range(DRAIN):
            if self._sock.fileno() < 0:
                return  # `received` has closed it
            try:
                count, size, source = read()
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # the ICMP error of an earlier datagram is reported once
            self._deliver(count, size, source)

    def _deliver(self, count: int, size: int, source: Address) -> None:
        """Pass on what was read: *count* bytes, in datagrams of *size* bytes; 0 for one."""
        received = self._received
        whole = memoryview(self._buffer)[:count]
        if not 0 < size < count:
            received(bytes(whole), source)
            return
        for start in range(0, count, size):
            received(bytes(whole[start : start + size]), source)

    def _read_datagram(self) -> tuple[int, int, Address]:
        count, address = self._sock.recvfrom_into(self._buffer)
        return count, 0, address[:2]

    def _read_train(self) -> tuple[int, int, Address]:
        """Return the bytes that were read, those of each datagram but the last, and the source."""
        if sys.platform == "win32":
            return self._read_datagram()
        count, control, _, address = self._sock.recvmsg_into((self._buffer,), _CONTROL_BYTES)
        source = address[:2]
        size = 0
        for level, _, data in control:
            if level == socket.IPPROTO_UDP:
                size = _SEGMENT_BYTES.unpack_from(data)[0]
        if self.sources is not None:
            self.sources.note_arrival(control)
        return count, size, source

    def send(self, data: bytes, target: Address, local: LocalAddress | None = None) -> None:
        """Send a datagram, from *local* if given; a datagram that is refused is lost."""
        if self._waiting:
            self._wait(data, target, local)
            return
        try:
            self._send(data, target, local)
        except (BlockingIOError, InterruptedError):
            self._wait(data, target, local)

    def _send(self, data: bytes, target: Address, local: LocalAddress | None) -> None:
        """Send now.

        Raises:
            BlockingIOError: the send buffer is full.
            InterruptedError: a signal arrived.
        """
        control = self._control(target, local)
        try:
            if control and sys.platform != "win32":
                self._sock.sendmsg((data,), control, 0, target)
            else:
                self._sock.sendto(data, target)
        except (BlockingIOError, InterruptedError):
            raise
        except OSError:
            # ICE finds out which addresses work; but our own one may have been removed.
            if self.sources is not None:
                self.sources.refused(target)

    def _control(self, target: Address, local: LocalAddress | None = None) -> tuple[Control, ...]:
        return () if self.sources is None else self.sources.control(target, local)

    def send_all(self, datagrams: Sequence[bytes], target: Address) -> None:
        """Send several datagrams, in order."""
        # Waiting datagrams go first; a single datagram is cheaper without segmentation.
        single = self._waiting or len(datagrams) < 2
        sent = 0 if single else self._segmentation.send(datagrams, target, self._control(target))
        for data in datagrams[sent:]:
            self.send(data, target)

    def _wait(self, data: bytes, target: Address, local: LocalAddress | None) -> None:
        if not self._waiting:
            self._loop.add_writer(self._sock.fileno(), self._write)
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append((data, target, local))

    def _write(self) -> None:
        """Send the waiting datagrams while there is room."""
        while self._waiting:
            try:
                self._send(*self._waiting[0])
            except (BlockingIOError, InterruptedError):
                return
            self._waiting.popleft()
        self._loop.remove_writer(self._sock.fileno())

    async def close(self) -> None:
        """Close the socket, after the waiting datagrams that can be sent at once."""
        number = self._sock.fileno()
        if number < 0:
            return
        self._loop.remove_reader(number)
        if self._waiting:
            self._write()
            self._waiting.clear()
            self._loop.remove_writer(number)
        self._sock.close()


class _TransportSocket:
    """A socket that asyncio's transport reads and writes."""

    def __init__(self, transport: asyncio.DatagramTransport, protocol: _Protocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self.sources: SourceAddresses | None = None

    def send(self, data: bytes, target: Address, local: LocalAddress | None = None) -> None:
        """Send a datagram; a datagram that is refused is lost."""
        if not self._transport.is_closing():
            self._transport.sendto(data, target)

    def send_all(self, datagrams: Sequence[bytes], target: Address) -> None:
        """Send several datagrams, in order."""
        for data in datagrams:
            self.send(data, target)

    async def close(self) -> None:
        """Close the socket, after the datagrams that wait."""
        self._transport.close()
        await self._protocol.closed


class _Protocol(asyncio.DatagramProtocol):
    """The protocol of asyncio's transport."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._received(data, addr[:2])

    def error_received(self, exc: Exception) -> None:
        """Ignore ICMP errors, as `_WatchedSocket` does."""

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
