"""Probing the queue of a path: whether there are other flows, and our share of the bandwidth."""

from __future__ import annotations

import itertools
import math

import pytest

from dcsend.sctp.bbr import Phase
from dcsend.sctp.controller import Acknowledgement
from dcsend.sctp.sharing import Sharing
from tests.sctp.test_bbr import BDP, RATE, RTT, Feed

LINE = 12.5e6
"Bytes per second."


def new() -> Sharing:
    return Sharing(0.0, lambda low, high: (low + high) / 2)


def ack(total: int, in_flight: float, rtt: float | None, now: float = 0.0) -> Acknowledgement:
    return Acknowledgement(
        now,
        delivered=1000,
        lost=0,
        in_flight=int(in_flight),
        prior_in_flight=int(in_flight) + 1000,
        rtt=rtt,
        rate=0.0,
        app_limited=False,
        prior_delivered=total - int(in_flight),
        total_delivered=total,
    )


def look(
    sharing: Sharing, share: float, *, usual: float = 0.07, min_rtt: float = 0.04, now: float = 0.0
) -> None:
    """Look as a flow with that *share* does, whose neighbour keeps in flight what he has."""
    while not sharing.is_due():
        pass
    mine, bdp = share * LINE * usual, share * LINE * min_rtt
    sharing.set_baseline(usual, int(mine))
    rtt = max(usual - (mine - bdp) / LINE, min_rtt)
    # What left before the queue was taken back shows nothing yet.
    assert not sharing.probe(ack(10_000_000, 2 * bdp, 9.0), bdp, min_rtt)
    assert not sharing.probe(ack(20_000_000, bdp, 0.001), bdp, min_rtt)
    assert not sharing.probe(ack(20_000_000 + int(bdp), bdp, 0.002), bdp, min_rtt)
    assert not sharing.probe(ack(20_000_000 + int(1.5 * bdp), bdp, rtt + 0.005), bdp, min_rtt)
    assert not sharing.probe(ack(20_000_000 + int(1.6 * bdp), bdp, None), bdp, min_rtt)
    assert sharing.probe(ack(20_000_000 + int(2 * bdp), bdp, rtt, now), bdp, min_rtt)


def test_a_flow_with_most_of_the_bandwidth_that_finds_another_twice_halves_its_rate() -> None:
    sharing = new()
    look(sharing, 0.8)
    assert sharing.ceiling == math.inf
    look(sharing, 0.8)
    assert sharing.ceiling == pytest.approx(0.42 * LINE, rel=0.01)
    sharing.ceiling = 0.6 * LINE
    look(sharing, 0.6)  # once is enough now, and a little more than half is too much
    assert sharing.ceiling == pytest.approx(0.42 * LINE, rel=0.01)


def test_a_flow_with_half_of_the_bandwidth_gives_nothing() -> None:
    sharing = new()
    for _ in range(5):
        look(sharing, 0.55)
    assert sharing.ceiling == math.inf


def test_one_probe_between_that_finds_no_other_flow_is_a_doubt() -> None:
    sharing = new()
    for share in (0.8, 0.5, 0.8):
        look(sharing, share)
    assert sharing.ceiling == math.inf


def test_a_flow_that_is_alone_finds_no_other() -> None:
    sharing = new()
    for _ in range(5):
        look(sharing, 1.0, usual=0.042)
    assert sharing.ceiling == math.inf
    assert not sharing.min_rtt_is_doubtful


def test_a_queue_that_is_all_ours_makes_the_empty_path_doubtful_now_and_then() -> None:
    sharing = new()
    doubts = []
    for now in (99.0, 100.0, 104.9, 105.0):
        sharing.clear_doubt()
        look(sharing, 1.0, now=now)
        doubts.append(sharing.min_rtt_is_doubtful)
    assert doubts == [False, True, False, True]
    assert sharing.ceiling == math.inf


def test_on_a_lan_it_is_programs_that_wait() -> None:
    sharing = new()
    for _ in range(5):
        look(sharing, 0.8, usual=0.008, min_rtt=0.0049)
    assert sharing.ceiling == math.inf


