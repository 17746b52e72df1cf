"""Stream reset, which closes data channels (RFC 6525; RFC 8831, 6.7).

Outgoing streams are reset with one request at a time, which is retransmitted until the response
arrives. Requests of the peer are answered.
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
"In one request, which must fit a packet."


@dataclass(frozen=True, slots=True)
class Reset:
    """The event that a stream has been reset."""

    stream: int
    by_peer: bool
    "Whether the peer has reset its direction; else this side has."


class StreamResets:
    """Requests and responses of both sides."""

    def __init__(self, ours: int, theirs: int) -> None:
        """Begin with the first TSN of each side as its request sequence number (RFC 6525, 4.1)."""
        self.deadline: float | None = None
        "When the request is due for retransmission; None for never."
        self._next = ours
        self._expected = theirs
        self._is_postponed = False
        "Whether the expected request has arrived before the data that it requires."
        self._wanted: list[int] = []
        self._pending: tuple[int, ...] = ()
        "Streams of the request that waits for its response."
        self._barriers: dict[int, int] = {}
        "By stream: the TSN that the peer must have before the stream can be reset."
        self._last = 0
        self._last_response = b""

    def request(self, stream: int) -> None:
        """Request the reset of a stream, when the requests before it are done."""
        if stream not in self._wanted and stream not in self._pending:
            self._wanted.append(stream)

    def requests(self, sending: Transmission, now: float) -> list[bytes]:
        """Return the RE-CONFIG chunk that is due, or nothing."""
        if not self._pending and self._wanted:
            self._prepare(sending)
            self.deadline = now if self._pending else None
        if self.deadline is None or now < self.deadline:
            return []
        self.deadline = now + sending.round_trip.timeout
        number = self._next & 0xFFFFFFFF
        value = _REQUEST.pack(number, (self._expected - 1) & 0xFFFFFFFF, self._last & 0xFFFFFFFF)
        value += b"".join(map(_STREAM.pack, self._pending))
        return [wire.chunk(wire.RE_CONFIG, 0, wire.parameter(_OUTGOING, value, last=True))]

    def _prepare(self, sending: Transmission) -> None:
        """Begin a request for the streams of which everything is acknowledged."""
        ready = []
        for stream in self._wanted[:_MAX_STREAMS]:
            if not sending.queue.queued(stream):
                # Data of other streams may follow; only the data up to here is required.
                barrier = self._barriers.setdefault(stream, sending.flight.next - 1)
                if sending.flight.cumulative >= barrier:
                    ready.append(stream)
        if ready:
            self._last = max(self._barriers.pop(stream) for stream in ready)
            self._pending = tuple(ready)
            self._wanted = [stream for stream in self._wanted if stream not in self._pending]

    def received(self, value: bytes, cumulative: int) -> tuple[list[bytes], list[Reset]]:
        """Process a RE-CONFIG chunk.

        Args:
            value: of the chunk.
            cumulative: our cumulative TSN, 32 bits.

        Returns:
            Chunks to send, and the streams that are reset now.

        Raises:
            Malformed: lengths are wrong.
        """
        replies: list[bytes] = []
        resets: list[Reset] = []
        for kind, content in wire.parameters(value):
            if kind == _RESPONSE:
                resets += self._on_response(content)
            elif kind in (_OUTGOING, _INCOMING, _SSN_TSN, *_ADD):
                reply, done = self._on_request(kind, content, cumulative)
                replies += reply
                resets += done
        return replies, resets

    def assume(self, stream: int) -> None:
        """Treat the reset of a stream as done, although its response has not arrived."""
        if stream in self._pending:
            self._pending = tuple(asked for asked in self._pending if asked != stream)
            if not self._pending:
                self.deadline = None
                self._next += 1

    def _on_response(self, content: bytes) -> list[Reset]:
        if len(content) < _RESULT.size:
            raise wire.Malformed("a response is too short")
        number, result = _RESULT.unpack_from(content)
        if not self._pending or number != self._next & 0xFFFFFFFF or result == _IN_PROGRESS:
            return []
        # Whatever the result is, this side sends nothing more on these streams.
        done = [Reset(stream, by_peer=False) for stream in self._pending]
        self._pending = ()
        self.deadline = None
        self._next += 1
        return done

    def _on_request(
        self, kind: int, content: bytes, cumulative: int
    ) -> tuple[list[bytes], list[Reset]]:
        if len(content) < _NUMBER.size:
            raise wire.Malformed("a request is too short")
        number = int(_NUMBER.unpack_from(content)[0])
        if number == (self._expected - 1) & 0xFFFFFFFF and self._last_response:
            return [self._last_response], []
        if self._is_postponed and number == (self._expected + 1) & 0xFFFFFFFF:
            # Chromium repeats a request with the next number, where RFC 6525, 5.2.7 has the same.
            self._expected += 1
            self._last_response = b""
        if number != self._expected & 0xFFFFFFFF:
            return [], []
        self._is_postponed = False
        if kind != _OUTGOING:  # RFC 8831 needs no other request
            return [self._respond(number, _DENIED)], []
        if len(content) < _REQUEST.size or len(content) % 2:
            raise wire.Malformed("a request's length is wrong")
        last = _REQUEST.unpack_from(content)[2]
        if (cumulative - last) & 0xFFFFFFFF >= 0x80000000:
            # Data before the request is missing; the peer will repeat it.
            self._is_postponed = True
            return [_response(number, _IN_PROGRESS)], []
        named = _STREAM.iter_unpack(content[_REQUEST.size :])
        streams = list(dict.fromkeys(stream for (stream,) in named))
        result = _PERFORMED if streams else _NOTHING_TO_DO
        return [self._respond(number, result)], [Reset(stream, by_peer=True) for stream in streams]

    def _respond(self, number: int, result: int) -> bytes:
        self._expected += 1
        self._last_response = _response(number, result)
        return self._last_response


def _response(number: int, result: int) -> bytes:
    value = wire.parameter(_RESPONSE, _RESULT.pack(number, result))
    return wire.chunk(wire.RE_CONFIG, 0, value)
