"""Progress events: at most one per interval, the last one up to date."""

from __future__ import annotations

import asyncio

from dcsend.entry import Entry
from dcsend.session.events import Emit
from dcsend.session.meter import Meter

__all__ = ["Progress"]


class Progress:
    """Counts written bytes of a transfer and emits events of its meter."""

    def __init__(self, total: int | None, emit: Emit, interval: float) -> None:
        """Start.

        Args:
            total: bytes that are sent; None if that is unknown.
            emit: gets each event.
            interval: seconds between two events, at least.
        """
        self._emit = emit
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._meter = Meter(total, now=self._loop.time(), interval=interval)
        self._later: asyncio.TimerHandle | None = None
        self._ended = False

    def add(self, entry: Entry, count: int) -> None:
        """Count *count* more bytes of *entry*."""
        if self._meter.path != entry.path:
            self._meter.begin(entry.path, entry.size)
        self._meter.add(count)

    def show(self) -> None:
        """Emit now, or when the interval is over, so that a paused stream shows its progress."""
        event = self._meter.due(self._loop.time())
        if event is not None:
            self._emit(event)
        elif self._later is None:
            self._later = self._loop.call_later(self._interval, self._show_late)

    def _show_late(self) -> None:
        self._later = None
        self._emit(self._meter.now(self._loop.time()))

    def end(self) -> None:
        """Emit the last event, once."""
        self.close()
        if self._ended:
            return
        self._ended = True
        self._emit(self._meter.now(self._loop.time()))

    def close(self) -> None:
        """Emit nothing more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
