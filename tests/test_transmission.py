"""What we send over aiortc's association: whole whatever is lost, in packets that fit the path."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from typing import cast

import pytest
from aiortc import RTCSctpTransport
from aiortc.rtcsctptransport import HeartbeatAckChunk
from dcsend.engines.association import GuardedSctp
from dcsend.engines.transmission import BASE_PAYLOAD

from dcsend.engines.aiortc import AiortcConnection
from dcsend.engines.base import Connection
from tests.peers import Published, Relay, published, transfer, until

LARGEST = 1404
"Payload in packets of 1500 bytes, over IPv4."
AROUND = 12 + 16 + 37
"Bytes of SCTP and DTLS in a datagram with so much payload."


@pytest.fixture
async def here() -> AsyncIterator[Published]:
    async with published() as listener:
        yield listener


@pytest.fixture
async def relay(here: Published) -> AsyncIterator[Relay]:
    async with Relay.open(here.number) as between:
        yield between


def association(connection: Connection) -> GuardedSctp:
    return cast(AiortcConnection, connection)._sctp


def is_dtls(data: bytes) -> bool:
    return 20 <= data[0] <= 63


async def test_packets_grow_to_what_the_path_takes(here: Published, relay: Relay) -> None:
    dialer, listener = await here.pair_over(relay)
    await until(lambda: association(dialer).payload == LARGEST)
    del relay.seen[:]
    await transfer(dialer, listener, 20)
    assert max(map(len, relay.seen)) == LARGEST + AROUND


@pytest.mark.parametrize(
    ("most", "payload"), [(1452, 1324), (1400, 1324), (1389, 1324), (1388, None), (1232, None)]
)
async def test_packets_stay_below_what_the_path_swallows(
    here: Published, relay: Relay, most: int, payload: int | None
) -> None:
    swallowed: list[int] = []

    def passes(data: bytes) -> bool:
        if len(data) > most:
            swallowed.append(len(data))
        return len(data) <= most

    relay.passes = passes
    dialer, listener = await here.pair_over(relay)
    sender = association(dialer)
    if payload is not None:
        await until(lambda: sender.payload == payload)
    await transfer(dialer, listener, 20)
    # Nothing but probes was lost: those of three sizes, three times, each way.
    assert len(swallowed) <= 2 * 9
    assert sender.payload == (payload or BASE_PAYLOAD)


async def test_lost_probes_are_sent_again(here: Published, relay: Relay) -> None:
    probes = itertools.count()
    # The first try of both sides.
    relay.passes = lambda data: len(data) < 1300 or next(probes) >= 6
    dialer, _ = await here.pair_over(relay)
    await until(lambda: association(dialer).payload == LARGEST)


async def test_peer_can_not_have_sizes_that_were_not_probed(here: Published) -> None:
    dialer, listener = await here.pair()
    sender = association(dialer)
    await until(lambda: sender.payload == LARGEST)
    for info in (sender._token + (60_000).to_bytes(4), sender._token, b"", bytes(12)):
        lie = HeartbeatAckChunk()
        lie.params = [(1, info)]
        await sender._receive_chunk(lie)
    assert sender.payload == LARGEST
    await transfer(dialer, listener, 3)


def every(number: int, of: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """Let through all but each so manyth of some datagrams."""
    count = itertools.count(1)
    return lambda data: not of(data) or next(count) % number != 0


@pytest.mark.parametrize("number", [7, 50, 301])
async def test_everything_arrives_whatever_is_lost(
    here: Published, relay: Relay, number: int
) -> None:
    dialer, listener = await here.pair_over(relay)
    relay.passes = every(number, is_dtls)
    await transfer(dialer, listener, 30)
    await transfer(listener, dialer, 30)


async def test_lost_packet_among_others_waits_for_no_timer(
    here: Published, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialer, listener = await here.pair_over(relay)
    await transfer(dialer, listener, 5)
    expired: list[object] = []
    monkeypatch.setattr(RTCSctpTransport, "_t3_expired", expired.append)
    large = itertools.count()
    relay.passes = lambda data: not (is_dtls(data) and len(data) > 1000 and next(large) == 60)
    await transfer(dialer, listener, 5)
    assert not expired


async def test_lost_last_packet_is_sent_again_soon(here: Published, relay: Relay) -> None:
    dialer, listener = await here.pair_over(relay)
    await transfer(dialer, listener, 5)
    assert 0.3 <= association(dialer)._rto < 1.0
    lost: list[bytes] = []

    def passes(data: bytes) -> bool:
        if len(data) > 500 and is_dtls(data) and not lost:
            lost.append(data)
            return False
        return True

    relay.passes = passes
    dialer.channels["data"].send(bytes(600))
    assert await listener.channels["data"].receive() == bytes(600)
    assert lost


async def test_timer_backs_off_while_nothing_comes_back(here: Published, relay: Relay) -> None:
    """Else a path whose round trip has grown beyond it would expire each packet for ever."""
    dialer, listener = await here.pair_over(relay)
    await transfer(dialer, listener, 2)
    sender = association(dialer)
    await until(lambda: sender.drained)
    before = sender._rto
    relay.passes = lambda data: not is_dtls(data)
    dialer.channels["data"].send(b"lost")
    await until(lambda: sender._rto >= 4 * before)
    relay.passes = lambda data: True
    assert await listener.channels["data"].receive() == b"lost"
    dialer.channels["data"].send(b"measured anew")
    await until(lambda: sender.drained and sender._rto < 1.0)


async def test_timer_has_an_upper_limit_whatever_a_clock_says(here: Published) -> None:
    dialer, _ = await here.pair()
    association(dialer)._update_rto(3600.0)
    assert association(dialer)._rto == 60.0


async def test_damaged_acknowledgement_counts_nothing(here: Published) -> None:
    dialer, listener = await here.pair()
    await transfer(dialer, listener, 2)
    sender = association(dialer)
    await until(lambda: sender.drained)
    before = sender._last_sacked_tsn
    later = (before + 5).to_bytes(4)
    tag = sender._local_verification_tag.to_bytes(4)
    sack = bytes(4) + tag + bytes(4) + bytes([3, 0, 0, 16]) + later + bytes(8)
    await sender._handle_data(sack)
    assert sender._last_sacked_tsn == before
