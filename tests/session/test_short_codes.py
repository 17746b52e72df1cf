"""The short codes of a run: what uses one up, and when the next one is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import cast

import pytest
from aiohttp import web

from dcsend.description import Description
from dcsend.errors import ConnectionFailed, RemoteProtocolError
from dcsend.peers.loading import transfer_peer
from dcsend.peers.offer_answer import Servers
from dcsend.peers.trickle import Trickle
from dcsend.rendezvous import client
from dcsend.rendezvous.handshake import Allocator, Joiner
from dcsend.rendezvous.items import Bye, End
from dcsend.rendezvous.mailbox import Mailbox
from dcsend.rendezvous.servers import read_option
from dcsend.rendezvous.wire import dump
from dcsend.session.events import Event, ShortCodeOver, ShortCodeReady, ShortCodeUsed, Warned
from dcsend.session.joining import joined
from dcsend.session.meeting import meet
from dcsend.session.trickling import say_bye
from dcsend.settings import Settings
from dcsend.signaling.shortcode import ShortCode, read
from tests.support.mailbox_server import StockServer
from tests.support.peers import LOCAL, published
from tests.support.scripted_mailbox import scripted_server
from tests.support.trickling import allocating, without_candidates

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("nothing_raised")]

SETTINGS = Settings(addresses=(LOCAL,), stun=())


class Run:
    """A side that shows short codes, in the process of the test."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.events: list[Event] = []
        self._news = asyncio.Event()

    def emit(self, event: Event) -> None:
        """Note an event."""
        self.events.append(event)
        self._news.set()

    async def until(self, is_there: Callable[[], bool]) -> None:
        """Wait for events."""
        async with asyncio.timeout(20):
            while not is_there():
                self._news.clear()
                await self._news.wait()

    async def code(self, count: int) -> ShortCode:
        """Wait for the short code number *count*, or for the end of short codes."""
        await self.until(lambda: len(self._codes) >= count or bool(self.over))
        return read(self._codes[count - 1].code)

    @property
    def over(self) -> list[ShortCodeOver]:
        """The end of short codes, if it has come."""
        return [event for event in self.events if isinstance(event, ShortCodeOver)]

    @property
    def notes(self) -> list[str]:
        """The messages of all warnings."""
        return [event.message for event in self.events if isinstance(event, Warned)]

    @property
    def _codes(self) -> list[ShortCodeReady]:
        return [event for event in self.events if isinstance(event, ShortCodeReady)]


async def answer(mailbox: Mailbox, joiner: Joiner) -> None:
    """Wait for the answer of the allocator."""
    (item,) = joiner.received(*await mailbox.next())
    assert isinstance(item, Description)


@asynccontextmanager
async def showing(server: StockServer) -> AsyncIterator[Run]:
    """Show short codes on *server*."""
    run = Run(replace(SETTINGS, server=server.server.url))
    async with meet(run.settings, run.emit, "sender"):
        yield run


@pytest.fixture
async def run(stock_server: StockServer) -> AsyncIterator[Run]:
    """A side that shows short codes until the end of the test."""
    stock_server.start()
    async with showing(stock_server) as made:
        yield made


@asynccontextmanager
async def guessing(run: Run, code: ShortCode) -> AsyncIterator[tuple[Mailbox, Joiner, bytes]]:
    """Yield the mailbox of a code, a joiner that has its words, and its first message."""
    server = read_option(run.settings.server)
    assert server is not None
    mailbox = await client.join(server, code.number)
    posted = await mailbox.posted()
    assert posted is not None
    joiner = Joiner(code.secret(), code.number)
    trickle = await Trickle.open(Servers(), transfer_peer, addresses=(LOCAL,))
    try:
        yield mailbox, joiner, joiner.join(posted[1], [trickle.describe()])[1]
    finally:
        await trickle.close()
        await mailbox.close("errory")


async def test_message_of_another_version_uses_up_one_code_and_no_more(run: Run) -> None:
    """It needs no words, so that it is a wrong guess as any other; the note names the version."""
    first = await run.code(1)
    async with guessing(run, first) as (mailbox, _, body):
        mailbox.add("b0", b"\2" + body[1:])
        second = await run.code(2)
        assert second.words != first.words
    async with guessing(run, second) as (mailbox, _, body):
        mailbox.add("b0", bytes([1]) + bytes(len(body) - 1))
        await run.code(3)
    assert run.notes == [
        "a device with another version of short codes has used the last code up; this is a new one",
        "a wrong code was entered, which used the last code up; this is a new one",
    ]


