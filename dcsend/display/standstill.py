"""Detects progress that has stopped, so that the display does not keep showing an old rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

__all__ = ["Standstill"]

_TOLERATED: Final = 5.0
"Seconds without progress that are not reported; disks and networks have such pauses."
_STEP: Final = 1.0
"Seconds between reports."


class Standstill:
    """Calls a function every second while there is no progress; without an event loop, never."""

    def __init__(self, report: Callable[[float], None]) -> None:
        """Prepare; *report* is called with the seconds since the last progress."""
        self._report = report
        self._since = 0.0
        self._later: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Restart the timer after progress."""
        self.end()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._since = loop.time()
        self._later = loop.call_later(_TOLERATED, self._next, loop)

    def end(self) -> None:
        """Stop; idempotent."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._later = loop.call_later(_STEP, self._next, loop)
        self._report(loop.time() - self._since)
