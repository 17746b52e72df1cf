"""The retransmission timeout and the pacer."""

from __future__ import annotations

import math

import pytest

from dcsend.sctp.timing import Pacer, RoundTrip


def test_the_timeout_follows_the_round_trip_and_doubles() -> None:
    clock = RoundTrip()
    assert clock.timeout == 1.0
    clock.measured(0.1, 0.0)
    assert clock.timeout == pytest.approx(0.1 + 0.2)
    for _ in range(50):
        clock.measured(0.5, 1.0)
    assert 0.69 < clock.timeout < 0.75
    before = clock.timeout
    clock.back_off()
    assert clock.timeout == pytest.approx(2 * before)
    for _ in range(20):
        clock.back_off()
    assert clock.timeout == 3.0
    clock.measured(0.5, 2.0)
    assert clock.backoff == 0


def test_doubling_never_makes_the_timeout_shorter_than_the_round_trip_requires() -> None:
    clock = RoundTrip()
    for second in range(50):
        clock.measured(5.0, float(second))
    before = clock.timeout
    assert before > 5.0
    for _ in range(3):
        clock.back_off()
    assert clock.timeout == before


def test_a_timeout_is_never_below_its_least() -> None:
    clock = RoundTrip()
    for _ in range(99):
        clock.measured(0.0, 0.0)
    assert clock.timeout == 0.3


def test_the_least_round_trip_is_of_the_last_ten_seconds() -> None:
    clock = RoundTrip()
    assert clock.minimum == math.inf
    clock.measured(0.1, 0.0)
    clock.measured(0.3, 9.0)
    assert clock.minimum == 0.1
    clock.measured(0.3, 10.5)
    assert clock.minimum == 0.3
    clock.measured(0.2, 10.6)
    assert clock.minimum == 0.2


def test_a_pacer_lets_go_what_its_rate_allows() -> None:
    pacer = Pacer(0.0)
    pacer.refill(0.0, 1_000_000.0, 1000)
    sent, now = 0, 0.0
    while now < 1.0:
        pacer.refill(now, 1_000_000.0, 1000)
        while pacer.credit > 0:
            pacer.spend(1000)
            sent += 1000
        assert pacer.ready() > now
        now = pacer.ready()
    assert sent == pytest.approx(1_000_000, rel=0.01)


@pytest.mark.parametrize("burst", [64 * 1024, 256 * 1024])
def test_a_pause_is_not_made_up_for_by_more_than_a_burst(burst: int) -> None:
    pacer = Pacer(0.0)
    pacer.allow_bursts(burst)
    pacer.refill(1000.0, 1e9, 1400)
    assert pacer.credit == burst
    pacer.refill(2000.0, 10.0, 1400)
    assert pacer.credit <= 2 * 1400


def test_no_pacing_lets_everything_go() -> None:
    pacer = Pacer(0.0)
    pacer.refill(0.0, math.inf, 1400)
    assert pacer.credit == math.inf
    pacer.refill(0.0, 1e6, 1400)
    assert pacer.credit == pacer.quantum
    assert pacer.ready() == 0.0
