"""Timers of a sender, step by step: tail loss probes, timeouts, an unreachable peer."""

from __future__ import annotations

import itertools
import random

import pytest

from dcsend.sctp import wire
from dcsend.sctp.association import Options
from dcsend.sctp.events import Established
from dcsend.sctp.queue import Reliability
from tests.sctp.ends import End, Storm, check_books, kinds, make_pair
from tests.sctp.path import Link, Simulation
from tests.sctp.reno import Reno


def test_a_lost_tail_is_probed_before_the_timeout() -> None:
    pair = make_pair()
    for _ in range(3):  # a round trip is known
        pair.send(0, b"x")
        pair.now += 0.05
        pair.settle()
    pair.send(0, bytes(5000))
    pair.wire[1][2:] = []
    start = pair.now
    pair.now += 0.05
    pair.deliver(1)
    pair.deliver(0)
    pair.wait()
    assert pair.now - start < 0.28
    [probe] = pair.poll(0)
    assert kinds([probe]) == [wire.DATA]
    pair.now += 0.05
    pair.run(0.3)
    assert pair.messages(1)[-1] == bytes(5000)
    check_books(pair.ends[0])


def test_a_probe_and_a_timeout_that_are_late_together_count_once() -> None:
    pair = make_pair()
    for _ in range(3):
        pair.send(0, b"x")
        pair.now += 0.05
        pair.settle()
    pair.send(0, bytes(3000))
    pair.lose(1)
    pair.wait(30.0)
    check_books(pair.ends[0])
    pair.poll(0)
    check_books(pair.ends[0])


def test_a_probe_whose_chunk_arrived_meanwhile_is_not_sent() -> None:
    pair = make_pair()
    for _ in range(3):
        pair.send(0, b"x")
        pair.now += 0.05
        pair.settle()
    pair.send(0, bytes(3000))
    pair.now += 0.05
    pair.deliver(1)
    _, deadline, *_ = pair.ends[0].transmission.deadlines()
    assert deadline is not None
    pair.now = deadline
    pair.ends[0].timeout(pair.now)
    pair.deliver(0)
    check_books(pair.ends[0])
    assert pair.ends[0].is_drained


def test_what_an_outage_has_lost_is_sent_again_as_soon_as_the_path_works() -> None:
    pair = make_pair()
    for _ in range(3):
        pair.send(0, b"x")
        pair.now += 0.05
        pair.settle()
    pair.send(0, bytes(3000))
    transmission = pair.ends[0].transmission
    for _ in range(8):  # a probe, and timeouts
        pair.lose(1)
        pair.wait()
        pair.poll(0)
    pair.lose(1)
    since = pair.now
    transmission.resume(pair.now)
    pair.wait()
    assert pair.now == since
    assert kinds(pair.poll(0)) == [wire.DATA]
    pair.now += 0.05
    pair.run(0.3)
    assert pair.messages(1)[-1] == bytes(3000)
    check_books(pair.ends[0])


def test_path_that_works_is_not_resumed() -> None:
    pair = make_pair()
    pair.send(0, bytes(3000))
    before = pair.ends[0].deadline()
    pair.ends[0].transmission.resume(pair.now)
    assert pair.ends[0].deadline() == before


def test_what_is_in_flight_is_sent_again_at_once_when_the_path_has_moved() -> None:
    """Before T3-rtx has expired; its peer may wait for a SACK, too."""
    pair = make_pair()
    pair.send(0, bytes(3000))
    pair.lose(1)
    since = pair.now
    for end in pair.ends:
        end.move(pair.now, port_only=True)
    assert kinds(pair.poll(0)) == [wire.SACK, wire.DATA, wire.DATA, wire.DATA]
    assert kinds(pair.poll(1)) == [wire.SACK]
    pair.settle()
    assert pair.messages(1)[-1] == bytes(3000)
    assert pair.now == since
    assert pair.ends[0].transmission.timeouts == 0
    check_books(pair.ends[0])


@pytest.mark.parametrize("port_only", [True, False])
def test_path_with_another_port_keeps_the_window_and_another_host_begins_anew(
    port_only: bool,
) -> None:
    pair = make_pair()
    for _ in range(5):
        pair.send(0, bytes(100_000))
        pair.now += 0.05
        pair.settle()
    transmission = pair.ends[0].transmission
    window, round_trip = pair.controllers[0].window, transmission.round_trip.smoothed
    controllers = len(pair.controllers)
    pair.send(0, bytes(100_000))
    pair.lose(1)
    pair.ends[0].move(pair.now, port_only=port_only)
    if port_only:
        assert transmission.round_trip.smoothed == round_trip
        assert len(pair.controllers) == controllers
        assert pair.controllers[0].window == window
    else:
        assert transmission.round_trip.smoothed is None
        assert pair.controllers[-1].window < window
    pair.run(2.0)
    assert pair.messages(1)[-1] == bytes(100_000)
    check_books(pair.ends[0])


def test_move_before_the_association_is_established_changes_nothing() -> None:
    pair = make_pair(established=False)
    pair.ends[0].associate(pair.now)
    pair.ends[0].move(pair.now, port_only=False)
    pair.settle()
    assert pair.events[0] == [Established()]


def test_a_silent_path_is_tried_every_three_seconds_and_the_peer_is_dead_after_a_minute() -> None:
    pair = make_pair()
    pair.send(0, b"hello")
    tries = [pair.now]
    while not pair.endings(0):
        pair.lose(1)
        pair.wait()
        if pair.poll(0):
            tries.append(pair.now)
        assert len(tries) < 50
    gaps = [after - before for before, after in itertools.pairwise(tries)]
    assert max(gaps) <= 3.0
    assert 60.0 <= pair.now - tries[1] <= 63.0
    assert pair.endings(0)[0].reason == "the peer does not acknowledge any data"
    assert pair.ends[0].deadline() is None


def test_an_answer_in_time_saves_a_peer_from_being_dead() -> None:
    pair = make_pair()
    pair.send(0, b"hello")
    for _ in range(20):
        pair.lose(1)
        pair.wait()
        pair.poll(0)
    pair.settle()
    assert pair.messages(1) == [b"hello"]
    assert pair.ends[0].transmission.timeouts == 0


@pytest.mark.full
def test_a_hundred_thousand_messages_wrap_all_numbers_around() -> None:
    random.seed(0)
    options = [Options(congestion=Reno, first_tsn=tsn) for tsn in (2**32 - 700, 2**32 - 1)]
    left, right = End(options[0]), End(options[1])
    simulation = Simulation()
    simulation.connect(
        Storm(left, 1, until=0.5, lost=0.02, kept=0.01),
        Storm(right, 2, until=0.5, lost=0.02, kept=0.01),
        Link(delay=0.005),
        Link(delay=0.005),
    )
    left.association.associate(0.0)
    simulation.run(until=60.0, done=lambda: left.established)
    count = 70_000
    for number in range(count):
        ordered = number % 8 != 7
        data = number.to_bytes(3)
        left.association.send(5, 53, data, simulation.now, Reliability(ordered=ordered))
    simulation.run(until=300.0, done=lambda: len(right.messages) == count)
    came = [int.from_bytes(message.data) for message in right.messages]
    assert [n for n in came if n % 8 != 7] == [n for n in range(count) if n % 8 != 7]
    assert sorted(came) == list(range(count))
    assert not left.association.events or isinstance(left.association.events[0], Established)
