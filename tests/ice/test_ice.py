"""Checks, nomination and the end of ICE, between two agents over a simulated network.

Real networks are in tests/lab and tests/programs/test_nat.py. This one drops exactly the datagrams
that a test selects, and has several addresses for each side.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, cast

import pytest
from aioice import Candidate
from aioice.ice import CandidatePair
from aioice.stun import Message, parse_message

from dcsend.ice import consent
from dcsend.ice.agent import FilteredStunProtocol, nominated
from dcsend.ice.connection import IceConnection, is_relayed

VIRTUAL_TIME = True
"The tests are about the times of checks; see tests/support/virtual_time.py."

Address = tuple[str, int]
DELAY = 0.025
"Seconds that a datagram takes, one way."
PEER_A = "10.1.0.1"
"The direct address of a."
DIRECT, RELAYED = ("direct", "host", 2_130_706_431), ("relayed", "relay", 16_777_215)


class Network:
    """Carries datagrams between addresses."""

    def __init__(self) -> None:
        self.protocols: dict[Address, FilteredStunProtocol] = {}
        self.passes: Callable[[Address, Address, bytes], bool] = lambda source, target, data: True
        self.sent: list[tuple[Address, Address, bytes]] = []
        self.delay = DELAY

    def carry(self, data: bytes, source: Address, target: Address) -> None:
        """Deliver a datagram after `delay`, unless `passes` drops it."""
        self.sent.append((source, target, data))
        asyncio.get_running_loop().call_later(self.delay, self._arrive, data, source, target)

    def _arrive(self, data: bytes, source: Address, target: Address) -> None:
        if target in self.protocols and self.passes(source, target, data):
            self.protocols[target].datagram_received(data, source)


class Transport:
    """The transport of a protocol."""

    def __init__(self, network: Network, protocol: FilteredStunProtocol, address: Address) -> None:
        self._network = network
        self._protocol = protocol
        self._address = address

    def sendto(self, data: bytes, target: Address) -> None:
        """Send."""
        self._network.carry(data, self._address, target)

    def close(self) -> None:
        """Remove the address from the network."""
        self._network.protocols.pop(self._address, None)
        self._protocol.connection_lost(None)


class Agent:
    """One side, with a direct address and perhaps a relayed one."""

    def __init__(self, name: str, network: Network, ice: IceConnection, *, relay: bool) -> None:
        self.name = name
        self.ice = ice
        self.protocols: list[FilteredStunProtocol] = []
        self.refusals: list[int] = []
        "Error codes of its checks."
        for number, (_, kind, priority) in enumerate((DIRECT, RELAYED)[: 1 + relay]):
            protocol = FilteredStunProtocol(
                self.ice, lambda data, source: parse_message(data), self.refusals.append
            )
            address = (f"10.{1 + number}.0.{1 if name == 'a' else 2}", 1000)
            protocol.local_candidate = Candidate(
                str(number), 1, "udp", priority, *address, cast(Any, kind)
            )
            network.protocols[address] = protocol
            protocol.connection_made(cast(Any, Transport(network, protocol, address)))
            self.ice.add_protocol(protocol)
            self.protocols.append(protocol)

    async def meet(self, other: Agent) -> None:
        """Use the credentials and candidates of the other side."""
        self.ice.remote_username = other.ice.local_username
        self.ice.remote_password = other.ice.local_password
        for candidate in other.ice.local_candidates:
            await self.ice.add_remote_candidate(candidate)

    @property
    def pair(self) -> CandidatePair:
        """The nominated pair."""
        pair = nominated(self.ice)
        assert pair is not None
        return pair

    @property
    def path(self) -> tuple[str, str]:
        """Its own address, and the other side's."""
        return self.pair.local_addr[0], str(self.pair.remote_addr[0])


class Both:
    """The two sides: a is the offerer, and controlling; b is the answerer."""

    def __init__(self) -> None:
        self.network = Network()
        self.a: Agent
        self.b: Agent

    async def make(
        self, *, relay_at: str = "", offerer: type[IceConnection] = IceConnection
    ) -> None:
        """Create them, with the candidates of each other."""
        offering, answering = offerer(ice_controlling=True), IceConnection(ice_controlling=False)
        self.a = Agent("a", self.network, offering, relay="a" in relay_at)
        self.b = Agent("b", self.network, answering, relay="b" in relay_at)
        await self.a.meet(self.b)
        await self.b.meet(self.a)

    def loses(self, count: int, wanted: Callable[[Address, Address], bool]) -> None:
        """Drop the first datagrams that are *wanted*."""
        left = count

        def passes(source: Address, target: Address, data: bytes) -> bool:
            nonlocal left
            left -= wanted(source, target)
            return not (wanted(source, target) and left >= 0)

        self.network.passes = passes


