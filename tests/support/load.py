"""Time limits that also hold on a busy machine.

A limit that is right for an idle machine fails beside other programs, and one that is wide enough
for a busy machine finds no fault. So a test states the limit for an idle machine, and
the limit is stretched by how much longer than its processor time a program takes at that moment.
"""

from __future__ import annotations

import time
from typing import Final

__all__ = ["Stopwatch", "slowness"]

_SAMPLE: Final = 0.05
"Seconds of processor time: a dozen turns of the scheduler."
_MOST: Final = 8.0
"""The slowness beyond which limits are not stretched. Programs that mostly wait get the
processor before one that calculates: at 20 (`nice` beside two loops) two codes connected in 0.4 to
1.1 s, in 0.3 to 0.4 s on an idle machine."""


def slowness() -> float:
    """Return the wall-clock time that a second of processor time takes now, 1.0 to 8.0.

    Takes 0.05 s on an idle machine, in which nothing else happens in this thread.
    """
    began, used = time.perf_counter(), time.thread_time()
    while time.thread_time() - used < _SAMPLE:
        pass
    return min(max(1.0, (time.perf_counter() - began) / _SAMPLE), _MOST)


class Stopwatch:
    """Measures one event, from its own construction on."""

    def __init__(self) -> None:
        self._before = slowness()
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall-clock time so far."""
        return time.monotonic() - self._began

    def stretch(self) -> float:
        """Return by how much limits are stretched: the slowness at the beginning or now."""
        return max(self._before, slowness())

    def assert_within(self, seconds: float) -> None:
        """Fail if more time has passed than *seconds*, the limit on an idle machine, stretched."""
        took, limit = self.seconds, seconds * self.stretch()
        assert took < limit, f"{took:.2f} s, {limit:.2f} allowed; {seconds} on an idle machine"
