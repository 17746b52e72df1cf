"""The client against the stock mailbox server of magic-wormhole, as a process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import repeat

import aiohttp
import pytest

from dcsend.errors import AuthenticationFailed, CodeUsed, ConnectionFailed
from dcsend.rendezvous import server_mailbox
from dcsend.rendezvous.client import allocate, join
from dcsend.rendezvous.handshake import Allocator, Joiner
from dcsend.rendezvous.server_mailbox import ServerMailbox
from dcsend.rendezvous.wire import dump
from tests.rendezvous.shortcodes import OFFER
from tests.support.mailbox_server import StockServer


def no_pauses() -> Iterator[float]:
    """Connect again often, since a test has to wait for the server to start."""
    return repeat(0.02)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for the server to close a mailbox: beside other tests it may take seconds."""
    monkeypatch.setattr(server_mailbox, "_CLOSING", 60.0)


@asynccontextmanager
async def allocated(stock: StockServer) -> AsyncIterator[ServerMailbox]:
    mailbox = await allocate(stock.server, pauses=no_pauses)
    try:
        yield mailbox
    finally:
        await mailbox.close("happy")


@asynccontextmanager
async def joined(stock: StockServer, number: str) -> AsyncIterator[ServerMailbox]:
    mailbox = await join(stock.server, number, pauses=no_pauses)
    try:
        yield mailbox
    finally:
        await mailbox.close("happy")


async def test_two_sides_exchange_messages_in_both_directions(stock_server: StockServer) -> None:
    stock_server.start()
    async with allocated(stock_server) as a:
        a.add("a0", b"\x00\xff")
        async with joined(stock_server, a.number) as b:
            assert await b.next() == ("a0", b"\x00\xff")
            b.add("b0", b"offer")
            assert await a.next() == ("b0", b"offer")
            a.add("a1", b"answer")
            a.add("a2", b"candidate")
            assert {await b.next(), await b.next()} == {("a1", b"answer"), ("a2", b"candidate")}
            assert (a.motd, a.ice_servers) == ("", ())


async def test_joiner_with_wrong_words_fails_though_the_mailbox_is_closed_at_once(
    stock_server: StockServer,
) -> None:
    stock_server.start()
    async with allocated(stock_server) as a, joined(stock_server, a.number) as b:
        allocator = Allocator("walrus-umbrella", a.number)
        joiner = Joiner("walrus-umpire", a.number)
        a.add(*allocator.first)
        b.add(*joiner.join((await b.next())[1], [OFFER]))
        with pytest.raises(AuthenticationFailed):
            allocator.received(*await a.next())
        a.add(*allocator.refusal())
        await a.close("scary")
        with pytest.raises(AuthenticationFailed, match="the words of the code are wrong"):
            joiner.received(*await b.next())


async def test_numbers_of_this_program_begin_with_one_digit(stock_server: StockServer) -> None:
    stock_server.start()
    async with allocated(stock_server) as first, allocated(stock_server) as second:
        assert len({first.number, second.number}) == 2
        assert {len(first.number), len(second.number)} == {1}


async def test_same_number_of_another_program_is_another_mailbox(stock_server: StockServer) -> None:
    stock_server.start()
    async with (
        allocated(stock_server) as a,
        aiohttp.ClientSession() as session,
        session.ws_connect(stock_server.server.url) as other,
    ):
        a.add("a0", b"ours")
        for text in (
            dump("bind", appid="other.example/app", side="cc"),
            dump("claim", nameplate=a.number),
        ):
            await other.send_str(text)
        claimed = await until(other, "claimed")
        await other.send_str(dump("open", mailbox=claimed["mailbox"]))
        await other.send_str(dump("add", phase="a0", body="00"))
        assert (await until(other, "message"))["side"] == "cc"  # its own message is the only one
        async with joined(stock_server, a.number) as b:
            assert await b.next() == ("a0", b"ours")


async def until(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, object]:
    """Return the next message of a type."""
    while True:
        values: dict[str, object] = json.loads(await socket.receive_str())
        if values["type"] == kind:
            return values


async def test_third_side_is_refused_and_the_two_others_go_on(stock_server: StockServer) -> None:
    stock_server.start()
    async with allocated(stock_server) as a, joined(stock_server, a.number) as b:
        with pytest.raises(CodeUsed, match="two others already use the number"):
            await join(stock_server.server, a.number)
        a.add("a0", b"x")
        assert await b.next() == ("a0", b"x")


