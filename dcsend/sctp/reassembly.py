"""Reassembly of messages from DATA chunks, and the limits of what is kept.

TSNs are integers that do not wrap (see `unwrap`). The fragments of a message have consecutive TSNs
(RFC 9260, 6.9), so a run of fragments grows at both ends until it has a first and a last one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from dcsend.sctp.wire import FIRST, LAST, MAX_DUPLICATES, UNORDERED

__all__ = ["MAX_AHEAD", "Limits", "Message", "Reassembly", "Violation", "unwrap"]

MAX_AHEAD: Final = 32_768
"""TSNs beyond the cumulative one that are accepted: 45 MB in packets of an Ethernet. It is less
than half of the 65,536 stream sequence numbers, so that no two waiting messages of a stream have
the same one."""

_COST: Final = 128
"""Bytes that are counted for each message or fragment besides its content, so that the memory for
many short ones is limited."""
_LEAST_FRAGMENT: Final = 64
"Bytes; a peer whose fragments are shorter on average is cut off."


class Violation(Exception):
    """The peer has violated the protocol in a way that no accident causes; the association ends."""


@dataclass(frozen=True, slots=True)
class Message:
    """One complete message of a stream."""

    stream: int
    protocol: int
    "Payload protocol identifier."
    data: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of what is kept for one peer."""

    window: int = 16 * 1024 * 1024
    "Bytes that wait for other chunks or for the application, at most; the initial a_rwnd."
    message: int = 1024 * 1024
    "Bytes of one message, at most."
    streams: int = 1024
    "Streams on which data has arrived, at most."
    stream_ids: int = 65_535
    "All stream ids are lower than this."


