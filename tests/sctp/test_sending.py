"""The sending half: queues, timers, the pacer, packet sizes, and partial reliability."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from dcsend.sctp import wire
from dcsend.sctp.association import Options
from dcsend.sctp.events import Established
from dcsend.sctp.probing import BASE_PAYLOAD, Probing, payloads
from dcsend.sctp.queue import RELIABLE, Outgoing, Reliability, SendQueue
from dcsend.sctp.timing import Pacer, RoundTrip
from dcsend.sctp.wire import FIRST, LAST, UNORDERED, Malformed
from tests.sctp.ends import PLAIN, End, Storm, check_books, kinds, make_pair
from tests.sctp.path import Link, Simulation

# The queue


def put(
    queue: SendQueue, stream: int, data: bytes, how: Reliability = RELIABLE, now: float = 0.0
) -> Outgoing:
    """Queue a message."""
    message = Outgoing(stream, 53, data, how, now)
    queue.put(message)
    return message


def cut_all(queue: SendQueue, size: int, now: float = 0.0) -> list[tuple[int, int, int, bytes]]:
    """Cut until nothing is left; return stream, flags, number and bytes of each piece."""
    pieces = []
    while (piece := queue.cut(size, now)) is not None:
        message, flags, sequence, data = piece
        pieces.append((message.stream, flags, sequence, bytes(data)))
    return pieces


def test_streams_take_turns_and_messages_are_not_mixed() -> None:
    queue = SendQueue()
    put(queue, 1, b"aaabb")
    put(queue, 1, b"c")
    put(queue, 2, b"d", Reliability(ordered=False))
    assert queue.queued(1) == 6
    assert cut_all(queue, 3) == [
        (1, FIRST, 0, b"aaa"),
        (1, LAST, 0, b"bb"),
        (2, FIRST | LAST | UNORDERED, 0, b"d"),
        (1, FIRST | LAST, 1, b"c"),
    ]
    assert queue.queued(1) == queue.queued(2) == queue.queued(3) == 0
    assert not queue


@pytest.mark.parametrize(("size", "pieces"), [(1, 4), (3, 2), (4, 1), (5, 1)])
def test_a_message_is_cut_as_packets_have_room(size: int, pieces: int) -> None:
    queue = SendQueue()
    put(queue, 0, b"abcd")
    cut = cut_all(queue, size)
    assert len(cut) == pieces
    assert b"".join(piece[3] for piece in cut) == b"abcd"
    assert cut[0][1] & FIRST
    assert cut[-1][1] & LAST


def test_only_ordered_messages_have_numbers_and_these_wrap_around() -> None:
    queue = SendQueue()
    for number in range(65_540):
        put(queue, 0, b"x", Reliability(ordered=number % 2 == 0))
        put(queue, 0, b"y")
    numbers = [p[2] for p in cut_all(queue, 9) if not p[1] & UNORDERED]
    assert numbers == [n & 0xFFFF for n in range(len(numbers))]
    assert len(numbers) > 65_536


def test_what_expires_before_it_leaves_takes_no_number() -> None:
    queue = SendQueue()
    put(queue, 0, b"a", Reliability(max_lifetime=1.0))
    put(queue, 0, b"b")
    assert cut_all(queue, 9, now=1.0) == [(0, FIRST | LAST, 0, b"b")]
    assert queue.queued(0) == 0


def test_what_has_begun_goes_on_though_it_expires() -> None:
    queue = SendQueue()
    put(queue, 0, b"abcd", Reliability(max_lifetime=1.0))
    queue.cut(2, 0.5)
    assert cut_all(queue, 9, now=5.0) == [(0, LAST, 0, b"cd")]


def test_the_rest_of_what_was_given_up_is_told_and_not_sent() -> None:
    queue = SendQueue()
    message = put(queue, 0, b"abcd", Reliability(max_retransmits=0))
    queue.cut(2, 0.0)
    message.abandoned = True
    piece = queue.cut(2, 0.0)
    assert piece is not None
    assert piece[0] is message
    assert len(piece[3]) == 0
    assert queue.cut(2, 0.0) is None
    assert queue.queued(0) == 0


def test_a_stream_that_was_reset_counts_from_zero() -> None:
    queue = SendQueue()
    put(queue, 0, b"a")
    cut_all(queue, 9)
    queue.restart_stream(0)
    put(queue, 0, b"b")
    assert cut_all(queue, 9)[0][2] == 0


# Clocks


def test_the_timeout_follows_the_round_trip_and_doubles() -> None:
    clock = RoundTrip()
    assert clock.timeout == 1.0
    clock.measured(0.1, 0.0)
    assert clock.timeout == pytest.approx(0.1 + 0.2)
    for _ in range(50):
        clock.measured(0.5, 1.0)
    assert 0.69 < clock.timeout < 0.75
    before = clock.timeout
    clock.backoff += 1
    assert clock.timeout == pytest.approx(2 * before)
    clock.backoff = 20
    assert clock.timeout == 3.0
    clock.measured(0.5, 2.0)
    assert clock.backoff == 0


def test_doubling_never_makes_the_timeout_shorter_than_the_round_trip_wants() -> None:
    clock = RoundTrip()
    for second in range(50):
        clock.measured(5.0, float(second))
    before = clock.timeout
    assert before > 5.0
    clock.backoff = 3
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
            pacer.credit -= 1000
            sent += 1000
        assert pacer.ready() > now
        now = pacer.ready()
    assert sent == pytest.approx(1_000_000, rel=0.01)


def test_a_pause_is_not_made_up_for_by_more_than_a_burst() -> None:
    pacer = Pacer(0.0)
    pacer.refill(1000.0, 1e9, 1400)
    assert pacer.credit == 64 * 1024
    pacer.refill(2000.0, 10.0, 1400)
    assert pacer.credit <= 2 * 1400


def test_no_pacing_lets_everything_go() -> None:
    pacer = Pacer(0.0)
    pacer.refill(0.0, math.inf, 1400)
    assert pacer.credit == math.inf
    pacer.refill(0.0, 1e6, 1400)
    assert pacer.credit == pacer.quantum
    assert pacer.ready() == 0.0


# Packet sizes


def test_probes_prove_the_largest_size_that_comes_back() -> None:
    probing = Probing()
    probing.begin([1404, 1324], 0.0)
    probes = probing.probes(0.0)
    assert [len(p) - 16 for p in probes] == [1404, 1324]
    assert probing.probes(0.0) == []
    for probe, size in reversed(list(zip(probes, (1404, 1324), strict=True))):
        [(kind, _, value), (padding, _, _)] = wire.chunks(bytes(12) + probe)
        assert (kind, padding) == (wire.HEARTBEAT, wire.PAD)
        assert probing.echoed(value)
        assert not probing.echoed(value)
        assert probing.payload == size
    assert probing.deadline is None


def test_probes_are_tried_three_times() -> None:
    probing = Probing()
    probing.begin([1404], 0.0)
    times = []
    while probing.deadline is not None:
        times.append(probing.deadline)
        assert len(probing.probes(probing.deadline)) == 1
    assert times == [0.0, 0.3, 1.5]
    assert probing.payload == BASE_PAYLOAD


def test_a_black_hole_makes_packets_small_again() -> None:
    probing = Probing()
    assert not probing.black_hole()
    probing.payload = 1404
    assert probing.black_hole()
    assert probing.payload == BASE_PAYLOAD


def test_an_echo_that_is_broken_is_malformed_and_a_foreign_one_proves_nothing() -> None:
    probing = Probing()
    probing.begin([1404], 0.0)
    with pytest.raises(Malformed):
        probing.echoed(b"\0\1\0\x20")
    assert not probing.echoed(wire.parameter(wire.HEARTBEAT_INFO, b""))
    assert not probing.echoed(wire.parameter(9, probing._token + (1404).to_bytes(4)))
    assert not probing.echoed(b"")


@pytest.mark.parametrize("mtu", [None, 576, 1280, 1500, 9000, 65_536, 10**6])
@pytest.mark.parametrize("is_ipv6", [False, True])
def test_sizes_worth_probing_are_multiples_of_four_that_fit(
    mtu: int | None, *, is_ipv6: bool
) -> None:
    sizes = payloads(mtu, is_ipv6=is_ipv6)
    assert sizes == sorted(set(sizes), reverse=True)
    assert all(BASE_PAYLOAD < size <= (mtu or 1500) and size % 4 == 0 for size in sizes)


def test_packets_grow_when_a_probe_comes_back_and_the_association_says_so() -> None:
    pair = make_pair()
    pair.ends[0].probe([1404, 1324], pair.now)
    pair.settle()
    [packet, *_] = pair.send(0, bytes(5000))
    assert len(packet) == 12 + 16 + 1404


# Timers


def test_three_timeouts_in_a_row_make_packets_small_again() -> None:
    pair = make_pair()
    pair.ends[0].probe([1404], pair.now)
    pair.settle()
    pair.send(0, bytes(1000))
    for _ in range(8):
        pair.lose(1)
        pair.wait()
        pair.poll(0)
    assert pair.ends[0].transmission.probing.payload == BASE_PAYLOAD


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
    deadline = pair.ends[0].transmission._tail
    assert deadline is not None
    pair.now = deadline
    pair.ends[0].timeout(pair.now)
    pair.deliver(0)
    check_books(pair.ends[0])
    assert pair.ends[0].is_drained


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
    assert pair.endings(0)[0].reason == "the peer does not acknowledge anything"
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
    assert pair.ends[0].transmission._timeouts == 0


# Partial reliability, end to end


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("size", [10, 5000])
def test_a_message_that_is_given_up_lets_the_next_one_through(*, ordered: bool, size: int) -> None:
    pair = make_pair()
    pair.send(0, bytes(size), how=Reliability(ordered, max_retransmits=0))
    pair.lose(1)
    pair.send(0, b"next", how=Reliability(ordered))
    pair.run(10.0)
    assert pair.messages(1) == [b"next"]
    assert pair.ends[0].is_drained
    assert pair.ends[1]._reception is not None
    assert pair.ends[1]._reception._reassembly.held == 0


def test_half_a_message_that_expires_does_not_stop_its_stream() -> None:
    pair = make_pair(PLAIN, Options(congestion="reno"))
    pair.ends[0].transmission._controller.window = 1200
    pair.send(0, bytes(9000), how=Reliability(max_lifetime=0.05))
    pair.now += 0.1
    pair.ends[0].send(0, 53, b"next", pair.now)
    pair.run(10.0)
    assert pair.messages(1)[-1] == b"next"
    assert pair.ends[0].is_drained


def test_half_a_message_that_is_given_up_does_not_stop_its_stream_whatever_is_lost() -> None:
    pair = make_pair()
    pair.ends[0].transmission._controller.window = 2400
    pair.send(0, bytes(9000), how=Reliability(max_retransmits=0))
    first = pair.lose(1)
    pair.wait()
    pair.wait()
    pair.poll(0)
    pair.lose(1)  # with it the first FORWARD TSN
    pair.wire[1].extend(first)  # late, not lost
    pair.ends[0].send(0, 53, b"next", pair.now)
    pair.run(30.0)
    assert pair.messages(1) == [b"next"]
    assert pair.ends[0].is_drained


def test_a_peer_that_only_hears_what_to_skip_is_not_dead() -> None:
    pair = make_pair()
    for _ in range(12):
        pair.send(0, b"lost", how=Reliability(max_retransmits=0))
        pair.lose(1)
        pair.wait()
        pair.settle()
        assert pair.ends[0].is_drained
    assert not pair.endings(0)
    assert pair.ends[0].transmission._timeouts == 0


def test_what_expires_while_it_waits_to_be_sent_again_is_not() -> None:
    pair = make_pair()
    pair.send(0, bytes(8000), how=Reliability(max_lifetime=1.5))
    pair.lose(1)
    pair.wait()
    pair.poll(0)
    pair.lose(1)
    pair.now += 0.8
    pair.ends[0].transmission._controller.window = 100_000
    assert kinds(pair.poll(0)) == [wire.FORWARD_TSN]


def test_a_peer_without_forward_tsn_gets_everything() -> None:
    pair = make_pair()
    pair.ends[0].transmission.peer_forwards = False
    pair.send(0, bytes(3000), how=Reliability(max_retransmits=0))
    pair.lose(1)
    pair.run(10.0)
    assert pair.messages(1) == [bytes(3000)]


# Numbers that wrap around, under way


def test_a_hundred_thousand_messages_wrap_all_numbers_around() -> None:
    random.seed(0)
    options = [Options(congestion="reno", first_tsn=tsn) for tsn in (2**32 - 700, 2**32 - 1)]
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
