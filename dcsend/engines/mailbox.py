"""Received messages waiting to be taken: the receiving half of a channel."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from dcsend.engines.base import MAX_QUEUED
from dcsend.errors import DcsendError, RemoteProtocolError

__all__ = ["Mailbox"]

_TURN: Final = 0.01
"Seconds for which messages are handed out without a pause: signals, timers and sockets wait."
_OVERHEAD: Final = 64
"Bytes counted for a message besides its content, so that empty ones can't be endless."


class Mailbox:
    """A bounded queue with an end; `put` comes from the engine, `get` from its user."""

    def __init__(self, limit: int = MAX_QUEUED) -> None:
        self._limit = limit
        self._messages: deque[bytes | str] = deque()
        self._queued = 0
        self._end: DcsendError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._turn = 0.0
        "When the user has last waited, or given way; seconds of the loop's clock."

    def put(self, message: bytes | str) -> None:
        """Add a message; past the limit, end the queue and drop what it holds."""
        if self._end is not None:
            return
        self._queued += len(message) + _OVERHEAD
        if self._queued > self._limit:
            self._messages.clear()
            self.end(RemoteProtocolError("the peer sends faster than it was allowed to"))
            return
        self._messages.append(message)
        self._wake()

    def end(self, reason: DcsendError) -> None:
        """Let `get` raise *reason* once the queue is empty; the first reason stays."""
        if self._end is None:
            self._end = reason
            self._wake()

    async def get(self) -> bytes | str:
        """Return the next message, or raise the reason of the end.

        A user that takes one message after the other leaves the loop its turns, however many the
        peer has sent.
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
        self._queued -= len(message) + _OVERHEAD
        return message

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
