"""What others are asked after a failure: STUN servers and closed ports, real ones, on loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from dcsend.net.address import Address
from dcsend.net.udp import UdpPort
from dcsend.peers import diagnosis
from dcsend.peers.diagnosis import Diagnosis, local_facts
from dcsend.peers.situations import Facts, RemoteAddress, Role
from dcsend.settings import Settings
from tests.ice.test_stun import response
from tests.support.load import Stopwatch
from tests.support.peers import UdpClient

NEAR = RemoteAddress("192.0.2.9", 40_000)
LOOPBACK_ICMP = 0.1
"Seconds; loopback delivers an ICMP message before `sendto` returns."


@pytest.fixture
async def port() -> AsyncIterator[UdpPort]:
    """Give the port from which a connection was tried."""
    opened = await UdpPort.open()
    yield opened
    await opened.close()


async def found(
    port: UdpPort,
    *servers: Address,
    theirs: RemoteAddress = NEAR,
    tcp_port: int = diagnosis.TCP_PORT,
) -> Facts:
    """Return the facts after a diagnosis."""
    asking = Diagnosis(port, servers, tcp_port=tcp_port, icmp=LOOPBACK_ICMP)

    def received(data: bytes, source: Address) -> None:
        asking.received(data, source)

    port.route_unknown(received)
    return await asking.complete(local_facts(Role.DIALER, [theirs]))


@pytest.mark.full
async def test_each_server_reports_what_it_sees_of_the_one_port(port: UdpPort) -> None:
    async with UdpClient.open() as one, UdpClient.open() as two:
        one.answer = response
        two.answer = lambda request: response(request, ("198.51.100.7", 40_001))
        facts = await found(port, one.address, two.address)
        assert set(facts.mapped) == {("198.51.100.7", 40_000), ("198.51.100.7", 40_001)}
        assert facts.is_symmetric
        assert {source[1] for server in (one, two) for _, source in server.received} == {port.port}


@pytest.mark.full
async def test_servers_that_are_there_but_do_not_answer_over_udp_are_found_by_tcp(
    port: UdpPort,
) -> None:
    async with UdpClient.open() as one, UdpClient.open() as two:
        with socket.create_server(one.address):
            facts = await found(port, one.address, two.address, tcp_port=9)
    assert (facts.is_silent, facts.tcp, len(facts.servers)) == (True, True, 2)


@pytest.mark.full
async def test_server_that_answers_is_not_tried_by_tcp(port: UdpPort) -> None:
    async with UdpClient.open() as server:
        server.answer = response
        with socket.create_server(server.address) as listening:
            facts = await found(port, server.address)
            listening.setblocking(False)
            with pytest.raises(BlockingIOError):
                listening.accept()
    assert not facts.tcp


@pytest.mark.full
async def test_server_without_an_address_takes_no_longer_than_the_limit(port: UdpPort) -> None:
    watch = Stopwatch()
    facts = await found(port, ("no-such-name.invalid", 3478))
    assert (facts.tcp, facts.mapped) == (False, ())
    watch.assert_within(diagnosis.LIMIT + 1)


def test_reason_of_a_failed_attempt_is_found_within_twenty_seconds() -> None:
    assert Settings().connect_timeout + diagnosis.LIMIT < 20


async def test_no_server_is_asked_if_none_is_named(port: UdpPort) -> None:
    facts = await found(port)
    assert (facts.servers, facts.mapped, facts.tcp) == ((), (), False)


async def test_port_that_is_closed_is_noticed(port: UdpPort) -> None:
    async with UdpClient.open() as gone:
        place = RemoteAddress(*gone.address)
    facts = await found(port, theirs=place)
    assert facts.closed == {place.host}


async def test_relayed_address_is_not_probed(port: UdpPort) -> None:
    async with UdpClient.open() as gone:
        place = RemoteAddress(*gone.address, relayed=True)
    facts = await found(port, theirs=place)
    assert facts.closed == frozenset()


async def test_port_that_is_open_gets_nothing_that_has_an_effect(port: UdpPort) -> None:
    async with UdpClient.open() as there:
        facts = await found(port, theirs=RemoteAddress(*there.address))
        assert facts.closed == frozenset()
        assert [data[:2] for data, _ in there.received] == [b"\x00\x11"]  # an indication


def test_this_machine_is_known_by_its_networks_and_without_loopback() -> None:
    facts = local_facts(Role.LISTENER, [])
    assert all(not one.ip.is_loopback for one in facts.own)
