"""From DATA chunks to messages: which TSNs are here, what they make, and how much of it waits.

TSNs are plain integers that never wrap (see `unwrap`); only `association` knows their 32 bits.
A message's fragments have consecutive TSNs (RFC 9260, 6.9), so a run of fragments grows at both
ends until it has a first and a last one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from dcsend.sctp.wire import FIRST, LAST, MAX_DUPLICATES, UNORDERED

__all__ = ["MAX_AHEAD", "Limits", "Message", "Reassembly", "Violation", "unwrap"]

MAX_AHEAD: Final = 32_768
"""TSNs beyond the cumulative one that are taken: 45 MB in packets of an Ethernet. Below half of the
65,536 stream sequence numbers, so that no two messages of a stream with the same one can wait."""

_COST: Final = 128
"Bytes that a message costs besides its own while it waits: many short ones must not be free."


class Violation(Exception):
    """The peer broke a rule that it can't have broken by accident; the association ends."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream, whole."""

    stream: int
    protocol: int
    "Payload protocol identifier."
    data: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may cost."""

    window: int = 16 * 1024 * 1024
    "Bytes that may wait here, for other chunks or for the application; what a_rwnd starts with."
    message: int = 1024 * 1024
    "Bytes of one message."
    streams: int = 1024
    "Streams on which something has come."
    stream_ids: int = 65_535
    "Stream ids are below."


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
        "FIRST and LAST if the run has that fragment; UNORDERED as all fragments have it."
        self.stream = stream
        self.sequence = sequence
        self.protocol = protocol
        self.parts = [data]
        self.size = len(data)


class _Stream:
    """Messages of one stream that are whole, but not their turn."""

    __slots__ = ("next", "waiting")

    def __init__(self) -> None:
        self.next = 0
        "Stream sequence number, 16 bits, of the next ordered message."
        self.waiting: dict[int, Message] = {}


class Reassembly:
    """Takes chunks in any order, gives messages."""

    def __init__(self, first: int, limits: Limits, deliver: Callable[[Message], None]) -> None:
        """Wait for TSN *first*; *deliver* is called for each message in its turn."""
        self.cumulative = first - 1
        "All TSNs up to here have come."
        self.gaps: list[list[int]] = []
        "First and last TSN of the runs that have come beyond, in order."
        self.duplicates: list[int] = []
        "TSNs that came again since the last acknowledgement."
        self.held = 0
        "Bytes that wait, delivered ones until `release`."
        self._limits = limits
        self._deliver = deliver
        self._tails: dict[int, _Run] = {}
        "Runs without a last fragment, by their last TSN."
        self._heads: dict[int, _Run] = {}
        "Runs without a first fragment, by their first TSN."
        self._streams: dict[int, _Stream] = {}

    @property
    def window(self) -> int:
        """Bytes that the peer may still send: a_rwnd."""
        return max(0, self._limits.window - self.held)

    def release(self, size: int) -> None:
        """Note that the application has taken a message of *size* bytes."""
        self.held -= size + _COST

    def add(
        self, flags: int, tsn: int, stream: int, sequence: int, protocol: int, data: bytes
    ) -> bool:
        """Take a DATA chunk; return whether it was of use.

        Raises:
            Violation: it contradicts others, or is more than the limits allow.
        """
        cumulative = self.cumulative
        if tsn == cumulative + 1:
            if self.gaps and self.gaps[0][0] == tsn + 1:
                self.cumulative = self.gaps.pop(0)[1]
            else:
                self.cumulative = tsn
        elif not self._note(tsn):
            return False
        self.held += len(data)
        if flags & 3 == FIRST | LAST:
            self._complete(flags, stream, sequence, protocol, data)
        else:
            self._join(flags, tsn, stream, sequence, protocol, data)
        return True

    def _note(self, tsn: int) -> bool:
        """Enter a TSN that is not the next one; False if it is known, or too much."""
        gaps = self.gaps
        if tsn <= self.cumulative:
            return self._again(tsn)
        if tsn > self.cumulative + MAX_AHEAD:
            return False
        highest = gaps[-1][1] if gaps else self.cumulative
        # Who keeps to the window sends one packet too much, at most (RFC 9260, 6.1, A). Holes may
        # be filled beyond it: that is what frees it again.
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
            return self._again(tsn)
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

    def _again(self, tsn: int) -> bool:
        if len(self.duplicates) < MAX_DUPLICATES:
            self.duplicates.append(tsn)
        return False

    def _join(
        self, flags: int, tsn: int, stream: int, sequence: int, protocol: int, data: bytes
    ) -> None:
        """Put a fragment to its neighbours."""
        run = None if flags & FIRST else self._tails.pop(tsn - 1, None)
        if run is None:
            run = _Run(tsn, flags, stream, sequence, protocol, data)
        else:
            self._check(run, flags, stream, sequence)
            run.flags |= flags & LAST
            run.parts.append(data)
            run.size += len(data)
        end = tsn
        if self._heads and not flags & LAST:
            behind = self._heads.pop(tsn + 1, None)
            if behind is not None:
                self._check(run, behind.flags, behind.stream, behind.sequence)
                end = tsn + len(behind.parts)
                run.flags |= behind.flags & LAST
                run.parts += behind.parts
                run.size += behind.size
                self._tails.pop(end, None)
        if run.size > self._limits.message:
            raise Violation("a message is too long")
        if run.flags & 3 == FIRST | LAST:
            self._heads.pop(run.start, None)
            data = b"".join(run.parts)
            self._complete(run.flags, run.stream, run.sequence, run.protocol, data)
            return
        if not run.flags & LAST:
            self._tails[end] = run
        if not run.flags & FIRST:
            self._heads[run.start] = run

    def _check(self, run: _Run, flags: int, stream: int, sequence: int) -> None:
        """Refuse neighbours that are of two messages.

        Raises:
            Violation: they are.
        """
        same = run.stream == stream and (run.flags ^ flags) & UNORDERED == 0
        if not same or (run.sequence != sequence and not flags & UNORDERED):
            raise Violation("fragments of two messages in one")

    def _complete(
        self, flags: int, stream_id: int, sequence: int, protocol: int, data: bytes
    ) -> None:
        self.held += _COST
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
            raise Violation("a stream too many")
        return self._streams.setdefault(stream_id, _Stream())

    def _deliver_waiting(self, stream: _Stream) -> None:
        while (message := stream.waiting.pop(stream.next, None)) is not None:
            stream.next = (stream.next + 1) & 0xFFFF
            self._deliver(message)

    def skip(self, cumulative: int, streams: Iterable[tuple[int, int]]) -> None:
        """Give up what has not come up to a TSN (RFC 3758, 3.6).

        Args:
            cumulative: the new cumulative TSN; an old one changes nothing.
            streams: for each stream with ordered messages given up, the last sequence number.
        """
        if cumulative <= self.cumulative or cumulative > self.cumulative + MAX_AHEAD:
            return
        for run in [*self._heads.values(), *self._tails.values()]:
            # Only what begins before it; a whole message behind it can still come to be.
            if run.start <= cumulative:
                self._drop(run)
        self.cumulative = cumulative
        gaps = self.gaps
        while gaps and gaps[0][0] <= self.cumulative + 1:
            self.cumulative = max(self.cumulative, gaps.pop(0)[1])
        for stream_id, sequence in streams:
            stream = self._streams.get(stream_id)
            if stream is None:
                stream = self._new_stream(stream_id)
            # What is whole among them is given, in order; the sender may have done without.
            while (sequence - stream.next) & 0xFFFF < 0x8000:
                message = stream.waiting.pop(stream.next, None)
                stream.next = (stream.next + 1) & 0xFFFF
                if message is not None:
                    self._deliver(message)
            self._deliver_waiting(stream)

    def _drop(self, run: _Run) -> None:
        last = run.start + len(run.parts) - 1
        if self._heads.get(run.start) is run:
            del self._heads[run.start]
        if self._tails.get(last) is run:
            del self._tails[last]
            self.held -= run.size
        elif run.flags & LAST:
            self.held -= run.size

    def restart_stream(self, stream_id: int) -> None:
        """Expect sequence number 0 on a stream: its sender has reset it (RFC 6525)."""
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            self.held -= sum(len(m.data) + _COST for m in stream.waiting.values())
