"""The send queue: a queue for each stream, served in turns, and fragmented when a packet has room.

Late fragmentation lets a message use a packet size that was confirmed after it was queued. The
fragments of a message are consecutive, as receivers without I-DATA (RFC 8260) require.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from dcsend.sctp.wire import FIRST, LAST, UNORDERED

__all__ = ["RELIABLE", "QueuedMessage", "Reliability", "SendQueue"]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Order and partial reliability of a message (RFC 3758; RFC 7496)."""

    ordered: bool = True
    max_retransmits: int | None = None
    max_lifetime: float | None = None
    "Seconds."


RELIABLE: Final = Reliability()


class QueuedMessage:
    """A message that is sent, with its state."""

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
        "Bytes that are in packets already."
        self.flags = 0 if how.ordered else UNORDERED
        self.sequence = 0
        "Assigned with the first fragment, so that a message that expires before leaves no gap."
        self.max_retransmits = how.max_retransmits
        self.expires = math.inf if how.max_lifetime is None else now + how.max_lifetime
        self.abandoned = False

    def abandon(self) -> None:
        """Send nothing more of it."""
        self.abandoned = True

    @property
    def is_reliable(self) -> bool:
        """Whether it must never be abandoned."""
        return self.max_retransmits is None and self.expires == math.inf


class _Stream:
    """The queued messages of one stream."""

    __slots__ = ("messages", "next", "queued")

    def __init__(self) -> None:
        self.messages: deque[QueuedMessage] = deque()
        self.next = 0
        "Stream sequence number of the next ordered message, 16 bits."
        self.queued = 0


class SendQueue:
    """Messages of the application that no packet contains yet."""

    def __init__(self) -> None:
        self._streams: dict[int, _Stream] = {}
        self._turns: deque[_Stream] = deque()
        "Streams with messages, in the order in which they are served."

    def __bool__(self) -> bool:
        """Return whether a message is queued."""
        return bool(self._turns)

    def queued(self, stream: int) -> int:
        """Return the queued bytes of a stream (W3C `bufferedAmount` without those in flight)."""
        state = self._streams.get(stream)
        return state.queued if state else 0

    def put(self, message: QueuedMessage) -> None:
        """Queue a message of at least one byte."""
        stream = self._streams.setdefault(message.stream, _Stream())
        if not stream.messages:
            self._turns.append(stream)
        stream.messages.append(message)
        stream.queued += message.size

    def cut(self, size: int, now: float) -> tuple[QueuedMessage, int, int, memoryview] | None:
        """Return the next fragment, and remove it from the queue.

        Args:
            size: bytes that fit the packet.
            now: seconds; messages that have expired are dropped.

        Returns:
            The message, the flags, the stream sequence number, the bytes; None if the queue is
            empty.
            No bytes if the message was abandoned after its first fragment was sent.
        """
        while self._turns:
            stream = self._turns[0]
            message = stream.messages[0]
            if message.abandoned or (message.expires <= now and not message.at):
                # It has a sequence number, so a FORWARD TSN must skip it.
                self._finish(stream, message.size - message.at)
                message.abandon()
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
        """Remove the first message of the stream that is served; the next stream follows."""
        stream.queued -= size
        stream.messages.popleft()
        self._turns.popleft()
        if stream.messages:
            self._turns.append(stream)

    def restart_stream(self, stream: int) -> None:
        """Begin again with sequence number 0, after a reset of the stream; its queue is empty."""
        self._streams.pop(stream, None)
