"""What is on its way: each DATA chunk from its first transmission until it is acknowledged.

Losses are told by time, as RACK does (RFC 8985): what was sent well before something that has
arrived is lost. That costs a look at the oldest transmissions and no walk over what is in flight,
and finds lost retransmissions, too. TSNs are plain integers that never wrap, as in `reassembly`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final

from dcsend.sctp.queue import Outgoing
from dcsend.sctp.reassembly import Violation
from dcsend.sctp.timing import RoundTrip
from dcsend.sctp.wire import UNORDERED

__all__ = ["Flight", "Sent"]

_REORDERING: Final = 0.25
"Of the smallest round trip: how late a packet may be before it counts as lost (RFC 8985, 6.2)."
_MOST_REORDERING: Final = 16
"Times that this is raised, at most, when packets turn out to have been late."
_MAX_SKIPPED: Final = 250
"Streams in a FORWARD TSN: what is more has to wait for the next, or no packet would hold it."
_GRAIN: Final = 0.001
"Seconds that a packet may always be late: what loops and timers of programs add."


class Sent:
    """A chunk that has been sent at least once."""

    __slots__ = (
        "acknowledged",
        "app_limited",
        "chunk",
        "delivered",
        "delivered_time",
        "first_sent_time",
        "lost",
        "message",
        "sends",
        "sent_time",
        "size",
        "tsn",
    )

    delivered: int
    delivered_time: float
    first_sent_time: float
    app_limited: bool

    def __init__(self, tsn: int, chunk: bytes, size: int, message: Outgoing) -> None:
        self.tsn = tsn
        self.chunk = chunk
        "As it travels, header included."
        self.size = size
        "Bytes of the message in it."
        self.message = message
        self.sent_time = 0.0
        "Seconds; of the last transmission."
        self.sends = 0
        self.acknowledged = False
        "Or given up: nothing more is to be done."
        self.lost = False
        "Waits to be sent again."


class Flight:
    """The chunks that the peer has not acknowledged cumulatively."""

    def __init__(self, first: int, round_trip: RoundTrip) -> None:
        self.cumulative = first - 1
        "Last TSN up to which all is acknowledged."
        self.next = first
        "TSN of the next new chunk."
        self.advanced = first - 1
        "Advanced.Peer.Ack.Point (RFC 3758, 3.5): up to here nothing will be sent again."
        self.bytes = 0
        "In flight: neither acknowledged nor lost."
        self.outstanding = 0
        "Not acknowledged, lost ones included: what fills the peer's window."
        self.total = 0
        "Bytes acknowledged since the beginning."
        self.newest: Sent | None = None
        "Of what the last acknowledgement told, the one that was sent last."
        self.reorder_deadline: float | None = None
        "When to look again for losses, if nothing arrives before."
        self._records: dict[int, Sent] = {}
        self._order: deque[Sent] = deque()
        "In order of transmission; acknowledged ones are passed over when they come first."
        self._lost: deque[Sent] = deque()
        self.gaps: Sequence[tuple[int, int]] = ()
        "What the last acknowledgement told beyond the cumulative TSN."
        self._known: Sequence[tuple[int, int]] = ()
        "What all of them have told, in order."
        self._settled = first - 1
        "Up to here `advance` has looked."
        self._skipped: dict[int, tuple[int, int]] = {}
        "By stream: TSN and sequence number of the last ordered message given up below `advanced`."
        self._round_trip = round_trip
        self._highest = first - 1
        "Highest TSN acknowledged in any way."
        self._rack = (0.0, 0)
        "Time of transmission and TSN of the last one sent of all that have arrived (RFC 8985)."
        self._rack_rtt = 0.0
        self._reordering = 1

    def __len__(self) -> int:
        """Count the chunks that are not acknowledged cumulatively."""
        return len(self._records)

    @property
    def is_empty(self) -> bool:
        """Whether the peer has all that was ever sent, or is told to do without."""
        return not self._records

    @property
    def waits(self) -> bool:
        """Whether something waits to be sent again."""
        return bool(self._lost)

    # Sending

    def add(self, chunk: bytes, size: int, message: Outgoing) -> Sent:
        """Enter a new chunk, with TSN `next`; `transmitted` comes next."""
        record = Sent(self.next, chunk, size, message)
        self._records[self.next] = record
        self.next += 1
        self.outstanding += size
        return record

    def transmitted(self, record: Sent, now: float) -> None:
        """Note that a chunk leaves now."""
        record.sent_time = now
        record.sends += 1
        self.bytes += record.size
        self._order.append(record)

    def take_lost(self) -> Sent | None:
        """Return the next chunk to send again, or None; `transmitted` comes next."""
        while self._lost:
            record = self._lost.popleft()
            if record.lost and not record.acknowledged:
                record.lost = False
                return record
        return None

    def last(self) -> Sent | None:
        """Return the last chunk in flight, for a tail loss probe."""
        for record in reversed(self._order):
            if not record.acknowledged and not record.lost:
                return record
        return None

    def recall(self, record: Sent) -> bool:
        """Take a chunk out of flight; False if it isn't there any more. `transmitted` is next."""
        if record.acknowledged or record.lost:
            return False
        self.bytes -= record.size
        return True

    # Acknowledgements

    def acknowledge(self, cumulative: int, gaps: Sequence[tuple[int, int]], now: float) -> int:
        """Take a SACK; return the bytes that it newly acknowledges.

        Args:
            cumulative: its cumulative TSN, not before ours.
            gaps: first and last TSN of the runs beyond.
            now: seconds.

        Raises:
            Violation: it acknowledges what was never sent.
        """
        end = gaps[-1][1] if gaps else cumulative
        if end >= self.next:
            raise Violation("acknowledges what was not sent")
        before = self.total
        self.newest = None
        records = self._records
        for tsn in range(self.cumulative + 1, cumulative + 1):
            record = records.pop(tsn)
            if not record.acknowledged:
                self._arrived(record)
        self.cumulative = cumulative
        if gaps:
            self._take_gaps(gaps)
        self.gaps = gaps
        self._highest = max(self._highest, end)
        self.advanced = max(self.advanced, cumulative)
        self._measure(now)
        return self.total - before

    def _take_gaps(self, gaps: Sequence[tuple[int, int]]) -> None:
        """Look at what is told beyond the cumulative TSN, each chunk once.

        A peer may tell the same thousands again and again, with nothing told between.
        """
        cumulative, known = self.cumulative, self._known
        if known and known[0][1] <= cumulative:
            known = known[bisect_right(known, cumulative, key=itemgetter(1)) :]
        fresh = list(_fresh(gaps, known))
        for first, last in fresh:
            for tsn in range(max(first, cumulative + 1), last + 1):
                record = self._records[tsn]
                if not record.acknowledged:
                    self._arrived(record)
        self._known = _joined(known, fresh) if fresh else known

    def _measure(self, now: float) -> None:
        """Learn the round trip, and up to when what was sent has arrived."""
        newest = self.newest
        if newest is None:
            return
        sample = now - newest.sent_time
        # An acknowledgement quicker than the path is of an earlier transmission.
        if newest.sends == 1:
            self._round_trip.measured(sample, now)
        if newest.sends == 1 or sample >= self._round_trip.minimum:
            self._rack = max(self._rack, (newest.sent_time, newest.tsn))
            self._rack_rtt = sample

    def _arrived(self, record: Sent) -> None:
        record.acknowledged = True
        size = record.size
        self.total += size
        self.outstanding -= size
        if not record.lost:
            self.bytes -= size
        newest = self.newest
        if (
            newest is None
            or record.sent_time > newest.sent_time
            or (record.sent_time == newest.sent_time and record.tsn > newest.tsn)
        ):
            self.newest = record
        if record.tsn < self._highest and record.sends == 1:
            self._late(record)

    def _late(self, record: Sent) -> None:
        """A packet was overtaken, or counted as lost and was not: wait longer from now on."""
        self._reordering = min(self._reordering + 1, _MOST_REORDERING)

    # Losses

    def find_losses(self, now: float) -> int:
        """Look for what must be lost by now; return how many bytes."""
        self.reorder_deadline = None
        order = self._order
        if not order:
            return 0
        rack = self._rack
        round_trip = self._round_trip
        patience = max(_REORDERING * self._reordering * round_trip.minimum, _GRAIN)
        patience = min(patience, max(round_trip.smoothed or 0.0, _GRAIN))
        found = 0
        while order:
            record = order[0]
            if record.acknowledged or record.lost:
                order.popleft()
                continue
            if (record.sent_time, record.tsn) >= rack:
                break
            deadline = record.sent_time + self._rack_rtt + patience
            if deadline > now:
                self.reorder_deadline = deadline
                break
            order.popleft()
            self._lose(record)
            found += record.size
        return found

    def _lose(self, record: Sent) -> None:
        record.lost = True
        self.bytes -= record.size
        self._lost.append(record)

    def lose_all(self) -> int:
        """T3 has expired: everything that is not acknowledged counts as lost; return the bytes.

        A peer may take back what it has acknowledged beyond a gap (RFC 9260, 6.2.1), so that counts
        only as far as the last acknowledgement still told it.
        """
        self._order.clear()
        self._lost.clear()
        self.reorder_deadline = None
        self._settled = self.cumulative
        self._known = self.gaps
        told = set[int]()
        for first, last in self.gaps:
            told.update(range(first, last + 1))
        found = 0
        for record in self._records.values():
            if record.message.abandoned:
                continue
            if record.acknowledged:
                if record.tsn in told:
                    continue
                record.acknowledged = False
                self.outstanding += record.size
                self.bytes += record.size
                self.total -= record.size
            elif record.lost:
                self.bytes += record.size
            self._lose(record)
            found += record.size
        return found

    # Partial reliability (RFC 3758)

    def hopeless(self, now: float) -> list[Sent]:
        """Return the lost chunks that are not to be sent again: their messages are given up."""
        return [record for record in self._lost if record.lost and _is_hopeless(record, now)]

    def abandon(self, record: Sent) -> None:
        """Give up the message of a chunk: nothing of it is sent again."""
        message = record.message
        message.abandoned = True
        for step in (-1, 1):
            tsn = record.tsn if step < 0 else record.tsn + 1
            # A message's fragments are neighbours.
            while (other := self._records.get(tsn)) is not None and other.message is message:
                self._give_up(other)
                tsn += step

    def _give_up(self, record: Sent) -> None:
        if record.acknowledged:
            return
        record.acknowledged = True
        self.outstanding -= record.size
        if not record.lost:
            self.bytes -= record.size

    def add_unsent(self, message: Outgoing) -> None:
        """Enter a TSN for the rest of a message that was given up before all of it was sent.

        Without, the peer may acknowledge all there is, and be left with half a message.
        """
        record = self.add(b"", 0, message)
        record.acknowledged = True

    def advance(self) -> list[tuple[int, int]]:
        """Move `advanced` over what was given up.

        Returns:
            What a FORWARD TSN has to tell: streams, and the last sequence number of each.
        """
        skipped = {
            stream: (tsn, sequence)
            for stream, (tsn, sequence) in self._skipped.items()
            if tsn > self.cumulative
        }
        self._skipped = skipped
        tsn = max(self._settled, self.cumulative) + 1
        while (record := self._records.get(tsn)) is not None and record.acknowledged:
            message = record.message
            if message.abandoned:
                if not message.flags & UNORDERED:
                    if len(skipped) >= _MAX_SKIPPED and message.stream not in skipped:
                        break
                    skipped[message.stream] = tsn, message.sequence
                self.advanced = tsn
            self._settled = tsn
            tsn += 1
        return [(stream, sequence) for stream, (_, sequence) in skipped.items()]


