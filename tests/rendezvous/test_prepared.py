"""A joiner that connects to the server before its code is entered."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import repeat

import pytest
from aiohttp import web

from dcsend.errors import ConnectionFailed
from dcsend.rendezvous.client import join, prepare
from dcsend.rendezvous.server_mailbox import ServerMailbox
from dcsend.rendezvous.servers import read_option
from dcsend.session.entered import EarlyServer
from dcsend.settings import Settings
from tests.support.mailbox_server import StockServer
from tests.support.scripted_mailbox import scripted_server

WELCOME = '{"type":"welcome","welcome":{}}'
ANSWERS = {
    "claim": '{"type":"claimed","mailbox":"m"}',
    "ping": '{"type":"pong","pong":1}',
    "close": '{"type":"closed"}',
}


def no_pauses() -> Iterator[float]:
    return repeat(0.001)


class Visited:
    """A server that stores what each of its connections has sent.

    Args:
        ends: returns whether a connection, by its number from 1, ends before a message is answered.
        ignores: returns whether it answers nothing but with `welcome`.
        refuses: returns whether its welcome is a refusal.
    """

    def __init__(
        self,
        *,
        ends: Callable[[int, str], bool] = lambda count, type: False,
        ignores: Callable[[int], bool] = lambda count: False,
        refuses: Callable[[int], bool] = lambda count: False,
    ) -> None:
        self._ends = ends
        self._ignores = ignores
        self._refuses = refuses
        self.connections: list[list[dict[str, str]]] = []
        self._changed = asyncio.Condition()

    async def serve(self, socket: web.WebSocketResponse) -> None:
        """Serve one connection."""
        self.connections.append(got := [])
        count = len(self.connections)
        async with self._changed:
            self._changed.notify_all()
        refusal = '{"type":"welcome","welcome":{"error":"down"}}'
        await socket.send_str(refusal if self._refuses(count) else WELCOME)
        async for message in socket:
            values = json.loads(message.data)
            got.append(values)
            async with self._changed:
                self._changed.notify_all()
            if self._ends(count, values["type"]):
                return
            if (answer := ANSWERS.get(values["type"])) and not self._ignores(count):
                await socket.send_str(answer)

    async def until_connected(self, count: int) -> None:
        """Wait until there have been *count* connections."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.connections) >= count)

    async def until(self, *types: list[str]) -> None:
        """Wait until the connections have sent messages of these types."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.types == list(types))

    @property
    def types(self) -> list[list[str]]:
        """The types of the messages on each connection."""
        return [[values["type"] for values in got] for got in self.connections]


@asynccontextmanager
async def prepared(visited: Visited, timeout: float = 15) -> AsyncIterator[ServerMailbox]:
    """Yield a mailbox that connects to *visited*, and close it."""
    async with asyncio.timeout(30), scripted_server(visited.serve) as server:
        mailbox = prepare(server, pauses=no_pauses, timeout=timeout)
        try:
            yield mailbox
        finally:
            await mailbox.close("happy")


OPENED = ["bind", "claim", "open", "ping"]


async def test_number_is_claimed_on_the_connection_that_is_there() -> None:
    visited = Visited()
    async with prepared(visited) as mailbox:
        await visited.until(["bind"])  # and nothing else before the code is entered
        assert await join(mailbox.server, "7", prepared=mailbox) is mailbox
        assert await mailbox.posted() is None
        assert visited.types == [OPENED]
        assert visited.connections[0][1]["nameplate"] == mailbox.number == "7"


async def test_code_that_is_entered_before_there_is_a_connection_waits_for_it() -> None:
    visited = Visited()
    async with prepared(visited) as mailbox:
        await join(mailbox.server, "7", prepared=mailbox)
        assert await mailbox.posted() is None
        assert visited.types == [OPENED]


async def test_connection_that_is_lost_before_a_code_is_entered_is_replaced() -> None:
    visited = Visited(ends=lambda count, type: count < 3)
    async with prepared(visited) as mailbox:
        await visited.until(["bind"], ["bind"], ["bind"])
        await join(mailbox.server, "7", prepared=mailbox)
        assert await mailbox.posted() is None
        assert visited.types == [["bind"], ["bind"], OPENED]


@pytest.mark.parametrize("dies", [True, False], ids=["closed", "silent"])
@pytest.mark.full
async def test_connection_that_is_dead_when_a_code_is_entered_is_replaced(dies: bool) -> None:
    """The same side claims again: another one would be the third in the mailbox."""
    visited = Visited(
        ends=lambda count, type: dies and count == 1 and type == "claim",
        ignores=lambda count: not dies and count == 1,
    )
    async with prepared(visited, timeout=1) as mailbox:
        await visited.until(["bind"])
        await join(mailbox.server, "7", prepared=mailbox)
        assert await mailbox.posted() is None
        assert visited.types == [["bind", "claim"], OPENED]
        assert len({got[0]["side"] for got in visited.connections}) == 1


async def test_refusal_before_a_code_is_entered_is_not_the_last_word() -> None:
    visited = Visited(refuses=lambda count: count < 3)
    async with prepared(visited) as mailbox:
        await visited.until_connected(2)
        await join(mailbox.server, "7", prepared=mailbox)
        assert await mailbox.posted() is None
        assert visited.types[-1] == OPENED


async def test_refusal_after_a_code_is_entered_is_reported() -> None:
    async with prepared(Visited(refuses=lambda count: True)) as mailbox:
        with pytest.raises(ConnectionFailed, match="refuses: down"):
            await join(mailbox.server, "7", prepared=mailbox)


@pytest.mark.full
async def test_server_that_is_not_there_yet_is_tried_again(stock_server: StockServer) -> None:
    mailbox = prepare(stock_server.server, pauses=no_pauses)
    stock_server.start()
    try:
        await join(stock_server.server, "7", prepared=mailbox)
        assert await mailbox.posted() is None
    finally:
        await mailbox.close("happy")


async def test_code_of_another_server_or_a_second_code_gets_another_mailbox() -> None:
    visited, other = Visited(), Visited()
    async with (
        prepared(visited) as mailbox,
        scripted_server(other.serve) as elsewhere,
        contextlib.AsyncExitStack() as stack,
    ):
        used = []
        for server in (elsewhere, mailbox.server, mailbox.server):
            made = await join(server, "7", prepared=mailbox)
            stack.push_async_callback(made.close, "happy")
            used.append(made is mailbox)
    assert used == [False, True, False]
    assert [len(one.connections) for one in (visited, other)] == [2, 1]


async def test_closed_mailbox_is_not_used_and_leaves_no_connection() -> None:
    visited = Visited()
    async with prepared(visited) as mailbox:
        await visited.until(["bind"])
        await mailbox.close("lonely")
        assert not mailbox.is_prepared
    assert visited.types == [["bind"]]


async def test_side_that_was_cut_off_after_its_claim_claims_again_as_the_same_side() -> None:
    """Another number gets another side, which the server can't associate with the first one."""
    visited = Visited(ends=lambda count, type: type == "open" and count < 4)
    async with asyncio.timeout(30), scripted_server(visited.serve) as server:
        settings = Settings(server=server.url)
        async with EarlyServer(settings) as early:
            sides = []
            for number in ("7", "7", "8", "7"):
                early.connect()
                mailbox = early.joiner(read_option(server.url) or server, number)
                sides.append(mailbox.side)
                mailbox.is_claimed = True
                await mailbox.close("errory")
    assert sides[0] == sides[1] == sides[3] != sides[2]
