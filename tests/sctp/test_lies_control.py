"""A peer that lies about everything else: what to skip, resets, the handshake, who it is."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random
from typing import Final

import pytest

from dcsend.sctp import wire
from dcsend.sctp.handshake import Handshake, Peer
from dcsend.sctp.queue import Reliability
from dcsend.sctp.reassembly import MAX_AHEAD, Limits
from dcsend.sctp.states import State
from dcsend.sctp.wire import FIRST
from tests.sctp.ends import cookie_of, kinds, make_pair, probe_token
from tests.sctp.liar import PORTS, RECORD, WHOLE, Liar, sack, steps

# FORWARD TSN


def forward(cumulative: int, *streams: tuple[int, int]) -> bytes:
    """Return a FORWARD TSN."""
    return wire.forward_tsn_chunk(cumulative & 0xFFFFFFFF, streams)


@pytest.mark.parametrize("ahead", [MAX_AHEAD + 1, 1 << 30, (1 << 31) + 5, (1 << 32) - 2])
def test_a_forward_tsn_far_ahead_or_back_changes_nothing(ahead: int) -> None:
    liar = Liar()
    liar.data(1, number=1)
    liar.send(forward(ahead, (0, 7)))
    liar.data(0, b"first")
    assert liar.take() == [b"first", b"x"]
    assert liar.is_well


def test_a_forward_tsn_cant_make_more_streams_than_allowed() -> None:
    liar = Liar(Limits(streams=10))
    liar.send(forward(3, *((stream, 1) for stream in range(11))))
    assert liar.association.state is State.ENDED


def test_skipping_half_of_all_numbers_again_and_again_costs_little() -> None:
    liar = Liar()
    entries = RECORD // 4 - 2

    def skip() -> None:
        liar.send(forward(5, *((0, 0x7FFF * n & 0xFFFF) for n in range(entries))))

    assert steps(skip) < 60 * entries
    many = [forward(5 + n, (0, 0x7FFF * n & 0xFFFF)) for n in range(1, RECORD // 16)]
    assert steps(lambda: liar.send(*many)) < 1500 * len(many)


@pytest.mark.full
def test_skipping_one_tsn_at_a_time_over_much_that_waits_costs_little() -> None:
    liar = Liar(Limits(window=1 << 20))
    # Runs without an end, and messages that are not their turn.
    for tsn in range(2, 8000, 2):
        liar.data(tsn, b"x", FIRST if tsn % 4 else WHOLE, number=30_000 + tsn)
    many = [forward(2 * n + 1, (0, n)) for n in range(500)]
    assert steps(lambda: liar.send(*many)) < 1500 * len(many)
    assert liar.is_well


# Stream resets


def reset_request(number: int, last: int, *streams: int, kind: int = 13) -> bytes:
    """Return a RE-CONFIG with a request."""
    value = struct.pack("!LLL", number & 0xFFFFFFFF, 0, last & 0xFFFFFFFF)
    value += b"".join(struct.pack("!H", stream) for stream in streams)
    return wire.chunk(wire.RE_CONFIG, 0, wire.parameter(kind, value, last=True))


def test_a_flood_of_resets_is_answered_within_bounds() -> None:
    liar = Liar()
    packets = liar.send(*(reset_request(n, -1, 3) for n in range(500)))
    assert len(kinds(packets)) <= 64
    assert liar.is_well


def test_overlapping_resets_of_both_sides_each_get_their_answer() -> None:
    liar = Liar()
    liar.association.reset(3)
    assert kinds(liar.association.packets(liar.now)) == [wire.RE_CONFIG]
    assert kinds(liar.send(reset_request(0, -1, 3))) == [wire.RE_CONFIG]
    answer = wire.chunk(wire.RE_CONFIG, 0, wire.parameter(16, struct.pack("!LL", 0, 1)))
    liar.send(answer)
    liar.send(answer)
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
    liar.send(wire.chunk(wire.RE_CONFIG, 0, value))
    assert not liar.association.events
    assert liar.is_well


# The handshake, and packets of others


def test_a_flood_of_inits_is_answered_within_bounds_and_changes_nothing() -> None:
    liar = Liar()
    init = Handshake(9, zero_checksum=True).init()
    for _ in range(50):
        liar.send(*([init] * 50), answer=False)
    assert len(liar.association.packets(liar.now)) <= 64
    assert liar.is_well


def test_a_flood_of_cookies_is_answered_once() -> None:
    pair = make_pair()
    left, right = pair.ends
    init = wire.Init(right.tag, 1 << 20, 65_535, 65_535, 0).encode(wire.INIT)
    left.receive(wire.packet(PORTS, 0, init), pair.now)
    [packet] = left.packets(pair.now)
    echo = wire.chunk(wire.COOKIE_ECHO, 0, cookie_of(packet[12:]))
    for _ in range(20):
        left.receive(wire.packet(PORTS, left.tag, echo * 200), pair.now)
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
    for cookie in forged(cookie_of(Handshake(9, zero_checksum=True).init_ack(PEER))):
        handshake = Handshake(9, zero_checksum=True)
        assert handshake.open_cookie(cookie) is None
    own = Handshake(9, zero_checksum=True)
    good = cookie_of(own.init_ack(PEER))
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
    bulk_extension=True,
)


@pytest.mark.parametrize("flags", [0, wire.REFLECTED])
@pytest.mark.parametrize("kind", [wire.ABORT, wire.SHUTDOWN_COMPLETE, wire.SACK, wire.DATA])
def test_a_packet_with_a_wrong_tag_changes_nothing(kind: int, flags: int) -> None:
    pair = make_pair()
    for tag in (0, 1, pair.ends[0].tag ^ 1):
        pair.ends[0].receive(wire.packet(PORTS, tag, wire.chunk(kind, flags, b"abcd")), pair.now)
    assert pair.states == (State.ESTABLISHED, State.ESTABLISHED)
    assert pair.poll(0) == []


def test_a_flood_of_heartbeats_and_unknown_chunks_is_answered_within_bounds() -> None:
    liar = Liar()
    for kind in (wire.HEARTBEAT, 0x7E, 0xFE):
        packets = liar.send(*([wire.chunk(kind, 0, b"abcd")] * 1000))
        assert len(kinds(packets)) <= 64


def test_an_echo_of_a_probe_that_was_not_sent_proves_nothing() -> None:
    liar = Liar()
    liar.association.probe([1404], liar.now)
    [token] = filter(None, map(probe_token, liar.association.packets(liar.now)))
    payload = liar.association.transmission.probing.payload
    for info in (b"", b"\0" * 12, token + b"\0\0\xff\xff"):
        liar.send(wire.chunk(wire.HEARTBEAT_ACK, 0, wire.parameter(wire.HEARTBEAT_INFO, info)))
    assert liar.association.transmission.probing.payload == payload


def test_the_association_of_another_peer_does_not_notice() -> None:
    pair = make_pair()
    liar = Liar()
    for tsn in range(100):
        pair.send(0, b"%d" % tsn)
        liar.data(tsn, bytes(1000), 0)
        liar.send(sack(99))
        pair.settle()
    assert pair.messages(1) == [b"%d" % tsn for tsn in range(100)]


def test_no_junk_at_all_escapes_from_an_association() -> None:
    random = Random(3)
    for turn in range(300):
        liar = Liar(Limits(window=4000, message=3000))
        liar.association.send(0, 53, bytes(9000), liar.now, Reliability(max_retransmits=turn % 3))
        for _ in range(20):
            content = random.randbytes(random.randrange(60))
            liar.send(wire.chunk(random.choice([*range(12), 14, 130, 192]), turn & 3, content))
            liar.now += random.random()
            deadline = liar.association.deadline()
            if deadline is not None and deadline <= liar.now:
                liar.association.timeout(liar.now)
