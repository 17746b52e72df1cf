"""Closing and aborting at any moment, in any weather: both end, and what was promised arrives."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcsend.sctp.association import Options
from dcsend.sctp.reassembly import Limits
from dcsend.sctp.states import State
from tests.sctp.ends import End, Storm, check_books
from tests.sctp.path import Link, Simulation
from tests.sctp.reno import Reno
from tests.sctp.test_storm import FAIR, Weather, options, weathers


@dataclass(frozen=True)
class Deed:
    """Something that an application does."""

    time: float
    who: int
    what: str
    "send, close, abort, associate, reset."


deeds = st.builds(
    Deed,
    time=st.floats(0.0, FAIR, width=16),
    who=st.integers(0, 1),
    what=st.sampled_from(["send", "send", "close", "associate", "reset", "probe"]),
)
any_deeds = st.one_of(
    deeds, st.builds(Deed, deeds.map(lambda d: d.time), st.just(1), st.just("abort"))
)


def do(end: End, what: str, now: float) -> None:
    """Do it."""
    association = end.association
    match what:
        case "send":
            end.sent.append(association.state)
            association.send(0, 53, (len(end.sent) - 1).to_bytes(2) + bytes(4000), now)
        case "close":
            association.close(now)
        case "abort":
            association.abort()
        case "associate":
            association.associate(now)
        case "reset":
            association.reset(9)
        case "probe":
            association.probe([1404], now)


def play(plan: list[Deed], both: tuple[Options, Options], weather: Weather) -> tuple[End, End]:
    """Let two ends do what is planned, in a weather that becomes fair; return them."""
    random.seed(0)
    ends = End(both[0]), End(both[1])
    flips = not (both[0].zero_checksum and both[1].zero_checksum)
    storms = [
        Storm(
            end,
            weather.seed + which,
            until=FAIR,
            lost=weather.lost,
            repeated=weather.repeated,
            kept=weather.kept,
            flipped=weather.flipped if flips else 0.0,
        )
        for which, end in enumerate(ends)
    ]
    simulation = Simulation()
    simulation.connect(
        storms[0], storms[1], Link(4e6, weather.delay), Link(4e6, weather.delay, jitter=0.001)
    )
    ends[0].association.associate(0.0)
    for deed in sorted(plan, key=lambda deed: deed.time):
        simulation.run(until=deed.time)
        do(ends[deed.who], deed.what, deed.time)
        check_books(ends[deed.who].association)
    simulation.run(until=FAIR + 400.0)
    for end in ends:
        assert end.wakes < 2000
        assert end.association.state is not State.ENDED or end.association.deadline() is None
    return ends


calm = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.full
@calm
@given(st.lists(deeds, max_size=12), st.integers(0, 1), st.tuples(options(), options()), weathers)
def test_after_a_close_both_sides_end_and_what_was_sent_has_arrived(
    plan: list[Deed], who: int, both: tuple[Options, Options], weather: Weather
) -> None:
    ends = play([*plan, Deed(FAIR, who, "close")], both, weather)
    assert ends[who].association.state is State.ENDED
    if not (ends[0].established and ends[1].established):
        return  # closing one that is not up yet is aborting it, which the other may never hear
    for end, other in (ends, ends[::-1]):
        assert end.association.state is State.ENDED
        live = (State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED, State.ESTABLISHED)
        promised = [number for number, state in enumerate(end.sent) if state in live]
        if end.ended is not None and not end.ended.reason:
            came = [int.from_bytes(message.data[:2]) for message in other.messages]
            assert came == promised


@pytest.mark.full
@calm
@given(st.lists(any_deeds, min_size=1, max_size=15), st.tuples(options(), options()), weathers)
def test_aborts_at_any_moment_leave_nothing_running_at_the_side_that_aborts(
    plan: list[Deed], both: tuple[Options, Options], weather: Weather
) -> None:
    ends = play([*plan, Deed(FAIR, 1, "abort")], both, weather)
    assert ends[1].association.state is State.ENDED
    for end in ends:
        assert end.association.packets(math.inf) == []
        flight = end.association.transmission.flight
        assert flight.bytes >= 0


def test_both_may_close_while_windows_are_tiny() -> None:
    tiny = Options(limits=Limits(window=1, message=30_000), congestion=Reno)
    plan = [
        Deed(4.0, 0, "send"),
        Deed(4.0, 1, "send"),
        Deed(4.0, 0, "close"),
        Deed(4.0, 1, "close"),
    ]
    ends = play(plan, (tiny, tiny), Weather(1, 0.0, 0.1, 0.1, 0.0, 0.01, 0.0))
    for end in ends:
        assert end.ended is not None
        assert end.ended.reason == ""
        assert len(end.messages) == 1