async def test_allocator_gets_no_message_about_a_joiner_that_has_ended_or_is_refused(
    stock_server: StockServer,
) -> None:
    """M-7: `crowded` reaches the allocator only if it opens its mailbox once more."""
    stock_server.start()
    url = stock_server.server.url
    bind = dump("bind", appid="dcsend/1", side="aa")
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as a:
            await a.send_str(bind)
            await a.send_str(dump("claim", nameplate="7"))
            mailbox = (await until(a, "claimed"))["mailbox"]
            await a.send_str(dump("open", mailbox=mailbox))
            async with session.ws_connect(url) as b:
                await b.send_str(dump("bind", appid="dcsend/1", side="bb"))
                await b.send_str(dump("claim", nameplate="7"))
                await until(b, "claimed")
            with pytest.raises(CodeUsed):
                await join(stock_server.server, "7")
            await a.send_str(dump("ping", ping=1))
            kinds = set()
            while "pong" not in kinds:
                kinds.add(json.loads(await a.receive_str())["type"])
            assert kinds == {"ack", "pong"}
        async with session.ws_connect(url) as again:
            await again.send_str(bind)
            await again.send_str(dump("open", mailbox=mailbox))
            assert (await until(again, "error"))["error"] == "crowded"


async def test_number_that_no_code_has_is_an_empty_mailbox(stock_server: StockServer) -> None:
    stock_server.start()
    async with joined(stock_server, "4711") as b:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await b.next()
    # It was released: another joiner and its allocator would not be crowded.
    async with joined(stock_server, "4711"), joined(stock_server, "4711"):
        pass


async def test_closed_mailbox_frees_its_number(stock_server: StockServer) -> None:
    stock_server.start()
    for _ in range(12):  # more than the numbers with one digit
        async with allocated(stock_server) as a:
            assert len(a.number) == 1


@pytest.mark.parametrize("forgets", [False, True], ids=["same database", "empty database"])
async def test_code_that_waits_while_the_server_restarts_is_joined(
    stock_server: StockServer, *, forgets: bool
) -> None:
    stock_server.start()
    async with allocated(stock_server) as a:
        a.add("a0", b"first")
        number = a.number
        async with joined(stock_server, number) as b:
            await b.next()  # so a0 has reached the server
            stock_server.stop()
            if forgets:
                stock_server.forget()
            a.add("a1", b"second")
            b.add("b0", b"third")
            stock_server.start()
            assert await a.next() == ("b0", b"third")
            assert await b.next() == ("a1", b"second")
        assert a.number == number


async def test_code_is_joined_after_the_server_has_lost_everything(
    stock_server: StockServer,
) -> None:
    stock_server.start()
    async with allocated(stock_server) as a:
        a.add("a0", b"first")
        async with joined(stock_server, a.number) as b:
            await b.next()
        stock_server.stop()
        stock_server.forget()
        stock_server.start()
        async with joined(stock_server, a.number) as late:
            assert await late.next() == ("a0", b"first")


async def test_motd_of_the_server_is_shown(stock_server: StockServer) -> None:
    stock_server.start("--motd", "maintenance on Monday")
    async with allocated(stock_server) as a:
        assert a.motd == "maintenance on Monday"


async def test_error_of_the_server_is_one_line(stock_server: StockServer) -> None:
    stock_server.start("--signal-error", "please upgrade")
    with pytest.raises(ConnectionFailed) as caught:
        await allocate(stock_server.server)
    assert caught.value.message == "the server stock.example refuses: please upgrade"
    assert "--server" in caught.value.hint


async def test_error_after_a_restart_ends_the_mailbox(stock_server: StockServer) -> None:
    stock_server.start()
    async with allocated(stock_server) as a:
        stock_server.stop()
        stock_server.start("--signal-error", "please upgrade")
        with pytest.raises(ConnectionFailed, match="refuses: please upgrade"):
            await a.next()


async def test_server_that_is_not_there_is_one_line(stock_server: StockServer) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        await allocate(stock_server.server)
    assert caught.value.message == "the server stock.example can't be reached: connection refused"


async def test_close_of_a_mailbox_whose_server_has_gone_returns(stock_server: StockServer) -> None:
    stock_server.start()
    async with allocated(stock_server) as a:
        a.add("a0", b"x")
        stock_server.stop()
    with pytest.raises(ConnectionFailed, match="the mailbox is closed"):
        await a.next()
