"""An event loop without sockets, whose clock moves when nothing is left to do."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Final, TypeVar

__all__ = ["Hang", "SimulatedLoop"]

T = TypeVar("T")

_TURN: Final = 1e-7
"""Seconds that a turn takes. A timer that is due when `now >= due` would otherwise be asked again
and again, where a sum of two times is rounded in another way than their difference."""


class Hang(Exception):
    """Simulated time, or the number of turns, has exceeded a limit; or nothing is left to do."""


class _Task(asyncio.Task[T]):
    """A task whose place in a set does not depend on its address in memory."""

    _numbers = itertools.count()

    def __init__(
        self, work: Coroutine[object, object, T], loop: SimulatedLoop, **more: object
    ) -> None:
        self._number = next(self._numbers)
        super().__init__(work, loop=loop, **more)  # type: ignore[arg-type]  # as the loop passes it

    def __hash__(self) -> int:
        return self._number


class _Selector:
    """Moves the clock in place of waiting."""

    def __init__(self) -> None:
        self.now = 0.0
        self.limit = 0.0
        "Seconds of the clock."
        self.turns = 0
        "Of the loop, that may follow."

    def select(self, timeout: float | None) -> list[object]:
        """Advance the clock by the timeout."""
        self.turns -= 1
        if timeout is None:
            raise Hang("everything waits, and nothing will happen")
        self.now += max(_TURN, timeout)
        if self.now > self.limit:
            raise Hang(f"not ended at {self.now:.0f} s")
        if self.turns < 0:
            raise Hang("the event loop is busy without an end")
        return []

    def close(self) -> None:
        """Do nothing."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """See the module; `allow` sets its limits."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Selector()
        _Task._numbers = itertools.count()
        self.set_task_factory(lambda loop, work, **more: _Task(work, self, **more))

    def time(self) -> float:
        """As `asyncio.AbstractEventLoop.time`; begins at 0."""
        return self._selector.now

    def jump(self, seconds: float) -> None:
        """Let time pass in which nothing runs: the computer sleeps."""
        self._selector.now += seconds

    def allow(self, seconds: float, turns: int) -> None:
        """Set the limits of what follows."""
        self._selector.limit, self._selector.turns = self.time() + seconds, turns

    def _process_events(self, event_list: list[object]) -> None:
        """Do nothing: there are no events of the system."""

    def _write_to_self(self) -> None:
        """Do nothing: there are no other threads."""
