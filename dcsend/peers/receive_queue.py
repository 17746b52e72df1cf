"""The receive queue of a channel."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from dcsend.errors import DcsendError, RemoteProtocolError
from dcsend.peers.contract import MAX_QUEUED

__all__ = ["ReceiveQueue"]

_TURN: Final = 0.01
"""Seconds for which messages are returned without a pause. Then other tasks, signals, timers and
sockets run once."""
_OVERHEAD: Final = 64
"Bytes counted for each message besides its content, which limits the number of empty ones."


class ReceiveQueue:
    """A bounded queue with an end. The transport calls `put`, one task calls `get`."""

    def __init__(self, limit: int = MAX_QUEUED) -> None:
        self._limit = limit
        self._messages: deque[tuple[bytes | str, int]] = deque()
        self._queued = 0
        self._end: DcsendError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._turn = 0.0
        "Time of the last pause of `get`, in seconds of the loop's clock."

    def put(self, message: bytes | str, size: int) -> None:
        """Add a message of *size* bytes; above the limit, end the queue and drop its content."""
        if self._end is not None:
            return
        self._queued += size + _OVERHEAD
        if self._queued > self._limit:
            self._messages.clear()
            self.end(RemoteProtocolError("the peer sends faster than it was allowed to"))
            return
        self._messages.append((message, size))
        self._wake()

    def end(self, reason: DcsendError) -> None:
        """Let `get` raise *reason* when the queue is empty; only the first call has an effect."""
        if self._end is None:
            self._end = reason
            self._wake()

    async def arrived(self) -> None:
        """Return when there is a message for `get`; raise the reason of the end if there is none.

        Not to be called while `get` waits.
        """
        while not self._messages:
            if self._end is not None:
                raise self._end
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def get(self) -> tuple[bytes | str, int]:
        """Return the next message and its size in bytes, or raise the reason of the end.

        Other tasks run at least every 10 ms, however many messages are queued.
        """
        loop = asyncio.get_running_loop()
        if self._messages and loop.time() - self._turn > _TURN:
            await asyncio.sleep(0)
            self._turn = loop.time()
        while not self._messages:
            if self._end is not None:
                raise self._end
            self._waiter = loop.create_future()
            await self._waiter
            self._turn = loop.time()
        message = self._messages.popleft()
        self._queued -= message[1] + _OVERHEAD
        return message

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
