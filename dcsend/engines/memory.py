"""Two ends in one process: for tests, benchmarks, and trying the protocol by hand.

Keeps the contract of `base` and adds what a real network does only when it likes:
a clogged receiver, a cut, a changed byte.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

from dcsend.engines.base import LABELS, Path, Route
from dcsend.engines.mailbox import Mailbox
from dcsend.errors import ConnectionFailed, DcsendError

__all__ = ["MemoryChannel", "MemoryConnection", "connected_pair"]

_HIGH_WATER = 1024 * 1024
"Bytes on the way before `send` says no; as the aiortc engine has it."


class MemoryChannel:
    """One end of a channel; messages arrive at `peer` in a later turn of the loop."""

    max_message_size = 262_144

    def __init__(self, label: str, filter_: Callable[[bytes | str], bytes | str]) -> None:
        self.label = label
        self.peer: MemoryChannel
        self._filter = filter_
        self._mailbox = Mailbox()
        self._in_flight = 0
        self._held: deque[bytes | str] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._end: DcsendError | None = None

    def clog(self) -> None:
        """Hold every message sent from here until `unclog`."""
        self._held = deque()

    def unclog(self) -> None:
        """Let messages go again, the held ones first."""
        held, self._held = self._held or deque(), None
        for message in held:
            self._deliver(message)

    def send(self, message: bytes | str) -> bool:
        """Send, as `Channel.send` says."""
        if self._end is not None:
            raise self._end
        if self._in_flight >= _HIGH_WATER:
            self._room.clear()
            return False
        self._in_flight += len(message)
        asyncio.get_running_loop().call_soon(self._deliver, message)
        return True

    def _deliver(self, message: bytes | str) -> None:
        if self._end is not None:
            return
        if self._held is not None:
            self._held.append(message)
            return
        self._in_flight -= len(message)
        if self._in_flight <= _HIGH_WATER // 2:
            self._room.set()
        self.peer._mailbox.put(self._filter(message))

    async def writable(self) -> None:
        """Wait for room, as `Channel.writable` says."""
        await self._room.wait()
        if self._end is not None:
            raise self._end

    async def receive(self) -> bytes | str:
        """Take the next message, as `Channel.receive` says."""
        return await self._mailbox.get()

    def end(self, reason: DcsendError) -> None:
        """End both directions of this end."""
        self._end = self._end or reason
        self._mailbox.end(reason)
        self._room.set()


class MemoryConnection:
    """One end of a connection in memory."""

    def __init__(self, filter_: Callable[[bytes | str], bytes | str]) -> None:
        self.memory_channels = {label: MemoryChannel(label, filter_) for label in LABELS}
        self.channels: Mapping[str, MemoryChannel] = self.memory_channels
        self.peer: MemoryConnection

    @property
    def route(self) -> Route:
        """Always memory."""
        return Route(Path.MEMORY, "", "", 0.0)

    async def close(self) -> None:
        """End both ends, as a closed transport does."""
        self.cut()

    def cut(self) -> None:
        """End both ends at once, without a word: a pulled cable that is noticed."""
        for label in LABELS:
            self.memory_channels[label].end(ConnectionFailed("the connection is closed"))
            self.peer.memory_channels[label].end(
                ConnectionFailed("the other side closed the connection")
            )


def connected_pair(
    filter_: Callable[[bytes | str], bytes | str] = lambda message: message,
) -> tuple[MemoryConnection, MemoryConnection]:
    """Return two joined ends; *filter_* sees, and may change, every message on its way."""
    left, right = MemoryConnection(filter_), MemoryConnection(filter_)
    left.peer, right.peer = right, left
    for label in LABELS:
        left.memory_channels[label].peer = right.memory_channels[label]
        right.memory_channels[label].peer = left.memory_channels[label]
    return left, right
