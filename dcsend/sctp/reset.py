"""Resetting streams, which is how a data channel is closed (RFC 6525; RFC 8831, 6.7).

We ask to reset outgoing streams, one request at a time and again until it is answered, and answer
the peer's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from dcsend.sctp import wire
from dcsend.sctp.transmission import Transmission

__all__ = ["Reset", "StreamResets"]

_OUTGOING: Final = 13
_INCOMING: Final = 14
_SSN_TSN: Final = 15
_RESPONSE: Final = 16
_ADD: Final = (17, 18)
_REQUEST: Final = struct.Struct("!LLL")
"Request sequence number, response sequence number, last TSN."
_RESULT: Final = struct.Struct("!LL")
_NUMBER: Final = struct.Struct("!L")
_STREAM: Final = struct.Struct("!H")

_NOTHING_TO_DO: Final = 0
_PERFORMED: Final = 1
_DENIED: Final = 2
_IN_PROGRESS: Final = 6
"Results (RFC 6525, 4.4)."
_MAX_STREAMS: Final = 500
"In one request: it must fit a packet."


@dataclass(frozen=True, slots=True)
class Reset:
    """A stream that has been reset."""

    stream: int
    by_peer: bool
    "Whether the peer sends no more on it; else it is we who don't."


class StreamResets:
    """Requests and answers of both sides."""

    def __init__(self, ours: int, theirs: int) -> None:
        """Begin to count; both with the first TSN of the side (RFC 6525, 4.1)."""
        self.deadline: float | None = None
        "When to send the request again."
        self._next = ours
        self._expected = theirs
        self._is_postponed = False
        "Whether the expected request has come, and was too early."
        self._wanted: list[int] = []
        self._asked: tuple[int, ...] = ()
        "Streams of the request that is not answered yet."
        self._barriers: dict[int, int] = {}
        "The TSN up to which the peer needs everything before a stream can be reset."
        self._last = 0
        self._last_answer = b""

    def want(self, stream: int) -> None:
        """Ask to reset a stream, when it is its turn."""
        if stream not in self._wanted and stream not in self._asked:
            self._wanted.append(stream)

    def requests(self, sending: Transmission, now: float) -> list[bytes]:
        """Return the RE-CONFIG chunk that is due, if one is."""
        if not self._asked and self._wanted:
            self._prepare(sending)
            self.deadline = now if self._asked else None
        if self.deadline is None or now < self.deadline:
            return []
        self.deadline = now + sending.round_trip.timeout
        number = self._next & 0xFFFFFFFF
        value = _REQUEST.pack(number, (self._expected - 1) & 0xFFFFFFFF, self._last & 0xFFFFFFFF)
        value += b"".join(map(_STREAM.pack, self._asked))
        return [wire.chunk(wire.RE_CONFIG, 0, wire.parameter(_OUTGOING, value, last=True))]

    def _prepare(self, sending: Transmission) -> None:
        """Begin a request for the streams of which all has arrived."""
        ready = []
        for stream in self._wanted[:_MAX_STREAMS]:
            if not sending.queue.queued(stream):
                # What has been sent on it is not behind this one; others may go on meanwhile.
                barrier = self._barriers.setdefault(stream, sending.flight.next - 1)
                if sending.flight.cumulative >= barrier:
                    ready.append(stream)
        if ready:
            self._last = max(self._barriers.pop(stream) for stream in ready)
            self._asked = tuple(ready)
            self._wanted = [stream for stream in self._wanted if stream not in self._asked]

    def received(self, value: bytes, cumulative: int) -> tuple[list[bytes], list[Reset]]:
        """Take a RE-CONFIG chunk.

        Args:
            value: of the chunk.
            cumulative: the last TSN up to which all has come, as it travels.

        Returns:
            Chunks to send back, and the streams that are reset now.

        Raises:
            Malformed: lengths are wrong.
        """
        replies: list[bytes] = []
        resets: list[Reset] = []
        for kind, content in wire.parameters(value):
            if kind == _RESPONSE:
                resets += self._answered(content)
            elif kind in (_OUTGOING, _INCOMING, _SSN_TSN, *_ADD):
                reply, done = self._requested(kind, content, cumulative)
                replies += reply
                resets += done
        return replies, resets

    def assume(self, stream: int) -> None:
        """Take a stream out of the request that waits for its answer."""
        if stream in self._asked:
            self._asked = tuple(asked for asked in self._asked if asked != stream)
            if not self._asked:
                self.deadline = None
                self._next += 1

    def _answered(self, content: bytes) -> list[Reset]:
        if len(content) < _RESULT.size:
            raise wire.Malformed("a response is too short")
        number, result = _RESULT.unpack_from(content)
        if not self._asked or number != self._next & 0xFFFFFFFF or result == _IN_PROGRESS:
            return []
        # Whatever the peer says: nothing more comes from us on these.
        done = [Reset(stream, by_peer=False) for stream in self._asked]
        self._asked = ()
        self.deadline = None
        self._next += 1
        return done

    def _requested(
        self, kind: int, content: bytes, cumulative: int
    ) -> tuple[list[bytes], list[Reset]]:
        if len(content) < _NUMBER.size:
            raise wire.Malformed("a request is too short")
        number = int(_NUMBER.unpack_from(content)[0])
        if number == (self._expected - 1) & 0xFFFFFFFF and self._last_answer:
            return [self._last_answer], []
        if self._is_postponed and number == (self._expected + 1) & 0xFFFFFFFF:
            # Chromium's asks again under another number, where the RFC has the same (5.2.7).
            self._expected += 1
            self._last_answer = b""
        if number != self._expected & 0xFFFFFFFF:
            return [], []
        self._is_postponed = False
        if kind != _OUTGOING:  # nobody who speaks RFC 8831 needs another one
            return [self._answer(number, _DENIED)], []
        if len(content) < _REQUEST.size or len(content) % 2:
            raise wire.Malformed("a request's length is wrong")
        last = _REQUEST.unpack_from(content)[2]
        if (cumulative - last) & 0xFFFFFFFF >= 0x80000000:
            # Some of what was sent before is missing; the peer asks again.
            self._is_postponed = True
            return [_response(number, _IN_PROGRESS)], []
        named = _STREAM.iter_unpack(content[_REQUEST.size :])
        streams = list(dict.fromkeys(stream for (stream,) in named))
        result = _PERFORMED if streams else _NOTHING_TO_DO
        return [self._answer(number, result)], [Reset(stream, by_peer=True) for stream in streams]

    def _answer(self, number: int, result: int) -> bytes:
        self._expected += 1
        self._last_answer = _response(number, result)
        return self._last_answer


def _response(number: int, result: int) -> bytes:
    value = wire.parameter(_RESPONSE, _RESULT.pack(number, result))
    return wire.chunk(wire.RE_CONFIG, 0, value)