@pytest.fixture
async def both() -> AsyncIterator[Both]:
    """Two sides that end with the test."""
    made = Both()
    yield made
    await made.a.ice.close()
    await made.b.ice.close()


def direct(source: Address, target: Address) -> bool:
    """Return whether a datagram is not relayed."""
    return source[0].startswith("10.1.") and target[0].startswith("10.1.")


def asked(both: Both, source: str, target: str) -> int:
    """Count the checks from one address to another."""
    return sum(
        data[:2] == b"\0\1" and (source, target) == (one[0], other[0])
        for one, other, data in both.network.sent
    )


async def test_a_check_that_arrives_repeats_the_pending_one_at_once(both: Both) -> None:
    """As behind two NATs: what b has sent before a's first check is lost."""
    await both.make()
    opened: set[Address] = set()

    def passes(source: Address, target: Address, data: bytes) -> bool:
        opened.add(source)  # what has sent something lets the answers in
        return target in opened

    both.network.passes = passes
    answering = asyncio.create_task(both.b.ice.connect())
    clock = asyncio.get_running_loop().time
    # b's checks leave after 0, 0.1, 0.3, 0.7 s; the next one would after 1.5 s.
    while asked(both, "10.1.0.2", "10.1.0.1") < 4:  # noqa: ASYNC110 - there is no notification
        await asyncio.sleep(0.01)
    began = clock()
    await asyncio.gather(both.a.ice.connect(), answering)
    assert clock() - began < 0.5
    assert asked(both, "10.1.0.2", "10.1.0.1") == 5


async def test_checks_of_both_at_the_same_moment_are_answered_for_both(both: Both) -> None:
    await both.make()
    clock = asyncio.get_running_loop().time
    began = clock()
    await asyncio.gather(both.a.ice.connect(), both.b.ice.connect())
    assert clock() - began < 0.5
    assert both.a.path == ("10.1.0.1", "10.1.0.2")
    assert both.b.path == ("10.1.0.2", "10.1.0.1")


@pytest.mark.parametrize("relay_at", ["a", "b", "ab"])
@pytest.mark.parametrize("lost", [0, 2])
async def test_a_direct_path_is_used_although_there_is_a_relay(
    both: Both, relay_at: str, lost: int
) -> None:
    await both.make(relay_at=relay_at)
    both.loses(lost, direct)
    await asyncio.gather(both.a.ice.connect(), both.b.ice.connect())
    for _ in range(2):
        assert both.a.path == ("10.1.0.1", "10.1.0.2")
        assert both.b.path == ("10.1.0.2", "10.1.0.1")
        # What is still under way changes nothing.
        await asyncio.sleep(4 * DELAY)


async def test_without_a_direct_path_both_use_the_same_relay(both: Both) -> None:
    await both.make(relay_at="ab")
    both.network.passes = lambda source, target, data: not direct(source, target)
    await asyncio.gather(both.a.ice.connect(), both.b.ice.connect())
    assert is_relayed(both.a.pair)
    assert both.a.path == both.b.path[::-1]


async def test_a_direct_path_that_works_late_replaces_the_relay_on_both_sides(both: Both) -> None:
    await both.make(relay_at="a")
    both.network.passes = lambda source, target, data: not direct(source, target)
    await asyncio.gather(both.a.ice.connect(), both.b.ice.connect())
    assert is_relayed(both.a.pair)
    both.network.passes = lambda source, target, data: True
    async with asyncio.timeout(5):
        while is_relayed(both.a.pair) or is_relayed(both.b.pair):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Firefox(IceConnection):
    """Nominates each pair that works, and goes on checking the others."""

    def build_request(self, pair: CandidatePair, nominate: bool) -> Message:
        """Return a request that nominates."""
        return super().build_request(pair, nominate=True)

    def _stop_needless(self) -> None:
        pass


async def test_of_all_pairs_that_a_browser_nominates_the_best_one_is_used(both: Both) -> None:
    """The relayed one may be the last."""
    await both.make(relay_at="a", offerer=Firefox)
    ice = both.a.ice
    both.network.passes = lambda source, target, data: source[0] != "10.2.0.1"
    await asyncio.gather(ice.connect(), both.b.ice.connect())
    # With a check of the direct path b would give the other one up.
    await asyncio.sleep(0.4)
    assert asked(both, "10.2.0.1", "10.1.0.2")
    arrived: list[Address] = []

    def passes(source: Address, target: Address, data: bytes) -> bool:
        arrived.append(source)
        return True

    both.network.passes = passes
    async with asyncio.timeout(5):
        while ("10.2.0.1", 1000) not in arrived:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.sleep(4 * DELAY)
    assert both.b.path == ("10.1.0.2", "10.1.0.1")


