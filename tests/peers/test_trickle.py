"""Short codes: two sides that exchange candidates one by one. Real sockets, on loopback."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dcsend.description import Candidate, CandidateType
from dcsend.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    LocalProtocolError,
    UsageError,
)
from dcsend.net.udp import UdpPort
from dcsend.peers import candidates, diagnosis, gathering, trickle
from dcsend.peers.offer_answer import Servers
from dcsend.peers.situations import NatMapping, Network, Udp
from tests.ice.test_stun import response
from tests.support.peers import (
    LOCAL,
    UdpClient,
    has_ipv6,
    published,
    transfer,
    until,
)
from tests.support.trickling import allocating, both, joining, without_candidates

pytestmark = pytest.mark.usefixtures("nothing_raised")

HOST, MAPPED = CandidateType.HOST, CandidateType.SERVER_REFLEXIVE


def at(port: int, host: str = LOCAL, type: CandidateType = HOST) -> Candidate:
    """Return a candidate."""
    return Candidate(type, host, port, 2_130_706_431)


async def test_joiner_and_allocator_connect_and_the_listener_accepts_that_connection() -> None:
    async with published() as here, joining() as joiner:
        allocator = await allocating(here)
        async with both(joiner, allocator) as ends:
            assert await here.accepting is ends.allocator
            assert ends.allocator.route.remote == LOCAL
            assert here.listener.check_arrived
            await transfer(ends.joiner, ends.allocator, 3)
            await transfer(ends.allocator, ends.joiner, 3)


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6")
async def test_the_address_that_works_is_used_of_several_ones() -> None:
    async with published() as here, joining(addresses=["198.51.100.1", "::1"]) as joiner:
        allocator = await allocating(here, addresses=["198.51.100.2", "::1"])
        async with both(joiner, allocator) as ends:
            assert {end.route.family for end in (ends.joiner, ends.allocator)} == {"IPv6"}


async def test_description_has_what_is_known_and_mapped_addresses_follow_it() -> None:
    async with UdpClient.open() as server:
        servers = Servers(stun=[server.address], timeout=100)
        async with joining(servers) as joiner:
            offer = joiner.describe()
            assert {one.type for one in offer.candidates} == {HOST}
            await until(lambda: bool(server.received))
            server.answer = lambda request: response(request, ("198.51.100.7", 40_000))
            found = [(one.type, one.host, one.port) async for one in joiner.outgoing()]
            assert found == [(MAPPED, "198.51.100.7", 40_000)]


async def test_stun_servers_are_queried_while_aiortc_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with UdpClient.open() as server:
        server.answer = lambda request: response(request, ("198.51.100.7", 40_000))

        async def load() -> None:
            await until(lambda: bool(server.received))

        monkeypatch.setattr(trickle, "load_aiortc", load)
        async with asyncio.timeout(30), joining(Servers(stun=[server.address])) as joiner:
            await until(lambda: bool(joiner.facts().mapped))


async def test_failure_to_load_aiortc_closes_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    async def load() -> None:
        raise ImportError("aiortc")

    async with UdpClient.open() as other:
        number = other.address[1]
    monkeypatch.setattr(trickle, "load_aiortc", load)
    with pytest.raises(ImportError):
        async with joining(port=number):
            pass
    await (await UdpPort.open(number)).close()


async def test_description_that_comes_after_a_stun_response_has_the_mapped_address() -> None:
    async with UdpClient.open() as server:
        server.answer = lambda request: response(request, ("198.51.100.7", 40_000))
        async with joining(Servers(stun=[server.address])) as joiner:
            await until(lambda: bool(joiner.facts().mapped))
            assert MAPPED in {one.type for one in joiner.describe().candidates}
            assert [one async for one in joiner.outgoing()] == []


async def test_joiner_keeps_a_port_that_was_chosen() -> None:
    async with UdpClient.open() as other:
        number = other.address[1]
    async with joining(port=number) as joiner:
        assert [one.port for one in joiner.describe().candidates] == [number]


async def test_allocator_has_the_mapped_addresses_of_its_listener() -> None:
    async with UdpClient.open() as server:
        server.answer = lambda request: response(request, ("198.51.100.7", 40_000))
        async with published(stun_servers=[server.address]) as here, joining() as joiner:
            await here.listener.mapped.query(5)
            count = len(server.received)
            allocator = await allocating(here, Servers(stun=[server.address]), addresses=())
            answer = allocator.describe(joiner.describe())
            assert MAPPED in {one.type for one in answer.candidates}
            assert {one.port for one in answer.candidates if one.type is HOST} == {here.number}
            assert len(server.received) == count


async def test_allocator_queries_stun_if_its_listener_has_no_mapped_address() -> None:
    async with UdpClient.open() as server, published() as here, joining() as joiner:
        server.answer = lambda request: response(request, ("198.51.100.7", 40_000))
        allocator = await allocating(here, Servers(stun=[server.address]), addresses=())
        allocator.describe(joiner.describe())
        assert [one.type async for one in allocator.outgoing()] == [MAPPED]
        assert {source[1] for _, source in server.received} == {here.number}


async def test_candidates_that_arrive_before_the_description_are_used() -> None:
    async with published() as here, joining() as joiner:
        allocator = await allocating(here)
        offer = joiner.describe()
        answer = allocator.describe(offer)
        for candidate in answer.candidates:
            await joiner.add(candidate)
        joiner.end()
        ends = await asyncio.gather(
            joiner.establish(without_candidates(answer), timeout=30),
            allocator.establish(without_candidates(offer), timeout=30),
        )
        await ends[0].close()


@pytest.mark.parametrize("late", ["joiner", "allocator"])
async def test_candidates_of_one_side_that_arrive_while_it_connects_are_enough(late: str) -> None:
    async with published() as here, joining() as joiner:
        allocator = await allocating(here)
        offer = joiner.describe()
        answer = allocator.describe(offer)
        connecting = asyncio.gather(
            joiner.establish(without_candidates(answer), timeout=30),
            allocator.establish(without_candidates(offer), timeout=30),
        )
        for one in (joiner, allocator):
            await until(lambda one=one: one.ice.connection.remote_password is not None)  # type: ignore[misc]
        side, theirs = (joiner, answer) if late == "joiner" else (allocator, offer)
        await side.add(theirs.candidates[0])
        ends = await connecting
        await ends[0].close()


async def test_candidates_after_the_end_and_above_the_limit_are_ignored() -> None:
    async with UdpClient.open() as client, joining() as joiner:
        for port in range(1, gathering.MAX_REMOTE + 1):
            await joiner.add(at(port, "192.0.2.1"))
        await joiner.add(at(client.address[1]))
        assert len(joiner.facts().theirs) == gathering.MAX_REMOTE
    async with joining() as joiner:
        joiner.end()
        await joiner.add(at(9))
        assert joiner.facts().theirs == ()


async def test_more_addresses_than_a_description_has_room_for_are_trickled() -> None:
    hosts = [f"127.0.0.{number}" for number in range(1, 12)]
    async with joining(addresses=hosts) as joiner:
        described = [one.host for one in joiner.describe().candidates]
        trickled = [one.host async for one in joiner.outgoing()]
        assert len(described) == gathering.MAX_DESCRIBED
        assert described + trickled == hosts


async def test_local_names_are_resolved_whenever_they_arrive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def resolve(names, found):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        for name in names:
            await found(name, LOCAL)

    monkeypatch.setattr(candidates, "resolve", resolve)
    async with published() as here, joining() as joiner:
        allocator = await allocating(here)
        offer = joiner.describe()
        answer = allocator.describe(offer)
        connecting = asyncio.gather(
            joiner.establish(without_candidates(answer), timeout=30),
            allocator.establish(without_candidates(offer), timeout=30),
        )
        await joiner.add(at(here.number, "2ee1.local"))
        ends = await connecting
        await ends[0].close()


# No connection


async def test_failure_comes_only_when_the_candidates_of_both_sides_are_complete() -> None:
    async with published() as here, joining() as joiner, UdpClient.open() as silent:
        allocator = await allocating(here)
        answer = allocator.describe(joiner.describe())
        theirs = without_candidates(answer)
        attempt = asyncio.create_task(joiner.establish(theirs, timeout=100, patience=0.01))
        await joiner.add(at(silent.address[1]))
        await until(lambda: len(silent.received) > 3 or attempt.done())
        assert not attempt.done()
        joiner.end()
        with pytest.raises(ConnectionFailed, match="no answer from 127"):
            await attempt


async def test_failure_comes_at_the_timeout_if_the_end_of_candidates_never_arrives() -> None:
    async with published() as here, joining() as joiner, UdpClient.open() as silent:
        answer = (await allocating(here)).describe(joiner.describe())
        theirs = replace(answer, candidates=(at(silent.address[1]),))
        with pytest.raises(ConnectionFailed):
            await joiner.establish(theirs, timeout=0.05)


async def test_peer_without_any_candidate_in_reach_is_no_reason_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(diagnosis, "has_route", lambda host: False)
    async with published() as here, joining() as joiner:
        answer = (await allocating(here)).describe(joiner.describe())
        theirs = replace(answer, candidates=(at(9, "240.0.0.1"),))
        joiner.end()
        with pytest.raises(ConnectionFailed, match="no route to 240"):
            async with asyncio.timeout(60):
                await joiner.establish(theirs, timeout=200, patience=200)


async def test_error_has_how_the_networks_of_both_sides_behave() -> None:
    async with UdpClient.open() as one, UdpClient.open() as two, UdpClient.open() as silent:
        one.answer = response
        two.answer = lambda request: response(request, ("198.51.100.7", 40_001))
        servers = Servers(stun=[one.address], diagnosing=[one.address, two.address])
        async with published() as here, joining(servers) as joiner:
            answer = (await allocating(here)).describe(joiner.describe())
            theirs = replace(answer, candidates=(at(silent.address[1]),))
            joiner.end()
            joiner.set_network(Network(NatMapping.ENDPOINT_INDEPENDENT, Udp.WORKS))
            asked = asyncio.create_task(joiner.network())
            with pytest.raises(ConnectionFailed):
                await joiner.establish(theirs, timeout=150, patience=0.03)
            assert await asked == Network(NatMapping.ADDRESS_DEPENDENT, Udp.WORKS)
            assert joiner.facts().there == Network(NatMapping.ENDPOINT_INDEPENDENT, Udp.WORKS)


async def test_peer_with_another_certificate_is_refused() -> None:
    async with published() as here, joining() as joiner:
        allocator = await allocating(here)
        offer = joiner.describe()
        answer = replace(allocator.describe(offer), fingerprint=bytes(32))
        waiting = asyncio.create_task(allocator.establish(offer, timeout=30))
        with pytest.raises(AuthenticationFailed):
            await joiner.establish(answer, timeout=30)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait({waiting})
        assert not here.accepting.done()
        await here.pair()


async def test_cancelled_attempt_leaves_nothing_on_the_port_of_the_listener() -> None:
    async with published() as here, joining() as joiner, UdpClient.open() as silent:
        allocator = await allocating(here)
        allocator.describe(joiner.describe())
        theirs = replace(joiner.describe(), candidates=(at(silent.address[1]),))
        attempt = asyncio.create_task(allocator.establish(theirs, timeout=100))
        await until(lambda: bool(silent.received))
        attempt.cancel()
        await asyncio.wait({attempt})
        assert attempt.cancelled()
        assert not here.listener.dials
        assert here.listener.port.routed(silent.address) is None
        await allocator.add(at(silent.address[1]))
        assert here.listener.port.routed(silent.address) is None
        await here.pair()


async def test_relay_only_without_a_relay_is_a_mistake_of_the_user() -> None:
    async with joining(relay_only=True) as joiner:
        with pytest.raises(UsageError, match="relay"):
            joiner.describe()


async def test_servers_that_come_after_the_end_of_candidates_are_an_error() -> None:
    async with joining() as joiner:
        joiner.describe()
        with pytest.raises(LocalProtocolError):
            joiner.allocate([])
