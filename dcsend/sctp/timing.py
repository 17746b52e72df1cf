"""Clocks of a sender, as arithmetic: the retransmission timeout, and the pacer."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["Pacer", "Repetition", "RoundTrip"]

_RTO_INITIAL: Final = 1.0
_RTO_MIN: Final = 0.3
"""Seconds, where RFC 9260, 16 has 1: one lost tail would be 8 % of a transfer of 300 MB (measured).
Above the 200 ms for which a peer may hold an acknowledgement back."""
_RTO_MAX: Final = 60.0
_BACKOFF_MAX: Final = 3.0
"""Seconds to which doubling raises the timeout, at most; RFC 9260, 16 has 60 (RTO.Max). A path that
was silent for a while is back unannounced: after an outage of 20 s the next try would come after
38 s, when ICE has given up (measured). One packet each 3 s harms no path."""
_SACK_DELAY: Final = 0.2
"Seconds (RFC 9260, 6.2)."
_MIN_WINDOW: Final = 10.0
"Seconds for which a smallest round trip counts: a path may have become longer."


class RoundTrip:
    """Smoothed round trip and retransmission timeout (RFC 9260, 6.3.1; RFC 6298)."""

    __slots__ = ("_min_at", "_variation", "backoff", "minimum", "smoothed")

    def __init__(self) -> None:
        self.smoothed: float | None = None
        self.minimum = math.inf
        "Seconds; the smallest of about the last ten seconds."
        self.backoff = 0
        "How often the timeout was doubled since the last measurement."
        self._variation = 0.0
        self._min_at = -math.inf

    def measured(self, sample: float, now: float) -> None:
        """Take a round trip of a packet that was sent once (Karn's rule), in seconds."""
        if sample <= self.minimum or now - self._min_at > _MIN_WINDOW:
            self.minimum = sample
            self._min_at = now
        self.backoff = 0
        if self.smoothed is None:
            self.smoothed = sample
            self._variation = sample / 2
            return
        self._variation += (abs(self.smoothed - sample) - self._variation) / 4
        self.smoothed += (sample - self.smoothed) / 8

    @property
    def timeout(self) -> float:
        """RTO in seconds, with what it was backed off (RFC 9260, 6.3.3, E2)."""
        if self.smoothed is None:
            base = _RTO_INITIAL
        else:
            base = max(_RTO_MIN, self.smoothed + max(_SACK_DELAY, 4 * self._variation))
        return float(min(max(base, min(base * 2**self.backoff, _BACKOFF_MAX)), _RTO_MAX))


class Repetition:
    """T1 and T2: what is not answered is said again, each time after twice as long."""

    __slots__ = ("_left", "_longest", "_wait", "deadline")

    def __init__(self) -> None:
        self.deadline: float | None = None
        "When to say it again."
        self._wait = self._longest = 0.0
        self._left = 0

    def start(self, now: float, wait: float, longest: float, times: int) -> None:
        """Wait for an answer: *wait* seconds at first, *longest* at most, *times* once more."""
        self._wait, self._longest, self._left = wait, longest, times
        self.deadline = now + wait

    def again(self, now: float) -> bool:
        """Wait once more; False if it was often enough."""
        self._left -= 1
        self._wait = min(2 * self._wait, self._longest)
        self.deadline = now + self._wait
        return self._left >= 0

    def stop(self) -> None:
        """The answer has come."""
        self.deadline = None


class Pacer:
    """Lets bytes go at a rate, in bursts that last about as long as a timer's grain.

    A token bucket: `credit` grows with time, up to a burst; sending may overdraw it by a packet.
    """

    __slots__ = ("_at", "credit", "quantum", "rate")

    GRAIN: Final = 0.001
    "Seconds. asyncio's selectors round up to milliseconds."
    _BURSTS: Final = (2, 64 * 1024)
    "Packets at least, and bytes at most, in a burst."

    def __init__(self, now: float) -> None:
        self.rate = math.inf
        self.quantum = math.inf
        "Bytes that may go at once."
        self.credit = 0.0
        self._at = now

    def refill(self, now: float, rate: float, packet: int) -> None:
        """Bring the credit up to *now*, at *rate* bytes per second for packets of a size."""
        least, most = self._BURSTS
        self.rate = rate
        if rate == math.inf:
            self.credit = self.quantum = math.inf
            self._at = now
            return
        self.quantum = max(least * packet, min(rate * 2 * self.GRAIN, most))
        if self.credit == math.inf:
            self.credit = self.quantum
        self.credit = min(self.credit + rate * (now - self._at), self.quantum)
        self._at = now

    def ready(self) -> float:
        """Return the time at which a burst of half the quantum may go."""
        if self.credit > 0:
            return self._at
        return self._at + (self.quantum / 2 - self.credit) / self.rate
