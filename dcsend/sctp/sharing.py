"""Bandwidth sharing with loss-based flows: limits the rate of `bbr`. Experimental.

The bytes that BBR keeps in flight make a CUBIC flow in the same queue lose packets again and again,
until that has a fifth of the line. So from time to time BBR drains its part of the queue
(PROBE_QUEUE). If a queue remains, it belongs to other flows. Our share follows from the time by
which the round trip gets shorter:

    line rate = bytes drained / seconds by which the round trip is shorter

With most of the line, the rate is limited to less than half of it, and then slowly raised. If a
queue stands in normal phases and is gone in PROBE_QUEUE, it is our own, and the minimum round trip
was measured with a queue of another flow in it: it is measured again.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Final

from dcsend.sctp.controller import Acknowledgement

__all__ = ["Sharing"]

logger = logging.getLogger(__name__)

_CEILING: Final = 0.42
"Limit as a part of the line: less than half, since it grows until the next probe."
_LARGE_SHARE: Final = 0.62
"""Share of the line from which on the rate is limited. Beside Linux' BBR, with a real share of 0.4,
one probe in ten measures more (100 Mbit/s, 40 ms); so two in a row must."""
_LARGE_SHARE_LIMITED: Final = 0.57
"The same while the rate is limited."
_QUEUE_RTT: Final = 1.025
"Ratio of the round trip to the minimum that shows a queue."
_QUEUE_SECONDS: Final = 0.001
"Difference in seconds that shows a queue, at least."
_OWN_QUEUE_RTT: Final = 1.15
"Ratio of the baseline round trip to the minimum that shows a standing queue."
_MIN_USEFUL_RTT: Final = 0.005
"Seconds; with a shorter minimum, scheduling delays are measured instead of queues."
_MIN_DRAINED: Final = 0.2
"Part of the bytes in flight that must be drained for a valid result."
_WHOLE_LINE: Final = 0.94
"Share of the line from which on we are alone, and queue our own packets."
_CYCLES_TO_SECOND: Final = 2
"Cycles to the second probe; after one, the queue is not filled again."
_OWN: Final = "standing queue of our own"
_OTHERS: Final = "queue of other flows"
_CYCLES: Final = (3, 5)
"""Cycles of BBR between two probes, at random: a probe costs bandwidth, and two flows that probe at
the same time disturb each other."""
_MIN_RTT_INTERVAL: Final = 5.0
"Seconds between two measurements of the minimum: each takes 0.2 s with half of the BDP."
_GROWTH: Final = 0.05
"Growth of the limit per second, in any case: two flows may both be limited."
_GROWTH_ALONE: Final = 0.01
"""Additional growth for each second without a queue: by half in 5 s, twofold in 8 s. CUBIC takes as
long to use the bandwidth that is left to it."""


class Sharing:
    """Estimates the share of the line, and limits the rate."""

    def __init__(self, now: float, uniform: Callable[[float, float], float]) -> None:
        """Begin at *now*, in seconds; *uniform* as `random.uniform`."""
        self.ceiling = math.inf
        "Limit of the pacing rate in bytes per second."
        self.min_rtt_is_doubtful = False
        "Whether the minimum round trip must be measured again."
        self._doubted_at = -math.inf
        self._uniform = uniform
        self._cycles = _CYCLES_TO_SECOND
        self._found: str | None = None
        "Result of the last probe; two equal ones are needed."
        self._baseline_rtt = math.inf
        self._baseline_in_flight = 0
        self._from = self._until = self._rtt = math.inf
        "Bytes delivered at its begin and end, and the shortest round trip in between."
        self._round_end = now
        self._queue_seen = now

    def clear_doubt(self) -> None:
        """Note that the minimum round trip is measured again."""
        self.min_rtt_is_doubtful = False

    def is_due(self) -> bool:
        """Count a cycle; return whether a probe begins in this one."""
        self._cycles -= 1
        if self._cycles:
            return False
        self._cycles = round(self._uniform(*_CYCLES))
        self._from = self._until = self._rtt = math.inf
        return True

    def set_baseline(self, rtt: float, in_flight: int) -> None:
        """Set the baseline of the next probe.

        Args:
            rtt: the shortest round trip of a round, in seconds.
            in_flight: bytes.
        """
        self._baseline_rtt = rtt
        self._baseline_in_flight = in_flight

    def probe(self, ack: Acknowledgement, bdp: float, min_rtt: float) -> bool:
        """Process an acknowledgement during a probe; return whether the probe is complete.

        A probe takes one round after a round in which no more was in flight than the BDP.

        Args:
            ack: what was acknowledged.
            bdp: bytes.
            min_rtt: of the path without a queue, in seconds.
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
                self._evaluate(ack, min_rtt)
                return True
        return False

    def _evaluate(self, ack: Acknowledgement, min_rtt: float) -> None:
        large = _LARGE_SHARE if self.ceiling == math.inf else _LARGE_SHARE_LIMITED
        line = self._line_rate(ack.in_flight)
        share = self._baseline_in_flight / (line * self._baseline_rtt) if line < math.inf else 0.0
        if min_rtt < _MIN_USEFUL_RTT or share <= large:
            found = None
        elif not _is_queue(self._rtt, min_rtt):
            found = _OWN if self._baseline_rtt > _OWN_QUEUE_RTT * min_rtt else None
        else:
            found = _OTHERS if share < _WHOLE_LINE else None
        again, self._found = found == self._found, found
        logger.debug("share %.2f of %.0f B/s: %s", share, line, found or "no other flow")
        if found and not again:
            self._cycles = _CYCLES_TO_SECOND
        if found == _OWN and again and ack.now >= self._doubted_at + _MIN_RTT_INTERVAL:
            self.min_rtt_is_doubtful = True
            self._doubted_at = ack.now
        elif found == _OTHERS and (again or self.ceiling < math.inf):
            self.ceiling = _CEILING * line

    def _line_rate(self, in_flight: int) -> float:
        """Return the line rate in bytes per second; infinite if it is unknown."""
        drained = self._baseline_in_flight - in_flight
        shorter = self._baseline_rtt - self._rtt
        # A round of retransmissions only has no round trip: it is infinite.
        if drained <= _MIN_DRAINED * self._baseline_in_flight or not 0 < shorter < math.inf:
            return math.inf
        return drained / shorter

    def round_ended(self, now: float, rtt: float, min_rtt: float) -> None:
        """Process the end of a round with its shortest round trip, in seconds."""
        if _is_queue(rtt, min_rtt):
            self._queue_seen = now
        growth = _GROWTH + _GROWTH_ALONE * (now - self._queue_seen)
        self.ceiling *= 1 + growth * (now - self._round_end)
        self._round_end = now


def _is_queue(rtt: float, min_rtt: float) -> bool:
    return rtt > max(_QUEUE_RTT * min_rtt, min_rtt + _QUEUE_SECONDS)
