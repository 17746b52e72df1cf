"""Time limits are stretched by the load of the machine alone."""

from __future__ import annotations

import itertools
import time

import pytest

from tests.support import load
from tests.support.load import Stopwatch, slowness


@pytest.mark.parametrize(("slow", "passes"), [([1, 1], False), ([3, 1], True), ([1, 3], True)])
def test_limit_is_stretched_by_the_slowness_at_the_beginning_or_the_end(
    slow: list[float], passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(100, 2)  # each call is two seconds after the previous one
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(load, "slowness", lambda: slow.pop(0))
    watch = Stopwatch()
    if passes:
        watch.assert_within(1)
    else:
        with pytest.raises(AssertionError, match=r"2\.00 s, 1\.00 allowed"):
            watch.assert_within(1)


def test_slowness_is_wall_clock_time_per_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, used = 0.0, itertools.count(0, 0.01)

    def thread_time() -> float:
        nonlocal now
        now += 0.04  # another program had three quarters of the time
        return next(used)

    monkeypatch.setattr(time, "thread_time", thread_time)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    assert slowness() == pytest.approx(4, rel=0.3)