def unwrap(value: int, near: int) -> int:
    """Return the integer with the low 32 bits *value* that is nearest to *near*.

    >>> unwrap(1, 0xFFFFFFFF) == 0x100000001, unwrap(0xFFFFFFFF, 0x100000001) == 0xFFFFFFFF
    (True, True)
    """
    return near + ((value - near + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class _Run:
    """Consecutive fragments of one message."""

    __slots__ = ("flags", "parts", "protocol", "sequence", "size", "start", "stream")

    def __init__(
        self, start: int, flags: int, stream: int, sequence: int, protocol: int, data: bytes
    ) -> None:
        self.start = start
        self.flags = flags
        "FIRST and LAST if the run has that fragment; UNORDERED as in all its fragments."
        self.stream = stream
        self.sequence = sequence
        self.protocol = protocol
        self.parts = [data]
        self.size = len(data)


class _Stream:
    """Complete messages of one stream that wait for earlier ones."""

    __slots__ = ("next", "waiting")

    def __init__(self) -> None:
        self.next = 0
        "Stream sequence number, 16 bits, of the next ordered message."
        self.waiting: dict[int, Message] = {}


class Reassembly:
    """Accepts chunks in any order, and delivers messages."""

    def __init__(self, first: int, limits: Limits, deliver: Callable[[Message], None]) -> None:
        """Wait for TSN *first*; *deliver* is called with each message in its order."""
        self.cumulative = first - 1
        "Cumulative TSN: all up to it have arrived."
        self.gaps: list[list[int]] = []
        "First and last TSN of each run that has arrived beyond, in order."
        self.duplicates: list[int] = []
        "TSNs that arrived again since the last SACK."
        self.held = 0
        "Bytes that are kept; delivered ones count until `release`."
        self._limits = limits
        self._deliver = deliver
        self._starts: dict[int, _Run] = {}
        "Runs by first TSN."
        self._ends: dict[int, _Run] = {}
        "Runs by last TSN."
        self._cleared = first - 1
        "No run begins at or before this TSN."
        self._streams: dict[int, _Stream] = {}

    @property
    def window(self) -> int:
        """a_rwnd: bytes that the peer may send."""
        return max(0, self._limits.window - self.held)

    def release(self, size: int) -> None:
        """Note that the application has taken a message of *size* bytes."""
        self.held -= size + _COST

    def add(
        self, flags: int, tsn: int, stream: int, sequence: int, protocol: int, data: bytes
    ) -> bool:
        """Accept a DATA chunk; return False for a duplicate, and for one that exceeds the window.

        Raises:
            Violation: it contradicts other chunks, or exceeds the limits.
        """
        cumulative = self.cumulative
        if tsn == cumulative + 1:
            if self.held >= self._limits.window and not self._is_needed(flags, tsn):
                return False
            if self.gaps and self.gaps[0][0] == tsn + 1:
                self.cumulative = self.gaps.pop(0)[1]
            else:
                self.cumulative = tsn
        elif not self._insert(tsn):
            return False
        self.held += len(data) + _COST
        if flags & 3 == FIRST | LAST:
            self._complete(flags, stream, sequence, protocol, data)
        else:
            self._add_fragment(flags, tsn, stream, sequence, protocol, data)
        return True

    def _is_needed(self, flags: int, tsn: int) -> bool:
        """Return whether the next TSN must be accepted although the window is full.

        It must if nothing can be delivered without it: it continues a message, or chunks beyond it
        wait. The sum of those is limited, too.
        """
        if self.gaps:
            return self.held < 2 * self._limits.window + self._limits.message + _COST
        run = self._ends.get(tsn - 1)
        return run is not None and not (run.flags & LAST or flags & FIRST)

    def _insert(self, tsn: int) -> bool:
        """Enter a TSN that is not the next one; return False if it is not accepted."""
        gaps = self.gaps
        if tsn <= self.cumulative:
            return self._add_duplicate(tsn)
        if tsn > self.cumulative + MAX_AHEAD:
            return False
        highest = gaps[-1][1] if gaps else self.cumulative
        # A correct sender exceeds the window by one packet at most (RFC 9260, 6.1, A). TSNs that
        # fill a gap are accepted beyond it, because they make room.
        full = self._limits.window if tsn > highest else 2 * self._limits.window
        if self.held >= full:
            return False
        if tsn == highest + 1 and gaps:
            gaps[-1][1] = tsn
            return True
        at = bisect_left(gaps, [tsn])
        after = gaps[at] if at < len(gaps) else None
        before = gaps[at - 1] if at else None
        if (after and after[0] == tsn) or (before and before[1] >= tsn):
            return self._add_duplicate(tsn)
        joins_before = before is not None and before[1] == tsn - 1
        joins_after = after is not None and after[0] == tsn + 1
        if joins_before and joins_after:
            assert before is not None
            before[1] = gaps.pop(at)[1]
        elif joins_before:
            assert before is not None
            before[1] = tsn
        elif joins_after:
            assert after is not None
            after[0] = tsn
        else:
            gaps.insert(at, [tsn, tsn])
        return True

    def _add_duplicate(self, tsn: int) -> bool:
        if len(self.duplicates) < MAX_DUPLICATES:
            self.duplicates.append(tsn)
        return False

    def _add_fragment(
        self, flags: int, tsn: int, stream: int, sequence: int, protocol: int, data: bytes
    ) -> None:
        """Join a fragment with its neighbours."""
        run = None if flags & FIRST else self._ends.get(tsn - 1)
        if run is None or run.flags & LAST:
            run = self._starts[tsn] = _Run(tsn, flags, stream, sequence, protocol, data)
        else:
            self._check(run, flags, stream, sequence)
            del self._ends[tsn - 1]
            run.flags |= flags & LAST
            run.parts.append(data)
            run.size += len(data)
        end = tsn
        if not flags & LAST:
            behind = self._starts.get(tsn + 1)
            if behind is not None and not behind.flags & FIRST:
                self._check(run, behind.flags, behind.stream, behind.sequence)
                end = tsn + len(behind.parts)
                del self._starts[tsn + 1], self._ends[end]
                run.flags |= behind.flags & LAST
                run.parts += behind.parts
                run.size += behind.size
        limit = self._limits.message
        if run.size > limit or (len(run.parts) - _LEAST_FRAGMENT) * _LEAST_FRAGMENT > limit:
            raise Violation("a message is too long, or has too many fragments")
        if run.flags & 3 == FIRST | LAST:
            del self._starts[run.start]
            self.held -= (len(run.parts) - 1) * _COST
            data = b"".join(run.parts)
            self._complete(run.flags, run.stream, run.sequence, run.protocol, data)
            return
        self._ends[end] = run

    def _check(self, run: _Run, flags: int, stream: int, sequence: int) -> None:
        """Check that neighbours belong to the same message.

        Raises:
            Violation: they do not.
        """
        same = run.stream == stream and (run.flags ^ flags) & UNORDERED == 0
        if not same or (run.sequence != sequence and not flags & UNORDERED):
            raise Violation("fragments of two messages in one")

    def _complete(
        self, flags: int, stream_id: int, sequence: int, protocol: int, data: bytes
    ) -> None:
        if len(data) > self._limits.message:
            raise Violation("a message is too long, or has too many fragments")
        message = Message(stream_id, protocol, data)
        stream = self._streams.get(stream_id)
        if stream is None:
            stream = self._new_stream(stream_id)
        if flags & UNORDERED:
            self._deliver(message)
        elif sequence == stream.next:
            stream.next = (sequence + 1) & 0xFFFF
            self._deliver(message)
            if stream.waiting:
                self._deliver_waiting(stream)
        else:
            stream.waiting[sequence] = message

    def _new_stream(self, stream_id: int) -> _Stream:
        if stream_id >= self._limits.stream_ids or len(self._streams) >= self._limits.streams:
            raise Violation("more streams than allowed")
        return self._streams.setdefault(stream_id, _Stream())

    def _deliver_waiting(self, stream: _Stream) -> None:
        while (message := stream.waiting.pop(stream.next, None)) is not None:
            stream.next = (stream.next + 1) & 0xFFFF
            self._deliver(message)

    def skip(self, cumulative: int, streams: Iterable[tuple[int, int]]) -> None:
        """Abandon what has not arrived up to a TSN (RFC 3758, 3.6).

        Args:
            cumulative: the new cumulative TSN; an old one has no effect.
            streams: for each stream with abandoned ordered messages, the last sequence number.
        """
        if cumulative <= self.cumulative or cumulative > self.cumulative + MAX_AHEAD:
            return
        self._drop_runs(cumulative)
        self.cumulative = cumulative
        gaps = self.gaps
        while gaps and gaps[0][0] <= self.cumulative + 1:
            self.cumulative = max(self.cumulative, gaps.pop(0)[1])
        for stream_id, sequence in dict(streams).items():
            stream = self._streams.get(stream_id)
            if stream is None:
                stream = self._new_stream(stream_id)
            self._skip_messages(stream, sequence)

    def _drop_runs(self, end: int) -> None:
        """Drop the incomplete messages that begin up to a TSN.

        A message that begins after it can still be completed. Each TSN or each run is visited once,
        whichever are fewer: a hostile peer may have many runs and skip one TSN at a time, or the
        reverse.
        """
        starts: Iterable[int] = range(self._cleared + 1, end + 1)
        if end - self._cleared > len(self._starts):
            starts = [start for start in self._starts if start <= end]
        for start in starts:
            run = self._starts.pop(start, None)
            if run is not None:
                del self._ends[start + len(run.parts) - 1]
                self.held -= run.size + _COST * len(run.parts)
        self._cleared = end

    def _skip_messages(self, stream: _Stream, sequence: int) -> None:
        """Deliver the complete messages up to a sequence number, in order, without the others."""
        distance = (sequence - stream.next) & 0xFFFF
        if distance >= 0x8000:
            return
        first, waiting = stream.next, stream.waiting
        # Iterate over the smaller set: a hostile peer may skip half of all numbers, or make
        # thousands of messages wait.
        numbers: Iterable[int] = waiting
        if distance < len(waiting):
            numbers = [(first + offset) & 0xFFFF for offset in range(distance + 1)]
        whole = [n for n in numbers if n in waiting and (n - first) & 0xFFFF <= distance]
        stream.next = (sequence + 1) & 0xFFFF
        for number in sorted(whole, key=lambda number: (number - first) & 0xFFFF):
            self._deliver(waiting.pop(number))
        self._deliver_waiting(stream)

    def restart_stream(self, stream_id: int) -> None:
        """Expect sequence number 0, after the peer has reset the stream (RFC 6525)."""
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            self.held -= sum(len(m.data) + _COST for m in stream.waiting.values())
