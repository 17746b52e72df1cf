"""A peer that has lost its state connects again, and the transfer begins anew."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from dcsend.dtls.certificate import Certificate
from dcsend.errors import ConnectionFailed, RemoteProtocolError
from dcsend.peers.contract import Connection, ConnectionLost
from dcsend.protocol.messages import ANEW, RECONNECT, Hello, encode
from dcsend.protocol.receipts import AWAY, is_receipt
from dcsend.session.arrivals import Met
from dcsend.session.events import Disconnected, Event, Reconnected
from dcsend.session.lasting import LastingConnection
from dcsend.session.links import BegunAnew, PeerLink
from dcsend.session.ways_back import Dialing
from dcsend.signaling.dialcode import DialCode
from tests.support.links import DialerWay, ListenerWay, LostLink, Ways

VIRTUAL_TIME = True

HELLO = encode(Hello((1,), "page", "receiver", (RECONNECT,)))


class Accepted:
    """A listener that has accepted a peer; the peer's ends of the connections."""

    def __init__(self, *, allows: bool = True) -> None:
        self.ways = Ways()
        self.events: list[Event] = []
        self.peer, here = self.ways.pair()
        self.listener = self._listen(here)
        if allows:
            self.listener.allow_anew()

    def _listen(self, link: LostLink) -> LastingConnection:
        return LastingConnection(link, ListenerWay(self.ways), self.events.append, 600)

    async def accept(self) -> None:
        """Receive the peer's Hello, and accept."""
        self.peer.channels["control"].send(HELLO)
        assert await self.receive() == HELLO
        self.listener.accepted()

    def dial(self) -> LostLink:
        """Connect again; return the peer's end."""
        ours, theirs = self.ways.pair()
        self.ways.waiting.put_nowait(theirs)
        return ours

    async def receive(self) -> bytes | str:
        """Return the next message of the control channel."""
        return await self.listener.channels["control"].receive()


async def accepted(*, allows: bool = True) -> Accepted:
    here = Accepted(allows=allows)
    await here.accept()
    return here


async def test_feature_is_named_only_where_a_transfer_can_begin_anew() -> None:
    here = await accepted()
    assert here.listener.features == (RECONNECT, ANEW)
    await here.listener.close()
    here = await accepted(allows=False)
    assert here.listener.features == (RECONNECT,)
    await here.listener.close()


async def test_hello_on_another_connection_begins_anew_with_it() -> None:
    here = await accepted()
    waiting = asyncio.create_task(here.receive())
    here.dial().channels["control"].send(HELLO)
    with pytest.raises(BegunAnew) as begun:
        await waiting
    await here.listener.close()
    anew = LastingConnection(begun.value.link, ListenerWay(here.ways), here.events.append, 600)
    anew.begin_anew(begun.value.hello)
    assert await anew.channels["control"].receive() == HELLO
    # It can be lost before anything is accepted once more.
    waiting = asyncio.create_task(anew.channels["control"].receive())
    await asyncio.sleep(0)
    here.ways.lose()
    await asyncio.sleep(0)
    assert anew.is_interrupted()
    here.dial().channels["control"].send(HELLO)
    anew.allow_anew()
    with pytest.raises(BegunAnew):
        await waiting
    await anew.close()


async def test_peer_that_goes_away_before_its_hello_is_awaited_once_more() -> None:
    here = await accepted()
    waiting = asyncio.create_task(here.receive())
    here.dial().channels["control"].send(AWAY)
    await asyncio.sleep(0.1)
    here.dial().channels["control"].send(HELLO)
    with pytest.raises(BegunAnew):
        await waiting
    await here.listener.close()


async def test_hello_where_that_is_impossible_is_a_violation() -> None:
    here = await accepted(allows=False)
    waiting = asyncio.create_task(here.receive())
    here.dial().channels["control"].send(HELLO)
    with pytest.raises(RemoteProtocolError, match="in place of resume"):
        await waiting
    await here.listener.close()


