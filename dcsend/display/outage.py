"""The row below the bars while the connection is lost: since when, and for how long it is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from dcsend.display.wording import clipped, duration, remaining
from dcsend.session.events import Disconnected, Reconnected

__all__ = ["Outage", "announced"]

_STEP: Final = 1.0
"Seconds between two updates of the row."


class Outage:
    """The row, while there is one; without an event loop it does not change.

    Args:
        redraw: called when the row has changed.
    """

    def __init__(self, redraw: Callable[[], None]) -> None:
        self._redraw = redraw
        self._event: Disconnected | None = None
        self._seconds = 0.0
        self._later: asyncio.TimerHandle | None = None

    def begin(self, event: Disconnected) -> None:
        """Show the row from now on."""
        self.end()
        self._event, self._seconds = event, event.seconds
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._later = loop.call_later(_STEP, self._next, loop, loop.time() - event.seconds)

    def end(self) -> None:
        """Show no row; idempotent."""
        self._event = None
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def rows(self, columns: int) -> list[str]:
        """Return the row for a window of this width; empty if there is none.

        >>> outage = Outage(lambda: None)
        >>> outage.begin(Disconnected(34.0, 600.0))
        >>> outage.rows(80)
        ['connection lost 34 s ago, trying again for 9 min 26 s; Ctrl-C ends']
        >>> outage.rows(40)
        ['lost 34 s ago, trying for 9 min 26 s']
        """
        if self._event is None:
            return []
        ago = remaining(self._seconds)
        left = remaining(self._event.limit - self._seconds)
        row = f"connection lost {ago} ago, trying again for {left}; Ctrl-C ends"
        if len(row) >= columns:
            row = f"lost {ago} ago, trying for {left}"
        return [clipped(row, columns - 1)]

    def _next(self, loop: asyncio.AbstractEventLoop, since: float) -> None:
        self._seconds = loop.time() - since
        self._later = loop.call_later(_STEP, self._next, loop, since)
        self._redraw()


def announced(event: Disconnected | Reconnected) -> str:
    """Return the line of an event where rows can't be replaced.

    >>> announced(Disconnected(5.2, 600.0))
    'connection lost 5 s ago, trying again for 9 min 55 s'
    >>> announced(Reconnected(41.3))
    'connected again after 41 s'
    """
    if isinstance(event, Reconnected):
        return f"connected again after {duration(event.seconds)}"
    left = remaining(event.limit - event.seconds)
    return f"connection lost {event.seconds:.0f} s ago, trying again for {left}"
