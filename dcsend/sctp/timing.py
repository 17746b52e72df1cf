"""The timers of a sender, as arithmetic: the retransmission timeout, and the pacer."""

from __future__ import annotations

import math
from typing import Final

__all__ = [
    "MAX_BURST",
    "MAX_BURST_BULK",
    "T1",
    "T1_MAX",
    "Pacer",
    "RetransmissionTimer",
    "RoundTrip",
]

_RTO_INITIAL: Final = 1.0
_RTO_MIN: Final = 0.3
"""Seconds; RFC 9260, 16 has 1. One lost tail would cost 8 % of a transfer of 300 MB (measured). It
is above the 200 ms for which a peer may delay a SACK."""
_RTO_MAX: Final = 60.0
_BACKOFF_MAX: Final = 3.0
"""The longest timeout after doubling, in seconds; RFC 9260, 16 has 60 (RTO.Max). After an outage of
20 s the next retransmission would follow after 38 s, when ICE consent has expired (measured). One
packet every 3 s harms no path."""
_SACK_DELAY: Final = 0.2
"Seconds (RFC 9260, 6.2)."
_MIN_WINDOW: Final = 10.0
"Seconds for which a smallest round trip is valid: the path may change."

T1: Final = 0.5
"""First interval of T1 in seconds. RFC 9260 has 1 s for the Internet; here DTLS has just measured
the path, and a lost packet is mostly our INIT to a peer whose SCTP has not started."""
T1_MAX: Final = 4.0
_T2_MAX: Final = 10.0
"Longest intervals of T1 and T2 in seconds."
_MAX_INIT_RETRANSMITS: Final = 8
_MAX_SHUTDOWN_RETRANSMITS: Final = 5
"Retransmissions before the peer counts as unreachable (RFC 9260, 16)."

MAX_BURST: Final = 64 * 1024
"Bytes that leave at once, at most. Chromium's receive buffer holds 57 to 85 packets."
MAX_BURST_BULK: Final = 256 * 1024
"""The same towards a peer with the bulk extension. With timers of 1 ms, 64 KiB limit the rate to
about 100 MB/s (measured). A receive buffer of 208 KiB, Linux' default, takes these bursts, since
its reader drains it meanwhile; with 1 MiB it overflows (measured)."""


class RoundTrip:
    """Smoothed round trip and retransmission timeout (RFC 9260, 6.3.1; RFC 6298)."""

    __slots__ = ("_min_at", "_variation", "backoff", "minimum", "smoothed")

    def __init__(self) -> None:
        self.smoothed: float | None = None
        self.minimum = math.inf
        "Seconds; the smallest of the last ten seconds or so."
        self.backoff = 0
        "Number of doublings of the timeout since the last measurement."
        self._variation = 0.0
        self._min_at = -math.inf

    def measured(self, sample: float, now: float) -> None:
        """Add a round trip of a packet that was sent once (Karn), in seconds."""
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

    def forget(self) -> None:
        """Begin anew, on another path."""
        self.smoothed, self.minimum = None, math.inf
        self._variation, self._min_at = 0.0, -math.inf

    def back_off(self) -> None:
        """Double the timeout, until the next measurement."""
        self.backoff += 1

    def limit_backoff(self, doublings: int) -> None:
        """Reduce the number of doublings to *doublings*, if there are more."""
        self.backoff = min(self.backoff, doublings)

    @property
    def timeout(self) -> float:
        """RTO in seconds, with backoff (RFC 9260, 6.3.3, E2)."""
        if self.smoothed is None:
            base = _RTO_INITIAL
        else:
            base = max(_RTO_MIN, self.smoothed + max(_SACK_DELAY, 4 * self._variation))
        return float(min(max(base, min(base * 2**self.backoff, _BACKOFF_MAX)), _RTO_MAX))


class RetransmissionTimer:
    """The timers T1 and T2: retransmission of a control chunk with doubling intervals."""

    __slots__ = ("_left", "_longest", "_wait", "deadline")

    def __init__(self) -> None:
        self.deadline: float | None = None
        "When it expires; None if it is stopped."
        self._wait = self._longest = 0.0
        self._left = 0

    def start_t1(self, now: float) -> None:
        """Start T1, for INIT and COOKIE ECHO."""
        self._start(now, T1, T1_MAX, _MAX_INIT_RETRANSMITS)

    def start_t2(self, now: float, rto: float) -> None:
        """Start T2, for SHUTDOWN and SHUTDOWN ACK, with the RTO in seconds."""
        self._start(now, min(rto, _T2_MAX), _T2_MAX, _MAX_SHUTDOWN_RETRANSMITS)

    def _start(self, now: float, wait: float, longest: float, times: int) -> None:
        self._wait, self._longest, self._left = wait, longest, times
        self.deadline = now + wait

    def back_off(self, now: float) -> bool:
        """Restart the timer with twice the interval; return False after the last retransmission."""
        self._left -= 1
        self._wait = min(2 * self._wait, self._longest)
        self.deadline = now + self._wait
        return self._left >= 0

    def stop(self) -> None:
        """Stop the timer."""
        self.deadline = None


class Pacer:
    """A token bucket that holds the bytes of about two timer intervals at the pacing rate.

    `credit` grows with time up to one burst. Sending may make it negative by one packet.
    """

    __slots__ = ("_at", "credit", "max_burst", "quantum", "rate")

    GRAIN: Final = 0.001
    "Seconds between two timers, at least: asyncio's selectors round up to milliseconds."
    _MIN_PACKETS: Final = 2
    "Packets in a burst, at least."

    def __init__(self, now: float) -> None:
        self.max_burst = MAX_BURST
        "Bytes in a burst, at most."
        self.rate = math.inf
        self.quantum = math.inf
        "Bytes in a burst, at present."
        self.credit = 0.0
        self._at = now

    def allow_bursts(self, size: int) -> None:
        """Let bursts have *size* bytes at most, from the next `refill` on."""
        self.max_burst = size

    def refill(self, now: float, rate: float, packet: int) -> None:
        """Update the credit at time *now*.

        Args:
            now: seconds.
            rate: bytes per second since the last call.
            packet: bytes of a full packet.
        """
        self.rate = rate
        if rate == math.inf:
            self.credit = self.quantum = math.inf
            self._at = now
            return
        self.quantum = max(self._MIN_PACKETS * packet, min(rate * 2 * self.GRAIN, self.max_burst))
        if self.credit == math.inf:
            self.credit = self.quantum
        self.credit = min(self.credit + rate * (now - self._at), self.quantum)
        self._at = now

    def spend(self, size: int) -> None:
        """Count *size* bytes that are sent."""
        self.credit -= size

    def ready(self) -> float:
        """Return the time at which a burst of half the quantum may go."""
        if self.credit > 0:
            return self._at
        return self._at + (self.quantum / 2 - self.credit) / self.rate