def test_two_that_look_at_the_same_time_learn_nothing_of_the_line() -> None:
    sharing = new()
    for _ in range(5):
        while not sharing.is_due():
            pass
        sharing.set_baseline(0.07, 500_000)
        # If the line were all ours, what we took back would explain half of this.
        for total in (10_000_000, 10_400_000, 10_800_000):
            sharing.probe(ack(total, 390_000, 0.042), 400_000, 0.04)
    assert sharing.ceiling == math.inf


def test_little_that_is_taken_back_changes_nothing() -> None:
    sharing = new()
    for _ in range(5):
        look(sharing, 0.8, usual=0.049)
    assert sharing.ceiling == math.inf


def test_a_probe_without_data_in_flight_changes_nothing() -> None:
    sharing = new()
    for _ in range(5):
        while not sharing.is_due():
            pass
        sharing.set_baseline(0.07, 0)
        for total in (10_000_000, 10_400_000, 10_800_000):
            sharing.probe(ack(total, 0, 0.042), 400_000, 0.04)
    assert sharing.ceiling == math.inf


@pytest.mark.parametrize("usual", [0.0, 1e-6, 0.04, math.inf])
@pytest.mark.parametrize("flight", [0, 1400, 10_000_000])
@pytest.mark.parametrize("min_rtt", [1e-6, 0.04, math.inf])
def test_nothing_that_can_be_seen_is_too_odd(usual: float, flight: int, min_rtt: float) -> None:
    """A round may bring no round trip at all (all of it sent again), a look may empty the path."""
    for left, rtt in itertools.product((0, 1400, 10_000_000), (None, 0.0, 1e-6, 0.04, 9.0)):
        sharing = new()
        for _ in range(3):
            while not sharing.is_due():
                pass
            sharing.set_baseline(usual, flight)
            for total in range(0, 40_000_000, 10_000_000):
                done = sharing.probe(ack(total, left, rtt), 10_000_000, min_rtt)
            assert done
            assert sharing.ceiling > 0


def test_the_ceiling_rises_slowly_and_faster_without_a_queue() -> None:
    grown = []
    for rtt in (0.05, 0.04):
        sharing = new()
        sharing.ceiling = 1.0
        for number in range(1, 81):
            sharing.round_ended(number / 10, rtt, 0.04)
        grown.append(sharing.ceiling)
    assert grown[0] == pytest.approx(1.49, abs=0.02)
    assert grown[1] == pytest.approx(2.05, abs=0.06)


def test_bbr_looks_with_a_bdp_in_flight_each_fourth_cycle() -> None:
    feed = Feed()
    for _ in range(300):
        if feed.round(
            in_flight=1.3 * BDP if feed.bbr.phase is Phase.PROBE_BW_UP else BDP
        ).phase is (Phase.PROBE_QUEUE):
            assert feed.bbr.window <= BDP
            assert feed.bbr.pacing_rate == pytest.approx(RATE, rel=0.02)
    cycles, looks = (
        sum(
            a is not phase and b is phase
            for a, b in zip(feed.phases, feed.phases[1:], strict=False)
        )
        for phase in (Phase.PROBE_BW_UP, Phase.PROBE_QUEUE)
    )
    assert cycles > 20
    assert looks == pytest.approx(cycles / 4, abs=1.1)


def test_bbr_sends_no_faster_than_the_ceiling_in_any_phase() -> None:
    feed = Feed()
    feed.until(Phase.PROBE_BW_CRUISE)
    feed.bbr.sharing.ceiling = RATE / 2
    seen = set()
    for _ in range(60):
        seen.add(feed.round(RATE / 2, took=RTT / 10).phase)
        assert feed.bbr.pacing_rate < 0.56 * RATE
    assert Phase.PROBE_BW_UP in seen


def test_bbr_measures_the_empty_path_anew_when_it_is_in_doubt() -> None:
    feed = Feed()
    feed.until(Phase.PROBE_BW_CRUISE)
    feed.bbr.sharing.min_rtt_is_doubtful = True
    assert feed.round(rtt=1.5 * RTT).phase is Phase.PROBE_RTT
    feed.until(Phase.PROBE_BW_CRUISE, lambda: feed.round(rtt=0.8 * RTT, in_flight=0.4 * BDP))
    assert feed.bbr.min_rtt == pytest.approx(0.8 * RTT)
    assert Phase.PROBE_RTT not in [feed.round(rtt=1.5 * RTT).phase for _ in range(20)]
