"""What is around chunks: whose packets are taken, and how ours are packed."""

from __future__ import annotations

import pytest

from dcsend.sctp import wire
from dcsend.sctp.framing import Framing
from dcsend.sctp.probing import BASE_PAYLOAD
from tests.sctp.ends import kinds

PORTS = (5000, 6000)
THEIRS = (6000, 5000)
TAG, PEER_TAG = 7, 9
DATA = wire.data_chunk(3, 0, 0, 0, 53, b"x")


def framing(*, zero_checksum: bool = True, met: bool = True, checksums: bool = False) -> Framing:
    """Return the framing of one side, after the handshake."""
    one = Framing(PORTS, TAG, zero_checksum=zero_checksum)
    if met:
        one.set_peer(PEER_TAG, checksums=checksums)
    return one


def test_a_packet_with_our_ports_tag_and_checksum_is_taken() -> None:
    assert framing().accepts(wire.packet(THEIRS, TAG, DATA))


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        bytes(15),
        wire.packet(PORTS, TAG, DATA),
        wire.packet((6000, 5001), TAG, DATA),
        wire.packet((6001, 5000), TAG, DATA),
        wire.packet(THEIRS, TAG + 1, DATA),
        wire.packet(THEIRS, PEER_TAG, DATA),
        wire.packet(THEIRS, 0, DATA),
        wire.packet(THEIRS, TAG, DATA)[:-1] + b"\1",
    ],
)
def test_a_packet_that_is_not_ours_or_broken_is_not(packet: bytes) -> None:
    assert not framing().accepts(packet)


def test_a_checksum_may_be_missing_only_if_it_was_offered() -> None:
    packet = wire.packet(THEIRS, TAG, DATA, checksum=False)
    assert framing(zero_checksum=True).accepts(packet)
    assert not framing(zero_checksum=False).accepts(packet)


@pytest.mark.parametrize("kind", [wire.INIT, wire.COOKIE_ECHO])
def test_what_begins_an_association_always_needs_its_checksum(kind: int) -> None:
    tag = 0 if kind == wire.INIT else TAG
    assert framing().accepts(wire.packet(THEIRS, tag, wire.chunk(kind, 0)))
    assert not framing().accepts(wire.packet(THEIRS, tag, wire.chunk(kind, 0), checksum=False))


@pytest.mark.parametrize("kind", [wire.ABORT, wire.SHUTDOWN_COMPLETE])
def test_a_reflected_tag_is_the_peers_and_needs_its_flag(kind: int) -> None:
    for flags, tag, met, taken in (
        (wire.REFLECTED, PEER_TAG, True, True),
        (0, PEER_TAG, True, False),
        (wire.REFLECTED, PEER_TAG + 1, True, False),
        (wire.REFLECTED, 0, False, False),
        (wire.REFLECTED, PEER_TAG, False, False),
    ):
        packet = wire.packet(THEIRS, tag, wire.chunk(kind, flags))
        assert framing(met=met).accepts(packet) is taken
    packet = wire.packet(THEIRS, PEER_TAG, wire.chunk(wire.DATA, wire.REFLECTED))
    assert not framing().accepts(packet)


@pytest.mark.parametrize("checksums", [False, True])
def test_sent_packets_have_the_peers_tag_and_a_checksum_if_it_requires_one(checksums: bool) -> None:
    one = framing(checksums=checksums)
    for packet in (*one.packets([DATA]), *one.bundle([DATA])):
        assert wire.COMMON.unpack_from(packet)[:3] == (*PORTS, PEER_TAG)
        assert (packet[8:12] != bytes(4)) is checksums
        assert packet[12:] == DATA
        if checksums:
            assert wire.has_checksum(packet)


def test_chunks_share_packets_that_every_path_takes() -> None:
    chunk = wire.chunk(wire.HEARTBEAT_ACK, 0, bytes(300))
    packets = framing().bundle([chunk] * 10)
    assert len(packets) == 4
    assert kinds(packets) == [wire.HEARTBEAT_ACK] * 10
    assert all(len(packet) <= 12 + BASE_PAYLOAD for packet in packets)


def test_a_chunk_larger_than_that_has_a_packet_of_its_own() -> None:
    large = wire.chunk(wire.HEARTBEAT_ACK, 0, bytes(4000))
    packets = framing().bundle([DATA, large, DATA])
    assert [len(kinds([packet])) for packet in packets] == [1, 1, 1]
