"""A simulated path between two endpoints, without sockets or a clock.

Time is a number, and random numbers come from a seed, so a simulation of a minute takes a second
and always has the same result. An endpoint is any object with the four methods of `Endpoint`. Each
direction is a `Link`, which several pairs may share:

    endpoint ──▶ queue (drop-tail) ──▶ bottleneck ──▶ loss ──▶ delay, jitter ──▶ endpoint
"""

from __future__ import annotations

import heapq
import itertools
import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

__all__ = ["Endpoint", "Link", "Simulation"]

_PATIENCE: Final = 1000
"Timeouts of one endpoint at one instant, after which it counts as an endless loop."


class Endpoint(Protocol):
    """An end of a path. Times are seconds."""

    def receive(self, packet: bytes, now: float) -> None:
        """Process a packet."""

    def packets(self, now: float) -> list[bytes]:
        """Return the packets to send; called after every other call."""

    def deadline(self) -> float | None:
        """Return when `timeout` must be called; None for never."""

    def timeout(self, now: float) -> None:
        """Handle the expired timers."""


class Link:
    """One direction of a path.

    Args:
        rate: bytes per second; or pairs of a time and the rate from then on, the first of them
            from 0.0 on.
        delay: seconds from the end of the bottleneck to the endpoint.
        queue: bytes that may wait for the bottleneck; what comes then is dropped.
        loss: part of the packets lost at random.
        jitter: seconds of delay more, evenly up to these; packets stay in order.
        reordered: part of the packets that are late.
        late: seconds by which these are.
        down: from when to when everything that is sent is lost.
        narrow: from when to when packets that are longer than so many bytes are lost.
        overhead: bytes of each packet that the endpoints don't see, of UDP and IP.
        seed: of the random numbers.
    """

    def __init__(
        self,
        rate: float | Sequence[tuple[float, float]] = math.inf,
        delay: float = 0.0,
        queue: float = math.inf,
        *,
        loss: float = 0.0,
        jitter: float = 0.0,
        reordered: float = 0.0,
        late: float = 0.0,
        down: tuple[float, float] = (math.inf, math.inf),
        narrow: tuple[float, float, int] = (math.inf, math.inf, 0),
        overhead: int = 0,
        seed: int = 1,
    ) -> None:
        steps = [(0.0, rate)] if isinstance(rate, int | float) else list(rate)
        self._starts = [start for start, _ in steps]
        self._rates = [step for _, step in steps]
        self._steady = self._rates[0] if len(steps) == 1 else None
        "The rate, if it is always the same: most simulations are, and spend their time here."
        self.delay = delay
        self.queue = queue
        self.loss = loss
        self.jitter = jitter
        self.reordered = reordered
        self.late = late
        self.down = down
        self.narrow = narrow
        self.overhead = overhead
        self._random = Random(seed)
        self._free = 0.0
        "When the bottleneck has sent all queued bytes."
        self._newest = 0.0
        "Arrival of the last packet."
        self.carried = self.lost = self.dropped = 0
        "Packets that arrived, that were lost at random, and that were dropped by the queue."
        self.longest_wait = 0.0
        "Longest time in the queue, in seconds."

    def carry(self, size: int, now: float) -> float | None:
        """Return when a packet of *size* bytes, sent now, arrives; None if it doesn't."""
        size += self.overhead
        start, steady = self._free, self._steady
        if start > now:
            waiting = (
                self._carried_between(now, start) if steady is None else (start - now) * steady
            )
            if waiting + size > self.queue:
                self.dropped += 1
                return None
            if start - now > self.longest_wait:
                self.longest_wait = start - now
        else:
            start = now
        self._free = free = self._sent_by(start, size) if steady is None else start + size / steady
        if self._is_lost(size, now):
            self.lost += 1
            return None
        self.carried += 1
        arrival = free + self.delay
        if self.jitter:
            arrival += self._random.random() * self.jitter
        if self.reordered and self._random.random() < self.reordered:
            return arrival + self.late
        if arrival > self._newest:
            self._newest = arrival
        return self._newest

    def _is_lost(self, size: int, now: float) -> bool:
        if self.down[0] <= now < self.down[1]:
            return True
        from_when, to_when, longest = self.narrow
        if from_when <= now < to_when and size > longest:
            return True
        return self.loss > 0 and self._random.random() < self.loss

    def _step(self, time: float) -> tuple[float, float]:
        """Return the rate at that time, and when it ends."""
        index = bisect_right(self._starts, time)
        return self._rates[index - 1], self._starts[index] if index < len(
            self._starts
        ) else math.inf

    def _sent_by(self, start: float, size: float) -> float:
        """Return when the bottleneck has sent so many bytes."""
        while True:
            rate, end = self._step(start)
            if start + size / rate <= end:
                return start + size / rate
            size -= (end - start) * rate
            start = end

    def _carried_between(self, start: float, end: float) -> float:
        """Count the bytes that the bottleneck sends in that time."""
        total = 0.0
        while True:
            rate, until = self._step(start)
            if end <= until:
                return total + (end - start) * rate
            total += (until - start) * rate
            start = until


@dataclass(slots=True, eq=False)
class _End:
    endpoint: Endpoint
    link: Link
    "The link on which it sends."
    peer: _End | None = None
    wake: float = math.inf
    "When `timeout` is called next."


class Simulation:
    """Moves packets between pairs of endpoints, in the order of time.

    >>> Simulation().run(until=1.0)
    1.0
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._ends: list[_End] = []
        self._events: list[tuple[float, int, _End, bytes | None]] = []
        "Time, a number for equal times, where, and the packet; None for a timeout."
        self._count = itertools.count()

    def connect(self, left: Endpoint, right: Endpoint, there: Link, back: Link) -> None:
        """Let what *left* sends take the link *there* to *right*, and *back* the other way."""
        one, other = _End(left, there), _End(right, back)
        one.peer, other.peer = other, one
        self._ends += [one, other]

    def run(self, until: float = math.inf, done: Callable[[], bool] = lambda: False) -> float:
        """Go on until then, or until *done* says so; return the time.

        Raises:
            RuntimeError: an endpoint wants to be woken at the same instant again and again.
        """
        for end in self._ends:
            self._poll(end)
        instant, repeated = -1.0, 0
        events, pop, poll = self._events, heapq.heappop, self._poll
        while events and not done():
            if events[0][0] > until:
                break
            self.now, _, end, packet = pop(events)
            if packet is not None:
                end.endpoint.receive(packet, self.now)
            elif end.wake == self.now:
                end.wake = math.inf
                repeated = repeated + 1 if instant == self.now else 0
                instant = self.now
                if repeated > _PATIENCE:
                    raise RuntimeError(f"{end.endpoint!r} is caught in a loop at {self.now}")
                end.endpoint.timeout(self.now)
            else:
                continue  # its deadline has changed
            poll(end)
        else:
            if events or math.isinf(until):
                return self.now
        self.now = until
        return until

    def _poll(self, end: _End) -> None:
        """Carry the packets of an end, and note its deadline."""
        now, endpoint, peer, carry = self.now, end.endpoint, end.peer, end.link.carry
        for packet in endpoint.packets(now):
            arrival = carry(len(packet), now)
            if arrival is not None and peer is not None:
                heapq.heappush(self._events, (arrival, next(self._count), peer, packet))
        deadline = endpoint.deadline()
        if deadline is None:
            end.wake = math.inf
            return
        deadline = max(deadline, now)
        if deadline != end.wake:
            end.wake = deadline
            heapq.heappush(self._events, (deadline, next(self._count), end, None))
