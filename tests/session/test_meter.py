"""Progress arithmetic, with the time passed in."""

from __future__ import annotations

import pytest

from dcsend.session.meter import Meter


def test_events_are_no_closer_than_the_interval() -> None:
    meter = Meter(1000, now=0.0, interval=0.25)
    assert meter.due(0.0) is not None
    assert meter.due(0.2) is None
    assert meter.due(0.25) is not None


def test_rate_and_time_left_follow_what_was_written() -> None:
    meter = Meter(1000, now=0.0, interval=0.25)
    meter.add(250)
    event = meter.now(1.0)
    assert (event.bytes, event.total) == (250, 1000)
    assert event.rate == pytest.approx(250)
    assert event.eta_s == pytest.approx(3.0)


def test_the_rate_forgets_what_is_long_ago() -> None:
    meter = Meter(None, now=0.0, interval=0.25)
    meter.add(1_000_000)
    for second in range(1, 20):
        event = meter.now(float(second))
    assert event.rate == 0.0


def test_time_left_is_unknown_without_a_total() -> None:
    meter = Meter(None, now=0.0, interval=0.25)
    meter.add(10)
    assert meter.now(1.0).eta_s is None


def test_each_file_is_counted_by_itself() -> None:
    meter = Meter(30, now=0.0, interval=0.25)
    meter.begin("a", 10)
    meter.add(10)
    meter.begin("b", 20)
    meter.add(5)
    event = meter.now(1.0)
    assert (event.path, event.file_bytes, event.file_total, event.bytes) == ("b", 5, 20, 15)
