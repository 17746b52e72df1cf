"""A token bucket: how much may pass in which time. No clock: times are arguments."""

from __future__ import annotations

from typing import Final

from dcsend.protocol.limits import MAX_PAYLOAD_WITH_DIGEST

__all__ = ["BURST_SECONDS", "LEAST_RATE", "Bucket"]

LEAST_RATE: Final = 1000
"Bytes per second; a slower transfer would not keep the deadlines of its peer."
BURST_SECONDS: Final = 0.05
"What may pass at once after a pause, in seconds of the rate; or two of the shortest pieces."
_PIECES: Final = 2
"Pieces in a burst: one may be late by a piece, and no time is lost."
_LEAST_PIECE: Final = 1024
"Bytes, below which the headers of packets take more than a tenth."
_NEGLIGIBLE: Final = 0.5
"Bytes that may be missing: a shorter wait may be too short for the clock to advance."


class Bucket:
    """Lets bytes pass at a rate.

    Within any t seconds, at most `rate * t + burst` bytes pass; where one size is above the burst,
    that size takes the place of the burst.

    Args:
        rate: bytes per second, None for no limit.

    >>> bucket = Bucket(1000.0)
    >>> bucket.delay(500, now=7.0)
    0.5
    >>> bucket.take(500, now=7.5)
    >>> round(bucket.delay(10, now=7.5), 3)
    0.01
    """

    __slots__ = ("_filled", "_level", "_rate")

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._level = 0.0
        "Bytes that may pass; negative after more than the burst has passed at once."
        self._filled: float | None = None
        "When the level was computed; None if nothing has been asked since the rate was set."

    @property
    def rate(self) -> float | None:
        """Bytes per second; None: no limit."""
        return self._rate

    @property
    def burst(self) -> float:
        """Bytes that may pass at once after a pause."""
        return max(float(_PIECES * _LEAST_PIECE), (self._rate or 0.0) * BURST_SECONDS)

    @property
    def piece(self) -> int:
        """Bytes that should pass at once at most, so that the rate is even."""
        if self._rate is None:
            return MAX_PAYLOAD_WITH_DIGEST
        return min(MAX_PAYLOAD_WITH_DIGEST, int(self.burst / _PIECES))

    def change(self, rate: float | None) -> None:
        """Use another rate from the next call on."""
        self._rate = rate
        self._level = 0.0  # what was taken ahead at a slow rate must not hold up a fast one
        self._filled = None

    def delay(self, size: int, now: float) -> float:
        """Return the seconds until *size* bytes may pass."""
        if self._rate is None:
            return 0.0
        self._fill(now)
        missing = min(size, self.burst) - self._level
        return missing / self._rate if missing > _NEGLIGIBLE else 0.0

    def take(self, size: int, now: float) -> None:
        """Let *size* bytes pass, when `delay` is 0."""
        if self._rate is not None:
            self._fill(now)
            self._level -= size

    def _fill(self, now: float) -> None:
        if self._rate is not None and self._filled is not None:
            gained = (now - self._filled) * self._rate
            self._level = min(self.burst, self._level + gained)
        self._filled = now
