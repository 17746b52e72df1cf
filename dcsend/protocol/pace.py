"""The sender's own window: how much it keeps in flight, as the path and the disk behind it take it.

The receiver grants a window that bounds its memory. This one, never larger, keeps queues short: an
engine that overshoots loses a burst and then stalls (libwebrtc, 24 s on a 40 ms, 100 Mbit/s path).
The model is that of BBR, without its clocks: what the path delivers in a round trip without a
queue, and a little on top, the slack. A frame has found a queue if it took longer than the shortest
round trip and half the slack.

    first        each frame that found no queue lets a quarter more go than was in flight with it;
                 over when most frames of a round have found one
    afterwards   after a round without a queue a quarter more; a little if some frames found one
    always       if all frames of a round found one, less, towards
                 most rate of the last rounds * (shortest round trip + slack)

So a late acknowledgement now and then (a disk, Wi-Fi) changes nothing, and neither does a sender
that has nothing to send. Times are arguments; no clock, no timer, no I/O. The same arithmetic,
number by number, is in `web-receiver/src/protocol/pace.ts`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from dcsend.protocol import limits

__all__ = ["CAUTIOUS", "LOOSE", "Manner", "Pace"]

FLOOR: Final = 128 * 1024
"Bytes that always may be in flight: two frames, so that one is under way while one is answered."

_GROWTH: Final = 1.25
"""Factor on what was in flight without a queue. A round trip passes before one is noticed, and a
line's queue often holds no more than a round trip's worth: with 1.5, libwebrtc lost a burst where
the shortest round trip wasn't known yet (100 Mbit/s, 40 ms, 500 KB; measured 2026-11)."""
_STEP: Final = 1.05
"The same when some frames found a queue; one frame at least."
_CUT: Final = 0.75
"Smallest factor by which a round makes it shrink: a stall of the disk looks like a queue, once."
_AVERAGED: Final = 3
"Rounds over which a rate is taken: acknowledgements come in lumps where the receiver is busy."
_ROUNDS: Final = 8
"Such rates that are remembered; a stall of the disk is one or two rounds."
_REMEMBERED: Final = 10.0
"Seconds after which the shortest round trip is measured anew (BBR's ProbeRTT)."
_DRAIN: Final = 0.75
"Part of rate times round trip that is in flight meanwhile: too little for any queue of our own."
_IDLE: Final = 0.002
"Seconds of unused room after which a sender counts as having nothing to send."
_SHORTEST: Final = 0.0001
"Seconds; a shorter round trip is the clock's grain."


@dataclass(frozen=True, slots=True)
class Manner:
    """How much an engine is trusted to find the path's limit itself."""

    first: int
    "Bytes in flight at the beginning."
    delay: float
    "Queueing that is allowed, seconds."
    share: float
    "The same as a part of the shortest round trip; the larger of the two counts."


CAUTIOUS: Final = Manner(first=FLOOR, delay=0.018, share=0.25)
"""Over a browser's engine, whose congestion control fills whatever queue there is. On a 40 ms,
100 Mbit/s path 18 ms make it some 0.7 MB: Chromium sends 9.9 MB/s into a dcsend there, median of 5,
and 6.6 with 12 ms, as late acknowledgements of a busy receiver look like a queue. A fixed 0.9 MB
made libwebrtc lose a burst: 5.5, and 1.2 MB 2.4 (measured 2026-11)."""

LOOSE: Final = Manner(first=limits.WINDOW, delay=0.25, share=2.0)
"""Over an engine that models the path itself: it must always have more than it may send (BBR: two
round trips' worth, and losses hold frames up for another). Only bounds what waits in its buffer."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame in flight."""

    total: int
    "Bytes sent, this one included."
    cost: int
    in_flight: int
    "Bytes in flight when it went, this one included."
    time: float
    idle: bool
    "The sender had had nothing to send: what is delivered meanwhile says little about the path."