async def test_a_nomination_that_is_lost_is_sent_again(both: Both) -> None:
    await both.make()
    left = 2

    def passes(source: Address, target: Address, data: bytes) -> bool:
        nonlocal left
        nominates = data[:2] == b"\0\1" and "USE-CANDIDATE" in parse_message(data).attributes
        left -= nominates
        return not (nominates and left >= 0)

    both.network.passes = passes
    async with asyncio.timeout(2):
        await asyncio.gather(both.a.ice.connect(), both.b.ice.connect())


async def test_an_answer_from_another_address_validates_nothing_and_breaks_nothing(
    both: Both,
) -> None:
    await both.make()
    carry = both.network.carry

    def twice(data: bytes, source: Address, target: Address) -> None:
        if data[:2] == b"\1\1":
            both.network.protocols[target].datagram_received(data, ("10.9.9.9", 9))
        carry(data, source, target)

    both.network.carry = twice  # type: ignore[method-assign]
    await asyncio.gather(both.a.ice.connect(), both.b.ice.connect())
    assert both.a.path == ("10.1.0.1", "10.1.0.2")


async def test_checks_end_when_there_is_a_direct_path(both: Both) -> None:
    await both.make(relay_at="ab")
    await asyncio.gather(both.a.ice.connect(), both.b.ice.connect())
    await asyncio.sleep(6 * DELAY)
    count = len(both.network.sent)
    await asyncio.sleep(0.5)
    assert len(both.network.sent) == count


def slow() -> Callable[[], Coroutine[Any, Any, None]]:
    """Return a `close` that takes half a second the first time, as where the server is gone."""
    seconds = [0.5, 0.0]

    async def close() -> None:
        await asyncio.sleep(seconds.pop(0))

    return close


async def test_end_waits_for_all_servers_at_the_same_time(both: Both) -> None:
    await both.make(relay_at="a")
    for protocol in both.a.protocols:
        protocol.close = slow()  # type: ignore[method-assign]
    clock = asyncio.get_running_loop().time
    began = clock()
    await both.a.ice.close()
    assert clock() - began < 0.7


async def connected(both: Both) -> None:
    await both.make()
    await asyncio.gather(both.a.ice.connect(), both.b.ice.connect())


async def test_responses_that_take_longer_than_half_a_second_give_consent(both: Both) -> None:
    await connected(both)
    both.network.delay = 0.35
    await asyncio.sleep(2 * consent.EXPIRES)
    for end in (both.a, both.b):
        assert not end.ice.expired
        assert nominated(end.ice) is not None


async def test_responses_that_take_twenty_seconds_give_consent(both: Both) -> None:
    await connected(both)
    both.network.delay = 10
    await asyncio.sleep(3 * consent.EXPIRES)
    for end in (both.a, both.b):
        assert not end.ice.expired


async def test_connection_to_a_silent_peer_expires(both: Both) -> None:
    await connected(both)
    both.network.passes = lambda source, target, data: False
    await asyncio.sleep(consent.EXPIRES - 1)
    assert not both.a.ice.expired
    await asyncio.sleep(2)
    for end in (both.a, both.b):
        assert end.ice.expired
        assert nominated(end.ice) is None
    count = len(both.network.sent)
    await asyncio.sleep(consent.EXPIRES)
    assert len(both.network.sent) == count


async def test_the_end_of_a_connection_is_not_dropped_with_queued_datagrams(both: Both) -> None:
    await connected(both)
    ice = both.a.ice
    ice.data_received(b"\x16", 1)
    ice.end_queue()
    ice.data_received(b"\x16", 1)
    ice.drop_queued()
    assert ice.queued == 1
    with pytest.raises(ConnectionError, match="lost"):
        await ice.recv()


async def test_expired_consent_ends_the_queue_before_a_server_has_responded(both: Both) -> None:
    await connected(both)
    for protocol in both.a.protocols:
        protocol.close = lambda: asyncio.sleep(0.5)  # type: ignore[method-assign]
    clock = asyncio.get_running_loop().time
    began = clock()
    both.network.passes = lambda source, target, data: False
    with pytest.raises(ConnectionError):
        await both.a.ice.recv()
    assert clock() - began < consent.EXPIRES + 0.1
    assert both.a.ice.expired
    await asyncio.sleep(1)  # the end of both sides
