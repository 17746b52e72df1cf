"""The stock mailbox server of magic-wormhole in the process of the test, without sockets.

Its own classes handle each message; only the WebSocket is replaced, so that thousands of codes take
seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Final

import pytest
from wormhole_mailbox_server.database import create_channel_db
from wormhole_mailbox_server.server import make_server
from wormhole_mailbox_server.server_websocket import WebSocketServer

from dcsend.rendezvous import websocket
from dcsend.rendezvous.servers import Server

__all__ = ["InnerServer"]

_PEER: Final = "tcp4:127.0.0.1:1"
_BLUR: Final = 60
"Seconds to which the server rounds times; with them, it logs no request."


class InnerServer:
    """A server with a database in memory, to which every WebSocket of the process leads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._database = create_channel_db(":memory:")
        stock = make_server(self._database, blur_usage=_BLUR)
        self._factory = SimpleNamespace(_server=stock, reactor=None)
        monkeypatch.setattr(websocket, "connect", self._connect)
        self.passed: Callable[[str], None] = lambda text: None
        """Called with the type of each text, before it is passed on, in both directions; for the
        connections that are made from now on."""

    @property
    def rows(self) -> int:
        """How many mailboxes, their sides and messages, and numbers the database has."""
        tables = ("nameplates", "nameplate_sides", "mailboxes", "mailbox_sides", "messages")
        count = "SELECT count(*) AS count FROM "
        return sum(self._database.execute(count + name).fetchone()["count"] for name in tables)

    async def _connect(self, server: Server, timeout: float, reach: float | None) -> _Socket:
        return _Socket(self._factory, self.passed)


class _Socket:
    """The client's end of a connection: the methods of `websocket.WebSocket`."""

    def __init__(self, factory: SimpleNamespace, passed: Callable[[str], None]) -> None:
        self._passed = passed
        self._texts: asyncio.Queue[str] = asyncio.Queue()
        self._server = WebSocketServer()
        self._server.factory = factory
        self._server.sendMessage = lambda payload, binary: self._texts.put_nowait(payload.decode())
        self._server.onConnect(SimpleNamespace(headers={}, peer=_PEER))
        self._server.onOpen()

    async def send(self, text: str) -> None:
        """Send a text to the server."""
        self._passed(json.loads(text)["type"])
        self._server.onMessage(text.encode(), isBinary=False)

    async def receive(self) -> str:
        """Return the next text of the server."""
        text = await self._texts.get()
        self._passed(json.loads(text)["type"])
        return text

    async def close(self) -> None:
        """End the connection."""
        self._server.onClose(wasClean=True, code=None, reason=None)
