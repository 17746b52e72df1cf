"""One UDP socket on the event loop: many datagrams per wake-up, in few system calls.

On Linux the kernel joins datagrams of one sender that arrive together (UDP_GRO), and cuts what is
sent together (`segmentation`); a call for sixteen costs little more than one for one. Where a loop
can't watch a socket (Windows), asyncio's own transport does it, a datagram at a time.
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

from dcsend.engines.origins import SPACE, Control, Origin, Origins
from dcsend.engines.segmentation import Segmentation

__all__ = ["Received", "UdpSocket", "watch"]

Address = tuple[str, int]
Received = Callable[[bytes, Address], None]

DRAIN: Final = 64
"""Datagrams, or trains of them, read per wake-up of the loop, at most. asyncio reads one per turn,
20 to 24 us each; draining costs 2 to 3 us (measured, Linux 6.18, Python 3.12). Bounded, so
that a flood can't keep the loop from everything else."""
_CAN_WATCH: Final[bool] = sys.platform != "win32"
_UDP_GRO: Final = 104
"From linux/udp.h; Python has no name for it."
_TRAIN: Final = 65_535
"Bytes that one read can give: the longest datagram there is, or a train that the kernel joined."
_SIZE: Final = struct.Struct("=H")
_CONTROL: Final = SPACE + socket.CMSG_SPACE(4) if hasattr(socket, "CMSG_SPACE") else 0
"Bytes of what Linux says of a datagram or a train: where it came to, and the size of its pieces."
_MAX_WAITING: Final = 1024
"Datagrams that wait for room in the socket's buffer; what comes then is lost, as UDP may."


class UdpSocket(Protocol):
    """What the port needs of a socket."""

    origins: Origins | None
    "Which addresses datagrams leave from; None where the routing table alone decides."

    def send(self, data: bytes, target: Address, origin: Origin | None = None) -> None:
        """Send a datagram, from *origin* if given; what the network refuses is lost."""
        ...

    def send_all(self, datagrams: Sequence[bytes], target: Address) -> None:
        """Send several datagrams, in order and at once."""
        ...

    async def close(self) -> None:
        """Close it; idempotent."""
        ...


async def watch(sock: socket.socket, received: Received) -> UdpSocket:
    """Let the running loop read a bound, non-blocking socket, whose owner this is from now on."""
    if _CAN_WATCH:
        return _Watched(sock, received)
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Protocol(received), sock=sock
    )
    return _Endpoint(transport, protocol)


class _Watched:
    """Reads and writes the socket itself; the loop, of whatever make, only says when."""

    def __init__(self, sock: socket.socket, received: Received) -> None:
        self._sock = sock
        self._received = received
        self._loop = asyncio.get_running_loop()
        self._segmentation = Segmentation(sock)
        self._waiting: deque[tuple[bytes, Address, Origin | None]] = deque()
        self._buffer = bytearray(_TRAIN)
        self.origins: Origins | None = None
        if sys.platform == "linux":
            self.origins = Origins(sock)
            with contextlib.suppress(OSError):  # before Linux 5.0
                sock.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)
        self._loop.add_reader(sock.fileno(), self._read)

    def _read(self) -> None:
        read = self._read_one if self.origins is None else self._read_train
        for _ in range(DRAIN):
            if self._sock.fileno() < 0:
                return  # a handler has closed it
            try:
                count, size, source = read()
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an ICMP error of an earlier datagram is told once; the next may be read
            self._hand_over(count, size, source)

    def _hand_over(self, count: int, size: int, source: Address) -> None:
        received = self._received
        whole = memoryview(self._buffer)[:count]
        if not 0 < size < count:
            received(bytes(whole), source)
            return
        for start in range(0, count, size):
            received(bytes(whole[start : start + size]), source)

    def _read_one(self) -> tuple[int, int, Address]:
        count, address = self._sock.recvfrom_into(self._buffer)
        return count, 0, address[:2]

    def _read_train(self) -> tuple[int, int, Address]:
        """Return the bytes that were read, those of each datagram but the last, and the source."""
        count, control, _, address = self._sock.recvmsg_into((self._buffer,), _CONTROL)
        source = address[:2]
        size = 0
        for level, _, data in control:
            if level == socket.IPPROTO_UDP:
                size = _SIZE.unpack_from(data)[0]
        if self.origins is not None:
            self.origins.arriving = control
        return count, size, source

    def send(self, data: bytes, target: Address, origin: Origin | None = None) -> None:
        """Send a datagram, from *origin* if given; what the network refuses is lost."""
        if self._waiting:
            self._wait(data, target, origin)
            return
        try:
            self._send(data, target, origin)
        except (BlockingIOError, InterruptedError):
            self._wait(data, target, origin)

    def _send(self, data: bytes, target: Address, origin: Origin | None) -> None:
        """Send now.

        Raises:
            BlockingIOError: the socket's buffer is full.
            InterruptedError: a signal came.
        """
        control = self._control(target, origin)
        try:
            if control:
                self._sock.sendmsg((data,), control, 0, target)
            else:
                self._sock.sendto(data, target)
        except (BlockingIOError, InterruptedError):
            raise
        except OSError:
            # ICE finds out by itself which addresses answer; but one of ours may be gone.
            if self.origins is not None:
                self.origins.refused(target)

    def _control(self, target: Address, origin: Origin | None = None) -> tuple[Control, ...]:
        return () if self.origins is None else self.origins.control(target, origin)

    def send_all(self, datagrams: Sequence[bytes], target: Address) -> None:
        """Send several datagrams, in order and at once."""
        # What waits for room goes first; and one alone is cheaper without a train.
        few = self._waiting or len(datagrams) < 2
        sent = 0 if few else self._segmentation.send(datagrams, target, self._control(target))
        for data in datagrams[sent:]:
            self.send(data, target)

    def _wait(self, data: bytes, target: Address, origin: Origin | None) -> None:
        if not self._waiting:
            self._loop.add_writer(self._sock.fileno(), self._write)
        if len(self._waiting) < _MAX_WAITING:
            self._waiting.append((data, target, origin))

    def _write(self) -> None:
        """Send what waits, as far as there is room."""
        while self._waiting:
            try:
                self._send(*self._waiting[0])
            except (BlockingIOError, InterruptedError):
                return
            self._waiting.popleft()
        self._loop.remove_writer(self._sock.fileno())

    async def close(self) -> None:
        """Close it, after what waits and can leave at once."""
        number = self._sock.fileno()
        if number < 0:
            return
        self._loop.remove_reader(number)
        if self._waiting:
            self._write()
            self._waiting.clear()
            self._loop.remove_writer(number)
        self._sock.close()


class _Endpoint:
    """asyncio's own transport."""

    def __init__(self, transport: asyncio.DatagramTransport, protocol: _Protocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self.origins: Origins | None = None

    def send(self, data: bytes, target: Address, origin: Origin | None = None) -> None:
        """Send a datagram; what the network refuses is lost."""
        if not self._transport.is_closing():
            self._transport.sendto(data, target)

    def send_all(self, datagrams: Sequence[bytes], target: Address) -> None:
        """Send several datagrams, in order and at once."""
        for data in datagrams:
            self.send(data, target)

    async def close(self) -> None:
        """Close it, after what waits."""
        self._transport.close()
        await self._protocol.closed


class _Protocol(asyncio.DatagramProtocol):
    """What asyncio's transport calls."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._received(data, addr[:2])

    def error_received(self, exc: Exception) -> None:
        """Ignore ICMP errors, as `_Watched` does."""

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
