"""A peer that lies: what it can cost is bounded, and only its own association suffers.

The peer here is a script; it has shown a certificate like anybody else. Costs are counted in steps
of the interpreter, not in seconds, so that a busy machine changes nothing.
"""

from __future__ import annotations

import struct
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from random import Random
from types import FrameType
from typing import Final, Protocol

import pytest

from dcsend.sctp import wire
from dcsend.sctp.association import Association, Options
from dcsend.sctp.events import Ended, Message
from dcsend.sctp.handshake import Handshake, Peer
from dcsend.sctp.queue import Reliability
from dcsend.sctp.reassembly import MAX_AHEAD, Limits
from dcsend.sctp.states import State
from dcsend.sctp.wire import FIRST, LAST, UNORDERED, Init
from tests.sctp.ends import check_books, kinds, make_pair

WHOLE: Final = FIRST | LAST
PORTS: Final = (5000, 5000)
RECORD: Final = 16_384 - 12
"Bytes of chunks in one packet: DTLS has no longer records."


class Liar:
    """An association of ours, and a peer that can say anything."""

    def __init__(self, limits: Limits | None = None, *, extensions: bool = True) -> None:
        self.now = 10.0
        options = Options(limits=limits or Limits(window=100_000, message=30_000), first_tsn=0)
        self.association = Association(options, 0.0)
        peer = Handshake(1 << 20, bulk=True, tsn=0)
        handshake = self.association._handshake
        self.association.associate(0.0)
        self.association.packets(0.0)
        ours = Init.parse(handshake.init()[4:])
        self.tag = handshake.tag
        self.say(peer.init_ack(Peer.of(ours)))
        self.say(wire.chunk(wire.COOKIE_ACK, 0))
        assert self.association.state is State.ESTABLISHED
        self.association.events.clear()

    def say(self, *chunks: bytes, answer: bool = True) -> list[bytes]:
        """Say chunks in one packet; return what comes back."""
        packet = wire.packet(PORTS, self.tag, b"".join(chunks), checksum=True)
        self.association.receive(packet, self.now)
        return self.association.packets(self.now) if answer else []

    def data(
        self, tsn: int, content: bytes = b"x", flags: int = WHOLE, stream: int = 0, number: int = 0
    ) -> None:
        """Say a DATA chunk."""
        self.say(wire.data_chunk(flags, tsn & 0xFFFFFFFF, stream, number & 0xFFFF, 53, content))

    def take(self) -> list[bytes]:
        """Take all messages, as an application does."""
        events, taken = self.association.events, []
        while events:
            event = events.popleft()
            if isinstance(event, Message):
                taken.append(event.data)
                self.association.release(len(event.data))
        return taken

    @property
    def held(self) -> int:
        """Bytes that wait, by the books."""
        reception = self.association._reception
        assert reception is not None
        return reception._reassembly.held

    @property
    def is_well(self) -> bool:
        """Whether the association goes on."""
        check_books(self.association)
        return self.association.state is State.ESTABLISHED


def sack(cumulative: int, window: int = 1 << 20, gaps: Iterable[tuple[int, int]] = ()) -> bytes:
    """Return a SACK with anything in it."""
    runs = list(gaps)
    value = struct.pack("!LLHH", cumulative & 0xFFFFFFFF, window, len(runs), 0)
    return wire.chunk(wire.SACK, 0, value + b"".join(struct.pack("!HH", *run) for run in runs))


class TraceFunction(Protocol):
    """What `sys.settrace` takes."""

    def __call__(self, frame: FrameType, event: str, arg: object, /) -> TraceFunction:
        """Look at a line, and say who looks at the next."""


def steps(work: Callable[[], object]) -> int:
    """Count the instructions of the interpreter that some work takes."""
    count = 0

    def trace(frame: FrameType, event: str, arg: object) -> TraceFunction:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


# Acknowledgements


def test_who_acknowledges_what_was_not_sent_is_left() -> None:
    liar = Liar()
    liar.say(sack(5))
    assert liar.association.state is State.ENDED


def test_who_acknowledges_what_was_not_sent_in_a_gap_is_left() -> None:
    liar = Liar()
    liar.association.send(0, 53, bytes(3000), liar.now)
    liar.association.packets(liar.now)
    liar.say(sack(-1, gaps=[(2, 60_000)]))
    [ended] = [event for event in liar.association.events if isinstance(event, Ended)]
    assert ended.violation