def _is_hopeless(record: Sent, now: float) -> bool:
    message = record.message
    most = message.max_retransmits
    return message.abandoned or message.expires <= now or (most is not None and record.sends > most)


def _fresh(
    gaps: Sequence[tuple[int, int]], known: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Give the parts of *gaps* that *known* doesn't have; both in order.

    >>> list(_fresh([(3, 9), (12, 12)], [(4, 5), (8, 8)]))
    [(3, 3), (6, 7), (9, 9), (12, 12)]
    """
    at = 0
    is_short = 8 * len(gaps) < len(known)
    for first, last in gaps:
        if is_short:
            at = bisect_left(known, first, lo=at, key=itemgetter(1))
        while at < len(known) and known[at][1] < first:
            at += 1
        behind = at
        start = first
        while start <= last:
            if behind >= len(known) or known[behind][0] > last:
                yield start, last
                break
            if start < known[behind][0]:
                yield start, known[behind][0] - 1
            start = known[behind][1] + 1
            behind += 1


def _joined(
    runs: Sequence[tuple[int, int]], more: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Put runs that don't overlap together, in order.

    >>> _joined([(3, 4), (9, 9)], [(5, 5), (7, 7)])
    [(3, 5), (7, 7), (9, 9)]
    """
    joined: list[tuple[int, int]] = []
    for first, last in sorted([*runs, *more]):
        if joined and joined[-1][1] + 1 == first:
            joined[-1] = joined[-1][0], last
        else:
            joined.append((first, last))
    return joined
