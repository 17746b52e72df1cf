"""BBR by itself: what each acknowledgement does to the model, and what follows."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest

from dcsend.sctp.bbr import MIN_RTT, Bbr, Phase
from dcsend.sctp.controller import Acknowledgement
from tests.sctp.abstract import PAYLOAD

RATE = 10e6
RTT = 0.04
BDP = RATE * RTT


class Feed:
    """A path that is nothing but its acknowledgements: one of them for each round trip."""

    def __init__(self) -> None:
        self.bbr = Bbr(PAYLOAD, 0.0, uniform=lambda low, high: (low + high) / 2)
        self.now = 0.0
        self.total = 0
        self.phases: list[Phase] = []

    def round(
        self,
        rate: float = RATE,
        rtt: float = RTT,
        *,
        lost: float = 0.0,
        in_flight: float | None = None,
        app_limited: bool = False,
        took: float | None = None,
    ) -> Bbr:
        """Let a round trip pass; *lost* is the part of its packets that were."""
        took = rtt if took is None else took
        self.now += took
        prior = self.total
        arrived = int(rate * took)
        self.total += arrived
        flight = int(arrived if in_flight is None else in_flight)
        self.bbr.acknowledged(
            Acknowledgement(
                self.now,
                delivered=arrived,
                lost=int(arrived * lost / (1 - lost)),
                in_flight=flight,
                prior_in_flight=flight + arrived,
                rtt=rtt,
                rate=rate,
                app_limited=app_limited,
                prior_delivered=prior,
                total_delivered=self.total,
            )
        )
        self.phases.append(self.bbr.phase)
        return self.bbr

    def until(self, phase: Phase, step: Callable[[], object] | None = None) -> Bbr:
        """Let round trips pass until the controller is in that phase."""
        for _ in range(1000):
            if self.bbr.phase is phase:
                return self.bbr
            (step or self.round)()
        raise AssertionError(f"never in {phase}; {self.phases[-20:]}")


@pytest.fixture
def feed() -> Feed:
    """A path that is known: the controller cruises."""
    feed = Feed()
    feed.until(Phase.PROBE_BW_CRUISE)
    return feed


def test_begins_with_ten_packets_and_their_pace_once_the_round_trip_is_known() -> None:
    feed = Feed()
    assert feed.bbr.window == 10 * PAYLOAD
    feed.round(10 * PAYLOAD / RTT, app_limited=True)
    assert feed.bbr.pacing_rate == pytest.approx(2.77 * 10 * PAYLOAD / RTT, rel=0.02)


def test_startup_doubles_until_the_bandwidth_grows_no_more() -> None:
    feed = Feed()
    for doubling in range(6):
        assert feed.round(RATE / 2 ** (5 - doubling)).phase is Phase.STARTUP
    assert feed.bbr.pacing_rate > 2.5 * RATE
    feed.round()
    assert feed.round().phase is Phase.STARTUP
    assert feed.round(in_flight=2 * BDP).phase is Phase.DRAIN
    assert feed.bbr.pacing_rate < RATE / 2
    assert feed.round(in_flight=BDP).phase is Phase.PROBE_BW_CRUISE


def test_startup_is_not_over_because_the_application_is_slow() -> None:
    feed = Feed()
    for _ in range(10):
        feed.round(1000.0, app_limited=True)
    assert feed.bbr.phase is Phase.STARTUP


def test_startup_ends_when_much_is_lost_and_a_little_by_chance_is_nothing() -> None:
    feed = Feed()
    assert feed.round(RATE / 4, lost=0.02).phase is Phase.STARTUP
    drained = feed.round(RATE, rtt=1.5 * RTT, lost=0.3, in_flight=2 * BDP)
    assert drained.phase is Phase.DRAIN
    assert feed.bbr.window <= RATE * 1.5 * RTT


def test_a_few_lost_packets_are_an_accident_whatever_part_they_are() -> None:
    feed = Feed()
    feed.round(6 * PAYLOAD / RTT, lost=0.3)
    assert feed.bbr.phase is Phase.STARTUP
    assert feed.bbr.inflight_hi == math.inf


def test_cruises_at_the_bandwidth_with_less_than_two_bdp_in_flight(feed: Feed) -> None:
    feed.round()
    assert feed.bbr.pacing_rate == pytest.approx(RATE, rel=0.02)
    assert BDP < feed.bbr.window < 3 * BDP


def test_probes_up_and_then_down_and_cruises_again(feed: Feed) -> None:
    feed.until(Phase.PROBE_BW_UP)
    assert feed.bbr.pacing_rate == pytest.approx(1.25 * RATE, rel=0.02)
    feed.until(Phase.PROBE_BW_DOWN, lambda: feed.round(in_flight=1.3 * BDP))
    assert feed.bbr.pacing_rate == pytest.approx(0.75 * RATE, rel=0.02)
    feed.until(Phase.PROBE_BW_CRUISE)


def test_up_lasts_until_it_can_show(feed: Feed) -> None:
    feed.until(Phase.PROBE_BW_UP)
    for _ in range(3):
        assert feed.round(took=0.3 * RTT, in_flight=1.5 * BDP).phase is Phase.PROBE_BW_UP
    assert feed.round(took=0.3 * RTT, in_flight=1.5 * BDP).phase is Phase.PROBE_BW_DOWN


def test_up_ends_though_a_slow_sender_never_fills_the_path(feed: Feed) -> None:
    feed.until(Phase.PROBE_BW_UP)
    for _ in range(4):
        feed.round(in_flight=0.5 * BDP)
    assert feed.bbr.phase is not Phase.PROBE_BW_UP


def test_goes_up_again_soon_when_up_found_more(feed: Feed) -> None:
    feed.until(Phase.PROBE_BW_UP)
    feed.until(Phase.PROBE_BW_DOWN, lambda: feed.round(in_flight=1.3 * BDP))
    feed.until(Phase.PROBE_BW_CRUISE, lambda: feed.round(1.25 * RATE, in_flight=BDP))
    feed.phases.clear()
    feed.until(Phase.PROBE_BW_UP, lambda: feed.round(1.25 * RATE))
    assert len(feed.phases) <= 2
    feed.until(Phase.PROBE_BW_DOWN, lambda: feed.round(1.25 * RATE, in_flight=2 * BDP))
    feed.until(Phase.PROBE_BW_CRUISE, lambda: feed.round(1.25 * RATE))
    feed.phases.clear()
    feed.until(Phase.PROBE_BW_UP, lambda: feed.round(1.25 * RATE))
    assert len(feed.phases) >= 5


def test_cruises_for_random_times() -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    feed = Feed()
    feed.bbr = Bbr(PAYLOAD, 0.0, uniform)
    feed.until(Phase.PROBE_BW_CRUISE)
    assert asked == [(4, 8)]


def test_a_lower_bandwidth_is_believed_after_two_cycles(feed: Feed) -> None:
    for _ in range(40):
        feed.round(RATE / 4, in_flight=RATE / 4 * RTT)
    assert feed.bbr.max_bw == pytest.approx(RATE / 4)


def test_an_application_that_is_slow_lowers_nothing(feed: Feed) -> None:
    for _ in range(200):
        feed.round(RATE / 100, app_limited=True, in_flight=0)
    assert feed.bbr.max_bw == pytest.approx(RATE)


def test_an_application_limited_sample_raises_the_bandwidth(feed: Feed) -> None:
    feed.round(2 * RATE, app_limited=True)
    assert feed.bbr.max_bw == pytest.approx(2 * RATE)


def test_random_loss_changes_neither_rate_nor_window(feed: Feed) -> None:
    window = feed.round().window
    for _ in range(200):
        feed.round(lost=0.02)
    assert feed.bbr.max_bw == pytest.approx(RATE)
    assert feed.bbr.window >= window
    assert feed.bbr.inflight_hi == math.inf


def test_much_loss_with_a_queue_bounds_what_is_in_flight_until_up(feed: Feed) -> None:
    feed.round(rtt=1.5 * RTT, took=RTT, lost=0.2)
    assert feed.bbr.window <= BDP * 1.01
    feed.until(Phase.PROBE_BW_UP)
    assert feed.bbr.window <= BDP * 1.01
    for _ in range(30):
        feed.until(Phase.PROBE_BW_UP)
        feed.round()
    assert feed.bbr.window > 1.7 * BDP
    assert feed.bbr.inflight_hi == math.inf


def test_the_round_trip_is_that_of_an_empty_queue(feed: Feed) -> None:
    feed.round(rtt=3 * RTT)
    assert feed.bbr.min_rtt == RTT
    feed.round(rtt=RTT / 2)
    assert feed.bbr.min_rtt == RTT / 2


def test_on_a_lan_the_round_trip_counts_as_the_least_that_programs_take() -> None:
    feed = Feed()
    for _ in range(20):
        feed.round(100e6, rtt=0.0002, took=MIN_RTT)
    assert feed.bbr.min_rtt == MIN_RTT
    assert feed.bbr.window >= 1.8 * 100e6 * MIN_RTT


def test_half_the_bdp_for_a_while_when_the_queue_is_never_empty(feed: Feed) -> None:
    queue = 1.5 * RTT
    feed.until(Phase.PROBE_RTT, lambda: feed.round(rtt=queue, took=RTT))
    assert 10 < feed.now < 11
    before = feed.now
    feed.round(rtt=queue, in_flight=BDP)
    assert feed.bbr.window == pytest.approx(BDP / 2, rel=0.01)
    feed.until(
        Phase.PROBE_BW_CRUISE, lambda: feed.round(rtt=1.25 * RTT, took=RTT, in_flight=BDP / 2)
    )
    assert 0.2 <= feed.now - before < 0.4
    # Others may have kept the queue full meanwhile: it grows by a tenth each time, no faster.
    assert feed.bbr.min_rtt == pytest.approx(1.1 * RTT)
    assert feed.bbr.window > BDP


def test_a_path_that_has_become_much_longer_is_believed_at_once(feed: Feed) -> None:
    # As where a route changes: with a window for 40 ms, 200 ms would leave less and less.
    feed.until(Phase.PROBE_RTT, lambda: feed.round(rtt=5 * RTT, took=RTT))
    feed.until(Phase.PROBE_BW_CRUISE, lambda: feed.round(rtt=5 * RTT, took=RTT, in_flight=BDP / 2))
    assert feed.bbr.min_rtt == pytest.approx(5 * RTT)


def test_no_such_thing_while_the_round_trip_is_seen_short(feed: Feed) -> None:
    for number in range(2000):
        feed.round(rtt=1.5 * RTT if number % 100 else 1.05 * RTT, took=RTT)
    assert Phase.PROBE_RTT not in feed.phases
    assert feed.bbr.min_rtt == RTT


def test_after_a_long_pause_the_new_round_trip_is_taken_as_it_is(feed: Feed) -> None:
    feed.now += 30.0
    feed.bbr.sent(feed.now, PAYLOAD, 0)
    feed.round(rtt=2 * RTT)
    assert feed.bbr.phase is Phase.PROBE_BW_CRUISE
    assert feed.bbr.min_rtt == 2 * RTT


def test_after_a_pause_it_goes_on_at_the_bandwidth(feed: Feed) -> None:
    feed.until(Phase.PROBE_BW_UP)
    feed.bbr.sent(feed.now + 1.0, PAYLOAD, 0)
    assert feed.bbr.phase is Phase.PROBE_BW_CRUISE
    assert feed.bbr.pacing_rate == pytest.approx(RATE, rel=0.02)


def test_sends_next_to_nothing_after_a_timeout_and_all_once_the_path_is_alive(feed: Feed) -> None:
    window = feed.bbr.window
    feed.bbr.timed_out(feed.now + 1.0)
    feed.bbr.timed_out(feed.now + 3.0)
    assert feed.bbr.window == 4 * PAYLOAD
    feed.now += 3.0
    feed.round()
    assert feed.bbr.window >= window


def test_the_window_is_never_less_than_four_packets(feed: Feed) -> None:
    for _ in range(100):
        feed.round(1000.0, lost=0.5)
    assert feed.bbr.window == 4 * PAYLOAD


def test_allows_for_acknowledgements_that_come_in_lumps_up_to_the_bdp(feed: Feed) -> None:
    # Each here brings a whole BDP at once; and after a pause, ten.
    assert feed.round().window == pytest.approx((1.9 + 1.0) * BDP, rel=0.01)
    for _ in range(12):
        feed.round(took=10 * RTT)
    assert feed.bbr.window == pytest.approx((1.9 + 1.0) * BDP, rel=0.01)


def test_larger_packets_enlarge_the_first_window_and_the_least() -> None:
    bbr = Bbr(1000, 0.0)
    bbr.resized(1400)
    assert bbr.window == 14000
    bbr.timed_out(0.0)
    assert bbr.window == 5600


def test_losses_of_a_long_round_are_not_those_of_a_short_one_after_it(feed: Feed) -> None:
    """As traced on 40 ms, 1 Gbit/s, 1 %: the application had paused; 20 MB/s in place of 38."""
    feed.round(4e6 / RTT)
    assert feed.round(74e3 / RTT, lost=0.21, app_limited=True).inflight_hi == math.inf
    assert feed.round(74e3 / RTT, lost=0.21).inflight_hi < BDP


@pytest.mark.parametrize("seed", range(20))
def test_no_acknowledgement_is_too_odd(seed: int) -> None:
    """A peer may say what it likes, and an application send nothing for long."""
    random = Random(seed)
    bbr = Bbr(PAYLOAD, 0.0, random.uniform)
    now, total = 0.0, 0
    steps: list[float] = []
    flights: list[int] = []
    rtts: list[float | None] = []
    for number in range(3000):
        if number % 30 == 0:  # Another habit: much comes of what lasts for some rounds.
            steps = random.choices((0.0, RTT / 10, RTT, 3.0), k=2)
            flights = random.choices((0, PAYLOAD, int(BDP), int(2 * BDP)), k=2)
            rtts = random.choices((None, 0.0, RTT, 1.5 * RTT, 9.0), k=2)
        now += random.choice(steps)
        delivered, flight = random.choice((0, PAYLOAD, int(BDP))), random.choice(flights)
        prior, total = total, total + delivered
        bbr.acknowledged(
            Acknowledgement(
                now,
                delivered,
                lost=random.choice((0, 0, PAYLOAD, int(BDP))),
                in_flight=flight,
                prior_in_flight=flight + delivered,
                rtt=random.choice(rtts),
                rate=random.choice((0.0, RATE / 100, RATE)),
                app_limited=random.choice((False, True)),
                prior_delivered=prior,
                total_delivered=total,
            )
        )
        bbr.sent(now, PAYLOAD, flight)
        if not random.randrange(50):
            bbr.timed_out(now)
        assert 4 * PAYLOAD <= bbr.window < 1e9
        assert 0 < bbr.pacing_rate < math.inf
