"""Counts the round trips to a rendezvous server without a clock, so that no load changes them.

Each client has a time in round trips. A message arrives one round trip after the one that causes
it was sent, at the client that has asked as well as at the other client, and what a client sends
has the time of the newest message that has arrived there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiohttp import web

from dcsend.rendezvous.servers import Server
from tests.support.scripted_mailbox import scripted_server

__all__ = ["CONNECTING", "Client", "Relay", "relayed"]

CONNECTING: Final = 3
"Round trips for TCP, TLS 1.3 and the WebSocket, with a server that has TLS."
_CAUSES: Final = {
    "allocated": "allocate",
    "claimed": "claim",
    "pong": "ping",
    "released": "release",
    "closed": "close",
}
"What the client has sent to get a message. Nothing waits for `ack`; `welcome` comes by itself."


class Client:
    """One connection of a client, and its time."""

    def __init__(self, time: int) -> None:
        self.time = time
        self.side = ""
        self.sent: dict[str, int] = {}
        "When the client has sent the newest message of each type."


class Relay:
    """Passes on the messages of the clients of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._added: dict[str, int] = {}
        "When each phase was added."
        self.clients: list[Client] = []
        self.answered: dict[str, int] = {}
        "When each phase has arrived at the other side."
        self.sending: Callable[[Client, str], None] = lambda client, type: None
        "Called before a message of a client, with its type, is passed on."
        self._changed = asyncio.Condition()

    def begin(self) -> None:
        """Begin to count: what was sent before is there."""
        self._added = dict.fromkeys(self._added, -1)
        for client in self.clients:
            client.time = 0
            client.sent = dict.fromkeys(client.sent, -1)

    async def serve(self, client_side: web.WebSocketResponse) -> None:
        """Serve one client."""
        client = Client(CONNECTING)
        self.clients.append(client)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(self._server.url) as server_side,
        ):
            back = asyncio.create_task(self._to_client(client, server_side, client_side))
            try:
                async for message in client_side:
                    values = json.loads(message.data)
                    self._from_client(client, values)
                    self.sending(client, values["type"])
                    async with self._changed:
                        self._changed.notify_all()
                    await server_side.send_str(message.data)
            finally:
                back.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await back

    async def _to_client(
        self,
        client: Client,
        server_side: aiohttp.ClientWebSocketResponse,
        client_side: web.WebSocketResponse,
    ) -> None:
        async for message in server_side:
            values = json.loads(message.data)
            client.time = max(client.time, self._arrival(client, values))
            await client_side.send_str(json.dumps(values))

    def _from_client(self, client: Client, values: dict[str, Any]) -> None:
        client.sent[values["type"]] = client.time
        client.side = values.get("side", client.side)
        if values["type"] == "add":
            self._added[values["phase"]] = client.time

    def _arrival(self, client: Client, values: dict[str, Any]) -> int:
        """Return when a message of the server arrives."""
        if values["type"] == "message":
            if values["side"] == client.side:
                return 0  # nothing waits for an echo
            phase = values["phase"]
            self.answered[phase] = max(self._added[phase], client.sent["open"]) + 1
            return self.answered[phase]
        cause = _CAUSES.get(values["type"])
        return client.sent[cause] + 1 if cause else 0

    async def until(self, *sent: set[str]) -> None:
        """Wait until the connections, in any order, have sent messages of these types."""

        def there() -> bool:
            return sorted(map(sorted, sent)) == sorted(sorted(one.sent) for one in self.clients)

        async with self._changed:
            await self._changed.wait_for(there)


@asynccontextmanager
async def relayed(server: Server) -> AsyncIterator[tuple[str, Relay]]:
    """Yield the URL of a relay to *server*, and the relay."""
    relay = Relay(server)
    async with scripted_server(relay.serve) as where:
        yield where.url, relay
