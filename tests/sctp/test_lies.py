"""A peer that lies about data and acknowledgements: it harms its own association only."""

from __future__ import annotations

import tracemalloc
from random import Random

import pytest

from dcsend.sctp import wire
from dcsend.sctp.events import Ended
from dcsend.sctp.reassembly import MAX_AHEAD, Limits
from dcsend.sctp.states import State
from dcsend.sctp.wire import FIRST, LAST, UNORDERED
from tests.sctp.liar import RECORD, WHOLE, Liar, sack, steps
from tests.sctp.reno import Reno

# Acknowledgements


def test_acknowledging_a_tsn_that_was_not_sent_ends_the_association() -> None:
    liar = Liar()
    liar.send(sack(5))
    assert liar.association.state is State.ENDED


def test_acknowledging_a_gap_that_was_not_sent_ends_the_association() -> None:
    liar = Liar()
    liar.association.send(0, 53, bytes(3000), liar.now)
    liar.association.packets(liar.now)
    liar.send(sack(-1, gaps=[(2, 60_000)]))
    [ended] = [event for event in liar.association.events if isinstance(event, Ended)]
    assert ended.violation


@pytest.mark.parametrize("gaps", [[(3, 2)], [(4, 5), (2, 2)], [(2, 5), (4, 6)], [(0, 1)]])
def test_gap_blocks_out_of_order_are_not_read(gaps: list[tuple[int, int]]) -> None:
    liar = Liar()
    liar.association.send(0, 53, bytes(12_000), liar.now)
    liar.association.packets(liar.now)
    before = liar.association.transmission.flight.bytes
    liar.send(sack(-1, gaps=gaps))
    assert liar.association.transmission.flight.bytes == before
    assert liar.is_well


def test_a_cumulative_tsn_that_goes_back_changes_nothing() -> None:
    liar = Liar()
    liar.association.send(0, 53, bytes(12_000), liar.now)
    liar.association.packets(liar.now)
    liar.send(sack(3))
    liar.send(sack(1, window=0))
    assert liar.association.transmission.flight.cumulative == 3
    assert liar.association.transmission.peer_window
    assert liar.is_well


@pytest.mark.parametrize("window", [0, 1, 0xFFFFFFFF])
def test_no_advertised_window_breaks_the_sender(window: int) -> None:
    liar = Liar()
    liar.association.send(0, 53, bytes(12_000), liar.now)
    liar.send(sack(-1, window=window))
    for _ in range(8):
        liar.now = max(liar.now, liar.association.deadline() or 0)
        liar.association.timeout(liar.now)
        liar.association.packets(liar.now)
        liar.send(sack(-1, window=window))
    assert liar.is_well


def test_optimistic_acknowledgements_only_cost_the_peer_its_data() -> None:
    liar = Liar()
    for _ in range(200):
        liar.association.send(0, 53, bytes(6000), liar.now)
        liar.association.packets(liar.now)
        liar.send(sack(liar.association.transmission.flight.next - 1))
        liar.now += 0.001
    assert liar.is_well


def test_an_acknowledgement_taken_back_again_and_again_breaks_nothing() -> None:
    liar = Liar()
    flight = liar.association.transmission.flight
    for turn in range(30):
        liar.association.send(0, 53, bytes(20_000), liar.now)
        liar.association.packets(liar.now)
        last = flight.next - 1 - flight.cumulative
        if last > 3:
            liar.send(sack(flight.cumulative, gaps=[(2, last)]))
            liar.send(sack(flight.cumulative, gaps=[(2 + turn % 2, 3)]))
        liar.now = max(liar.now, liar.association.deadline() or 0)
        liar.association.timeout(liar.now)
        liar.association.packets(liar.now)
        assert liar.is_well or liar.association.transmission.is_unreachable


class Unlimited(Reno):
    """Congestion control that limits nothing."""

    def __init__(self, payload: int, now: float) -> None:
        super().__init__(payload, now)
        self.window = 1 << 30


