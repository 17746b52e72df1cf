"""A server that stops answering after the claim of a joiner, and its second attempt."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.support.mailbox_server import StockServer
from tests.support.processes import Stage
from tests.support.scripted_mailbox import scripted_server


class Faulty:
    """Passes on the messages between clients and a server, up to a fault."""

    def __init__(self, server: str) -> None:
        self._server = server
        self.cuts = ""
        "The type of the message that ends each connection; empty for none."
        self.drops: set[str] = set()
        "Types of messages that are not passed on."
        self.connected = asyncio.Event()

    async def serve(self, client: web.WebSocketResponse) -> None:
        """Serve one client."""
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(self._server) as server,
            asyncio.TaskGroup() as group,
        ):
            back = group.create_task(_pass_on(server, client))
            async for message in client:
                kind = json.loads(message.data)["type"]
                if kind == self.cuts:
                    break
                if kind not in self.drops:
                    await server.send_str(message.data)
                self.connected.set()
            back.cancel()


async def _pass_on(server: aiohttp.ClientWebSocketResponse, client: web.WebSocketResponse) -> None:
    async for message in server:
        await client.send_str(message.data)


@pytest.mark.parametrize(
    ("cuts", "drops"),
    [("open", set[str]()), ("", {"open", "ping"})],
    ids=["connections end", "no answer"],
)
async def test_second_attempt_at_a_code_works_after_the_server_has_stopped(
    stage: Stage,
    stock_server: StockServer,
    tmp_path: Path,
    cuts: str,
    drops: set[str],
) -> None:
    """The first one has claimed the number, so that another side would be the third."""
    await asyncio.to_thread(stock_server.start)
    file = tmp_path / "film.mkv"
    file.write_bytes(os.urandom(1000))
    sender = stage.send(file, "--server", stock_server.server.url)
    code = str((await asyncio.to_thread(sender.event, "short_code"))["code"])
    faulty = Faulty(stock_server.server.url)
    async with scripted_server(faulty.serve) as server:
        own = ("--code", "471106-yoyo-yoyo", "--server", server.url)
        receiver = stage.run("receive", "-o", tmp_path / "output", "-y", *own, terminal=True)
        await asyncio.to_thread(receiver.until_shown, b"471106-yoyo")
        faulty.cuts, faulty.drops = cuts, drops
        await asyncio.to_thread(receiver.write, code.encode() + b"\n")
        await asyncio.to_thread(receiver.until_shown, b"hint: ")
        assert b"is slow or lost: no answer after 5 s" in receiver.shown
        assert b"there is no code" not in receiver.shown
        faulty.cuts, faulty.drops = "", set()
        await asyncio.to_thread(receiver.write, code.encode() + b"\n")
        assert (await asyncio.to_thread(receiver.end)).status == 0, receiver.shown
        assert (await asyncio.to_thread(sender.end)).status == 0
