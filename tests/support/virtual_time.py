"""An event loop whose clock does not wait: a test of timers is exact, however busy the machine is.

A test module with `VIRTUAL_TIME = True` runs on it (conftest.py). It suits tests whose only
events are timers and callbacks: no sockets, no threads, no processes.
"""

from __future__ import annotations

import asyncio
import selectors

__all__ = ["VirtualTimeLoop"]


class _Selector(selectors.DefaultSelector):
    """Moves the clock in place of waiting."""

    now = 0.0
    "Seconds since the loop was made."

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the events that are ready; if there are none, advance the clock by the timeout."""
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs each timer at exactly its time, at once."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """As `asyncio.AbstractEventLoop.time`; begins at 0."""
        return self._clock.now

    def skip(self, seconds: float) -> None:
        """Advance the clock without running timers, as if this program was stopped."""
        self._clock.now += seconds
