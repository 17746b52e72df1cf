"""Transfers over a real relay: complete whatever is lost, in packets that fit the path.

How the association recovers is tested by the step in tests/sctp; here are sockets and a clock.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable

import pytest

from dcsend.peers.transfer import TransferConnection
from dcsend.sctp import wire
from dcsend.sctp.probing import BASE_PAYLOAD, MAX_STANDARD_PAYLOAD, payloads
from dcsend.sctp.transmission import Transmission
from tests.sctp.ends import probe_token
from tests.support.aiortc_sctp import aiortc_peer
from tests.support.peers import (
    NotingConnection,
    Published,
    Relay,
    ethernet,
    over_mtu,
    published,
    transfer,
    until,
)

LARGEST = 1404
"Payload in packets of 1500 bytes, over IPv4."
AROUND = 12 + 16 + 37
"Bytes of SCTP and DTLS in a datagram with so much payload."


@pytest.fixture
async def here() -> AsyncIterator[Published]:
    async with published(ethernet) as listener:
        yield listener


@pytest.fixture
async def relay(here: Published) -> AsyncIterator[Relay]:
    async with Relay.open(here.number) as between:
        yield between


def sending(connection: TransferConnection) -> Transmission:
    return connection.sctp.association.transmission


def payload(connection: TransferConnection) -> int:
    return sending(connection).probing.payload


def is_dtls(data: bytes) -> bool:
    return 20 <= data[0] <= 63


@pytest.mark.full
async def test_packets_grow_to_what_the_path_takes(here: Published, relay: Relay) -> None:
    dialer, listener = await here.pair_over(relay, ethernet)
    await until(lambda: payload(dialer) == LARGEST)
    del relay.seen[:]
    await transfer(dialer, listener, 20)
    assert max(map(len, relay.seen)) == LARGEST + AROUND


async def test_packets_of_loopback_are_as_long_as_a_record_can_be() -> None:
    make = over_mtu(65_536)
    async with published(make) as here:
        dialer, listener = await here.pair(make=make)
        for one, other in ((dialer, listener), (listener, dialer)):
            await until(lambda one=one: payload(one) == 16_384 - 12 - 16)  # type: ignore[misc]
            await transfer(one, other, 20)


@pytest.mark.full
@pytest.mark.parametrize(
    ("most", "largest"), [(1452, 1324), (1400, 1324), (1389, 1324), (1388, None), (1232, None)]
)
async def test_packets_stay_below_what_the_path_swallows(
    here: Published, relay: Relay, most: int, largest: int | None
) -> None:
    swallowed: list[int] = []

    def passes(data: bytes) -> bool:
        if len(data) > most:
            swallowed.append(len(data))
        return len(data) <= most

    relay.passes = passes
    dialer, listener = await here.pair_over(relay, ethernet)
    if largest is not None:
        await until(lambda: payload(dialer) == largest)
    await transfer(dialer, listener, 20)
    # Nothing but probes was lost: those of three sizes, three times, each way.
    assert len(swallowed) <= 2 * 9
    assert payload(dialer) == (largest or BASE_PAYLOAD)


@pytest.mark.full
async def test_lost_probes_are_sent_again(here: Published, relay: Relay) -> None:
    probes = itertools.count()
    # The first try of both sides.
    relay.passes = lambda data: len(data) < 1300 or next(probes) >= 6
    dialer, _ = await here.pair_over(relay, ethernet)
    await until(lambda: payload(dialer) == LARGEST)


async def test_peer_can_not_have_sizes_that_were_not_probed() -> None:
    async with published(NotingConnection) as here:
        dialer, listener = await here.pair(make=ethernet)
        await until(lambda: payload(dialer) == LARGEST)
        assert isinstance(listener, NotingConnection)
        token = next(filter(None, map(probe_token, listener.arrived)))
        tag = dialer.sctp.association.tag
        for info in (token + (60_000).to_bytes(4), token, b"", bytes(12)):
            lie = wire.chunk(wire.HEARTBEAT_ACK, 0, wire.parameter(wire.HEARTBEAT_INFO, info))
            listener.dtls.send_packets([wire.packet((5000, 5000), tag, lie)])
        await transfer(listener, dialer, 1)
        assert payload(dialer) == LARGEST
        await transfer(dialer, listener, 3)


@pytest.mark.full
async def test_aiortc_gets_no_packets_beyond_those_of_an_ethernet() -> None:
    """It reads 1500 bytes of a record, and the rest in place of the next one."""
    assert MAX_STANDARD_PAYLOAD in payloads(65_536, is_ipv6=False)
    async with published(aiortc_peer) as here, Relay.open(here.number) as relay:
        dialer, listener = await here.pair_over(relay, over_mtu(65_536))
        await until(lambda: payload(dialer) == MAX_STANDARD_PAYLOAD)
        await transfer(dialer, listener, 20)
        assert max(map(len, relay.seen)) == MAX_STANDARD_PAYLOAD + AROUND


@pytest.mark.full
async def test_a_path_that_takes_less_in_mid_transfer_gets_smaller_packets(
    here: Published, relay: Relay
) -> None:
    dialer, listener = await here.pair_over(relay, ethernet)
    await until(lambda: payload(dialer) == LARGEST)
    relay.passes = lambda data: len(data) <= BASE_PAYLOAD + AROUND
    await transfer(dialer, listener, 20)
    assert sending(dialer).retransmitted
    assert payload(dialer) == BASE_PAYLOAD


def every(number: int, of: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """Let through all but each so manyth of some datagrams."""
    count = itertools.count(1)
    return lambda data: not of(data) or next(count) % number != 0


@pytest.mark.full
@pytest.mark.parametrize("number", [7, 50, 301])
async def test_everything_arrives_whatever_is_lost(
    here: Published, relay: Relay, number: int
) -> None:
    dialer, listener = await here.pair_over(relay, ethernet)
    relay.passes = every(number, is_dtls)
    await transfer(dialer, listener, 30)
    await transfer(listener, dialer, 30)


async def test_lost_packet_among_others_waits_for_no_timer(here: Published, relay: Relay) -> None:
    dialer, listener = await here.pair_over(relay, ethernet)
    await transfer(dialer, listener, 5)
    sender = sending(dialer)
    before = sender.retransmitted
    large = itertools.count()
    relay.passes = lambda data: not (is_dtls(data) and len(data) > 1000 and next(large) == 60)
    await transfer(dialer, listener, 5)
    assert sender.retransmitted > before
    assert sender.timeouts == sender.round_trip.backoff == 0


@pytest.mark.full
async def test_lost_last_packet_is_sent_again_soon(here: Published, relay: Relay) -> None:
    dialer, listener = await here.pair_over(relay, ethernet)
    await transfer(dialer, listener, 5)
    assert 0.3 <= sending(dialer).round_trip.timeout < 1.0
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


@pytest.mark.full
async def test_timer_backs_off_while_nothing_comes_back(here: Published, relay: Relay) -> None:
    """Otherwise each packet would expire on a path whose round trip is longer than the timer."""
    dialer, listener = await here.pair_over(relay, ethernet)
    await transfer(dialer, listener, 2)
    round_trip = sending(dialer).round_trip
    await until(lambda: dialer.sctp.is_drained)
    before = round_trip.timeout
    relay.passes = lambda data: not is_dtls(data)
    dialer.channels["data"].send(b"lost")
    await until(lambda: round_trip.timeout >= 4 * before)
    relay.passes = lambda data: True
    assert await listener.channels["data"].receive() == b"lost"
    dialer.channels["data"].send(b"measured anew")
    await until(lambda: dialer.sctp.is_drained and round_trip.timeout < 1.0)
