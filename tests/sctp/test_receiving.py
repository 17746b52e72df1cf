"""The receiving half: messages from chunks in any order, and when they are acknowledged."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcsend.sctp import wire
from dcsend.sctp.association import Options
from dcsend.sctp.queue import Reliability
from dcsend.sctp.reassembly import MAX_AHEAD, Limits, Message, Reassembly, Violation, unwrap
from dcsend.sctp.reception import Reception
from dcsend.sctp.wire import FIRST, LAST, UNORDERED
from tests.sctp.ends import PLAIN, WITHOUT_BULK, check_books, kinds, make_pair
from tests.sctp.reno import Reno

WHOLE = FIRST | LAST
LIMITS = Limits(window=10_000, message=4000)


class Book:
    """A reassembly, and what it has delivered."""

    def __init__(self, first: int = 10, limits: Limits = LIMITS) -> None:
        self.got: list[bytes] = []
        self.book = Reassembly(first, limits, self._take)

    def _take(self, message: Message) -> None:
        self.got.append(message.data)
        self.book.release(len(message.data))

    def add(self, tsn: int, data: bytes = b"x", flags: int = WHOLE, number: int = 0) -> bool:
        """Add a chunk of stream 1."""
        return self.book.add(flags, tsn, 1, number, 53, data)


FRAGMENTS = [(10, FIRST, b"a"), (11, 0, b"b"), (12, 0, b"c"), (13, LAST, b"d")]


@pytest.mark.parametrize("order", [*itertools.permutations(FRAGMENTS)])
def test_fragments_make_the_message_in_every_order(order: list[tuple[int, int, bytes]]) -> None:
    book = Book()
    for tsn, flags, data in order:
        assert book.add(tsn, data, flags)
        assert not book.add(tsn, data, flags)
    assert book.got == [b"abcd"]
    assert book.book.held == 0
    assert (book.book.cumulative, book.book.gaps) == (13, [])


@given(st.permutations(range(24)))
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_messages_of_a_stream_come_in_order_from_any_order(order: list[int]) -> None:
    book = Book(7)
    book.add(7, b"zero")
    # Three fragments each; sequence numbers that wrap around.
    for tsn, number in ((8, 32_000), (9, 64_000), (10, 65_532)):
        book.book.skip(tsn, [(1, number)])
    for index in order:
        message, part = divmod(index, 3)
        flags = (FIRST, 0, LAST)[part]
        assert book.add(11 + index, b"%d" % message, flags, (65_533 + message) & 0xFFFF)
        gaps = book.book.gaps
        assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(gaps))
    assert book.got == [b"zero", *(b"%d%d%d" % (n, n, n) for n in range(8))]
    assert book.book.held == 0


def test_unordered_messages_do_not_wait() -> None:
    book = Book()
    book.add(12, b"late", WHOLE, number=1)
    book.add(11, b"now", WHOLE | UNORDERED)
    assert book.got == [b"now"]
    book.add(10, b"first", WHOLE, number=0)
    assert book.got == [b"now", b"first", b"late"]


def test_what_waits_is_charged_and_what_is_taken_is_not() -> None:
    got: list[Message] = []
    book = Reassembly(1, LIMITS, got.append)
    book.add(WHOLE, 1, 0, 0, 53, bytes(1000))
    book.add(FIRST, 2, 0, 1, 53, bytes(500))
    assert book.window == 10_000 - 1000 - 500 - 2 * 128
    book.release(1000)
    assert book.window == 10_000 - 500 - 128


def test_a_full_window_takes_holes_but_nothing_new() -> None:
    got: list[Message] = []
    book = Reassembly(1, LIMITS, got.append)
    tsn = 1
    while book.add(WHOLE, tsn + 1, 0, tsn, 53, bytes(1000)):
        tsn += 1
    assert book.window == 0
    assert book.add(WHOLE, 1, 0, 0, 53, bytes(1000))
    assert len(got) == tsn
    assert not book.add(WHOLE, tsn + 1, 0, tsn, 53, bytes(1000))
    book.release(1000)
    book.release(1000)
    assert book.add(WHOLE, tsn + 1, 0, tsn, 53, bytes(1000))


def test_a_full_window_takes_every_hole_that_is_left() -> None:
    got: list[Message] = []
    book = Reassembly(1, LIMITS, got.append)
    for tsn in (2, *range(4, 12)):
        assert book.add(WHOLE, tsn, 0, tsn - 1, 53, bytes(1000))
    assert book.window == 0
    assert not book.add(WHOLE, 12, 0, 11, 53, bytes(1000))
    assert book.add(WHOLE, 3, 0, 2, 53, bytes(1000))
    assert book.add(WHOLE, 1, 0, 0, 53, bytes(1000))
    assert len(got) == 11


def test_fragments_that_are_no_neighbours_are_not_put_together() -> None:
    book = Book()
    book.add(11, b"b", LAST)
    book.add(12, b"?", LAST)
    book.add(10, b"a", FIRST)
    assert book.got == [b"ab"]
    book.add(15, b"c", FIRST, number=1)
    book.add(14, b"?", 0, number=1)
    book.add(16, b"d", LAST, number=1)
    assert book.got == [b"ab", b"cd"]


def test_a_full_window_takes_the_rest_of_a_message_that_has_begun() -> None:
    book = Book(1, Limits(window=1000, message=4000))
    assert book.add(1, bytes(1000), FIRST)
    assert book.add(2, bytes(1000), 0)
    assert not book.add(3, bytes(1000), FIRST)
    assert book.add(3, bytes(1000), LAST)
    assert book.got == [bytes(3000)]


def test_tsns_too_far_ahead_or_past_are_of_no_use() -> None:
    book = Book()
    assert not book.add(10 + MAX_AHEAD)
    assert book.add(9 + MAX_AHEAD)
    assert not book.add(9)
    assert book.book.duplicates == [9]


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**40))
def test_unwrapping_is_the_inverse_of_cutting_to_32_bits(value: int, near: int) -> None:
    whole = unwrap(value, near)
    assert whole & 0xFFFFFFFF == value
    assert abs(whole - near) <= 2**31


# FORWARD TSN


def test_a_skipped_message_lets_the_next_one_go() -> None:
    book = Book()
    book.add(12, b"next", WHOLE, number=1)
    book.book.skip(11, [(1, 0)])
    assert book.got == [b"next"]
    assert book.book.cumulative == 12


def test_what_is_whole_among_the_skipped_is_given_in_order() -> None:
    book = Book()
    for tsn, number in ((15, 5), (11, 1), (13, 3)):
        book.add(tsn, b"%d" % number, WHOLE, number)
    book.book.skip(14, [(1, 4)])
    assert book.got == [b"1", b"3", b"5"]
    assert book.book.held == 0


def test_a_number_that_was_skipped_before_is_not_waited_for_again() -> None:
    book = Book()
    book.book.skip(11, [(1, 5)])
    book.book.skip(12, [(1, 3)])
    book.add(13, b"next", number=6)
    assert book.got == [b"next"]


def test_numbers_are_skipped_by_either_way_alike() -> None:
    for waiting in (3, 200):
        book = Book(limits=Limits(window=100_000))
        for number in range(waiting):
            book.add(100 + 2 * number, b"%d" % number, WHOLE, number + 100)
        book.book.skip(99, [(1, 101)])
        assert book.got == [b"%d" % number for number in range(waiting)]


def test_halves_of_skipped_messages_are_forgotten_and_others_are_not() -> None:
    book = Book()
    book.add(11, b"b", 0)
    book.add(14, b"d", FIRST, number=1)
    book.add(17, b"f", FIRST, number=2)
    book.book.skip(15, [(1, 1)])
    assert book.book.held == 1 + 128
    book.add(18, b"g", LAST, number=2)
    book.add(16, b"u", WHOLE | UNORDERED)
    assert book.got == [b"fg", b"u"]
    assert book.book.held == 0


@pytest.mark.parametrize("jump", [1, 500])
def test_runs_are_forgotten_by_either_way_alike(jump: int) -> None:
    book = Book(limits=Limits(window=100_000))
    for tsn in range(12, 112, 2):
        book.add(tsn, b"x", FIRST)
    for tsn in range(10, 112 + jump, jump):
        book.book.skip(tsn, [])
    assert book.book.held == 0


def test_a_stream_that_was_reset_begins_with_zero() -> None:
    book = Book()
    book.add(10, number=0)
    book.add(11, number=9)
    book.book.restart_stream(1)
    assert book.book.held == 0
    book.add(12, b"new", number=0)
    assert book.got[-1] == b"new"


def test_too_many_streams_are_a_violation() -> None:
    book = Reassembly(0, Limits(streams=2, stream_ids=9), lambda message: None)
    for stream in (3, 4):
        book.add(WHOLE, stream - 3, stream, 0, 53, b"x")
    with pytest.raises(Violation):
        book.add(WHOLE, 2, 5, 0, 53, b"x")
    with pytest.raises(Violation):
        Reassembly(0, Limits(stream_ids=9), lambda m: None).add(WHOLE, 0, 9, 0, 53, b"x")


# Acknowledgements


def reception(*, sack_each_read: bool, limits: Limits = LIMITS) -> Reception:
    """Return a reception that waits for TSN 1."""
    return Reception(1, limits, lambda message: None, sack_each_read=sack_each_read)


def feed(one: Reception, tsns: Iterable[int], flags: int = WHOLE) -> list[bool]:
    """Give it packets with a chunk each; return when it wants to acknowledge at once."""
    wants = []
    for tsn in tsns:
        chunk = wire.data_chunk(flags, tsn, 0, tsn - 1, 53, b"x")
        one.data(chunk, 0, 17)
        wants.append(one.on_packet_end(1.0))
    return wants


def test_one_packet_waits_for_its_acknowledgement() -> None:
    one = reception(sack_each_read=True)
    feed(one, [1])
    assert one.deadline == pytest.approx(1.04)
    due = [one.is_due]
    for time in (1.02, 1.05):
        one.timeout(time)
        due.append(one.is_due)
    assert due == [False, False, True]
    assert one.deadline is None


def test_every_second_packet_of_a_foreign_sender_is_acknowledged() -> None:
    one = reception(sack_each_read=False)
    sacks = 0
    for want in (feed(one, [tsn])[0] for tsn in range(1, 9)):
        if want:
            one.sack()
            sacks += 1
    assert sacks == 4


def test_one_acknowledgement_is_enough_for_all_packets_of_our_own() -> None:
    one = reception(sack_each_read=True)
    assert not any(feed(one, range(1, 9)))
    assert one.is_due


@pytest.mark.parametrize(
    ("tsns", "flags"), [([2], WHOLE), ([1, 1], WHOLE), ([1], WHOLE | wire.IMMEDIATE)]
)
def test_a_gap_a_duplicate_and_a_wish_are_answered_at_once(tsns: list[int], flags: int) -> None:
    one = reception(sack_each_read=True)
    feed(one, tsns, flags)
    assert one.is_due


def test_a_sack_lists_what_has_arrived() -> None:
    one = reception(sack_each_read=True)
    feed(one, [1, 3, 4, 7, 4])
    [(_, _, value)] = wire.chunks(bytes(12) + one.sack())
    sack = wire.parse_sack(value)
    assert sack.cumulative == 1
    assert list(sack.gaps) == [(2, 3), (6, 6)]
    assert sack.window == 10_000 - 4 * 129
    assert value[-4:] == b"\0\0\0\4"
    assert not one.is_due


def test_a_window_that_opens_again_makes_one_sack_due() -> None:
    one = reception(sack_each_read=True)
    for tsn in range(1, 11):
        one.data(wire.data_chunk(WHOLE, tsn, 0, tsn - 1, 53, bytes(900)), 0, 916)
    one.sack()
    due = 0
    for _ in range(10):
        one.release(900)
        if one.is_due:
            due += 1
            one.sack()
    assert due == 1


def test_between_two_dcsend_ends_one_sack_answers_all_packets_of_one_read() -> None:
    pair = make_pair()
    pair.controllers[0].window = 100_000
    pair.send(0, bytes(50_000))
    assert kinds(pair.deliver(1)) == [wire.SACK]


def test_a_foreign_sender_gets_an_acknowledgement_for_every_second_packet_read() -> None:
    pair = make_pair(replace(PLAIN, extensions=WITHOUT_BULK), PLAIN)
    pair.controllers[0].window = 100_000
    pair.send(0, bytes(11_600))
    assert len(pair.wire[1]) == 10
    assert kinds(pair.deliver(1)) == [wire.SACK] * 5


def test_of_very_many_acknowledgements_the_last_one_is_not_missing() -> None:
    pair = make_pair(replace(PLAIN, extensions=WITHOUT_BULK), PLAIN)
    pair.controllers[0].window = 1_000_000
    pair.send(0, bytes(344 * 1160))  # an even number of packets: the last one asks for one
    pair.deliver(1)
    pair.deliver(0)
    assert pair.ends[0].is_drained


# Windows, between two


def test_a_window_that_closes_and_opens_lets_everything_arrive() -> None:
    pair = make_pair(PLAIN, Options(limits=Limits(window=20_000), congestion=Reno))
    pair.takes = False
    for number in range(100):
        pair.ends[0].send(0, 53, bytes([number]) * 1000, pair.now)
    pair.run(5.0)
    assert 0 < len(pair.messages(1)) < 25
    assert pair.ends[0].transmission.peer_window == 0
    pair.takes = True
    for message in pair.messages(1):
        pair.ends[1].release(len(message))
    pair.run(60.0)
    assert pair.messages(1) == [bytes([number]) * 1000 for number in range(100)]
    check_books(pair.ends[0])


def test_a_peer_whose_application_takes_nothing_for_an_hour_is_not_dead() -> None:
    pair = make_pair(PLAIN, Options(limits=Limits(window=3000), congestion=Reno))
    pair.takes = False
    for _ in range(5):
        pair.ends[0].send(0, 53, bytes(1000), pair.now)
    pair.run(3600.0)
    assert not pair.endings(0)
    for message in pair.messages(1):
        pair.ends[1].release(len(message))
    pair.takes = True
    pair.run(120.0)
    assert len(pair.messages(1)) == 5


@pytest.mark.parametrize("left", [0, 1000], ids=["closed", "too small for a packet"])
def test_a_lost_update_of_a_window_that_was_closed_for_long_costs_seconds(left: int) -> None:
    pair = make_pair(PLAIN, Options(limits=Limits(window=3000 + left), congestion=Reno))
    pair.takes = False
    for _ in range(5):
        pair.ends[0].send(0, 53, bytes(1000), pair.now)
    pair.run(600.0)
    assert len(pair.messages(1)) < 5
    for message in pair.messages(1):
        pair.ends[1].release(len(message))
    pair.takes = True
    pair.poll(1)
    pair.wire[0].clear()  # the update
    pair.run(6.0)
    assert len(pair.messages(1)) == 5


@pytest.mark.parametrize("window", [1, 500, 2000])
def test_a_message_larger_than_the_window_arrives(window: int) -> None:
    pair = make_pair(PLAIN, Options(limits=Limits(window=window), congestion=Reno))
    pair.send(0, bytes(30_000))
    pair.send(0, bytes(10), how=Reliability(ordered=False))
    pair.run(30.0)
    assert pair.messages(1) == [bytes(30_000), bytes(10)]


# Chunks that are not known


@pytest.mark.parametrize(
    ("kind", "reported", "goes_on"),
    [(0x3F, False, False), (0x7F, True, False), (0xBF, False, True), (0xFF, True, True)],
)
def test_the_two_high_bits_of_an_unknown_chunk_decide_how_it_is_handled(
    kind: int, *, reported: bool, goes_on: bool
) -> None:
    pair = make_pair()
    tag = pair.ends[0].tag
    chunks = wire.chunk(kind, 5, b"what") + wire.chunk(wire.HEARTBEAT, 0, b"info")
    pair.ends[0].receive(wire.packet((5000, 5000), tag, chunks), pair.now)
    expected = [wire.ERROR] * reported + [wire.HEARTBEAT_ACK] * goes_on
    assert kinds(pair.poll(0)) == expected


def test_a_heartbeat_comes_back_as_it_was() -> None:
    pair = make_pair()
    tag = pair.ends[0].tag
    for info in (b"", b"\0\1\0\x09hello", bytes(500)):
        packet = wire.packet((5000, 5000), tag, wire.chunk(wire.HEARTBEAT, 0, info))
        pair.ends[0].receive(packet, pair.now)
        [answer] = pair.poll(0)
        assert list(wire.chunks(answer)) == [(wire.HEARTBEAT_ACK, 0, info)]


def test_chunks_before_a_broken_one_count() -> None:
    pair = make_pair()
    tag = pair.ends[0].tag
    first = int(pair.ends[1].transmission.flight.next & 0xFFFFFFFF)
    chunks = wire.data_chunk(WHOLE, first, 0, 0, 53, b"good") + b"\0\0\0\2"
    pair.ends[0].receive(wire.packet((5000, 5000), tag, chunks), pair.now)
    pair.poll(0)
    assert pair.messages(0) == [b"good"]
