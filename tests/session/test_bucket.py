"""The token bucket: how much passes in which time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.session.bucket import BURST_SECONDS, Bucket

STEPS = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 70_000)), max_size=60)
"Seconds since the step before, and bytes that are to pass."


@given(st.floats(1000, 1e9), STEPS)
def test_no_more_passes_in_any_time_than_the_rate_and_a_burst(
    rate: float, steps: list[tuple[float, int]]
) -> None:
    bucket = Bucket(rate)
    now = 0.0
    passed: list[tuple[float, int]] = []
    for pause, size in steps:
        now += pause
        now += bucket.delay(size, now)
        bucket.take(size, now)
        passed.append((now, size))
    for first in range(len(passed)):
        burst = max(bucket.burst, *(size for _, size in passed))
        total = 0
        for when, size in passed[first:]:
            total += size
            # The wait may end half a byte early; the rest is the error of floating point.
            assert total <= rate * (when - passed[first][0]) + burst + 1 + rate * 1e-9


@given(st.floats(1000, 1e9), st.lists(st.integers(1, 70_000), min_size=1, max_size=60))
def test_nothing_waits_longer_than_the_rate_demands(rate: float, sizes: list[int]) -> None:
    bucket = Bucket(rate)
    now = 0.0
    for size in sizes:
        now += bucket.delay(size, now)
        bucket.take(size, now)
    assert now <= (sum(sizes) + 2048) / rate * (1 + 1e-9) + BURST_SECONDS


@given(st.floats(1000, 1e9))
def test_burst_is_50_ms_of_the_rate_or_two_short_pieces(rate: float) -> None:
    bucket = Bucket(rate)
    assert bucket.burst == max(2048, rate * 0.05)
    assert bucket.piece <= bucket.burst / 2


def test_time_without_traffic_is_not_saved_up() -> None:
    bucket = Bucket(100_000.0)
    assert bucket.delay(5000, 0.0) == pytest.approx(0.05)
    assert bucket.delay(5000, 100.0) == 0
    bucket.take(5000, 100.0)
    assert bucket.delay(5000, 100.0) == pytest.approx(0.05)


def test_new_rate_does_not_wait_for_the_old_one() -> None:
    bucket = Bucket(1000.0)
    bucket.take(60_000, 0.0)
    assert bucket.delay(1, 0.0) > 59
    bucket.change(1_000_000.0)
    assert bucket.delay(1000, 0.0) == pytest.approx(0.001)


def test_without_a_rate_nothing_waits() -> None:
    bucket = Bucket(None)
    bucket.take(10**12, 0.0)
    assert bucket.delay(10**12, 0.0) == 0
