"""The mailbox that an allocator serves, over real sockets of the page server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import repeat

import aiohttp
import pytest

from dcsend.errors import CodeUsed, ConnectionFailed
from dcsend.rendezvous.client import join
from dcsend.rendezvous.local_mailbox import LocalMailbox
from dcsend.rendezvous.local_serving import Socket, serve
from dcsend.rendezvous.mailbox import Mailbox
from dcsend.rendezvous.servers import Server, local_server
from dcsend.rendezvous.wire import dump
from dcsend.serving.port import listen
from dcsend.serving.server import PageServer
from tests.serving.client import Client, until
from tests.serving.sample_page import HTML, PAGE


@asynccontextmanager
async def served(
    mailbox: LocalMailbox, *, opening: float = 10
) -> AsyncIterator[tuple[PageServer, int]]:
    """Serve a mailbox beside the page; yield the server and its port."""

    async def handle(socket: Socket) -> None:
        await serve(mailbox, socket, opening=opening)

    sockets = listen()
    server = PageServer(PAGE, handle)
    await server.start(sockets)
    try:
        yield server, sockets[0].getsockname()[1]
    finally:
        server.close()
        await until(lambda: not server.connections)


def at(port: int) -> Server:
    return local_server(["127.0.0.1"], port)


async def test_joiner_and_allocator_exchange_messages() -> None:
    local = LocalMailbox("7")
    async with served(local) as (_, port):
        allocator: Mailbox = local.side
        allocator.add("a0", b"first")
        joiner: Mailbox = await join(at(port), "7")
        assert await joiner.next() == ("a0", b"first")
        joiner.add("b0", b"offer")
        assert await allocator.next() == ("b0", b"offer")
        allocator.add("a1", b"answer")
        assert await joiner.next() == ("a1", b"answer")
        assert (await Client(port).get()).body == HTML
        for mailbox in (joiner, allocator):
            assert (mailbox.number, mailbox.motd, list(mailbox.ice_servers)) == ("7", "", [])
            await mailbox.close("happy")


async def test_second_joiner_is_refused() -> None:
    mailbox = LocalMailbox("7")
    async with served(mailbox) as (_, port):
        joiner = await join(at(port), "7")
        with pytest.raises(CodeUsed, match="on the server in this network"):
            await join(at(port), "7")
        await joiner.close("happy")


async def test_joiner_that_left_makes_room_for_another_one() -> None:
    mailbox = LocalMailbox("7")
    async with served(mailbox) as (_, port):
        for _ in range(3):
            joiner = await join(at(port), "7")
            await joiner.close("lonely")


async def test_other_number_is_refused() -> None:
    async with served(LocalMailbox("7")) as (_, port):
        with pytest.raises(ConnectionFailed, match="this mailbox has another number"):
            await join(at(port), "8")


async def test_joiner_returns_after_a_lost_socket() -> None:
    mailbox = LocalMailbox("7")
    async with served(mailbox) as (server, port):
        joiner = await join(at(port), "7", pauses=partial(repeat, 0))
        joiner.add("b0", b"offer")
        assert await mailbox.side.next() == ("b0", b"offer")
        for transport in list(server.connections):
            assert isinstance(transport, asyncio.WriteTransport)
            transport.abort()
        mailbox.side.add("a1", b"answer")
        assert await joiner.next() == ("a1", b"answer")
        await joiner.close("happy")


async def test_last_messages_of_a_closed_mailbox_arrive() -> None:
    mailbox = LocalMailbox("7")
    async with served(mailbox) as (_, port):
        mailbox.side.add("a0", b"")
        joiner = await join(at(port), "7")
        await joiner.next()
        for number in range(1, 64):
            mailbox.side.add(f"a{number}", bytes(4096))
        await mailbox.side.close("happy")
        assert [(await joiner.next())[0] for _ in range(63)] == [f"a{n}" for n in range(1, 64)]
        with pytest.raises(ConnectionFailed, match="this code has ended"):
            await joiner.next()
        await joiner.close("happy")


async def test_connection_that_does_not_open_the_mailbox_is_closed() -> None:
    async with served(LocalMailbox("7"), opening=0.1) as (_, port), connected(port) as socket:
        await socket.send_str(dump("bind", appid="dcsend/1", side="bb"))
        await socket.send_str(dump("claim", nameplate="7"))
        assert "error" not in [kind async for kind in types(socket)]


async def test_connection_that_opens_the_mailbox_in_time_stays() -> None:
    mailbox = LocalMailbox("7")
    async with served(mailbox, opening=0.3) as (_, port), asyncio.timeout(20):
        joiner = await join(at(port), "7", pauses=partial(repeat, 3600))
        async with connected(port) as late:  # the server closes this one after the same time
            assert [kind async for kind in types(late)] == ["welcome"]
        mailbox.side.add("a0", b"x")
        assert await joiner.next() == ("a0", b"x")
        await joiner.close("happy")


async def test_connection_that_violates_the_protocol_gets_the_reason_and_is_closed() -> None:
    async with served(LocalMailbox("7")) as (_, port), connected(port) as socket:
        await socket.send_str(dump("bind", appid="lothar.com/x", side="bb"))
        assert [kind async for kind in types(socket)] == ["welcome", "ack", "error"]


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{port}/v1") as socket,
    ):
        yield socket


async def types(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[str]:
    """Yield the types of messages until the connection is closed."""
    async for message in socket:
        yield json.loads(message.data)["type"]
