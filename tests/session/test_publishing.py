"""When a new code is shown, over invented addresses; over real ones: programs/test_moving.py."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dcsend.errors import ConnectionFailed, TimedOut
from dcsend.peers.loading import transfer_peer
from dcsend.session.events import CodeReady, Emit, Event, Warned
from dcsend.session.meeting import by_code
from dcsend.session.publishing import ChangeNotes, Watch
from dcsend.settings import Settings
from dcsend.signaling.dialcode import decode
from tests.ice.test_stun import SHOWN, response
from tests.support.peers import UdpClient, until
from tests.support.scripted_peer import dialing

HOME = {"192.168.1.7": "wlan0"}
MOBILE = {"10.64.0.9": "wwan0"}
NONE = {"127.0.0.1": "lo"}
CONNECTED = "connected"
"The first message of a listener."


class Machine:
    """Stands in for the interfaces of this machine; counts how often it is looked at."""

    def __init__(self) -> None:
        self.own = HOME
        self.once: dict[str, str] | None = None
        "What the next look alone finds."
        self.looks = 0

    def look(self) -> dict[str, str]:
        """As `own_addresses`."""
        self.looks += 1
        found, self.once = self.once or self.own, None
        return dict(found)

    async def looked_at(self, times: int = 3) -> None:
        """Return when it has been looked at so often."""
        enough = self.looks + times
        await until(lambda: self.looks >= enough)

    def watch(self) -> Watch:
        """Return how these interfaces are watched: often."""
        return Watch(self.look, poll=0.001, ask=0.001, pause=0.001)


@pytest.fixture
def machine() -> Machine:
    return Machine()


async def listen(machine: Machine, settings: Settings, emit: Emit) -> None:
    """Publish a code; when a dialer has connected, wait until it has left."""
    async with by_code(
        settings, emit, "sender", transfer_peer, watch=machine.watch()
    ) as connection:
        connection.channels["control"].send(CONNECTED)
        with contextlib.suppress(ConnectionFailed):
            await connection.channels["control"].receive()


@asynccontextmanager
async def waiting(machine: Machine, *stun: str) -> AsyncIterator[list[Event]]:
    """Run a listener; yield its events."""
    events: list[Event] = []
    settings = Settings(stun=stun, stun_timeout=0.3)
    listening = asyncio.create_task(listen(machine, settings, events.append))
    try:
        await until(lambda: bool(codes(events)))
        yield events
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def _uri(server: UdpClient) -> str:
    return f"stun:127.0.0.1:{server.address[1]}"


def codes(events: list[Event]) -> list[CodeReady]:
    return [event for event in events if isinstance(event, CodeReady)]


def hosts(event: CodeReady) -> list[str]:
    return [address.host for address in decode(event.code).addresses]


def notes(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Warned)]


async def test_changed_address_makes_a_new_code_with_the_same_secret(machine: Machine) -> None:
    async with waiting(machine) as events:
        machine.own = MOBILE
        await until(lambda: len(codes(events)) == 2)
        first, second = (decode(code.code) for code in codes(events))
        assert [a.host for a in second.addresses] == list(MOBILE)
        assert (first.secret, first.port, first.expires) == (
            second.secret,
            second.port,
            second.expires,
        )
        await machine.looked_at()
        assert len(codes(events)) == 2
    assert ["have changed" in note for note in notes(events)] == [True]
    assert isinstance(events[events.index(codes(events)[1]) - 1], Warned)


async def test_stun_server_that_answers_late_makes_a_new_code(machine: Machine) -> None:
    async with UdpClient.open() as server, waiting(machine, _uri(server)) as events:
        asked = len(server.received)
        await until(lambda: len(server.received) > asked)
        assert len(codes(events)) == 1
        server.answer = response
        await until(lambda: len(codes(events)) == 2)
        await machine.looked_at()
        assert len(codes(events)) == 2
    first, second = map(hosts, codes(events))
    assert set(second) - set(first) == {SHOWN[0]}
    assert notes(events)[-1] == "the public address of this machine is known now; a new code has it"


async def test_address_that_is_seen_once_changes_nothing(machine: Machine) -> None:
    async with waiting(machine) as events:
        for _ in range(5):
            machine.once = MOBILE
            await machine.looked_at(2)
        assert len(codes(events)) == 1
        assert notes(events) == []


async def test_cable_that_is_out_for_a_while_makes_notes_and_no_code(machine: Machine) -> None:
    async with waiting(machine) as events:
        machine.own = NONE
        await until(lambda: len(notes(events)) == 1)
        await machine.looked_at()
        machine.own = HOME
        await until(lambda: len(notes(events)) == 2)
        await machine.looked_at()
        assert len(codes(events)) == 1
    assert "in no network any more" in notes(events)[0]
    assert "in its network again, and the code works" in notes(events)[1]


async def test_start_without_a_network_is_noted_and_its_end_makes_a_code(machine: Machine) -> None:
    machine.own = NONE
    async with waiting(machine) as events:
        assert hosts(codes(events)[0]) == ["127.0.0.1"]
        await machine.looked_at()
        assert ["in no network; the code works on" in note for note in notes(events)] == [True]
        machine.own = HOME
        await until(lambda: len(codes(events)) == 2)
        assert hosts(codes(events)[1]) == list(HOME)
    assert "in a network now" in notes(events)[1]


async def test_no_new_code_after_the_other_side_has_connected(machine: Machine) -> None:
    machine.own = NONE
    async with waiting(machine) as events:
        async with dialing(codes(events)[0].code) as peer:
            assert await peer.control.receive() == CONNECTED
            looks = machine.looks
            machine.own = HOME
        assert machine.looks == looks
        assert len(codes(events)) == 1


async def test_named_addresses_are_not_looked_at(machine: Machine) -> None:
    events: list[Event] = []
    settings = Settings(stun=(), addresses=("127.0.0.1",), expires=0.2)
    machine.own = MOBILE
    with pytest.raises(TimedOut):
        await listen(machine, settings, events.append)
    assert [hosts(code) for code in codes(events)] == [["127.0.0.1"]]
    assert notes(events) == []


async def test_two_codes_are_noted_once(machine: Machine) -> None:
    events: list[Event] = []
    changes = ChangeNotes(events.append, machine.watch())
    async with changes:
        await machine.looked_at()
        assert not events
        machine.own = MOBILE
        await until(lambda: bool(events))
        machine.own = HOME
        await asyncio.sleep(0)
    async with changes:
        await asyncio.sleep(0)
    assert len(notes(events)) == 1