class Pace:
    """Bytes that the sender lets be in flight.

    Args:
        manner: how the engine below wants it.
        most: never more than so many bytes, nor less than the smaller of it and `FLOOR`.

    >>> pace = Pace()
    >>> pace.send(64_960, 0.0)
    >>> pace.acknowledge(64_960, 0.01)
    >>> pace.size
    131072
    """

    __slots__ = (
        *("_acknowledged", "_base", "_base_time", "_drain", "_drained_trip", "_frames"),
        *("_idle_until", "_largest", "_manner", "_marks", "_most", "_queued", "_rates"),
        *("_room_since", "_round_end", "_round_most", "_searching", "_seen", "_sent", "_size"),
    )

    def __init__(self, manner: Manner = CAUTIOUS, most: int = limits.WINDOW) -> None:
        self._manner = manner
        self._most = most
        self._size = min(manner.first, most)
        self._sent = 0
        self._acknowledged = 0
        self._frames: deque[_Frame] = deque()
        self._largest = 0
        # The shortest round trip of late, and when it was seen.
        self._base = math.inf
        self._base_time = 0.0
        self._room_since = math.inf
        self._idle_until = -1
        self._round_end = 0
        self._round_most = 0
        # Frames of this round, and those of them that found a queue.
        self._seen = self._queued = 0
        self._searching = True
        # Where the last rounds ended: bytes acknowledged, and when.
        self._marks: deque[tuple[int, float]] = deque(maxlen=_AVERAGED)
        self._rates: deque[float] = deque([0.0], maxlen=_ROUNDS)
        # What was sent when it began, while the shortest round trip is measured anew.
        self._drain: int | None = None
        self._drained_trip = math.inf

    @property
    def size(self) -> int:
        """Bytes that may be in flight now."""
        if self._drain is None:
            return self._size
        return min(self._size, self._bounded(max(self._rates) * self._base * _DRAIN))

    def allows(self, cost: int) -> bool:
        """Say whether a frame of *cost* bytes may go now; one may if nothing is in flight."""
        in_flight = self._sent - self._acknowledged
        return not in_flight or in_flight + cost <= self.size

    def send(self, cost: int, now: float) -> None:
        """Count a frame of *cost* bytes that goes at *now*, in seconds of any steady clock."""
        if cost >= 2 * self._largest:
            # A longer frame takes longer by itself: what shorter ones took doesn't count.
            self._base = math.inf
            self._drain = None
            self._start_round()
        self._largest = max(self._largest, cost)
        self._sent += cost
        in_flight = self._sent - self._acknowledged
        idle = self._acknowledged <= self._idle_until
        self._frames.append(_Frame(self._sent, cost, in_flight, now, idle))
        if in_flight + self._largest > self.size:
            self._room_since = math.inf

    def acknowledge(self, total: int, now: float) -> None:
        """Take *total* bytes, counted since the beginning, as written by the receiver at *now*."""
        if now - self._room_since > _IDLE:
            self._idle_until = self._sent
        newest = None
        while self._frames and self._frames[0].total <= total:
            newest = self._frames.popleft()
        self._acknowledged = total
        if newest is not None and 2 * newest.cost >= self._largest:
            self._learn(newest, now)
        if self._sent - total + self._largest > self.size:
            self._room_since = math.inf
        else:
            self._room_since = min(self._room_since, now)

    def _learn(self, frame: _Frame, now: float) -> None:
        """Take what one frame has seen into the model."""
        trip = max(now - frame.time, _SHORTEST)
        if self._drain is not None:
            self._drained(frame, trip, now, self._drain)
            return
        if trip <= self._base:
            self._base, self._base_time = trip, now
        slack = max(self._manner.delay, self._manner.share * self._base)
        self._seen += 1
        self._round_most = max(self._round_most, frame.in_flight)
        if trip - self._base >= slack / 2:
            self._queued += 1
        elif self._searching:
            self._grow(_GROWTH, frame.in_flight)
        if frame.total - frame.cost >= self._round_end:
            self._conclude(frame, slack, now)

    def _grow(self, factor: float, in_flight: int) -> None:
        """Let more go than *in_flight*, for which there was no queue: one frame at least."""
        grown = max(factor * in_flight, in_flight + self._largest)
        self._size = max(self._size, self._bounded(grown))

    def _conclude(self, frame: _Frame, slack: float, now: float) -> None:
        """End a round with *frame*, the first that went after the last round."""
        if frame.idle:
            self._marks.clear()
        elif self._marks:
            total, time = self._marks[0]
            self._rates.append((self._acknowledged - total) / max(now - time, _SHORTEST))
        self._marks.append((self._acknowledged, now))
        if not frame.idle:
            self._fit(slack)
        if now - self._base_time > _REMEMBERED:
            self._drain, self._drained_trip = self._sent, math.inf
        self._start_round()

    def _fit(self, slack: float) -> None:
        """Draw the conclusions of a round in which there was always something to send."""
        if self._queued == self._seen:
            fitting = max(self._rates) * (self._base + slack) + self._largest / 2
            self._size = min(self._size, self._bounded(max(fitting, self._size * _CUT)))
        elif not self._searching and 2 * self._queued <= self._seen:
            self._grow(_STEP if self._queued else _GROWTH, self._round_most)
        if 2 * self._queued > self._seen:
            self._searching = False

    def _drained(self, frame: _Frame, trip: float, now: float, began: int) -> None:
        """Let the queue run empty, and take the shortest round trip of what is sent after that."""
        if frame.total - frame.cost < began:
            return
        self._drained_trip = min(self._drained_trip, trip)
        if frame.total - began < self.size // 2:
            return
        self._base, self._base_time = self._drained_trip, now
        self._drain = None
        self._marks.clear()
        self._start_round()

    def _start_round(self) -> None:
        self._round_end = self._sent
        self._round_most = 0
        self._queued = self._seen = 0

    def _bounded(self, size: float) -> int:
        return min(max(int(size), FLOOR), self._most)
