"""Messages that wait to be sent: a queue per stream, taken in turns, cut when a packet has room.

Cutting late lets a message that has begun use a packet size that was proven meanwhile. The
fragments of a message follow each other without others between, which is all that receivers
without I-DATA (RFC 8260) can take.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from dcsend.sctp.wire import FIRST, LAST, UNORDERED

__all__ = ["RELIABLE", "Outgoing", "Reliability", "SendQueue"]


@dataclass(frozen=True, slots=True)
class Reliability:
    """How hard to try (RFC 3758; RFC 7496)."""

    ordered: bool = True
    max_retransmits: int | None = None
    max_lifetime: float | None = None
    "Seconds."


RELIABLE: Final = Reliability()


class Outgoing:
    """A message on its way."""

    __slots__ = (
        "abandoned",
        "at",
        "data",
        "expires",
        "flags",
        "max_retransmits",
        "protocol",
        "sequence",
        "size",
        "stream",
    )

    def __init__(
        self, stream: int, protocol: int, data: bytes, how: Reliability, now: float
    ) -> None:
        self.stream = stream
        self.protocol = protocol
        self.data = memoryview(data)
        self.size = len(data)
        self.at = 0
        "Bytes that have been cut off."
        self.flags = 0 if how.ordered else UNORDERED
        self.sequence = 0
        "Given with the first fragment: what expires before leaves no hole."
        self.max_retransmits = how.max_retransmits
        self.expires = math.inf if how.max_lifetime is None else now + how.max_lifetime
        self.abandoned = False

    @property
    def is_reliable(self) -> bool:
        """Whether it may never be given up."""
        return self.max_retransmits is None and self.expires == math.inf


class _Stream:
    """What waits on one stream."""

    __slots__ = ("messages", "next", "queued")

    def __init__(self) -> None:
        self.messages: deque[Outgoing] = deque()
        self.next = 0
        "Stream sequence number of the next ordered message, 16 bits."
        self.queued = 0


class SendQueue:
    """What the application has sent and no packet has taken yet."""

    def __init__(self) -> None:
        self._streams: dict[int, _Stream] = {}
        self._turns: deque[_Stream] = deque()
        "Streams with messages, the one whose turn it is first."

    def __bool__(self) -> bool:
        """Tell whether anything waits."""
        return bool(self._turns)

    def queued(self, stream: int) -> int:
        """Return the bytes of a stream that wait: `bufferedAmount`, but for what is in flight."""
        state = self._streams.get(stream)
        return state.queued if state else 0

    def put(self, message: Outgoing) -> None:
        """Queue a message, of at least one byte."""
        stream = self._streams.setdefault(message.stream, _Stream())
        if not stream.messages:
            self._turns.append(stream)
        stream.messages.append(message)
        stream.queued += message.size

    def cut(self, size: int, now: float) -> tuple[Outgoing, int, int, memoryview] | None:
        """Take the next fragment.

        Args:
            size: bytes that a packet takes.
            now: seconds; what has expired is dropped.

        Returns:
            The message, the flags, the stream sequence number, the bytes; None if nothing waits.
            No bytes if the message was given up after it had begun.
        """
        while self._turns:
            stream = self._turns[0]
            message = stream.messages[0]
            if message.abandoned or (message.expires <= now and not message.at):
                # One that has begun has a number in its stream, so its receiver has to be told.
                self._finish(stream, message.size - message.at)
                message.abandoned = True
                if message.at:
                    return message, 0, message.sequence, message.data[:0]
                continue
            start = message.at
            flags = message.flags
            if not start:
                flags |= FIRST
                if not flags & UNORDERED:
                    message.sequence = stream.next
                    stream.next = (stream.next + 1) & 0xFFFF
            end = start + size
            if end >= message.size:
                end = message.size
                flags |= LAST
                self._finish(stream, end - start)
            else:
                stream.queued -= size
            message.at = end
            return message, flags, message.sequence, message.data[start:end]
        return None

    def _finish(self, stream: _Stream, size: int) -> None:
        """Take the first message of the stream whose turn it is off the queue; next stream."""
        stream.queued -= size
        stream.messages.popleft()
        self._turns.popleft()
        if stream.messages:
            self._turns.append(stream)

    def restart_stream(self, stream: int) -> None:
        """Begin with sequence number 0 again, since the stream was reset; nothing of it waits."""
        self._streams.pop(stream, None)
