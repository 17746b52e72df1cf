"""Two connected peers in one process, which keep the contract of `dcsend.peers.contract`.

A test can stop a channel, cut the connection, and change a message on its way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.peers.contract import LABELS, MAX_QUEUED, Path, Route
from dcsend.peers.receive_queue import ReceiveQueue

__all__ = ["MemoryChannel", "MemoryConnection", "connected_pair", "join"]

_HIGH_WATER = 1024 * 1024
"Bytes in flight at which `send` returns False, as over SCTP."


class MemoryChannel:
    """One end of a channel; messages arrive at `peer` in a later turn of the loop."""

    max_message_size = 262_144

    def __init__(
        self, label: str, filter_: Callable[[bytes | str], bytes | str], max_queued: int
    ) -> None:
        self.label = label
        self.peer: MemoryChannel
        self._filter = filter_
        self.queue = ReceiveQueue(max_queued)
        self._in_flight = 0
        self._held: deque[bytes | str] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._end: DcsendError | None = None

    def clog(self) -> None:
        """Hold every message sent from here until `unclog`."""
        self._held = deque()

    def unclog(self) -> None:
        """Deliver messages again, the held ones first."""
        held, self._held = self._held or deque(), None
        for message in held:
            self._deliver(message)

    def send(self, message: bytes | str) -> bool:
        """See `Channel.send`."""
        if self._end is not None:
            raise self._end
        if self._in_flight >= _HIGH_WATER:
            self._room.clear()
            return False
        self._in_flight += len(message)
        self._carry(message)
        return True

    def _carry(self, message: bytes | str) -> None:
        asyncio.get_running_loop().call_soon(self._deliver, message)

    def _deliver(self, message: bytes | str) -> None:
        if self._end is not None:
            return
        if self._held is not None:
            self._held.append(message)
            return
        self._in_flight -= len(message)
        if self._in_flight <= _HIGH_WATER // 2:
            self._room.set()
        message = self._filter(message)
        self.peer.queue.put(message, len(message))

    async def writable(self) -> None:
        """See `Channel.writable`."""
        await self._room.wait()
        if self._end is not None:
            raise self._end

    async def receive(self) -> bytes | str:
        """See `Channel.receive`."""
        return (await self.queue.get())[0]

    def end(self, reason: DcsendError) -> None:
        """End both directions of this end."""
        self._end = self._end or reason
        self.queue.end(reason)
        self._room.set()


class MemoryConnection:
    """One end of a connection in memory."""

    def __init__(self, filter_: Callable[[bytes | str], bytes | str], max_queued: int) -> None:
        self.memory_channels = {
            label: MemoryChannel(label, filter_, max_queued) for label in LABELS
        }
        self.channels: Mapping[str, MemoryChannel] = self.memory_channels
        self.peer: MemoryConnection

    @property
    def route(self) -> Route:
        """A path without addresses."""
        return Route(Path.DIRECT, "", "", 0.0)

    async def close(self) -> None:
        """End both ends, as a closed transport does."""
        self.cut()

    def cut(self) -> None:
        """End both ends at once, as after a lost connection."""
        for label in LABELS:
            self.memory_channels[label].end(ConnectionFailed("the connection is closed"))
            self.peer.memory_channels[label].end(
                ConnectionFailed("the other side closed the connection")
            )


def connected_pair(
    filter_: Callable[[bytes | str], bytes | str] = lambda message: message,
    *,
    max_queued: int = MAX_QUEUED,
) -> tuple[MemoryConnection, MemoryConnection]:
    """Return two joined ends; *filter_* gets each message, and may change it."""
    left, right = MemoryConnection(filter_, max_queued), MemoryConnection(filter_, max_queued)
    join(left, right)
    return left, right


def join(left: MemoryConnection, right: MemoryConnection) -> None:
    """Make two ends those of one connection."""
    left.peer, right.peer = right, left
    for label in LABELS:
        left.memory_channels[label].peer = right.memory_channels[label]
        right.memory_channels[label].peer = left.memory_channels[label]
