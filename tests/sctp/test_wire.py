"""Packets as bytes: what is written is read again, and junk is Malformed and nothing else."""

from __future__ import annotations

import struct

import pytest
from google_crc32c import value as crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from dcsend.sctp import wire
from dcsend.sctp.handshake import EXTENSIONS, Handshake, Peer
from dcsend.sctp.wire import Init, Malformed, Sack
from tests.sctp.ends import cookie_of

twice = settings(max_examples=2 * settings().max_examples, derandomize=True, database=None)
u32 = st.integers(0, 2**32 - 1)
u16 = st.integers(0, 2**16 - 1)


@twice
@given(
    st.builds(
        Init,
        tag=st.integers(1, 2**32 - 1),
        window=u32,
        outbound=st.integers(1, 65_535),
        inbound=st.integers(1, 65_535),
        tsn=u32,
        cookie=st.binary(max_size=80),
        extensions=st.frozensets(st.integers(0, 255), max_size=9),
        zero_checksum=st.booleans(),
    ),
    st.sampled_from([wire.INIT, wire.INIT_ACK]),
)
def test_an_init_is_read_as_it_was_written(init: Init, kind: int) -> None:
    [(got, _, value)] = wire.chunks(bytes(12) + init.encode(kind))
    assert got == kind
    assert Init.parse(value) == init


def test_an_init_has_the_format_of_the_rfc() -> None:
    init = Init(1, 2, 3, 4, 5, b"", frozenset({130, 192}), zero_checksum=True)
    expected = """
        01 00 00 26  00 00 00 01  00 00 00 02  00 03 00 04  00 00 00 05
        80 01 00 08  00 00 00 01
        c0 00 00 04
        80 08 00 06  82 c0 00 00
    """
    assert init.encode(wire.INIT) == bytes.fromhex(expected)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        bytes(15),
        struct.pack("!LLHHL", 0, 1, 1, 1, 1),
        struct.pack("!LLHHL", 1, 1, 0, 1, 1),
        struct.pack("!LLHHL", 1, 1, 1, 0, 1),
        struct.pack("!LLHHL", 1, 1, 1, 1, 1) + b"\0\1",
        struct.pack("!LLHHL", 1, 1, 1, 1, 1) + b"\0\1\0\3",
        struct.pack("!LLHHL", 1, 1, 1, 1, 1) + b"\0\1\0\5",
    ],
)
def test_an_init_that_is_none_is_malformed(value: bytes) -> None:
    with pytest.raises(Malformed):
        Init.parse(value)


def test_zero_checksums_are_only_for_the_reason_that_holds() -> None:
    fixed = struct.pack("!LLHHL", 1, 1, 1, 1, 1)
    for reason in (0, 2, 0xFFFF_FFFF):
        value = fixed + wire.parameter(wire.ZERO_CHECKSUM, reason.to_bytes(4))
        assert not Init.parse(value).zero_checksum
    assert Init.parse(fixed + wire.parameter(wire.ZERO_CHECKSUM, b"\0\0\0\1")).zero_checksum


gap_lists = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), max_size=40).map(
    lambda steps: [
        (
            sum(a + b + 1 for a, b in steps[:n]) + step[0] + 1,
            sum(a + b + 1 for a, b in steps[: n + 1]) + 1,
        )
        for n, step in enumerate(steps)
    ]
)


@pytest.mark.full
@twice
@given(u32, u32, gap_lists, st.lists(u32, max_size=16))
def test_a_sack_is_read_as_it_was_written(
    cumulative: int, window: int, gaps: list[tuple[int, int]], again: list[int]
) -> None:
    gaps = [gap for gap in gaps if gap[0] <= gap[1]]
    [(kind, _, value)] = wire.chunks(bytes(12) + wire.sack_chunk(cumulative, window, gaps, again))
    read = wire.parse_sack(value)
    assert kind == wire.SACK
    assert read == Sack(cumulative, window, read.gaps)
    assert list(read.gaps) == gaps


def test_a_sack_fits_a_packet_however_many_gaps_there_are() -> None:
    gaps = [(3 * n, 3 * n + 1) for n in range(1, 30_000)]
    chunk = wire.sack_chunk(1, 2, gaps, list(range(100)))
    assert len(chunk) <= 1300
    [(_, _, value)] = wire.chunks(bytes(12) + chunk)
    assert list(wire.parse_sack(value).gaps) == gaps[: wire.MAX_GAPS]
    assert wire.parse_sack(wire.sack_chunk(1, 2, [(2, 3), (70_000, 70_001)], ())[4:]).gaps == [
        (2, 3)
    ]


@pytest.mark.parametrize(
    "value",
    [
        bytes(11),
        bytes(13),
        struct.pack("!LLHH", 1, 1, 1, 0),
        struct.pack("!LLHHHHL", 1, 1, 1, 0, 2, 2, 0),
        struct.pack("!LLHHHH", 1, 1, 1, 0, 3, 2),
        struct.pack("!LLHHHH", 1, 1, 1, 0, 0, 2),
        struct.pack("!LLHHHHHH", 1, 1, 2, 0, 2, 4, 4, 5),
        struct.pack("!LLHH", 1, 1, 16_385, 0) + bytes(4 * 16_385),
    ],
)
def test_a_sack_that_contradicts_itself_is_malformed(value: bytes) -> None:
    with pytest.raises(Malformed):
        wire.parse_sack(value)


