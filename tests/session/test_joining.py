"""The search for the side that shows a short code: what it leaves behind, what it may ask."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dcsend.errors import UsageError
from dcsend.peers.loading import load_aiortc, transfer_peer
from dcsend.rendezvous import client
from dcsend.session.events import Event
from dcsend.session.joining import join
from dcsend.session.meeting import meet
from dcsend.settings import Settings
from dcsend.signaling.shortcode import ShortCode
from tests.support.mailbox_server import StockServer
from tests.support.peers import LOCAL

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
