"""CUBIC congestion control (RFC 9438): the window is a cubic function of time since the last loss.

It grows slowly near the window at that loss, fast far from it, and at least as fast as Reno.
"""

from __future__ import annotations

from typing import Final

from dcsend.sctp.controller import Acknowledgement
from tests.sctp.reno import Reno

__all__ = ["Cubic"]

_C: Final = 0.4
"How steep the cubic is, in packets per cubic second (RFC 9438)."


class Cubic(Reno):
    """CUBIC."""

    beta = 0.7
    "What is left of the window after a loss (RFC 9438, 4.6)."

    def __init__(self, payload: int, now: float) -> None:
        super().__init__(payload, now)
        self._w_max = 0.0
        "W_max in bytes."
        self._w_est = 0.0
        "W_est in bytes: the window of Reno."
        self._rtt = 0.0
        "The last round trip in seconds."

    def acknowledged(self, ack: Acknowledgement) -> None:
        """As in Reno, with another growth."""
        if ack.rtt is not None:
            self._rtt = ack.rtt
        super().acknowledged(ack)

    def _reduce(self) -> None:
        # Fast convergence (4.7).
        again = self.window < self._w_max
        self._w_max = self.window * ((1 + self.beta) / 2 if again else 1)
        super()._reduce()
        self._w_est = self.window

    def _grow(self, ack: Acknowledgement) -> None:
        """Grow towards the value of the cubic function one round trip from now."""
        start, payload = self.ssthresh, self.payload
        if self._w_max < start:  # slow start ended without a loss
            self._w_max = self._w_est = start
            self._epoch = ack.now
        k = ((self._w_max - start) / payload / _C) ** (1 / 3)
        cubed = _C * (ack.now - self._epoch + self._rtt - k) ** 3
        target = min(max(self._w_max + cubed * payload, self.window), 1.5 * self.window)
        alpha = 1.0 if self._w_est >= self._w_max else 3 * (1 - self.beta) / (1 + self.beta)
        self._w_est += alpha * payload * ack.delivered / self.window
        self._credit += (target - self.window) * ack.delivered / self.window
        grown = self.window + int(self._credit)
        self._credit -= int(self._credit)
        self.window = max(grown, int(self._w_est))
