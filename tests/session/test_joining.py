"""The search for the side that shows a short code: what it leaves behind, what it may ask."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from dcsend.errors import AuthenticationFailed, ConnectionFailed, DcsendError, UsageError
from dcsend.peers.loading import load_aiortc, transfer_peer
from dcsend.rendezvous import client, discovery
from dcsend.rendezvous.handshake import Allocator
from dcsend.rendezvous.local_mailbox import LocalMailbox
from dcsend.rendezvous.local_serving import serve
from dcsend.rendezvous.mailbox import Mailbox
from dcsend.rendezvous.servers import Server
from dcsend.serving.port import listen
from dcsend.serving.server import PageServer
from dcsend.session.events import Event
from dcsend.session.finding import allocator as allocator_of
from dcsend.session.finding import claim_unless
from dcsend.session.joining import join
from dcsend.session.meeting import meet
from dcsend.settings import Settings
from dcsend.signaling.shortcode import ShortCode
from tests.serving.sample_page import PAGE
from tests.support.mailbox_server import StockServer
from tests.support.peers import LOCAL
from tests.support.scripted_mailbox import raw_server

pytestmark = pytest.mark.usefixtures("nothing_raised")

SETTINGS = Settings(addresses=(LOCAL,), stun=())
WORDS = ("walrus", "umbrella")


@pytest.mark.full
async def test_join_that_is_cancelled_when_a_mailbox_was_found_closes_it(
    stock_server: StockServer,
) -> None:
    stock_server.start("--motd", "hello")
    await load_aiortc()
    allocator = await client.allocate(stock_server.server)
    allocator.add("a0", b"the first message")
    searching: set[asyncio.Task[object]] = set()

    def note(event: Event) -> None:
        task = asyncio.current_task()
        assert task is not None
        searching.add(task)

    settings = replace(SETTINGS, server=stock_server.server.url)
    code = ShortCode(allocator.number, WORDS)
    before = asyncio.all_tasks()
    joining = asyncio.create_task(join(settings, note, code, transfer_peer))
    while not searching or not all(task.done() for task in searching):  # noqa: ASYNC110
        await asyncio.sleep(0)  # to cancel before `join` can have seen the result
    joining.cancel()
    await asyncio.wait({joining})
    assert asyncio.all_tasks() - before == set()
    await allocator.close("happy")


@pytest.mark.full
async def test_device_in_this_network_that_does_not_answer_is_given_up_soon() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    settings = replace(SETTINGS, mdns=True)
    async with raw_server(silent, "0.0.0.0") as port, discovery.announced("471100", port):
        with pytest.raises(ConnectionFailed, match="can't be reached at TCP port"):
            async with asyncio.timeout(20):
                await join(settings, lambda event: None, ShortCode("471100", WORDS), transfer_peer)


@pytest.mark.full
async def test_device_in_this_network_that_has_ended_is_not_waited_for() -> None:
    """Its program was killed after it had got our message."""
    code = ShortCode("471101", WORDS)
    mailbox = LocalMailbox(code.number)
    mailbox.side.add(*Allocator(code.secret(), code.number).first)
    sockets = listen()
    server = PageServer(PAGE, partial(serve, mailbox))
    await server.start(sockets)
    port = sockets[0].getsockname()[1]
    settings = replace(SETTINGS, mdns=True)
    async with discovery.announced(code.number, port), asyncio.timeout(20):
        joining = asyncio.create_task(join(settings, lambda event: None, code, transfer_peer))
        await mailbox.side.next()
        server.close()
        with pytest.raises(ConnectionFailed, match="can't be reached"):
            async with asyncio.timeout(10):
                await joining


def test_nothing_is_announced_or_looked_for_in_this_network_with_relay_only() -> None:
    settings = replace(SETTINGS, mdns=True, relay_only=True)
    assert not settings.uses_mdns
    assert not settings.has_short_codes
    assert replace(settings, server="public").has_short_codes


async def test_side_that_shows_a_code_needs_a_server_with_relay_only() -> None:
    settings = replace(SETTINGS, mdns=True, relay_only=True)
    with pytest.raises(UsageError, match="--relay-only needs a rendezvous server"):
        async with meet(settings, lambda event: None, "sender"):
            pass


async def test_short_code_without_a_server_is_refused_with_relay_only() -> None:
    settings = replace(SETTINGS, mdns=True, relay_only=True)
    with pytest.raises(UsageError, match="with --relay-only, a short code needs a server"):
        await join(settings, lambda event: None, ShortCode("7", WORDS), transfer_peer)


@pytest.mark.full
async def test_code_of_a_link_that_does_not_work_is_not_blamed_on_typed_words(
    stock_server: StockServer,
) -> None:
    stock_server.start()
    allocator = await client.allocate(stock_server.server)
    own = Allocator("walrus-umbrella", allocator.number)
    allocator.add(*own.first)

    async def failure(number: str, words: tuple[str, ...]) -> DcsendError:
        code = ShortCode(number, words)
        link = f"https://dcsend.example/#{code.text()}"
        settings = replace(SETTINGS, server=stock_server.server.url, code=link)
        with pytest.raises(DcsendError) as caught:
            await join(settings, lambda event: None, code, transfer_peer)
        return caught.value

    failing = asyncio.create_task(failure(allocator.number, ("yoyo", "yoyo")))
    with pytest.raises(AuthenticationFailed):
        own.received(*await allocator.next())
    allocator.add(*own.refusal())
    for error in (await failing, await failure("999999", WORDS)):
        assert error.message.startswith("the code in the link was used up, or is wrong")
        assert error.hint == "ask the other side for a new link"
    await allocator.close("scary")


@pytest.mark.parametrize(
    ("here", "server", "chosen"),
    [
        (b"same", b"same", "here"),
        (b"other", b"right", "server"),
        (b"right", None, "here"),
        (None, b"right", "server"),
        (None, None, ""),
    ],
)
async def test_first_message_on_the_server_decides_whose_number_it_is(
    here: bytes | None, server: bytes | None, chosen: str
) -> None:
    """The device in this network answers first."""

    async def found(first: bytes | None) -> tuple[Mailbox, bytes]:
        if first is None:
            raise ConnectionFailed("no code")
        return LocalMailbox("7").side, first

    async def found_later(first: bytes | None) -> tuple[Mailbox, bytes]:
        await asyncio.wait({tasks["here"]})
        await asyncio.sleep(0)
        return await found(first)

    tasks = {"here": asyncio.create_task(found(here))}
    tasks["server"] = asyncio.create_task(found_later(server))
    opening = asyncio.get_running_loop().create_future()
    opening.set_result(None)
    claiming = client.joiner(Server("ws://server.example/v1", "server.example"))
    errors: list[DcsendError] = []
    task = await allocator_of(tasks["server"], tasks["here"], claiming, opening, errors)
    assert task is tasks.get(chosen)
    assert len(errors) == [here, server].count(None)


@pytest.mark.parametrize(
    ("here", "is_claimed"), [(b"first", False), (None, True)], ids=["here", "not here"]
)
async def test_number_of_a_code_without_a_server_is_claimed_only_if_it_is_not_in_this_network(
    here: bytes | None, is_claimed: bool
) -> None:
    """A claim takes a place of another code with this number on the server."""

    async def found() -> tuple[Mailbox, bytes]:
        await asyncio.sleep(0.01)
        if here is None:
            raise ConnectionFailed("no code")
        return LocalMailbox("7").side, here

    looking = asyncio.create_task(found())
    opening = asyncio.get_running_loop().create_future()
    opening.set_result(None)
    claims = asyncio.create_task(claim_unless(looking, opening))
    await asyncio.wait({claims}, timeout=1)
    assert claims.done() is is_claimed
    claims.cancel()


async def test_code_of_this_network_has_precedence_if_the_code_could_name_the_server() -> None:
    async def found(first: bytes) -> tuple[Mailbox, bytes]:
        return LocalMailbox("7").side, first

    server, here = (asyncio.create_task(found(first)) for first in (b"server", b"here"))
    await asyncio.wait({server, here})
    opening = asyncio.get_running_loop().create_future()
    opening.set_result(None)
    assert await allocator_of(server, here, None, opening, []) is here


async def test_server_that_is_silent_delays_a_code_of_this_network_by_a_second() -> None:
    async def found() -> tuple[Mailbox, bytes]:
        return LocalMailbox("7").side, b"first"

    async def silent() -> tuple[Mailbox, bytes]:
        await asyncio.Event().wait()
        raise AssertionError

    here, server = asyncio.create_task(found()), asyncio.create_task(silent())
    opening = asyncio.get_running_loop().create_future()
    opening.set_result(None)
    claiming = client.joiner(Server("ws://server.example/v1", "server.example"))
    async with asyncio.timeout(2.5):
        assert await allocator_of(server, here, claiming, opening, []) is here
    server.cancel()
