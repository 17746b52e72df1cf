"""The chunks in flight: each DATA chunk from its first transmission until it is acknowledged.

Losses are detected by time (RACK, RFC 8985): a chunk is lost if one that was sent well after it has
arrived. That visits the oldest transmissions only, not all chunks in flight, and finds lost
retransmissions, too. TSNs are integers that do not wrap, as in `reassembly`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final

from dcsend.sctp.queue import QueuedMessage
from dcsend.sctp.reassembly import Violation
from dcsend.sctp.timing import RoundTrip
from dcsend.sctp.wire import UNORDERED

__all__ = ["Flight", "Sent"]

_REORDERING: Final = 0.25
"Reordering window as a part of the smallest round trip (RFC 8985, 6.2)."
_MOST_REORDERING: Final = 16
"Largest multiple of it, after packets marked lost have arrived."
_MAX_SKIPPED: Final = 250
"Streams in a FORWARD TSN, at most, so that it fits a packet; others follow in the next."
_GRAIN: Final = 0.001
"Smallest reordering window in seconds: the delay of event loops and timers."


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
        "packet",
        "sends",
        "sent_time",
        "share",
        "size",
        "tsn",
    )

    delivered: int
    delivered_time: float
    first_sent_time: float
    app_limited: bool

    def __init__(self, tsn: int, chunk: bytes, size: int, message: QueuedMessage) -> None:
        self.tsn = tsn
        self.chunk = chunk
        "The encoded chunk."
        self.size = size
        "Bytes of the message in it."
        self.message = message
        self.sent_time = 0.0
        "Time of the last transmission, in seconds."
        self.sends = 0
        self.acknowledged = False
        "Acknowledged or abandoned."
        self.lost = False
        "Marked lost and waiting for retransmission."
        self.packet = 0
        "Bytes of its last packet if that was large; 0 if every path takes it."
        self.share = 1.0
        "Its part of the large packet of its first transmission."


class Flight:
    """The chunks beyond the cumulative TSN of the peer."""

    def __init__(self, first: int, round_trip: RoundTrip) -> None:
        self.cumulative = first - 1
        "Cumulative TSN of the peer."
        self.next = first
        "TSN of the next new chunk."
        self.advanced = first - 1
        "Advanced.Peer.Ack.Point (RFC 3758, 3.5): nothing up to it is retransmitted."
        self.bytes = 0
        "Bytes in flight: neither acknowledged nor marked lost."
        self.outstanding = 0
        "Bytes not acknowledged, lost ones included: they count against the a_rwnd."
        self.total = 0
        "Bytes acknowledged since the beginning."
        self.newest: Sent | None = None
        "The chunk sent last of those that the last SACK acknowledged."
        self.is_ambiguous = False
        "Whether the last SACK may be for an earlier transmission of that chunk."
        self.reorder_deadline: float | None = None
        "When losses must be searched again, if no SACK arrives before."
        self._records: dict[int, Sent] = {}
        self._order: deque[Sent] = deque()
        "In order of transmission; acknowledged chunks are skipped at the front."
        self._lost: deque[Sent] = deque()
        self.gaps: Sequence[tuple[int, int]] = ()
        "Gap ack blocks of the last SACK, as TSNs."
        self._known: Sequence[tuple[int, int]] = ()
        "The union of all gap ack blocks, in order."
        self._settled = first - 1
        "TSN up to which `advance` has looked."
        self._skipped: dict[int, tuple[int, int]] = {}
        "By stream: TSN and sequence number of the last ordered message abandoned up to `advanced`."
        self._round_trip = round_trip
        self._highest = first - 1
        "Highest TSN acknowledged in any way."
        self._rack = (0.0, 0)
        "RACK.xmit_ts and its TSN: of the chunk sent last of all that have arrived (RFC 8985)."
        self._rack_rtt = 0.0
        self._reordering = 1

    def __len__(self) -> int:
        """Return the number of chunks that are not cumulatively acknowledged."""
        return len(self._records)

    def __iter__(self) -> Iterator[Sent]:
        """Iterate over those chunks, in the order of their TSNs."""
        return iter(self._records.values())

    @property
    def is_empty(self) -> bool:
        """Whether everything that was sent is acknowledged or abandoned."""
        return not self._records

    @property
    def has_lost(self) -> bool:
        """Whether a chunk waits for retransmission."""
        return bool(self._lost)

    # Sending

    def add(self, chunk: bytes, size: int, message: QueuedMessage) -> Sent:
        """Add a new chunk with TSN `next`; call `transmitted` next."""
        record = Sent(self.next, chunk, size, message)
        self._records[self.next] = record
        self.next += 1
        self.outstanding += size
        return record

    def transmitted(self, record: Sent, now: float, packet: int = 0) -> None:
        """Note that a chunk is sent; see `Sent.packet`."""
        record.sent_time = now
        record.sends += 1
        record.packet = packet
        self.bytes += record.size
        self._order.append(record)

    def mark_large(self, first: int, size: int) -> None:
        """Note that the new chunks from this TSN on are in one large packet."""
        for tsn in range(first, self.next):
            record = self._records[tsn]
            record.packet = size
            record.share = record.size / size

    def take_lost(self) -> Sent | None:
        """Return the next chunk to retransmit, or None; call `transmitted` next."""
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
        """Withdraw a chunk in flight; return False if it is not. Call `transmitted` next."""
        if record.acknowledged or record.lost:
            return False
        self.bytes -= record.size
        return True

    # Acknowledgements

    def acknowledge(self, cumulative: int, gaps: Sequence[tuple[int, int]], now: float) -> int:
        """Process a SACK; return the bytes that it newly acknowledges.

        Args:
            cumulative: its cumulative TSN, not before ours.
            gaps: first and last TSN of its gap ack blocks.
            now: seconds.

        Raises:
            Violation: it acknowledges a TSN that was never sent.
        """
        end = gaps[-1][1] if gaps else cumulative
        if end >= self.next:
            raise Violation("acknowledges a TSN that was not sent")
        before = self.total
        self.newest = None
        self.is_ambiguous = False
        records = self._records
        for tsn in range(self.cumulative + 1, cumulative + 1):
            record = records.pop(tsn)
            if not record.acknowledged:
                self._acknowledge_chunk(record)
        self.cumulative = cumulative
        if gaps:
            self._take_gaps(gaps)
        self.gaps = gaps
        self._highest = max(self._highest, end)
        self.advanced = max(self.advanced, cumulative)
        self._measure(now)
        return self.total - before

    def _take_gaps(self, gaps: Sequence[tuple[int, int]]) -> None:
        """Process the gap ack blocks, each TSN once.

        A hostile peer may repeat the same thousands of blocks.
        """
        cumulative, known = self.cumulative, self._known
        if known and known[0][1] <= cumulative:
            known = known[bisect_right(known, cumulative, key=itemgetter(1)) :]
        fresh = list(_new_runs(gaps, known))
        for first, last in fresh:
            for tsn in range(max(first, cumulative + 1), last + 1):
                record = self._records[tsn]
                if not record.acknowledged:
                    self._acknowledge_chunk(record)
        self._known = _merge_runs(known, fresh) if fresh else known

    def _measure(self, now: float) -> None:
        """Update the round trip and the RACK state."""
        newest = self.newest
        if newest is None:
            return
        sample = now - newest.sent_time
        # An acknowledgement that is faster than the path is for an earlier transmission. A chunk of
        # a large packet is retransmitted alone, which is faster on a slow line.
        if newest.sends == 1:
            self._round_trip.measured(sample, now)
        least = newest.share * self._round_trip.minimum
        self.is_ambiguous = newest.sends > 1 and sample < least
        if not self.is_ambiguous:
            self._rack = max(self._rack, (newest.sent_time, newest.tsn))
            self._rack_rtt = sample

    def _acknowledge_chunk(self, record: Sent) -> None:
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
            # It was reordered, or marked lost too early: use a larger reordering window.
            self._reordering = min(self._reordering + 1, _MOST_REORDERING)

    # Losses

    def find_losses(self, now: float) -> int:
        """Mark chunks lost whose time has passed; return their bytes."""
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
            self._mark_lost(record)
            found += record.size
        return found

    def stop(self) -> None:
        """Stop the timer of the search for losses."""
        self.reorder_deadline = None

    def _mark_lost(self, record: Sent) -> None:
        record.lost = True
        self.bytes -= record.size
        self._lost.append(record)

    def mark_all_lost(self) -> None:
        """Mark everything lost that is not acknowledged, after T3-rtx.

        A receiver may drop what it has acknowledged by gap ack blocks (RFC 9260, 6.2.1), so only
        those of the last SACK count.
        """
        self._order.clear()
        self._lost.clear()
        self.reorder_deadline = None
        self._settled = self.cumulative
        self._known = self.gaps
        reported = set[int]()
        for first, last in self.gaps:
            reported.update(range(first, last + 1))
        for record in self._records.values():
            if record.message.abandoned:
                continue
            if record.acknowledged:
                if record.tsn in reported:
                    continue
                record.acknowledged = False
                self.outstanding += record.size
                self.bytes += record.size
                self.total -= record.size
            elif record.lost:
                self.bytes += record.size
            self._mark_lost(record)

    # Partial reliability (RFC 3758)

    def to_abandon(self, now: float) -> list[Sent]:
        """Return the lost chunks whose messages must be abandoned."""
        return [record for record in self._lost if record.lost and _must_abandon(record, now)]

    def abandon(self, record: Sent) -> None:
        """Abandon the message of a chunk: nothing of it is retransmitted."""
        message = record.message
        message.abandon()
        for step in (-1, 1):
            tsn = record.tsn if step < 0 else record.tsn + 1
            # The fragments of a message have consecutive TSNs.
            while (other := self._records.get(tsn)) is not None and other.message is message:
                self._abandon_chunk(other)
                tsn += step

    def _abandon_chunk(self, record: Sent) -> None:
        if record.acknowledged:
            return
        record.acknowledged = True
        self.outstanding -= record.size
        if not record.lost:
            self.bytes -= record.size

    def add_unsent(self, message: QueuedMessage) -> None:
        """Add a TSN for the rest of a message that was abandoned before all of it was sent.

        Without it the peer could acknowledge all TSNs, and keep an incomplete message.
        """
        record = self.add(b"", 0, message)
        record.acknowledged = True

    def advance(self) -> list[tuple[int, int]]:
        """Move `advanced` over abandoned chunks.

        Returns:
            The content of a FORWARD TSN: streams, and the last sequence number of each.
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


def _must_abandon(record: Sent, now: float) -> bool:
    message = record.message
    most = message.max_retransmits
    return message.abandoned or message.expires <= now or (most is not None and record.sends > most)


def _new_runs(
    gaps: Sequence[tuple[int, int]], known: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Iterate over the parts of *gaps* that are not in *known*; both in order.

    >>> list(_new_runs([(3, 9), (12, 12)], [(4, 5), (8, 8)]))
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


def _merge_runs(
    runs: Sequence[tuple[int, int]], more: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Merge runs that do not overlap, in order.

    >>> _merge_runs([(3, 4), (9, 9)], [(5, 5), (7, 7)])
    [(3, 5), (7, 7), (9, 9)]
    """
    joined: list[tuple[int, int]] = []
    for first, last in sorted([*runs, *more]):
        if joined and joined[-1][1] + 1 == first:
            joined[-1] = joined[-1][0], last
        else:
            joined.append((first, last))
    return joined
