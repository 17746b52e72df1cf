"""A link with both codes: which of the two ways connects, and what the other side sees of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytest

from dcsend.errors import CodeExpired, CodeUsed, ConnectionFailed, DcsendError
from dcsend.peers.contract import Connection
from dcsend.peers.dialer import dial
from dcsend.peers.loading import load_aiortc, transfer_peer
from dcsend.peers.transfer import TransferConnection
from dcsend.rendezvous import client
from dcsend.rendezvous.mailbox import Mailbox
from dcsend.session.either import Dial, Join, either
from dcsend.session.events import (
    Arrived,
    CodeReady,
    Emit,
    Event,
    Failed,
    ShortCodeReady,
    ShortCodeUsed,
    Warned,
)
from dcsend.session.joining import Joined, join
from dcsend.session.meeting import meet
from dcsend.session.trickling import say_bye
from dcsend.settings import Settings
from dcsend.signaling.dialcode import Address, DialCode, decode, ice_password, new_secret
from dcsend.signaling.link import both_codes, link_of_both
from dcsend.signaling.shortcode import ShortCode, read
from tests.session.test_short_codes import SETTINGS, Run, answer, guessing
from tests.support.mailbox_server import StockServer
from tests.support.peers import LOCAL
from tests.support.udp import bound

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("nothing_raised")]

PAGE = "https://dcsend.example/"


class Sender(Run):
    """A side that shows a link with both codes; waits for one peer."""

    connected: asyncio.Task[Connection]

    async def codes(self, count: int = 1) -> tuple[DialCode, ShortCode]:
        """Return the codes in the newest link."""
        await self.code(count)
        shown = [event for event in self.events if isinstance(event, ShortCodeReady)]
        found = both_codes(shown[-1].link)
        assert found is not None
        return decode(found[0]), read(found[1])

    def count(self, *kinds: type) -> int:
        """Count events of these kinds."""
        return sum(isinstance(event, kinds) for event in self.events)


@pytest.fixture
async def sender(stock_server: StockServer) -> AsyncIterator[Sender]:
    """A side with a hosted page and a server."""
    stock_server.start()
    await load_aiortc()
    run = Sender(replace(SETTINGS, server=stock_server.server.url, page_url=PAGE))
    async with meet(run.settings, run.emit, "sender") as arrivals:

        async def greeted() -> Connection:
            connection = await arrivals.next()
            connection.channels["control"].send("hello")
            return connection

        run.connected = asyncio.create_task(greeted())
        try:
            yield run
        finally:
            run.connected.cancel()
            await asyncio.wait({run.connected})


@pytest.fixture
def silent() -> Iterator[Address]:
    """An address that answers nothing, as one of another network."""
    with bound() as sock:
        yield Address(LOCAL, sock.getsockname()[1])


def dialing(code: DialCode) -> Dial:
    """Return a function that dials the addresses of a code."""
    return partial(
        dial,
        [(address.host, address.port) for address in code.addresses],
        password=ice_password(code.secret),
        fingerprint=code.fingerprint,
        timeout=20,
        make=transfer_peer,
    )


def joining(sender: Sender, code: ShortCode, emit: Emit = print) -> Join:
    """Return a function that connects by a short code."""
    return partial(join, sender.settings, emit, code, transfer_peer)


async def never() -> Joined[TransferConnection]:
    raise AssertionError("the short code was used")


async def failing(error: DcsendError) -> TransferConnection:
    raise error


async def talk(sender: Sender, connection: Connection) -> None:
    """Send a text to the sender."""
    connection.channels["text"].send("hello")
    async with asyncio.timeout(20):
        assert await (await sender.connected).channels["text"].receive() == "hello"


async def test_link_of_a_hosted_page_has_both_codes_and_one_address(sender: Sender) -> None:
    dial_code, short = await sender.codes()
    (event,) = (one for one in sender.events if isinstance(one, CodeReady))
    whole = decode(event.code)
    assert (dial_code.secret, dial_code.port) == (whole.secret, whole.port)
    assert dial_code.addresses == whole.addresses[:1]
    assert short == await sender.code(1)
    assert event.link.startswith(f"{PAGE}#")
    assert both_codes(event.link) is None


async def test_page_that_is_served_here_has_no_link_with_both(stock_server: StockServer) -> None:
    stock_server.start()
    run = Sender(replace(SETTINGS, server=stock_server.server.url))
    async with meet(run.settings, run.emit, "sender"):
        await run.code(1)
    assert [event.link for event in run.events if isinstance(event, ShortCodeReady)] == [""]


async def test_listener_that_can_be_reached_is_dialed_and_the_short_code_stays(
    sender: Sender,
) -> None:
    dial_code, _ = await sender.codes()
    async with either(dialing(dial_code), never, print) as arrivals:
        await talk(sender, await arrivals.next())
    assert sender.count(ShortCodeUsed) == 0


async def test_listener_in_another_network_is_joined(sender: Sender, silent: Address) -> None:
    dial_code, short = await sender.codes()
    link = link_of_both(replace(dial_code, addresses=(silent,)).link(PAGE), short.text())
    settings = replace(sender.settings, page_url="", code=link)
    async with meet(settings, print, "receiver") as arrivals:
        await talk(sender, await arrivals.next())
    assert sender.count(ShortCodeUsed) == 1


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when the allocator has closed its mailbox: it has ended its attempt."""
    event, allocate = asyncio.Event(), client.allocate

    async def watched(*arguments: Any) -> Mailbox:  # noqa: ANN401 - those of `allocate`
        mailbox = await allocate(*arguments)
        close = mailbox.close

        async def closing(mood: str) -> None:
            await close(mood)
            event.set()

        monkeypatch.setattr(mailbox, "close", closing)
        return mailbox

    monkeypatch.setattr(client, "allocate", watched)
    return event