def test_a_sack_costs_about_as_much_as_it_is_long() -> None:
    liar = Liar(congestion=Unlimited)
    # As many chunks in flight as a peer can make us send.
    flight = liar.association.transmission.flight
    liar.association.send(0, 53, bytes(900_000), liar.now)
    liar.association.packets(liar.now)
    assert flight.next > 600
    most = (flight.next - 1 - flight.cumulative) // 2 - 1
    one = sack(flight.cumulative, gaps=[(2 * n, 2 * n) for n in range(1, most)])
    other = sack(flight.cumulative, gaps=[(2 * n + 1, 2 * n + 1) for n in range(1, most)])
    liar.send(one)
    liar.send(other)
    for chunk in (one, other):
        cost = steps(lambda chunk=chunk: liar.send(chunk))  # type: ignore[misc]
        assert cost < 250 * most + 5000
    many = [sack(flight.cumulative) for _ in range(RECORD // 16)]
    assert steps(lambda: liar.send(*many)) < 2000 * len(many)


def test_reporting_a_long_run_again_and_again_costs_little() -> None:
    liar = Liar(congestion=Unlimited)
    liar.send(sack(-1, window=1 << 30))
    liar.association.send(0, 53, bytes(2_000_000), liar.now)
    liar.association.packets(liar.now)
    long, short = sack(-1, gaps=[(2, 1500)]), sack(-1)
    liar.send(long)
    many = [short, long] * 200
    assert steps(lambda: liar.send(*many)) < 2000 * len(many)
    assert liar.is_well


# Data


def test_data_beyond_the_window_is_not_kept() -> None:
    liar = Liar(Limits(window=10_000, message=5000))
    for tsn in range(1000):
        liar.data(tsn, bytes(1000), number=tsn)
    assert liar.held < 12_000
    liar.take()
    assert liar.held == 0
    assert liar.is_well


@pytest.mark.full
@pytest.mark.parametrize("flags", [FIRST, 0, LAST, WHOLE, WHOLE | UNORDERED, FIRST | UNORDERED])
@pytest.mark.parametrize("step", [1, 2])
def test_a_flood_of_single_bytes_costs_no_more_memory_than_the_limits(
    flags: int, step: int
) -> None:
    liar = Liar(Limits(window=30_000, message=10_000))
    tracemalloc.start()
    try:
        for tsn in range(0, 1200 * step, step):
            liar.data(tsn, b"xy", flags, number=tsn)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # What Python needs for a short message is more than the 128 bytes that it is charged.
    assert peak < 8 * (30_000 + 10_000) + 300_000


def test_a_message_that_never_ends_is_a_violation() -> None:
    liar = Liar()
    for tsn in range(100):
        liar.data(tsn, bytes(1000), FIRST if not tsn else 0)
    assert liar.association.state is State.ENDED


def test_a_message_in_too_many_pieces_is_a_violation() -> None:
    liar = Liar()
    for tsn in range(2000):
        liar.data(tsn, b"x", FIRST if not tsn else 0)
    assert liar.association.state is State.ENDED


def test_a_message_in_one_packet_is_not_too_long_either() -> None:
    liar = Liar(Limits(message=1000))
    liar.data(0, bytes(1001))
    assert liar.association.state is State.ENDED


@pytest.mark.parametrize(
    "second",
    [
        {"stream": 1},
        {"number": 1},
        {"flags": LAST | UNORDERED},
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_fragments_of_two_messages_in_one_are_a_violation(
    second: dict[str, int], *, backwards: bool
) -> None:
    liar = Liar()
    fragments: list[dict[str, int]] = [
        {"tsn": 1, "flags": FIRST},
        {"tsn": 2, "flags": LAST, **second},
    ]
    for fragment in reversed(fragments) if backwards else fragments:
        liar.data(content=b"x", **fragment)
    assert liar.association.state is State.ENDED


def test_beginnings_without_an_end_and_ends_without_a_beginning_wait_within_the_window() -> None:
    liar = Liar(Limits(window=10_000, message=5000))
    random = Random(1)
    for tsn in range(3000):
        liar.data(tsn, bytes(random.randrange(1, 200)), random.choice([FIRST, LAST, LAST]))
    assert liar.held <= 2 * 15_000 + 1000
    assert liar.is_well


def test_any_sequence_numbers_cost_only_the_window() -> None:
    liar = Liar(Limits(window=50_000))
    random = Random(2)
    for tsn in range(5000):
        liar.data(tsn, bytes(10), stream=random.randrange(4), number=random.randrange(65_536))
        liar.take()
    assert liar.held <= 51_000
    assert liar.is_well


def test_more_streams_than_allowed_are_a_violation() -> None:
    liar = Liar(Limits(streams=10))
    for tsn in range(11):
        liar.data(tsn, stream=tsn)
    assert liar.association.state is State.ENDED


def test_a_stream_id_beyond_the_last_is_a_violation() -> None:
    liar = Liar()
    liar.data(0, stream=65_535)
    assert liar.association.state is State.ENDED


@pytest.mark.parametrize("value", [b"", b"\0" * 3, b"\0" * 12])
def test_data_without_data_is_a_violation(value: bytes) -> None:
    liar = Liar()
    liar.send(wire.chunk(wire.DATA, WHOLE, value))
    assert liar.association.state is State.ENDED


def test_tsns_too_far_ahead_are_passed_over() -> None:
    liar = Liar()
    liar.data(MAX_AHEAD + 5)
    liar.data(1 << 31)
    assert liar.held == 0
    assert liar.is_well


def test_gaps_without_end_are_bounded_and_answered_quickly() -> None:
    liar = Liar(Limits())
    for tsn in range(2, MAX_AHEAD + 1000, 2):
        packet = wire.data_chunk(WHOLE, tsn, 0, 1, 53, b"x")
        liar.send(packet, answer=False)
    packets = liar.association.packets(liar.now)
    assert len(packets) == 1
    assert len(packets[0]) < 1400
    assert steps(lambda: liar.data(3, number=2)) < 30_000
    assert liar.is_well
