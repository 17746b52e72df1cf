"""Progress, rate and time left of a transfer, from acknowledged bytes; time is passed in."""

from __future__ import annotations

from collections import deque
from typing import Final

from dcsend.session.events import Progressed

__all__ = ["Meter"]

_SPAN: Final = 5.0
"Seconds over which the rate is averaged: long enough to be readable, short enough to be current."


class Meter:
    """Turn counts of written bytes into `Progressed` events, a few per second at most."""

    def __init__(self, total: int | None, *, now: float, interval: float, already: int = 0) -> None:
        self._total = total
        self._interval = interval
        self._bytes = already
        self._points: deque[tuple[float, int]] = deque([(now, already)])
        self._next = now
        self.path = ""
        "Path of the current file."
        self.file_total: int | None = None
        self._file_bytes = 0

    def begin(self, path: str, total: int | None, already: int = 0) -> None:
        """Note that another file is sent; *already* bytes of it were at the receiver."""
        self.path, self.file_total, self._file_bytes = path, total, already

    def add(self, count: int) -> None:
        """Count bytes that have been written at the receiver."""
        self._bytes += count
        self._file_bytes += count

    def due(self, now: float) -> Progressed | None:
        """Return an event if the last one is old enough."""
        return self.now(now) if now >= self._next else None

    def now(self, now: float) -> Progressed:
        """Return an event in any case."""
        self._next = now + self._interval
        self._points.append((now, self._bytes))
        while len(self._points) > 2 and now - self._points[0][0] > _SPAN:
            self._points.popleft()
        then, count = self._points[0]
        rate = (self._bytes - count) / (now - then) if now > then else 0.0
        return Progressed(
            self._bytes, self._total, rate, self.path, self._file_bytes, self.file_total
        )