@twice
@given(u32, st.lists(st.tuples(u16, u16), max_size=20))
def test_a_forward_tsn_is_read_as_it_was_written(tsn: int, streams: list[tuple[int, int]]) -> None:
    [(kind, _, value)] = wire.chunks(bytes(12) + wire.forward_tsn_chunk(tsn, streams))
    assert kind == wire.FORWARD_TSN
    assert wire.parse_forward_tsn(value) == (tsn, streams)


@pytest.mark.parametrize("value", [b"", b"abc", b"abcde"])
def test_a_forward_tsn_of_a_wrong_length_is_malformed(value: bytes) -> None:
    with pytest.raises(Malformed):
        wire.parse_forward_tsn(value)


@pytest.mark.parametrize("value", [b"", b"abc", b"abcde"])
def test_a_shutdown_of_a_wrong_length_is_malformed(value: bytes) -> None:
    with pytest.raises(Malformed):
        wire.parse_shutdown(value)
    assert wire.parse_shutdown(wire.shutdown_chunk(77)[4:]) == 77


@twice
@given(
    st.lists(
        st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=40)), max_size=6
    )
)
def test_chunks_of_a_packet_are_read_as_they_were_written(
    chunks: list[tuple[int, int, bytes]],
) -> None:
    packet = wire.packet((1, 2), 3, b"".join(wire.chunk(*chunk) for chunk in chunks))
    assert list(wire.chunks(packet)) == chunks
    assert len(packet) % 4 == 0
    assert wire.has_checksum(packet)


def test_the_last_chunk_may_come_without_its_padding() -> None:
    assert list(wire.chunks(bytes(12) + b"\7\0\0\5x")) == [(7, 0, b"x")]


@pytest.mark.parametrize("tail", [b"\0", b"\0\0\0", b"\0\0\0\3", b"\0\0\0\5", b"\0\0\xff\xff"])
def test_a_chunk_whose_length_is_wrong_is_malformed_after_those_before(tail: bytes) -> None:
    reader = wire.chunks(bytes(12) + wire.chunk(9, 0, b"good") + tail)
    assert next(reader) == (9, 0, b"good")
    with pytest.raises(Malformed):
        next(reader)


@twice
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    for parse in (
        Init.parse,
        wire.parse_sack,
        wire.parse_forward_tsn,
        wire.parse_shutdown,
        lambda value: list(wire.parameters(value)),
        lambda value: list(wire.chunks(value)),
    ):
        try:
            parse(data)
        except Malformed as exc:
            assert str(exc)  # noqa: PT017 - there need not be one


@twice
@given(st.binary(min_size=16, max_size=60), st.data())
def test_one_flipped_bit_makes_a_checksum_wrong(content: bytes, data: st.DataObject) -> None:
    packet = bytearray(wire.packet((5000, 5000), 1, content))
    assert wire.has_checksum(bytes(packet))
    bit = data.draw(st.integers(0, len(packet) * 8 - 1))
    packet[bit // 8] ^= 1 << bit % 8
    assert not wire.has_checksum(bytes(packet))


def test_the_checksum_is_that_of_the_rfc() -> None:
    # CRC-32C of "123456789" is 0xE3069283.
    assert crc32c(b"123456789") == 0xE3069283
    assert wire.packet((0, 0), 0, b"")[8:] == crc32c(bytes(12)).to_bytes(4, "little")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_data_is_padded_and_its_length_does_not_count_that(size: int) -> None:
    chunk = wire.data_chunk(3, 1, 2, 3, 4, b"x" * size)
    assert len(chunk) % 4 == 0
    assert int.from_bytes(chunk[2:4]) == 16 + size


# The handshake's own part


@twice
@given(
    st.builds(
        Peer,
        tag=st.integers(1, 2**32 - 1),
        tsn=u32,
        window=u32,
        streams=st.integers(1, 65_535),
        zero_checksum=st.booleans(),
        forward_tsn=st.booleans(),
        re_config=st.booleans(),
        bulk_extension=st.booleans(),
    )
)
def test_a_cookie_holds_all_of_a_peer(peer: Peer) -> None:
    handshake = Handshake(1000, zero_checksum=True)
    cookie = cookie_of(handshake.init_ack(peer))
    assert handshake.open_cookie(cookie) == peer
    assert Handshake(1000, zero_checksum=True).open_cookie(cookie) is None


@pytest.mark.parametrize("zero_checksum", [False, True])
def test_an_init_lists_the_extensions(zero_checksum: bool) -> None:
    handshake = Handshake(2**40, zero_checksum=zero_checksum, tsn=0xFFFFFFFF)
    [(_, _, value)] = wire.chunks(bytes(12) + handshake.init())
    init = Init.parse(value)
    assert (init.tsn, init.window, init.tag) == (0xFFFFFFFF, 0xFFFFFFFF, handshake.tag)
    assert init.extensions == EXTENSIONS
    assert init.zero_checksum is zero_checksum
    peer = Peer.of(init)
    assert peer.forward_tsn
    assert peer.re_config
    assert peer.bulk_extension
    assert wire.PART in init.extensions


def test_tags_and_tsns_are_random_and_a_tag_is_never_zero() -> None:
    ours = [Handshake(1, zero_checksum=True) for _ in range(50)]
    assert len({handshake.tag for handshake in ours}) == 50
    assert len({handshake.tsn for handshake in ours}) == 50
    assert all(0 < handshake.tag <= 0xFFFFFFFF for handshake in ours)
