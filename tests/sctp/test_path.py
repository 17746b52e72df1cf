"""The simulated path itself: what it delays, drops and loses, so that others can rely on it."""

from __future__ import annotations

import math

import pytest

from tests.sctp.path import Link, Simulation


class Recorder:
    """Sends packets at given times, and notes when others arrive."""

    def __init__(self, *to_send: tuple[float, bytes]) -> None:
        self._to_send = list(to_send)
        self.arrived: list[tuple[float, bytes]] = []

    def receive(self, packet: bytes, now: float) -> None:
        """Note it."""
        self.arrived.append((round(now, 9), packet))

    def packets(self, now: float) -> list[bytes]:
        """Return those whose time has come."""
        due = [packet for time, packet in self._to_send if time <= now]
        del self._to_send[: len(due)]
        return due

    def deadline(self) -> float | None:
        """Return the time of the next."""
        return self._to_send[0][0] if self._to_send else None

    def timeout(self, now: float) -> None:
        """Sending follows anyway."""


class Restless(Recorder):
    """Always wants to be woken."""

    def deadline(self) -> float | None:
        """Return a time that is over."""
        return 0.0


def arrivals(link: Link, *to_send: tuple[float, bytes]) -> list[tuple[float, bytes]]:
    receiver = Recorder()
    simulation = Simulation()
    simulation.connect(Recorder(*to_send), receiver, link, Link())
    simulation.run(until=100.0)
    return receiver.arrived


def test_a_packet_takes_its_bytes_at_the_rate_and_the_delay() -> None:
    assert arrivals(Link(1000.0, 0.05), (1.0, bytes(100))) == [(1.15, bytes(100))]


def test_packets_wait_for_those_before_them() -> None:
    times = [time for time, _ in arrivals(Link(1000.0, 0.05), *[(0.0, bytes(100))] * 3)]
    assert times == [0.15, 0.25, 0.35]


def test_what_finds_the_queue_full_is_dropped() -> None:
    link = Link(1000.0, queue=250)
    # One is being sent and counts for what is left of it, at first all.
    assert len(arrivals(link, *[(0.0, bytes(100))] * 5, (0.1, bytes(100)))) == 3
    assert link.dropped == 3


def test_a_rate_that_changes_does_so_in_the_middle_of_a_packet() -> None:
    link = Link([(0.0, 1000.0), (1.0, 100.0)])
    assert arrivals(link, (0.95, bytes(100))) == [(1.5, bytes(100))]


def test_what_waits_is_counted_at_the_rate_of_its_time() -> None:
    link = Link([(0.0, 1000.0), (1.0, 100.0)], queue=150)
    # At 0.95 a packet begins that has 50 of its bytes left at 1.0.
    assert len(arrivals(link, (0.95, bytes(100)), (1.0, bytes(100)), (1.0, bytes(100)))) == 2


def test_nothing_passes_while_the_link_is_down() -> None:
    link = Link(down=(1.0, 2.0))
    sent = [(0.5, b"a"), (1.5, b"b"), (2.5, b"c")]
    assert [packet for _, packet in arrivals(link, *sent)] == [b"a", b"c"]


@pytest.mark.full
def test_loss_is_as_configured_and_the_same_each_time() -> None:
    sent = [(i / 1000, bytes([i % 256])) for i in range(5000)]
    arrived = arrivals(Link(loss=0.1, seed=7), *sent)
    assert len(arrived) == pytest.approx(4500, rel=0.02)
    assert arrived == arrivals(Link(loss=0.1, seed=7), *sent)
    assert arrived != arrivals(Link(loss=0.1, seed=8), *sent)


def test_jitter_keeps_the_order_and_reordering_does_not() -> None:
    sent = [(i / 1000, i.to_bytes(2)) for i in range(1000)]
    packets = [packet for _, packet in sent]
    assert [packet for _, packet in arrivals(Link(jitter=0.02), *sent)] == packets
    reordered = [packet for _, packet in arrivals(Link(reordered=0.1, late=0.005), *sent)]
    assert reordered != packets
    assert sorted(reordered) == packets


def test_an_endpoint_that_never_rests_is_found_out() -> None:
    simulation = Simulation()
    simulation.connect(Restless(), Recorder(), Link(), Link())
    with pytest.raises(RuntimeError, match="caught in a loop"):
        simulation.run(until=1.0)


def test_time_ends_at_the_given_limit() -> None:
    simulation = Simulation()
    simulation.connect(Recorder((5.0, b"late")), Recorder(), Link(), Link())
    assert simulation.run(until=1.0) == simulation.now == 1.0
    assert simulation.run(until=math.inf) == 5.0
