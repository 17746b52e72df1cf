"""Devices in the network of a joiner that have the number of its code, and no part in its transfer.

The programs announce and find numbers by real mDNS, with addresses of this machine.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from dcsend.rendezvous import discovery
from dcsend.rendezvous.handshake import Allocator
from dcsend.rendezvous.local_mailbox import LocalMailbox
from dcsend.rendezvous.local_serving import serve
from dcsend.rendezvous.wire import dump
from dcsend.serving.port import listen
from dcsend.serving.server import PageServer
from tests.serving.sample_page import PAGE
from tests.support.mailbox_server import StockServer
from tests.support.processes import Program, Stage
from tests.support.scripted_mailbox import scripted_server

HERE = {"DCSEND_NO_MDNS": "", "DCSEND_NO_PAGE": "1"}
"The environment of a program that announces its code, and looks for others, in this network."


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    path.write_bytes(bytes(1000))
    return path


async def short_code(program: Program) -> str:
    return str((await asyncio.to_thread(program.event, "short_code"))["code"])


@asynccontextmanager
async def far(server: StockServer) -> AsyncIterator[str]:
    """Yield the URL of a server whose messages take longer than those of this network."""

    async def respond(client: web.WebSocketResponse) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(server.server.url) as upstream,
            asyncio.TaskGroup() as group,
        ):

            async def back() -> None:
                async for message in upstream:
                    await asyncio.sleep(0.2)
                    await client.send_str(message.data)

            returning = group.create_task(back())
            async for message in client:
                await upstream.send_str(message.data)
            returning.cancel()

    async with scripted_server(respond) as where:
        yield where.url


@pytest.mark.parametrize("phase", ["b1", "b5"])
async def test_neighbour_that_makes_no_guess_keeps_no_joiner_out(
    stage: Stage, tmp_path: Path, file: Path, phase: str
) -> None:
    sender = stage.send(file, environment=HERE)
    code = await short_code(sender)
    (place,) = await discovery.find(number := code.split("-")[0])
    host = next(host for host in place.hosts if "%" not in host)
    url = f"ws://{f'[{host}]' if ':' in host else host}:{place.port}/v1"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url) as socket,
    ):
        for kind in ("bind", "claim"):
            await socket.send_str(dump(kind, appid="dcsend/1", side="aa", nameplate=number))
        async for message in socket:
            if (values := json.loads(message.data))["type"] == "claimed":
                await socket.send_str(dump("open", mailbox=values["mailbox"]))
                await socket.send_str(dump("add", phase=phase, body="00"))
            elif values["type"] in ("error", "message") and values.get("phase") != "a0":
                break
        receiver = stage.receive(code, tmp_path / "output", environment=HERE)
        received = await asyncio.to_thread(receiver.end)
    assert received.status == 0, received.fatal
    assert (await asyncio.to_thread(sender.end)).status == 0


async def test_neighbour_with_the_number_of_a_code_on_a_server_is_not_taken_for_its_side(
    stage: Stage, stock_server: StockServer, tmp_path: Path, file: Path
) -> None:
    """The code of the neighbour has no server, so that both numbers are right."""
    await asyncio.to_thread(stock_server.start)
    server = ("--server", stock_server.server.url)
    neighbour = stage.send(file, "--code", "471103-yoyo-yoyo", environment=HERE)
    sender = stage.send(file, "--code", "471103-walrus-umbrella", *server)
    await short_code(neighbour)
    code = await short_code(sender)
    async with far(stock_server) as url:
        receiver = stage.receive(code, tmp_path / "output", "--server", url, environment=HERE)
        received = await asyncio.to_thread(receiver.end)
    assert received.status == 0, received.fatal
    assert (await asyncio.to_thread(sender.end)).status == 0
    assert not neighbour.so_far("short_code_used")


@pytest.mark.parametrize("first", ["malformed", "low order", "other version", "valid, and silent"])
async def test_neighbour_that_answers_for_any_number_does_not_prevent_a_code_on_a_server(
    stage: Stage, stock_server: StockServer, tmp_path: Path, file: Path, first: str
) -> None:
    await asyncio.to_thread(stock_server.start)
    server = ("--server", stock_server.server.url)
    sender = stage.send(file, "--code", "471104-walrus-umbrella", *server)
    code = await short_code(sender)
    valid = Allocator("yoyo-yoyo", "471104").first[1]
    bodies = {"malformed": valid[:-1], "low order": valid[:18] + bytes(32)}
    bodies["other version"] = b"\x09" + valid[1:]
    mailbox = LocalMailbox("471104")
    mailbox.side.add("a0", bodies.get(first, valid))
    sockets = listen()
    page = PageServer(PAGE, partial(serve, mailbox))
    await page.start(sockets)
    port = sockets[0].getsockname()[1]
    async with far(stock_server) as url, discovery.announced("471104", port):
        receiver = stage.receive(code, tmp_path / "output", "--server", url, environment=HERE)
        received = await asyncio.to_thread(receiver.end)
    page.close()
    assert received.status == 0, received.fatal
    assert (await asyncio.to_thread(sender.end)).status == 0


async def test_code_that_both_ways_lead_to_connects(
    stage: Stage, stock_server: StockServer, tmp_path: Path, file: Path
) -> None:
    await asyncio.to_thread(stock_server.start)
    environment = {**HERE, "DCSEND_SERVER": stock_server.server.url}
    sender = stage.send(file, environment=environment)
    receiver = stage.receive(await short_code(sender), tmp_path / "output", environment=environment)
    assert (await asyncio.to_thread(receiver.end)).status == 0
    assert (await asyncio.to_thread(sender.end)).status == 0


async def test_own_number_on_another_server_does_not_use_the_own_code_up(
    stage: Stage, tmp_path: Path
) -> None:
    """The run announces the number itself; nothing listens at the server of the other code."""
    shown = ("--code", "471105-yoyo-yoyo", "-o", tmp_path / "output")
    receiver = stage.run("receive", *shown, "-y", terminal=True, environment=HERE)
    await asyncio.to_thread(receiver.until_shown, b"471105-yoyo")
    receiver.write(b"471105-walrus-umbrella@127.0.0.1:1\n")
    await asyncio.to_thread(receiver.until_shown, b"hint: ")
    assert b"127.0.0.1:1 can't be reached" in receiver.shown
    assert b"uses it up" not in receiver.shown