async def test_peer_that_goes_away_is_awaited_although_it_closes_the_connection() -> None:
    here = await accepted()
    here.peer.channels["control"].send(AWAY)
    waiting = asyncio.create_task(here.receive())
    await asyncio.sleep(1)
    here.ways.lose()
    for end in here.ways.pairs[-1]:
        end.end(ConnectionFailed("the other side closed the connection"))
    await asyncio.sleep(1)
    assert here.listener.is_interrupted()
    assert [type(event) for event in here.events] == [Disconnected]
    here.dial().channels["control"].send(HELLO)
    with pytest.raises(BegunAnew):
        await waiting
    assert [type(event) for event in here.events] == [Disconnected, Reconnected]
    await here.listener.close()


async def test_peer_that_goes_away_and_does_not_return_is_given_up_after_15_s() -> None:
    here = await accepted()
    here.peer.channels["control"].send(AWAY)
    loop = asyncio.get_running_loop()
    started = loop.time()
    with pytest.raises(ConnectionLost, match="the other side's page was closed"):
        await here.receive()
    assert 15 <= loop.time() - started < 16
    await here.listener.close()


async def test_away_of_a_peer_without_a_way_back_is_no_message_of_the_connection() -> None:
    here = await accepted(allows=False)
    here.peer.channels["control"].send(AWAY)
    assert await here.receive() == AWAY  # the protocol refuses it
    await here.listener.close()


class Joined:
    """The side that has entered a short code, and has sent an offer that was accepted."""

    def __init__(self) -> None:
        self.ways = Ways()
        self.events: list[Event] = []
        first, self.page = self.ways.pair()
        self.arrivals = Met(first, lasting=self._lasting)

    def _lasting(self, link: Connection) -> LastingConnection:
        way = DialerWay(self.ways)
        lasting = LastingConnection(cast("PeerLink", link), way, self.events.append, 600)
        lasting.allow_anew()
        return lasting

    async def accept(self) -> LastingConnection:
        """Receive the Hello of the page, which has accepted."""
        connection = cast("LastingConnection", await self.arrivals.next())
        self.page.channels["control"].send(HELLO)
        assert await connection.channels["control"].receive() == HELLO
        self.arrivals.accepted()
        return connection

    async def reloaded(self, first: str = HELLO) -> LostLink:
        """Wait for the next connection, and send the first message of the page."""
        page = await self.ways.waiting.get()
        message = await page.channels["control"].receive()
        assert isinstance(message, str)
        assert is_receipt(message)
        page.channels["control"].send(first)
        return page


async def test_side_that_entered_the_code_begins_anew_with_a_page_that_has_shown_it() -> None:
    here = Joined()
    connection = await here.accept()
    assert connection.features == (RECONNECT, ANEW)
    waiting = asyncio.create_task(connection.channels["control"].receive())
    here.page.channels["control"].send(AWAY)
    await here.reloaded(AWAY)  # it is loaded once more
    page = await here.reloaded()
    with pytest.raises(BegunAnew) as begun:
        await waiting
    assert [type(event) for event in here.events] == [Disconnected, Reconnected]
    anew = await here.arrivals.begin_anew(begun.value)
    assert await anew.channels["control"].receive() == HELLO
    anew.channels["control"].send("manifest")
    assert await page.channels["control"].receive() == "manifest"
    # It can be lost before anything is accepted once more.
    waiting = asyncio.create_task(anew.channels["control"].receive())
    await asyncio.sleep(0)
    here.ways.lose()
    await here.reloaded()
    with pytest.raises(BegunAnew):
        await waiting
    await here.arrivals.close()


async def test_page_that_has_shown_the_code_and_is_closed_is_given_up_after_15_s() -> None:
    here = Joined()
    connection = await here.accept()
    here.ways.open.clear()
    here.page.channels["control"].send(AWAY)
    loop = asyncio.get_running_loop()
    started = loop.time()
    with pytest.raises(ConnectionLost, match="the other side's page was closed"):
        await connection.channels["control"].receive()
    assert 15 <= loop.time() - started < 16
    await here.arrivals.close()


async def test_feature_is_not_named_to_a_listener_that_was_dialed() -> None:
    way = Dialing(cast("DialCode", None), cast("Certificate", None))
    lasting = LastingConnection(Ways().pair()[0], way, lambda event: None, 600)
    lasting.allow_anew()
    assert lasting.features == (RECONNECT,)
    await lasting.close()