@pytest.mark.parametrize("gaps", [[(3, 2)], [(4, 5), (2, 2)], [(2, 5), (4, 6)], [(0, 1)]])
def test_gap_blocks_out_of_order_are_not_read(gaps: list[tuple[int, int]]) -> None:
    liar = Liar()
    liar.association.send(0, 53, bytes(12_000), liar.now)
    liar.association.packets(liar.now)
    before = liar.association.transmission.flight.bytes
    liar.say(sack(-1, gaps=gaps))
    assert liar.association.transmission.flight.bytes == before
    assert liar.is_well


def test_a_cumulative_tsn_that_goes_back_changes_nothing() -> None:
    liar = Liar()
    liar.association.send(0, 53, bytes(12_000), liar.now)
    liar.association.packets(liar.now)
    liar.say(sack(3))
    liar.say(sack(1, window=0))
    assert liar.association.transmission.flight.cumulative == 3
    assert liar.association.transmission.peer_window
    assert liar.is_well


@pytest.mark.parametrize("window", [0, 1, 0xFFFFFFFF])
def test_no_advertised_window_breaks_the_sender(window: int) -> None:
    liar = Liar()
    liar.association.send(0, 53, bytes(12_000), liar.now)
    liar.say(sack(-1, window=window))
    for _ in range(8):
        liar.now = max(liar.now, liar.association.deadline() or 0)
        liar.association.timeout(liar.now)
        liar.association.packets(liar.now)
        liar.say(sack(-1, window=window))
    assert liar.is_well


def test_optimistic_acknowledgements_only_cost_the_peer_its_data() -> None:
    liar = Liar()
    for _ in range(200):
        liar.association.send(0, 53, bytes(6000), liar.now)
        liar.association.packets(liar.now)
        liar.say(sack(liar.association.transmission.flight.next - 1))
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
            liar.say(sack(flight.cumulative, gaps=[(2, last)]))
            liar.say(sack(flight.cumulative, gaps=[(2 + turn % 2, 3)]))
        liar.now = max(liar.now, liar.association.deadline() or 0)
        liar.association.timeout(liar.now)
        liar.association.packets(liar.now)
        assert liar.is_well or liar.association.transmission.is_dead


