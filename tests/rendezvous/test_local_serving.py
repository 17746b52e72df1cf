"""The mailbox that an allocator serves, over real sockets of the page server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
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
from dcsend.serving.server import MAX_SOCKETS, PageServer
from tests.serving.client import Client, until
from tests.serving.sample_page import HTML, PAGE


@asynccontextmanager
async def served(
    mailbox: LocalMailbox, *, claiming: float = 10, joining: float = 30
) -> AsyncIterator[tuple[PageServer, int]]:
    """Serve a mailbox beside the page; yield the server and its port."""

    async def handle(socket: Socket) -> None:
        await serve(mailbox, socket, claiming=claiming, joining=joining)

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
        joiner.add("b0", b"offer")
        await mailbox.side.next()
        with pytest.raises(CodeUsed, match="on the server of the device in this network"):
            await join(at(port), "7")
        await joiner.close("happy")


@pytest.mark.parametrize("step", ["connect", "bind", "claim", "open"])
async def test_devices_that_stay_connected_do_not_keep_a_joiner_out(step: str) -> None:
    """They stop at any step, and are more than there are places."""
    mailbox = LocalMailbox("7")
    mailbox.side.add("a0", b"first")
    async with served(mailbox) as (_, port), AsyncExitStack() as stack:
        for number in range(2 * MAX_SOCKETS):
            idle = await stack.enter_async_context(connected(port))
            texts = [
                dump("bind", appid="dcsend/1", side=f"s{number}"),
                dump("claim", nameplate="7"),
            ]
            for text in texts[: ("connect", "bind", "claim", "open").index(step)]:
                await idle.send_str(text)
            async for message in idle:
                values = json.loads(message.data)
                if step in ("connect", "bind") or values["type"] == "claimed":
                    break
            if step == "open":
                await idle.send_str(dump("open", mailbox=values["mailbox"]))
        joiner = await join(at(port), "7", pauses=partial(repeat, 3600))
        assert await joiner.next() == ("a0", b"first")
        joiner.add("b0", b"offer")
        assert await mailbox.side.next() == ("b0", b"offer")
        for _ in range(2 * MAX_SOCKETS):  # nor do they take the place of one that has joined
            await stack.enter_async_context(connected(port))
        mailbox.side.add("a1", b"answer")
        async with asyncio.timeout(20):
            assert await joiner.next() == ("a1", b"answer")
        await joiner.close("happy")


async def test_device_that_begins_without_a_guess_does_not_keep_a_joiner_out() -> None:
    mailbox = LocalMailbox("7")
    mailbox.side.add("a0", b"first")
    async with served(mailbox) as (_, port), connected(port) as neighbour:
        for kind in ("bind", "claim"):
            await neighbour.send_str(dump(kind, appid="dcsend/1", side="aa", nameplate="7"))
        async for message in neighbour:
            if (values := json.loads(message.data))["type"] == "claimed":
                await neighbour.send_str(dump("open", mailbox=values["mailbox"]))
                await neighbour.send_str(dump("add", phase="b1", body="00"))
            elif values["type"] == "error" or values.get("phase") == "b1":
                break
        joiner = await join(at(port), "7")
        joiner.add("b0", b"offer")
        assert await mailbox.side.next() == ("b0", b"offer")
        await joiner.close("happy")


async def test_neighbour_that_connects_again_and_again_ends_its_own_connections() -> None:
    mailbox = LocalMailbox("7")
    async with served(mailbox) as (_, port), AsyncExitStack() as stack:
        joiner = await join(at(port), "7", pauses=partial(repeat, 3600))
        for _ in range(3 * MAX_SOCKETS):
            await stack.enter_async_context(connected(port, "127.0.0.2"))
        joiner.add("b0", b"offer")
        async with asyncio.timeout(20):
            assert await mailbox.side.next() == ("b0", b"offer")
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


async def test_connection_that_does_not_claim_the_number_is_closed() -> None:
    async with served(LocalMailbox("7"), claiming=0.1) as (_, port), connected(port) as socket:
        await socket.send_str(dump("bind", appid="dcsend/1", side="bb"))
        assert "error" not in [kind async for kind in types(socket)]


async def test_connection_that_sends_no_message_is_closed() -> None:
    async with served(LocalMailbox("7"), joining=0.2) as (_, port), connected(port) as socket:
        await socket.send_str(dump("bind", appid="dcsend/1", side="bb"))
        await socket.send_str(dump("claim", nameplate="7"))
        assert "claimed" in [kind async for kind in types(socket)]


async def test_connection_that_joins_in_time_stays() -> None:
    mailbox = LocalMailbox("7")
    limits = served(mailbox, claiming=0.3, joining=0.3)
    async with limits as (_, port), asyncio.timeout(20):
        joiner = await join(at(port), "7", pauses=partial(repeat, 3600))
        joiner.add("b0", b"offer")
        await mailbox.side.next()
        async with connected(port) as late:  # the server closes this one after the same time
            assert [kind async for kind in types(late)] == ["welcome"]
        mailbox.side.add("a1", b"x")
        assert await joiner.next() == ("a1", b"x")
        await joiner.close("happy")


async def test_connection_that_violates_the_protocol_gets_the_reason_and_is_closed() -> None:
    async with served(LocalMailbox("7")) as (_, port), connected(port) as socket:
        await socket.send_str(dump("bind", appid="lothar.com/x", side="bb"))
        assert [kind async for kind in types(socket)] == ["welcome", "ack", "error"]


@asynccontextmanager
async def connected(
    port: int, source: str = "127.0.0.1"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(source, 0))) as session,
        session.ws_connect(f"ws://127.0.0.1:{port}/v1") as socket,
    ):
        yield socket


async def types(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[str]:
    """Yield the types of messages until the connection is closed."""
    async for message in socket:
        yield json.loads(message.data)["type"]
