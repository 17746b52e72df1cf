"""Reno congestion control (RFC 5681; RFC 9260, 7.2).

Slow start ends when round trips get longer, not only at a loss (HyStart++, RFC 9406, without its
second slow start). It does not pace: acknowledgements are the clock.
"""

from __future__ import annotations

import math
from typing import Final

from dcsend.sctp.controller import INITIAL_PACKETS, Acknowledgement

__all__ = ["Reno"]

_MIN_PACKETS: Final = 2
"The least window after a loss, in packets (RFC 5681, 3.1)."
_RTT_THRESHOLDS: Final = (0.004, 0.016)
"Limits in seconds of the increase of the round trip that ends slow start (RFC 9406)."
_RTT_FRACTION: Final = 1 / 8
"The increase as a part of the smallest round trip (RFC 9406)."
_RTT_SAMPLES: Final = 8
"Samples of a round that are needed (RFC 9406)."


class Reno:
    """Additive increase, multiplicative decrease."""

    beta = 0.5
    "What is left of the window after a loss."

    def __init__(self, payload: int, now: float) -> None:
        self.payload = payload
        self.window = INITIAL_PACKETS * payload
        self.pacing_rate = math.inf
        self.ssthresh = math.inf
        "Bytes; below it, the window grows by all delivered bytes."
        self._epoch = now
        "When the window last began to grow after a loss."
        self._credit = 0.0
        "Fraction of a byte by which the window will grow."
        self._recovery_end = 0
        "A packet sent with so many bytes delivered belongs to the next loss event."
        self._next_round = 0
        self._last_round_rtt = self._round_rtt = math.inf
        self._samples = 0

    def acknowledged(self, ack: Acknowledgement) -> None:
        """Reduce the window once in a round trip with losses; else grow if it was used."""
        if self.window < self.ssthresh:
            self._look_for_queue(ack)
        if ack.lost:
            if ack.prior_delivered >= self._recovery_end:
                self._recovery_end = ack.total_delivered
                self._epoch = ack.now
                self._reduce()
            return
        if ack.prior_delivered < self._recovery_end:
            return
        if ack.prior_in_flight + 2 * self.payload < self.window / 2:
            return  # the application is slower than the window
        if self.window < self.ssthresh:
            self.window += ack.delivered
        else:
            self._grow(ack)

    def sent(self, now: float, size: int, in_flight: int) -> None:
        """Do nothing."""

    def timed_out(self, now: float) -> None:
        """Begin with one packet, in slow start."""
        self._reduce()
        self.window = self.payload
        self._epoch = now

    def resized(self, payload: int) -> None:
        """Keep the window in bytes, except the initial one."""
        if self.window == INITIAL_PACKETS * self.payload:
            self.window = INITIAL_PACKETS * payload
        self.payload = payload

    def _reduce(self) -> None:
        self.window = max(int(self.window * self.beta), _MIN_PACKETS * self.payload)
        self.ssthresh = self.window
        self._credit = 0.0

    def _grow(self, ack: Acknowledgement) -> None:
        """Grow by a packet in a round trip."""
        self._credit += self.payload * ack.delivered / self.window
        self.window += int(self._credit)
        self._credit -= int(self._credit)

    def _look_for_queue(self, ack: Acknowledgement) -> None:
        """End slow start when the shortest round trips of a round are longer than before."""
        if ack.prior_delivered >= self._next_round:
            self._next_round = ack.total_delivered
            self._last_round_rtt, self._round_rtt = self._round_rtt, math.inf
            self._samples = 0
        if ack.rtt is None:
            return
        self._samples += 1
        self._round_rtt = min(self._round_rtt, ack.rtt)
        least, most = _RTT_THRESHOLDS
        if self._samples >= _RTT_SAMPLES and self._last_round_rtt < math.inf:
            slack = min(max(self._last_round_rtt * _RTT_FRACTION, least), most)
            if self._round_rtt >= self._last_round_rtt + slack:
                self.ssthresh = self.window