def test_a_sack_costs_about_as_much_as_it_is_long() -> None:
    liar = Liar()
    # As many chunks in flight as a peer can make us send.
    transmission = liar.association.transmission
    flight = transmission.flight
    transmission._controller.window = 1 << 30
    transmission._pacer.credit = float("inf")
    transmission._controller.pacing_rate = float("inf")
    liar.association.send(0, 53, bytes(900_000), liar.now)
    liar.association.packets(liar.now)
    assert flight.next > 600
    most = (flight.next - 1 - flight.cumulative) // 2 - 1
    one = sack(flight.cumulative, gaps=[(2 * n, 2 * n) for n in range(1, most)])
    other = sack(flight.cumulative, gaps=[(2 * n + 1, 2 * n + 1) for n in range(1, most)])
    liar.say(one)
    liar.say(other)
    for chunk in (one, other):
        cost = steps(lambda chunk=chunk: liar.say(chunk))  # type: ignore[misc]
        assert cost < 250 * most + 5000
    many = [sack(flight.cumulative) for _ in range(RECORD // 16)]
    assert steps(lambda: liar.say(*many)) < 2000 * len(many)


def test_telling_a_long_run_again_and_again_costs_little() -> None:
    liar = Liar()
    transmission = liar.association.transmission
    transmission._controller.window = transmission.peer_window = 1 << 30
    transmission._controller.pacing_rate = transmission._pacer.credit = float("inf")
    liar.association.send(0, 53, bytes(2_000_000), liar.now)
    liar.association.packets(liar.now)
    long, short = sack(-1, gaps=[(2, 1500)]), sack(-1)
    liar.say(long)
    many = [short, long] * 200
    assert steps(lambda: liar.say(*many)) < 2000 * len(many)
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
    liar.say(wire.chunk(wire.DATA, WHOLE, value))
    assert liar.association.state is State.ENDED


def test_tsns_too_far_ahead_are_passed_over() -> None:
    liar = Liar()
    liar.data(MAX_AHEAD + 5)
    liar.data(1 << 31)
    assert liar.held == 0
    assert liar.is_well


def test_gaps_without_end_are_bounded_and_answered_quickly() -> None:
    liar = Liar()
    for tsn in range(2, 2 * MAX_AHEAD, 2):
        packet = wire.data_chunk(WHOLE, tsn, 0, 1, 53, b"x")
        liar.say(packet, answer=False)
    packets = liar.association.packets(liar.now)
    assert len(packets) == 1
    assert len(packets[0]) < 1400
    assert steps(lambda: liar.data(3, number=2)) < 30_000
    assert liar.is_well


# FORWARD TSN


def forward(cumulative: int, *streams: tuple[int, int]) -> bytes:
    """Return a FORWARD TSN."""
    return wire.forward_tsn_chunk(cumulative & 0xFFFFFFFF, streams)


@pytest.mark.parametrize("ahead", [MAX_AHEAD + 1, 1 << 30, (1 << 31) + 5, (1 << 32) - 2])
def test_a_forward_tsn_far_ahead_or_back_changes_nothing(ahead: int) -> None:
    liar = Liar()
    liar.data(1, number=1)
    liar.say(forward(ahead, (0, 7)))
    liar.data(0, b"first")
    assert liar.take() == [b"first", b"x"]
    assert liar.is_well


def test_a_forward_tsn_cant_make_more_streams_than_allowed() -> None:
    liar = Liar(Limits(streams=10))
    liar.say(forward(3, *((stream, 1) for stream in range(11))))
    assert liar.association.state is State.ENDED


def test_skipping_half_of_all_numbers_again_and_again_costs_little() -> None:
    liar = Liar()
    entries = RECORD // 4 - 2

    def skip() -> None:
        liar.say(forward(5, *((0, 0x7FFF * n & 0xFFFF) for n in range(entries))))

    assert steps(skip) < 60 * entries
    many = [forward(5 + n, (0, 0x7FFF * n & 0xFFFF)) for n in range(1, RECORD // 16)]
    assert steps(lambda: liar.say(*many)) < 1500 * len(many)


def test_skipping_one_tsn_at_a_time_over_much_that_waits_costs_little() -> None:
    liar = Liar(Limits(window=1 << 20))
    # Runs without an end, and messages that are not their turn.
    for tsn in range(2, 8000, 2):
        liar.data(tsn, b"x", FIRST if tsn % 4 else WHOLE, number=30_000 + tsn)
    many = [forward(2 * n + 1, (0, n)) for n in range(500)]
    assert steps(lambda: liar.say(*many)) < 1500 * len(many)
    assert liar.is_well


# Stream resets


def reset_request(number: int, last: int, *streams: int, kind: int = 13) -> bytes:
    """Return a RE-CONFIG with a request."""
    value = struct.pack("!LLL", number & 0xFFFFFFFF, 0, last & 0xFFFFFFFF)
    value += b"".join(struct.pack("!H", stream) for stream in streams)
    return wire.chunk(wire.RE_CONFIG, 0, wire.parameter(kind, value, last=True))


def test_a_flood_of_resets_is_answered_within_bounds() -> None:
    liar = Liar()
    packets = liar.say(*(reset_request(n, -1, 3) for n in range(500)))
    assert len(kinds(packets)) <= 64
    assert liar.is_well


def test_overlapping_resets_of_both_sides_each_get_their_answer() -> None:
    liar = Liar()
    liar.association.reset(3)
    assert kinds(liar.association.packets(liar.now)) == [wire.RE_CONFIG]
    assert kinds(liar.say(reset_request(0, -1, 3))) == [wire.RE_CONFIG]
    answer = wire.chunk(wire.RE_CONFIG, 0, wire.parameter(16, struct.pack("!LL", 0, 1)))
    liar.say(answer)
    liar.say(answer)
    assert [event.by_peer for event in liar.association.events] == [True, False]  # type: ignore[union-attr]
    assert liar.association.deadline() is None


@pytest.mark.parametrize(
    "value",
    [
        b"\0",
        b"\0\x0d\0\3",
        b"\0\x0d\0\4",
        b"\0\x0d\0\x08abcd",
        b"\0\x10\0\x08\0\0\0\0",
        b"\0\x0d\0\x11" + bytes(16),
        b"\0\x12\0\x0c" + bytes(8),
        b"\0\x63\0\4",
    ],
)
def test_junk_in_a_reset_changes_nothing(value: bytes) -> None:
    liar = Liar()
    liar.association.reset(1)
    liar.association.packets(liar.now)
    liar.say(wire.chunk(wire.RE_CONFIG, 0, value))
    assert not liar.association.events
    assert liar.is_well


# The handshake, and who does not belong


def test_a_flood_of_inits_is_answered_within_bounds_and_changes_nothing() -> None:
    liar = Liar()
    init = Handshake(9, bulk=True).init()
    for _ in range(50):
        liar.say(*([init] * 50), answer=False)
    assert len(liar.association.packets(liar.now)) <= 64
    assert liar.is_well


def test_a_flood_of_cookies_is_answered_once() -> None:
    pair = make_pair()
    pair.ends[0].receive(wire.packet(PORTS, pair.ends[0]._handshake.tag, b""), pair.now)
    left = pair.ends[0]
    cookie = left._handshake._cookie(left._peer)  # type: ignore[arg-type]
    echo = wire.chunk(wire.COOKIE_ECHO, 0, cookie)
    for _ in range(20):
        left.receive(wire.packet(PORTS, left._handshake.tag, echo * 200), pair.now)
    assert kinds(left.packets(pair.now)) == [wire.COOKIE_ACK]


def forged(cookie: bytes) -> Iterator[bytes]:
    """Give cookies that are not quite right."""
    yield b""
    yield bytes(len(cookie))
    yield cookie[:-1]
    yield cookie + b"\0"
    for at in range(len(cookie)):
        yield cookie[:at] + bytes([cookie[at] ^ 1]) + cookie[at + 1 :]


def test_a_forged_cookie_begins_nothing() -> None:
    for cookie in forged(Handshake(9, bulk=True)._cookie(PEER)):
        handshake = Handshake(9, bulk=True)
        assert handshake.open_cookie(cookie) is None
    own = Handshake(9, bulk=True)
    good = own._cookie(PEER)
    assert own.open_cookie(good) == PEER
    assert [own.open_cookie(cookie) for cookie in forged(good)] == [None] * (len(good) + 4)


PEER: Final = Peer(
    tag=7,
    tsn=0xFFFFFFFF,
    window=1 << 20,
    streams=65_535,
    zero_checksum=True,
    forward_tsn=True,
    re_config=False,
    rare_sacks=True,
)


@pytest.mark.parametrize("flags", [0, wire.REFLECTED])
@pytest.mark.parametrize("kind", [wire.ABORT, wire.SHUTDOWN_COMPLETE, wire.SACK, wire.DATA])
def test_a_packet_with_a_wrong_tag_changes_nothing(kind: int, flags: int) -> None:
    pair = make_pair()
    for tag in (0, 1, pair.ends[0]._handshake.tag ^ 1):
        pair.ends[0].receive(wire.packet(PORTS, tag, wire.chunk(kind, flags, b"abcd")), pair.now)
    assert pair.states == (State.ESTABLISHED, State.ESTABLISHED)
    assert pair.poll(0) == []


def test_a_flood_of_heartbeats_and_unknown_chunks_is_answered_within_bounds() -> None:
    liar = Liar()
    for kind in (wire.HEARTBEAT, 0x7E, 0xFE):
        packets = liar.say(*([wire.chunk(kind, 0, b"abcd")] * 1000))
        assert len(kinds(packets)) <= 64


def test_an_echo_of_a_probe_that_was_not_sent_proves_nothing() -> None:
    liar = Liar()
    liar.association.probe([1404], liar.now)
    liar.association.packets(liar.now)
    payload = liar.association.transmission.probing.payload
    for info in (b"", b"\0" * 12, liar.association.transmission.probing._token + b"\0\0\xff\xff"):
        liar.say(wire.chunk(wire.HEARTBEAT_ACK, 0, wire.parameter(wire.HEARTBEAT_INFO, info)))
    assert liar.association.transmission.probing.payload == payload


def test_the_association_of_another_peer_does_not_notice() -> None:
    pair = make_pair()
    liar = Liar()
    for tsn in range(100):
        pair.send(0, b"%d" % tsn)
        liar.data(tsn, bytes(1000), 0)
        liar.say(sack(99))
        pair.settle()
    assert pair.messages(1) == [b"%d" % tsn for tsn in range(100)]


def test_no_junk_at_all_escapes_from_an_association() -> None:
    random = Random(3)
    for turn in range(300):
        liar = Liar(Limits(window=4000, message=3000))
        liar.association.send(0, 53, bytes(9000), liar.now, Reliability(max_retransmits=turn % 3))
        for _ in range(20):
            content = random.randbytes(random.randrange(60))
            liar.say(wire.chunk(random.choice([*range(12), 14, 130, 192]), turn & 3, content))
            liar.now += random.random()
            deadline = liar.association.deadline()
            if deadline is not None and deadline <= liar.now:
                liar.association.timeout(liar.now)
