"""A peer whose address changes while it is connected, over the simulated network of `test_ice`."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from aioice.stun import Message, message_fingerprint, parse_message

from dcsend.ice import consent, moving
from dcsend.ice.agent import FilteredStunProtocol
from tests.ice.test_ice import Address, Agent, Both, Network, both, connected
from tests.support.peers import signed_answer

__all__ = ["both"]

VIRTUAL_TIME = True

OTHER = ("10.9.9.9", 9)
"An address that neither side has."
SOON = 3.0
"Seconds in which the path has moved."


class Translator:
    """Gives one side other addresses, as a NAT that loses its mappings, or another network."""

    def __init__(self, network: Network, inside: Address) -> None:
        self._network = network
        self._inside = self.outside = inside
        self._arrive = network._arrive
        network._arrive = self._translate  # type: ignore[method-assign]

    def move(self, outside: Address) -> None:
        """Let it have *outside* from now on; its former address has no host."""
        self.outside = outside

    def _translate(self, data: bytes, source: Address, target: Address) -> None:
        if source == self._inside:
            source = self.outside
        if target == self.outside:
            target = self._inside
        elif target == self._inside:
            return
        self._arrive(data, source, target)


class Echo:
    """A host that answers each check with the right password, and stores what arrives."""

    def __init__(self, both: Both, password: str, address: Address = OTHER) -> None:
        self.received: list[bytes] = []
        self._answer = signed_answer(password)
        self._both, self._address = both, address
        both.network.protocols[address] = cast(FilteredStunProtocol, self)

    def datagram_received(self, data: bytes, source: Address) -> None:
        """Answer a check."""
        self.received.append(data)
        if (answer := self._answer(data)) is not None:
            self._both.network.carry(answer, self._address, source)


def mover(both: Both, name: str) -> tuple[Agent, Agent, Translator]:
    """Return the side whose address changes, the other one, and what changes it."""
    moves, stays = (both.a, both.b) if name == "a" else (both.b, both.a)
    local: Any = moves.pair.local_addr
    return moves, stays, Translator(both.network, (local[0], local[1]))


def request(side: Agent) -> Message:
    """Return a new check of a side, which nominates if it is controlling."""
    message = side.ice.build_request(side.pair, nominate=True)
    message.add_message_integrity(str(side.ice.remote_password).encode())
    return message


@pytest.mark.parametrize("name", ["a", "b"])
async def test_path_follows_a_peer_to_its_new_address(both: Both, name: str) -> None:
    await connected(both)
    moves, stays, translator = mover(both, name)
    moved: list[bool] = []
    stays.ice.when_moved(moved.append)
    translator.move(OTHER)
    await asyncio.sleep(SOON)
    assert stays.pair.remote_addr == OTHER
    assert moved == [False]
    await asyncio.sleep(2 * consent.EXPIRES)
    assert stays.pair.remote_addr == OTHER
    assert not stays.ice.expired
    assert not moves.ice.expired


@pytest.mark.parametrize("name", ["a", "b"])
async def test_silence_before_a_check_counts_as_time_of_the_present_address(
    both: Both, name: str
) -> None:
    """The mover sends its first check after a second of silence."""
    await connected(both)
    _, stays, translator = mover(both, name)
    clock = asyncio.get_running_loop().time
    moved: list[float] = []
    stays.ice.when_moved(lambda port_only: moved.append(clock()))
    began = clock()
    translator.move(OTHER)
    await asyncio.sleep(SOON)
    assert moved[0] - began < consent.SILENCE + 1.5 * moving.PATIENCE


async def exchange(both: Both) -> None:
    """Let many datagrams arrive at both sides."""
    for _ in range(20):
        for side in (both.a, both.b):
            side.protocols[0].count_arrived(10)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["a", "b"])
async def test_path_moves_within_a_second_during_a_transfer(both: Both, name: str) -> None:
    await connected(both)
    moves, stays, translator = mover(both, name)
    clock = asyncio.get_running_loop().time
    moved: list[tuple[float, bool]] = []
    resumed: list[float] = []
    stays.ice.when_moved(lambda port_only: moved.append((clock(), port_only)))
    moves.ice.when_resumed(lambda: resumed.append(clock()))
    for port in range(2000, 2005):
        await exchange(both)
        moved.clear()
        resumed.clear()
        began = clock()
        translator.move((translator.outside[0], port))
        await asyncio.sleep(1)
        [(when, port_only)] = moved
        assert when - began < 0.8
        assert port_only
        assert resumed[0] - began < 0.8


@pytest.mark.parametrize("other", [0.3, 0.02], ids=["somewhat shorter", "without a queue"])
async def test_present_address_of_a_long_path_may_answer_after_the_other_one(
    both: Both, other: float
) -> None:
    both.network.delay = 0.4
    await connected(both)
    moves, stays, _ = mover(both, "a")
    before = stays.pair.remote_addr
    Echo(both, str(moves.ice.local_password))
    await asyncio.sleep(2 * SOON)

    def carry(data: bytes, source: Address, target: Address) -> None:
        delay = other if OTHER in (source, target) else 0.4
        asyncio.get_running_loop().call_later(delay, both.network._arrive, data, source, target)

    both.network.carry = carry  # type: ignore[method-assign]
    for _ in range(5):
        stays.protocols[0].datagram_received(bytes(request(moves)), OTHER)
        await asyncio.sleep(1.5)
        assert stays.pair.remote_addr == before


async def test_priority_of_checks_rises_while_a_busy_path_is_silent(both: Both) -> None:
    """By it a browser prefers the address from which the first of them has come."""
    await connected(both)
    _, stays, translator = mover(both, "b")
    highest = []
    for port in range(2000, 2005):
        await exchange(both)
        both.network.sent.clear()
        translator.move((translator.outside[0], port))
        await asyncio.sleep(1)
        first = next(
            parse_message(data)
            for source, _, data in both.network.sent
            if source != stays.pair.local_addr and data[:2] == b"\0\1"
        )
        highest.append(first.attributes["PRIORITY"])
    assert highest == sorted(set(highest))


async def test_recorded_check_of_a_raised_priority_does_not_move_the_path(both: Both) -> None:
    """A device on the path answers the checks of this side by passing them on."""
    await connected(both)
    moves, stays, _ = mover(both, "b")
    echo = Echo(both, str(moves.ice.local_password))
    before = stays.pair.remote_addr
    for _ in range(5):
        recorded = moves.ice.build_request(moves.pair, nominate=False)
        recorded.attributes["PRIORITY"] = 2**31 - 1
        recorded.add_message_integrity(str(moves.ice.remote_password).encode())
        stays.protocols[0].datagram_received(bytes(recorded), OTHER)
        await asyncio.sleep(1.5)
    assert any(data[:2] == b"\0\1" for data in echo.received), "it is checked"
    assert stays.pair.remote_addr == before


async def test_priority_of_a_recorded_check_can_not_be_changed(both: Both) -> None:
    await connected(both)
    moves, stays, _ = mover(both, "b")
    echo = Echo(both, str(moves.ice.local_password))
    recorded = request(moves)
    priority = int(recorded.attributes["PRIORITY"]).to_bytes(4)
    assert bytes(recorded).count(priority) == 1
    raised = bytes(recorded).replace(priority, (2**31 - 1).to_bytes(4))[:-4]
    fingerprint = message_fingerprint(raised[:-4]).to_bytes(4)  # a checksum without a key
    stays.protocols[0].datagram_received(raised + fingerprint, OTHER)
    await asyncio.sleep(1)
    assert not any(data[:2] == b"\0\1" for data in echo.received), "it is refused"
    stays.protocols[0].datagram_received(bytes(recorded), OTHER)
    await asyncio.sleep(1)
    assert any(data[:2] == b"\0\1" for data in echo.received), "it is checked"


async def test_controlling_side_nominates_the_new_address(both: Both) -> None:
    await connected(both)
    _, stays, translator = mover(both, "b")
    translator.move(OTHER)
    await asyncio.sleep(SOON)
    to_new = [parse_message(data) for _, target, data in both.network.sent if target == OTHER]
    assert stays is both.a
    assert any("USE-CANDIDATE" in message.attributes for message in to_new)


@pytest.mark.parametrize("name", ["a", "b"])
async def test_path_stays_while_the_present_address_answers(both: Both, name: str) -> None:
    """A device on the path could have recorded the check, and pass on the answers to ours."""
    await connected(both)
    moves, stays, _ = mover(both, name)
    echo = Echo(both, str(moves.ice.local_password))
    before = stays.pair.remote_addr
    for _ in range(10):
        stays.protocols[0].datagram_received(bytes(request(moves)), OTHER)
        await asyncio.sleep(0.5)
    assert any(data[:2] == b"\0\1" for data in echo.received), "it is checked"
    assert stays.pair.remote_addr == before


async def nominated_from_elsewhere(both: Both, priority: int) -> Address:
    """Let the controlled side get a nomination of a pair that is new to it; return its path."""
    Echo(both, str(both.a.ice.local_password))
    message = both.a.ice.build_request(both.a.pair, nominate=True)
    message.attributes["PRIORITY"] = priority
    message.add_message_integrity(str(both.a.ice.remote_password).encode())
    both.b.protocols[0].datagram_received(bytes(message), OTHER)
    await asyncio.sleep(0.5)
    return both.b.pair.remote_addr


async def test_better_pair_that_a_browser_nominates_at_once_is_used_although_it_is_new(
    both: Both,
) -> None:
    await connected(both)
    assert await nominated_from_elsewhere(both, 2**31 - 1) == OTHER


async def test_pair_that_is_new_and_no_better_is_not_used(both: Both) -> None:
    await connected(both)
    before = both.b.pair
    assert await nominated_from_elsewhere(both, before.remote_candidate.priority) != OTHER


async def test_better_pair_that_is_nominated_later_is_not_used(both: Both) -> None:
    await connected(both)
    await asyncio.sleep(1)
    assert await nominated_from_elsewhere(both, 2**31 - 1) != OTHER


async def test_path_does_not_move_to_an_address_that_does_not_answer(both: Both) -> None:
    await connected(both)
    moves, stays, translator = mover(both, "a")
    before = stays.pair.remote_addr
    translator.move(("10.8.8.8", 8))
    both.network.passes = lambda source, target, data: False
    for _ in range(5):
        stays.protocols[0].datagram_received(bytes(request(moves)), OTHER)
        await asyncio.sleep(1)
    assert stays.pair.remote_addr == before


async def test_copy_of_a_check_of_the_former_address_does_not_move_the_path_back(
    both: Both,
) -> None:
    await connected(both)
    moves, stays, translator = mover(both, "a")
    before = stays.pair.remote_addr
    recorded = bytes(request(moves))
    stays.protocols[0].datagram_received(recorded, before)
    translator.move(OTHER)
    await asyncio.sleep(SOON)
    for _ in range(5):
        stays.protocols[0].datagram_received(recorded, before)
        await asyncio.sleep(1)
    assert stays.pair.remote_addr == OTHER


async def test_path_returns_with_the_peer(both: Both) -> None:
    await connected(both)
    _, stays, translator = mover(both, "a")
    before = stays.pair.remote_addr
    for address in (OTHER, before):
        translator.move(address)
        await asyncio.sleep(SOON)
        assert stays.pair.remote_addr == address


@pytest.mark.parametrize("name", ["a", "b"])
async def test_path_follows_a_translator_that_has_a_new_port_each_five_seconds(
    both: Both, name: str
) -> None:
    await connected(both)
    _, stays, translator = mover(both, name)
    for port in range(2000, 2040):
        translator.move(("203.0.113.1", port))
        await asyncio.sleep(5)
        assert stays.pair.remote_addr == ("203.0.113.1", port)


async def test_few_addresses_are_checked_at_the_same_time(both: Both) -> None:
    await connected(both)
    moves, stays, translator = mover(both, "a")
    translator.move(("10.8.8.8", 8))
    both.network.sent.clear()
    for port in range(1, 50):
        stays.protocols[0].datagram_received(bytes(request(moves)), (OTHER[0], port))
    await asyncio.sleep(moving.PATIENCE / 2)
    both.network.sent.clear()
    await asyncio.sleep(moving.PATIENCE * 2)
    checked = {
        target
        for _, target, data in both.network.sent
        if target[0] == OTHER[0] and data[:2] == b"\0\1"
    }
    assert 0 < len(checked) <= 4
