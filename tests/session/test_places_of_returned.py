"""A peer that has connected again is known to the listener by its present connection."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from dcsend.errors import ConnectionFailed
from dcsend.peers.contract import Connection
from dcsend.peers.places import Asked
from dcsend.protocol.messages import RECONNECT, Hello, encode
from dcsend.protocol.receipts import Receipt, encode_receipt
from dcsend.session.arrivals import Awaited
from dcsend.session.events import Emit
from dcsend.session.lasting import LastingConnection
from dcsend.session.links import BegunAnew, PeerLink
from tests.support.links import ListenerWay, LostLink, Ways

VIRTUAL_TIME = True

HELLO = encode(Hello((1,), "page", "receiver", (RECONNECT,)))


class OnePlace:
    """What `Awaited` uses of a listener: it has one connection, as `Places` has."""

    def __init__(self) -> None:
        self.asked = Asked()
        self.present: PeerLink | None = None
        self.given_back = False

    def _check(self, connection: PeerLink) -> None:
        if connection is not self.present:
            raise KeyError(connection)

    def is_deserted(self, connection: PeerLink) -> bool:
        """Return False."""
        self._check(connection)
        return False

    def keep(self, connection: PeerLink) -> None:
        """Do nothing."""
        self._check(connection)

    async def give_back(self, connection: PeerLink) -> None:
        """Close it."""
        self._check(connection)
        await connection.close()
        self.given_back = True


class _Way(ListenerWay):
    def __init__(self, ways: Ways, listener: OnePlace) -> None:
        super().__init__(ways)
        self._listener = listener

    def replaced(self, link: PeerLink) -> None:
        self._listener.present = link


class Run:
    """One of several dialers of a listener."""

    def __init__(self) -> None:
        self.ways = Ways()
        self.listener = OnePlace()
        self.awaited = Awaited(
            cast("Any", self.listener),
            self._wait,
            lambda event: None,
            120,
            self._lasting,
            is_one_of_several=True,
        )

    async def _wait(self) -> Connection:
        ours, self.listener.present = self.ways.pair()
        ours.channels["control"].send(HELLO)
        return self.listener.present

    def _lasting(self, connection: Connection, emit: Emit) -> LastingConnection:
        way = _Way(self.ways, self.listener)
        lasting = LastingConnection(cast("PeerLink", connection), way, emit, 600)
        lasting.allow_anew()
        return lasting

    async def begin(self) -> Connection:
        """Accept a peer."""
        connection = await self.awaited.next()
        assert await connection.channels["control"].receive() == HELLO
        self.awaited.accepted()
        await asyncio.sleep(0.1)  # it waits for the next connection
        return connection

    async def dial(self, first: str) -> LostLink:
        """Connect again; return the peer's end."""
        ours, theirs = self.ways.pair()
        ours.channels["control"].send(first)
        self.ways.waiting.put_nowait(theirs)
        await asyncio.sleep(0.1)
        return ours

    async def resume(self, control: int) -> None:
        """Connect again, with so many messages received."""
        await self.dial(encode_receipt(Receipt(control, 0, 0), resumes=True))

    async def anew(self, connection: Connection) -> Connection:
        """Lose the state of the peer."""
        waiting = asyncio.create_task(connection.channels["control"].receive())
        await self.dial(HELLO)
        with pytest.raises(BegunAnew) as begun:
            await waiting
        return await self.awaited.begin_anew(begun.value)


async def test_peer_that_has_connected_again_keeps_its_place_when_another_one_asks() -> None:
    run = Run()
    await run.begin()
    await run.resume(0)
    displaced = asyncio.create_task(run.awaited.displaced())
    await asyncio.sleep(0)
    run.listener.asked.by("192.0.2.9")
    await asyncio.sleep(5)
    assert not displaced.done()
    displaced.cancel()
    await run.awaited.leave()
    assert run.listener.given_back


async def test_peer_that_begins_anew_can_connect_again_before_it_accepts() -> None:
    run = Run()
    connection = await run.anew(await run.begin())
    assert await connection.channels["control"].receive() == HELLO
    await run.resume(0)
    run.awaited.accepted()
    await run.awaited.leave()
    assert run.listener.given_back


async def test_peer_that_begins_anew_when_its_connection_has_ended_gets_no_place() -> None:
    run = Run()
    connection = cast("LastingConnection", await run.begin())
    connection.end(ConnectionFailed("its time is over"))
    place = run.listener.present
    late = await run.dial(HELLO)
    assert run.listener.present is place
    with pytest.raises(ConnectionFailed):
        await late.channels["control"].receive()
    await run.awaited.leave()
    assert run.listener.given_back


async def test_peer_that_begins_anew_leaves_with_its_new_connection() -> None:
    """The conversation has ended for another reason before it could begin anew."""
    run = Run()
    await run.begin()
    await run.dial(HELLO)
    await run.awaited.leave()
    assert run.listener.given_back
