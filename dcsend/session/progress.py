"""Progress events: at most one per interval, the last one up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dcsend.entry import Entry
from dcsend.session.events import Emit
from dcsend.session.meter import Meter

__all__ = ["Progress"]

NOTHING: Final[Mapping[int, int]] = MappingProxyType({})


class Progress:
    """Counts written bytes of a transfer and emits events of its meter."""

    def __init__(
        self, total: int | None, emit: Emit, interval: float, have: Mapping[int, int] = NOTHING
    ) -> None:
        """Start.

        Args:
            total: bytes of all files; None if that is unknown.
            emit: gets each event.
            interval: seconds between two events, at least.
            have: bytes of some files that the receiver has at the beginning, by number.
        """
        self._have = have
        self._emit = emit
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._meter = Meter(
            total, now=self._loop.time(), interval=interval, already=sum(have.values())
        )
        self._later: asyncio.TimerHandle | None = None
        self._ended = False

    def add(self, number: int, entry: Entry, count: int) -> None:
        """Count *count* more bytes of *entry*, which has this *number*."""
        if self._meter.path != entry.path:
            self._meter.begin(entry.path, entry.size, self._have.get(number, 0))
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