async def test_dial_that_wins_ends_the_join_without_a_wrong_code_or_a_note(
    closed: asyncio.Event, sender: Sender
) -> None:
    """The join has begun: the allocator has confirmed its words, and waits for candidates."""
    dial_code, short = await sender.codes()
    begun = asyncio.Event()

    async def dial_late() -> TransferConnection:
        await begun.wait()
        return await dialing(dial_code)()

    async def join_for_ever() -> Joined[TransferConnection]:
        async with guessing(sender, short) as (mailbox, joiner, body):
            mailbox.add("b0", body)
            await answer(mailbox, joiner)
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                say_bye(mailbox, joiner, "interrupted")
        raise AssertionError("it was not ended")

    async with either(dial_late, join_for_ever, print, head_start=0) as arrivals:
        await talk(sender, await arrivals.next())
        # While a peer is connected, no other code is shown.
        assert sender.count(ShortCodeReady, Arrived) == 2
        await closed.wait()
    assert sender.count(Warned) == 0


async def test_both_ways_at_once_lead_to_one_peer(sender: Sender) -> None:
    dial_code, short = await sender.codes()
    ways = dialing(dial_code), joining(sender, short)
    async with either(*ways, print, head_start=0) as arrivals:
        connection = await arrivals.next()
        await talk(sender, connection)
        assert sender.count(Arrived) == 1
    assert [note for note in sender.notes if "wrong" in note] == []


async def test_connection_that_the_listener_closes_does_not_end_the_other_way(
    sender: Sender,
) -> None:
    """Both are complete, and the listener uses the one of the short code."""
    _, short = await sender.codes()
    joined = asyncio.Event()

    async def closed() -> TransferConnection:
        await joined.wait()
        connection = _Closed()
        return cast(TransferConnection, connection)

    async def join_first() -> Joined[TransferConnection]:
        made = await joining(sender, short)()
        joined.set()
        return made

    async with either(closed, join_first, print, head_start=0) as arrivals:
        await talk(sender, await arrivals.next())


class _Closed:
    """A connection that the listener has closed before its first message."""

    def __init__(self) -> None:
        self.channels = {"control": self}

    async def arrived(self) -> None:
        raise ConnectionFailed("the other side closed the connection")

    async def close(self) -> None:
        pass


async def test_used_code_ends_both_ways_at_once() -> None:
    used = CodeUsed("another device has already connected with this code")
    with pytest.raises(CodeUsed):
        async with either(partial(failing, used), never, lambda event: None):
            pass


async def test_failed_dial_begins_the_join_at_once(sender: Sender) -> None:
    _, short = await sender.codes()
    refused = partial(failing, ConnectionFailed("no route"))
    async with (
        asyncio.timeout(60),
        either(refused, joining(sender, short), print, head_start=1000) as arrivals,
    ):
        await talk(sender, await arrivals.next())


async def test_error_of_both_ways_states_both() -> None:
    events: list[object] = []

    async def no_server() -> Joined[TransferConnection]:
        raise ConnectionFailed("the server can't be reached", "check the network")

    no_answer = partial(failing, ConnectionFailed("no answer from 192.168.1.7", "open the port"))
    with pytest.raises(ConnectionFailed) as caught:
        async with either(no_answer, no_server, events.append):
            pass
    error = caught.value
    assert error.message == "the server can't be reached; directly: no answer from 192.168.1.7"
    assert error.hint == "check the network"
    assert [type(event) for event in events] == [Failed]


async def test_expired_link_uses_no_short_code(sender: Sender, silent: Address) -> None:
    """The number may be that of another side by now."""
    dial_code, short = await sender.codes()
    old = replace(dial_code, addresses=(silent,), expires=1)
    settings = Settings(stun=(), connect_timeout=2, server=sender.settings.server)
    with pytest.raises(DcsendError, match="expired"):
        async with meet(
            replace(settings, code=link_of_both(old.link(PAGE), short.text())),
            lambda event: None,
            "receiver",
        ):
            pass
    assert sender.count(ShortCodeUsed) == 0


async def test_short_code_of_no_server_is_not_used(sender: Sender, silent: Address) -> None:
    """Without a server, the number may be that of another code in this network."""
    dial_code, short = await sender.codes()
    assert not short.host
    unreachable = replace(dial_code, addresses=(silent,))
    link = link_of_both(unreachable.link(PAGE), short.text())
    settings = Settings(stun=(), connect_timeout=2, mdns=True, code=link)
    with pytest.raises(DcsendError, match="no answer from") as caught:
        async with meet(settings, lambda event: None, "receiver"):
            pass
    assert "number" not in caught.value.message
    assert sender.count(ShortCodeUsed) == 0


async def test_side_that_hides_its_addresses_does_not_dial(sender: Sender) -> None:
    dial_code, short = await sender.codes()
    link = link_of_both(dial_code.link(PAGE), short.text())
    settings = replace(sender.settings, page_url="", code=link, relay_only=True)
    with pytest.raises(DcsendError, match="relay"):
        async with meet(settings, lambda event: None, "receiver"):
            pass
    assert not sender.connected.done()


async def test_expired_link_is_refused_where_a_dial_would_show_addresses() -> None:
    code = DialCode(new_secret(), bytes(32), 1024, (Address("192.0.2.9", 1024),), 1)
    link = link_of_both(code.link(PAGE), "7-walrus-umbrella")
    events: list[Event] = []
    settings = Settings(stun=(), code=link, relay_only=True, server="ws://127.0.0.1:1/v1")
    with pytest.raises(CodeExpired, match="expired"):
        async with meet(settings, events.append, "receiver"):
            pass
    assert [type(event) for event in events] == [Failed]