async def test_code_is_reported_as_used_before_the_next_one_is_shown(run: Run) -> None:
    for count in (1, 2):
        code = await run.code(count)
        async with guessing(run, code) as (mailbox, joiner, body):
            mailbox.add("b0", body if count == 1 else bytes(len(body)))
            if count == 1:
                await answer(mailbox, joiner)
                mailbox.add(*joiner.seal([Bye("interrupted", "")]))
            await run.code(count + 1)
    events = [one for one in run.events if isinstance(one, ShortCodeReady | ShortCodeUsed)]
    assert [type(one) for one in events] == [ShortCodeReady, ShortCodeUsed] * 2 + [ShortCodeReady]
    codes = [one.code for one in events]
    assert codes[1::2] == codes[:4:2]


async def test_server_that_breaks_the_protocol_is_not_reported_as_a_wrong_code() -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        for text in (
            dump("welcome", welcome={}),
            dump("allocated", nameplate="7"),
            dump("claimed", mailbox="abc"),
            "no JSON",
        ):
            await socket.send_str(text)
        await socket.receive()
        await socket.receive()

    async with scripted_server(script) as server:
        run = Run(replace(SETTINGS, server=server.url))
        async with meet(run.settings, run.emit, "sender"):
            await run.until(lambda: bool(run.over))
    assert "violates the mailbox protocol" in run.over[0].message
    assert run.notes == []


async def test_allocator_shows_a_new_code_at_once_when_its_joiner_is_interrupted(run: Run) -> None:
    async with guessing(run, await run.code(1)) as (mailbox, joiner, body):
        mailbox.add("b0", body)
        await answer(mailbox, joiner)
        mailbox.add(*joiner.seal([Bye("interrupted", "")]))
        await run.code(2)
    assert run.notes == ["the other side has ended the attempt"]


async def test_joiner_that_is_interrupted_sends_a_bye(stock_server: StockServer) -> None:
    """Otherwise the allocator shows no new code until its attempt has failed."""
    stock_server.start()
    settings = replace(SETTINGS, server=stock_server.server.url)
    mailbox = await client.allocate(stock_server.server)
    code = ShortCode(mailbox.number, ("walrus", "umbrella"))
    allocator = Allocator(code.secret(), code.number)
    mailbox.add(*allocator.first)

    async def join() -> None:
        async with joined(settings, lambda event: None, code, transfer_peer):
            pass

    joining = asyncio.create_task(join())
    allocator.received(*await mailbox.next())
    joining.cancel()
    items = [allocator.received(*await mailbox.next()) for _ in range(2)]
    assert items == [[End()], [Bye("interrupted", "")]]
    await asyncio.wait({joining})
    await mailbox.close("happy")


async def test_joiner_without_a_path_sends_a_bye_and_reports_the_error_of_the_other_side(
    stock_server: StockServer,
) -> None:
    """Otherwise the allocator shows no new code until its own time is over."""
    stock_server.start()
    settings = replace(SETTINGS, server=stock_server.server.url)
    mailbox = await client.allocate(stock_server.server)
    code = ShortCode(mailbox.number, ("walrus", "umbrella"))
    allocator = Allocator(code.secret(), code.number)
    mailbox.add(*allocator.first)

    async def join() -> None:
        async with joined(settings, lambda event: None, code, transfer_peer):
            pass

    async with published() as here:
        joining = asyncio.create_task(join())
        offer, *_ = allocator.received(*await mailbox.next())
        assert isinstance(offer, Description)
        answer = (await allocating(here)).describe(offer)
        for item in (without_candidates(answer), Bye("error", "no path from there")):
            mailbox.add(*allocator.seal([item]))
        while not isinstance(last := allocator.received(*await mailbox.next())[-1], Bye):
            pass
        assert last.reason == "error"
        assert last.message.startswith("no path to the other side")
        with pytest.raises(ConnectionFailed, match="no path from there") as caught:
            await joining
        assert "a relay is needed" in caught.value.hint
    await mailbox.close("errory")


async def test_allocator_that_is_interrupted_sends_a_bye(stock_server: StockServer) -> None:
    stock_server.start()
    async with AsyncExitStack() as stack:
        async with showing(stock_server) as run:
            guess = guessing(run, await run.code(1))
            mailbox, joiner, body = await stack.enter_async_context(guess)
            mailbox.add("b0", body)
            await answer(mailbox, joiner)
        while not (items := joiner.received(*await mailbox.next())) or items == [End()]:
            pass
        assert items == [Bye("interrupted", "")]


def test_no_bye_is_sent_after_the_exchange_has_failed() -> None:
    class Sent:
        def add(self, phase: str, body: bytes) -> None:
            raise AssertionError(phase)

    party = Allocator("walrus-umbrella", "7")
    with pytest.raises(RemoteProtocolError):
        party.received("b0", b"")
    say_bye(cast(Mailbox, Sent()), party, "error")
