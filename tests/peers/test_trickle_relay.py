"""Short codes with relays: coturn, and two sides on loopback whose direct path can be blocked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dcsend.description import Candidate, CandidateType
from dcsend.errors import ConnectionFailed
from dcsend.ice.endpoint import IceEndpoint
from dcsend.ice.stun import is_binding_request
from dcsend.ice.turn_server import TurnServer, parse_turn
from dcsend.net.address import Address
from dcsend.net.udp import UdpPort
from dcsend.peers import trickle
from dcsend.peers.contract import Path
from dcsend.peers.offer_answer import Servers
from tests.support.coturn import Coturn
from tests.support.peers import LOCAL, Published, UdpClient, check, published, transfer, until
from tests.support.trickling import (
    Side,
    allocating,
    both,
    carry,
    connect,
    joining,
    relayed,
)

pytestmark = [pytest.mark.usefixtures("nothing_raised"), pytest.mark.full]

RELAY = CandidateType.RELAYED


def relay(coturn: Coturn, transport: str = "udp") -> TurnServer:
    """Return the server."""
    where = f"{coturn.host}:{coturn.port}?transport={transport}"
    return parse_turn(f"turn:user:password@{where}")


class Walled(UdpPort):
    """A port behind a firewall that drops what comes from some addresses."""

    dropped: frozenset[Address] = frozenset()

    def received(self, data: bytes, source: Address) -> None:
        """Handle a datagram unless it is dropped."""
        if source not in self.dropped:
            super().received(data, source)


@pytest.fixture
async def here(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Published]:
    """A listener; joiners are behind a firewall that drops what the listener sends directly."""
    async with published() as listening:
        monkeypatch.setattr(Walled, "dropped", frozenset({(LOCAL, listening.number)}))
        yield listening


@pytest.fixture
def walled(monkeypatch: pytest.MonkeyPatch, here: Published) -> None:
    """Put joiners behind the firewall."""
    monkeypatch.setattr(trickle, "UdpPort", Walled)


def paths(*ends: object) -> list[Path]:
    """Return the paths that both ends report."""
    return [end.route.path for end in ends]  # type: ignore[attr-defined]


@pytest.mark.usefixtures("walled")
@pytest.mark.parametrize("at", ["joiner", "allocator", "both"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_relay_of_one_side_is_enough_where_there_is_no_direct_path(
    here: Published, coturn: Coturn, at: str, transport: str
) -> None:
    named = Servers(turn=[relay(coturn, transport)])
    mine, theirs = (
        named if at in (side, "both") else Servers() for side in ("joiner", "allocator")
    )
    async with joining(mine) as joiner, both(joiner, await allocating(here, theirs)) as ends:
        assert paths(ends.joiner, ends.allocator) == [Path.RELAYED] * 2
        await transfer(ends.joiner, ends.allocator, 3)


@pytest.mark.usefixtures("walled")
async def test_server_that_the_rendezvous_names_is_used_as_well(
    here: Published, coturn: Coturn
) -> None:
    async with joining() as joiner:
        joiner.allocate([relay(coturn), relay(coturn)])
        async with both(joiner, await allocating(here)) as ends:
            assert paths(ends.joiner, ends.allocator) == [Path.RELAYED] * 2


async def test_direct_path_is_used_although_both_have_a_relay(
    here: Published, coturn: Coturn
) -> None:
    named = Servers(turn=[relay(coturn)])
    async with joining(named) as joiner, both(joiner, await allocating(here, named)) as ends:
        assert paths(ends.joiner, ends.allocator) == [Path.DIRECT] * 2


async def test_direct_candidates_that_come_after_the_relay_is_used_replace_it(
    here: Published, coturn: Coturn
) -> None:
    named = Servers(turn=[relay(coturn)])
    async with joining(named) as joiner:
        allocator = await allocating(here, named)
        ends = await connect(joiner, allocator, passes=relayed, ends=False)
        try:
            assert paths(ends.joiner, ends.allocator) == [Path.RELAYED] * 2
            host = Candidate(CandidateType.HOST, LOCAL, here.number, 2_130_706_431)
            await joiner.add(host)
            await until(lambda: paths(ends.joiner, ends.allocator) == [Path.DIRECT] * 2)
            await transfer(ends.joiner, ends.allocator, 3)
        finally:
            await ends.joiner.close()


@asynccontextmanager
async def hidden(here: Published, coturn: Coturn) -> AsyncIterator[tuple[Side, Side]]:
    """Yield two sides that use relays only."""
    named = Servers(turn=[relay(coturn)])
    async with joining(named, relay_only=True) as joiner:
        yield joiner, await allocating(here, named, relay_only=True)


async def test_relay_only_sends_nothing_from_its_own_address(
    here: Published, coturn: Coturn
) -> None:
    async with hidden(here, coturn) as (joiner, allocator), UdpClient.open() as host:
        offer = joiner.describe()
        answer = allocator.describe(offer)
        assert offer.candidates == answer.candidates == ()
        found: dict[Side, list[Candidate]] = {}
        for side in (joiner, allocator):
            await side.add(Candidate(CandidateType.HOST, *host.address, 2_130_706_431))
            found[side] = [one async for one in side.outgoing()]
        assert [one.type for side in found.values() for one in side] == [RELAY, RELAY]
        attempts = [
            asyncio.create_task(side.establish(theirs, timeout=100))
            for side, theirs in ((joiner, answer), (allocator, offer))
        ]
        relays = {one.port for side in found.values() for one in side}
        await until(lambda: relays == {source[1] for _, source in host.received})
        assert all(is_binding_request(data) for data, _ in host.received)
        await joiner.add(found[allocator][0])
        await allocator.add(found[joiner][0])
        ends = await asyncio.gather(*attempts)
        assert paths(*ends) == [Path.RELAYED] * 2
        await transfer(ends[0], ends[1], 3)
        assert relays == {source[1] for _, source in host.received}
        await ends[0].close()


async def test_relay_only_does_not_answer_checks_at_its_own_address(
    here: Published, coturn: Coturn
) -> None:
    named = Servers(turn=[relay(coturn)])
    allocator = await allocating(here, named, relay_only=True)
    async with joining() as joiner, UdpClient.open() as client:
        answer = allocator.describe(joiner.describe())
        request = check(password=answer.password, username=f"{answer.ufrag}:abcd")
        client.send(bytes(request), here.number)
        await client.silence(here.number, here.listener)
        assert client.received == []
        await allocator.close()


async def test_relay_only_resolves_no_name(
    here: Published, coturn: Coturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved: list[str] = []

    async def resolve(names, found) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        resolved.extend(names)

    monkeypatch.setattr("dcsend.peers.candidates.resolve", resolve)
    async with hidden(here, coturn) as (joiner, allocator):
        for side in (joiner, allocator):
            await side.add(Candidate(CandidateType.HOST, "2ee1.local", 9, 2_130_706_431))
        await allocator.close()
    assert not resolved


async def test_relay_only_without_a_relayed_address_fails_with_the_reason_of_the_server(
    here: Published, coturn: Coturn
) -> None:
    wrong = parse_turn(f"turn:user:wrong@{coturn.host}:{coturn.port}")
    async with joining(Servers(turn=[wrong]), relay_only=True) as joiner:
        allocator = await allocating(here)
        answer = allocator.describe(joiner.describe())
        await carry(joiner, allocator)
        joiner.end()
        with pytest.raises(ConnectionFailed, match="refuses this user or password"):
            await joiner.establish(answer, timeout=150)
        await allocator.close()


async def test_address_that_is_allocated_after_the_end_is_given_back(coturn: Coturn) -> None:
    port = await UdpPort.open()
    ice = IceEndpoint(port, controlling=True)
    allocating = asyncio.create_task(ice.add_relay(relay(coturn)))
    await asyncio.sleep(0)
    await ice.close()
    with pytest.raises(ConnectionFailed, match="the connection is closed"):
        await allocating
    assert ice.connection.local_candidates == []
    await port.close()


async def test_allocation_that_is_not_needed_any_more_ends_with_the_connection(
    here: Published,
) -> None:
    async with UdpClient.open() as silent:
        server = parse_turn(f"turn:user:password@{LOCAL}:{silent.address[1]}")
        async with joining(Servers(turn=[server])) as joiner:
            allocator = await allocating(here)
            offer = joiner.describe()
            answer = allocator.describe(offer)
            ends = await asyncio.gather(
                joiner.establish(answer, timeout=30), allocator.establish(offer, timeout=30)
            )
            assert [one async for one in joiner.outgoing()] == []
            await ends[0].close()
