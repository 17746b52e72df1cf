"""Short codes that wait while their server is lost, and joiners that take no further step."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from dcsend.peers.loading import transfer_peer
from dcsend.rendezvous import client
from dcsend.session.events import (
    ShortCodeReady,
    ShortCodeServer,
    ShortCodeUsed,
)
from dcsend.session.joining import joined
from dcsend.session.meeting import meet
from tests.session.test_short_codes import SETTINGS, Run, answer, guessing, showing
from tests.support.mailbox_server import StockServer
from tests.support.peers import LOCAL

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("nothing_raised")]


def states(run: Run) -> list[bool]:
    """Return whether the server was connected, as reported."""
    return [event.connected for event in run.events if isinstance(event, ShortCodeServer)]


async def take_number(run: Run, stock: StockServer, number: str) -> None:
    """Do what an allocator does that gets a number which the server has lost."""
    other = await client.allocate(stock.server, number)
    other.add("a0", b"another code")
    await run.until(lambda: "has given the number" in "".join(run.notes[-1:]) or bool(run.over))
    await other.close("lonely")


async def test_notice_of_the_server_is_shown_beside_the_code(stock_server: StockServer) -> None:
    stock_server.start("--motd", "maintenance on Monday")
    async with showing(stock_server) as run:
        await run.code(1)
        await run.until(lambda: bool(run.notes))
        assert run.notes == [f"{run.settings.server}: maintenance on Monday"]


async def test_server_that_dies_while_a_code_waits_is_reported_and_so_is_its_return(
    stock_server: StockServer,
) -> None:
    stock_server.start()
    async with showing(stock_server) as run:
        code = await run.code(1)
        stock_server.stop()
        await run.until(lambda: states(run) == [False])
        stock_server.start()
        await run.until(lambda: states(run) == [False, True])
        event = next(one for one in run.events if isinstance(one, ShortCodeServer))
        assert (event.server, event.local) == (stock_server.server.url, False)
        async with guessing(run, code) as (mailbox, joiner, body):
            mailbox.add("b0", body)
            await answer(mailbox, joiner)
    assert run.notes == []


async def test_new_code_is_shown_if_the_server_has_given_the_number_to_another(
    stock_server: StockServer,
) -> None:
    stock_server.start()
    async with showing(stock_server) as run:
        first = await run.code(1)
        await take_number(run, stock_server, first.number)
        second = await run.code(2)
        assert second.words != first.words
        kinds = [type(one) for one in run.events if isinstance(one, ShortCodeReady | ShortCodeUsed)]
        assert kinds == [ShortCodeReady, ShortCodeUsed, ShortCodeReady]
        async with joined(run.settings, lambda event: None, second, transfer_peer):
            pass


async def test_server_that_loses_three_codes_is_given_up(stock_server: StockServer) -> None:
    stock_server.start()
    async with showing(stock_server) as run:
        for count in (1, 2, 3):
            await take_number(run, stock_server, (await run.code(count)).number)
        await run.until(lambda: bool(run.over))
    assert "has given the number" in run.over[0].message


async def test_code_without_the_server_follows_one_whose_server_is_given_up(
    stock_server: StockServer,
) -> None:
    """The number of the server would lead to another code, and `@host` to another mailbox."""
    stock_server.start()
    run = Run(replace(SETTINGS, server=stock_server.server.url, mdns=True))
    async with meet(run.settings, run.emit, "sender"):
        for count in (1, 2, 3):
            await take_number(run, stock_server, (await run.code(count)).number)
        await run.code(4)
    codes = [event for event in run.events if isinstance(event, ShortCodeReady)]
    assert [bool(code.server) for code in codes] == [True, True, True, False]
    assert run.over == []


async def test_next_code_is_shown_beside_a_joiner_that_takes_no_further_step(
    stock_server: StockServer,
) -> None:
    """A program that is killed sends no bye; its attempt lasts 30 s."""
    stock_server.start()
    async with AsyncExitStack() as stack:
        run = await stack.enter_async_context(showing(stock_server))
        guess = guessing(run, await run.code(1))
        mailbox, joiner, body = await stack.enter_async_context(guess)
        mailbox.add("b0", body)
        await answer(mailbox, joiner)
        code = await run.code(2)
        assert run.notes == []  # the first attempt goes on
        async with joined(run.settings, lambda event: None, code, transfer_peer):
            pass


@pytest.mark.parametrize("ways", ["server", "network", "both"])
async def test_code_in_two_mailboxes_connects_by_chosen_addresses(
    stock_server: StockServer, ways: str
) -> None:
    """With `--address` on both sides, of which the first does not answer."""
    stock_server.start()
    settings = replace(SETTINGS, addresses=("192.0.2.1", LOCAL), mdns=True)
    run = Run(replace(settings, server=stock_server.server.url))
    async with meet(run.settings, run.emit, "sender") as arrivals:
        code = await run.code(1)
        server = "" if ways == "network" else stock_server.server.url
        entering = replace(settings, server=server, mdns=ways != "server")
        arriving = asyncio.create_task(arrivals.next())
        async with joined(entering, lambda event: None, code, transfer_peer) as peer:
            arrived = await arriving
            assert (peer.route.remote, arrived.route.remote) == (LOCAL, LOCAL)
    assert run.over == []
