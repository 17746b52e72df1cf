"""Leaving room: a flow that backs off when it loses is not pushed off the line by one that doesn't.

What BBR keeps in flight makes a CUBIC flow beside it lose again and again, until that has a fifth
of the line. So now and then BBR looks: it takes back what it has in the queue, and sees what is
left of the delay. A flow that is alone sees an empty path. If there still is a queue it is somebody
else's, who will take what is left to him. How much we have is seen, too: a queue gets shorter by
what is taken out of it, over the rate of the line.

    line = bytes taken back / seconds by which the round trip is shorter

With most of it we send at less than half of the line from then on, and then slowly more. A queue
that stands in ordinary times, and is not there in a look, should not stand: then the round trip
that is taken for that of an empty path had somebody's queue in it, and is measured anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from dcsend.sctp.controller import Acknowledgement

__all__ = ["Sharing"]

_CEILING: Final = 0.42
"""Of the line, beside somebody who fills the queue: less than half, since it rises until the next
look."""
_MUCH: Final = 0.62
"""Of the line: with less there is nothing to give. Beside Linux' BBR, with 0.4 of the line, one
look in ten says more than this (100 Mbit/s, 40 ms); so two in a row have to say so."""
_STILL_MUCH: Final = 0.57
"Of the line, while there is a ceiling."
_QUEUE_RTT: Final = 1.025
"The round trip that tells of a queue, in that of an empty path."
_QUEUE_SECONDS: Final = 0.001
"What it is longer by, at least."
_OWN_QUEUE_RTT: Final = 1.15
"The ordinary round trip, in that of an empty path, that tells of a queue that stands."
_SHORTEST_RTT: Final = 0.005
"Seconds. On a LAN it is programs that wait for a processor that make round trips longer."
_PART: Final = 0.2
"Of what is in flight, that must be taken back for the difference to mean something."
_ALL: Final = 0.94
"""Of the line: with more we are alone, and what queues are packets of ours, for a program that gets
too little of a processor."""
_SOON: Final = 2
"Cycles to a second look; after one, what was taken back is not there again."
_OWN: Final = "a queue of our own that should not stand"
_OTHERS: Final = "a queue of somebody else's"
_CYCLES: Final = (3, 5)
"""Cycles of BBR from one look to the next, at random: a look costs some of what we have, and two
that look at the same time each take the other's part of what was taken back for their own."""
_DOUBT_SECONDS: Final = 5.0
"From one doubt to the next: measuring anew takes 0.2 s with half of the BDP in flight."
_GROWTH: Final = 0.05
"Of the ceiling, a second, whatever is seen: two that both leave room should not wait long."
_GROWTH_ALONE: Final = 0.01
"""More of it for each second without a queue: up by half in 5 s, twofold in 8 s. CUBIC takes as
long to fill what is left to it, and a ceiling must not be above its head before."""


class Sharing:
    """How much of the line this flow has, and whether somebody else is there."""

    def __init__(self, now: float, uniform: Callable[[float, float], float]) -> None:
        """Begin at *now*, in seconds; *uniform* as `random.uniform`."""
        self.ceiling = math.inf
        "Bytes per second that may be sent."
        self.doubts = False
        "Whether the round trip of an empty path should be measured anew; reset by who does."
        self._doubted = -math.inf
        self._uniform = uniform
        self._cycles = _SOON
        self._found: str | None = None
        "What the last look has found; it takes two to be believed."
        self._usual_rtt = math.inf
        self._usual_flight = 0
        self._from = self._until = self._rtt = math.inf
        "Bytes delivered when a look begins and ends, and the shortest round trip seen in it."
        self._round_end = now
        self._queue_seen = now

    def is_due(self) -> bool:
        """Count a cycle; tell whether to look in this one, and begin with that."""
        self._cycles -= 1
        if self._cycles:
            return False
        self._cycles = round(self._uniform(*_CYCLES))
        self._from = self._until = self._rtt = math.inf
        return True

    def usual(self, rtt: float, in_flight: int) -> None:
        """Learn how it is before a look.

        Args:
            rtt: the shortest round trip of a round, in seconds.
            in_flight: bytes.
        """
        self._usual_rtt = rtt
        self._usual_flight = in_flight

    def look(self, ack: Acknowledgement, bdp: float, min_rtt: float) -> bool:
        """Look at an acknowledgement; return whether it was the last of this look.

        It lasts for one round after a round in which no more left than the path holds.

        Args:
            ack: what was acknowledged.
            bdp: bytes that the path holds without a queue.
            min_rtt: its round trip then, in seconds.
        """
        if self._from == math.inf:
            if ack.in_flight <= bdp:
                self._from = ack.total_delivered
        elif self._until == math.inf:
            if ack.prior_delivered >= self._from:
                self._until = ack.total_delivered
        else:
            self._rtt = min(self._rtt, math.inf if ack.rtt is None else ack.rtt)
            if ack.prior_delivered >= self._until:
                self._judge(ack, min_rtt)
                return True
        return False

    def _judge(self, ack: Acknowledgement, min_rtt: float) -> None:
        much = _MUCH if self.ceiling == math.inf else _STILL_MUCH
        line = self._line(ack.in_flight)
        share = self._usual_flight / (line * self._usual_rtt) if line < math.inf else 0.0
        if min_rtt < _SHORTEST_RTT or share <= much:
            found = None
        elif not _is_queue(self._rtt, min_rtt):
            found = _OWN if self._usual_rtt > _OWN_QUEUE_RTT * min_rtt else None
        else:
            found = _OTHERS if share < _ALL else None
        again, self._found = found == self._found, found
        if found and not again:
            self._cycles = _SOON
        if found == _OWN and again and ack.now >= self._doubted + _DOUBT_SECONDS:
            self.doubts = True
            self._doubted = ack.now
        elif found == _OTHERS and (again or self.ceiling < math.inf):
            self.ceiling = _CEILING * line

    def _line(self, in_flight: int) -> float:
        """Return the rate of the line in bytes per second; infinite if it was not seen."""
        taken_back = self._usual_flight - in_flight
        shorter = self._usual_rtt - self._rtt
        # A round in which everything was sent again has no round trip: it is infinite.
        if taken_back <= _PART * self._usual_flight or not 0 < shorter < math.inf:
            return math.inf
        return taken_back / shorter

    def round_ended(self, now: float, rtt: float, min_rtt: float) -> None:
        """Learn the shortest round trip of a round, whatever is in flight; in seconds."""
        if _is_queue(rtt, min_rtt):
            self._queue_seen = now
        growth = _GROWTH + _GROWTH_ALONE * (now - self._queue_seen)
        self.ceiling *= 1 + growth * (now - self._round_end)
        self._round_end = now


def _is_queue(rtt: float, min_rtt: float) -> bool:
    return rtt > max(_QUEUE_RTT * min_rtt, min_rtt + _QUEUE_SECONDS)
