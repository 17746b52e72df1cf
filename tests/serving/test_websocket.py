"""WebSockets at /v1: which are accepted, how long they live, and what their limits are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from dcsend.serving.port import listen
from dcsend.serving.server import MAX_TEXT, Handler, PageServer, ServedWebSocket
from tests.serving.client import PATIENCE, Client, until
from tests.serving.sample_page import HTML, PAGE

UPGRADE = (
    "GET /v1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


async def echo(socket: ServedWebSocket) -> None:
    """Return each text, until `end`."""
    while (text := await socket.receive()) not in (None, "end"):
        await socket.send(text or "")


@asynccontextmanager
async def serving(
    handler: Handler | None = echo, *, page: bool = True, **limits: float
) -> AsyncIterator[tuple[PageServer, Client]]:
    sockets = listen()
    server = PageServer(PAGE if page else None, handler, **limits)  # type: ignore[arg-type]
    await server.start(sockets)
    try:
        yield server, Client(sockets[0].getsockname()[1])
    finally:
        server.close()
        await until(lambda: not server.connections)


@asynccontextmanager
async def connected(client: Client) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = f"ws://127.0.0.1:{client.port}/v1"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        yield socket


async def closed(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Wait for the end of a WebSocket."""
    async with asyncio.timeout(PATIENCE):
        while (await socket.receive()).type not in (
            *(aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR),
        ):
            pass


async def test_handler_and_client_exchange_texts_beside_the_page() -> None:
    async with serving() as (_, client), connected(client) as socket:
        await socket.send_str("héllo")
        assert await socket.receive_str() == "héllo"
        assert (await client.get()).body == HTML


async def test_websocket_outlives_the_deadline_of_requests() -> None:
    async with serving(lifetime=0.1) as (_, client), connected(client) as socket:
        for _ in range(3):
            silent, writer = await client.connect()
            with contextlib.suppress(ConnectionError):
                await silent.read()  # until the server's deadline for this one
            writer.close()
        await socket.send_str("still there")
        assert await socket.receive_str() == "still there"


async def test_websocket_is_closed_when_its_handler_returns() -> None:
    async with serving() as (_, client), connected(client) as socket:
        await socket.send_str("end")
        await closed(socket)
        assert socket.close_code == 1000


async def test_handler_ends_with_its_websocket() -> None:
    ended = asyncio.Event()

    async def handler(socket: ServedWebSocket) -> None:
        try:
            await echo(socket)
        finally:
            ended.set()

    async with serving(handler) as (_, client):
        async with connected(client):
            assert not ended.is_set()
        await ended.wait()


async def test_close_of_the_server_ends_its_websockets() -> None:
    async with serving() as (server, client), connected(client) as socket:
        server.close()
        await closed(socket)


async def keeping(socket: ServedWebSocket) -> None:
    """Keep the connection, and return each text."""
    socket.keep()
    await echo(socket)


async def test_websocket_above_the_limit_gets_the_place_of_the_oldest_one() -> None:
    async with (
        serving(max_sockets=2) as (_, client),
        connected(client) as first,
        connected(client) as second,
        connected(client) as third,
    ):
        await closed(first)
        for socket in (second, third):
            await socket.send_str("here")
            assert await socket.receive_str() == "here"


async def test_websocket_that_is_kept_is_not_ended_for_another_one() -> None:
    async with (
        serving(keeping, max_sockets=1) as (server, client),
        connected(client) as socket,
    ):
        await socket.send_str("here")
        assert await socket.receive_str() == "here"
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            async with connected(client):
                pass
        await socket.send_str("end")
        await closed(socket)
        await until(lambda: not server.connections)
        async with connected(client) as socket:
            await socket.send_str("next")
            assert await socket.receive_str() == "next"


async def test_websockets_count_as_connections() -> None:
    async with (
        serving(keeping, max_connections=1) as (server, client),
        connected(client) as socket,
    ):
        await socket.send_str("here")
        assert await socket.receive_str() == "here"
        reader, writer = await client.connect()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        assert len(server.connections) == 1


async def test_text_of_64_kib_is_received() -> None:
    async with serving() as (_, client), connected(client) as socket:
        await socket.send_str("x" * MAX_TEXT)
        assert len(await socket.receive_str()) == MAX_TEXT


@pytest.mark.parametrize("size", [MAX_TEXT + 1, 1_000_000])
async def test_longer_text_ends_the_connection(size: int) -> None:
    async with serving() as (_, client), connected(client) as socket:
        with contextlib.suppress(ConnectionError):
            await socket.send_str("x" * size)
        await closed(socket)


async def test_binary_message_ends_the_connection() -> None:
    async with serving() as (_, client), connected(client) as socket:
        await socket.send_bytes(b"x")
        await closed(socket)


async def test_compression_is_not_negotiated() -> None:
    """A small compressed message could become a large one."""
    async with serving() as (_, client):
        extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        head = await accepted(client, extension)
        assert b" 101 " in head
        assert b"permessage-deflate" not in head


async def accepted(client: Client, more: str) -> bytes:
    """Return the head of the response to a handshake with further header fields."""
    reader, writer = await client.connect()
    writer.write(f"{UPGRADE}{more}\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_any_origin_may_connect(origin: str) -> None:
    async with serving() as (_, client):
        assert b" 101 " in await accepted(client, f"Origin: {origin}\r\n")


async def test_handshake_has_the_headers_of_the_server() -> None:
    async with serving() as (_, client):
        head = await accepted(client, "")
    assert b"Server: dcsend\r\n" in head
    assert b"aiohttp" not in head


async def test_subprotocol_is_refused_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as (_, client):
        assert b" 426 " in await accepted(client, "Sec-WebSocket-Protocol: private\r\n")
    assert "private" not in caplog.text


async def test_ordinary_request_is_to_be_upgraded() -> None:
    async with serving() as (_, client):
        answer = await client.get("/v1")
    assert (answer.status, answer.body) == (426, b"")
    assert answer.headers["Upgrade"] == "websocket"


async def test_path_of_the_mailbox_is_not_found_without_a_handler() -> None:
    async with serving(None) as (_, client):
        assert b" 404 " in await accepted(client, "")


@pytest.mark.parametrize("path", ["/", "/index.html"])
async def test_page_is_not_found_where_only_the_mailbox_is_served(path: str) -> None:
    async with serving(page=False) as (_, client), connected(client) as socket:
        assert (await client.get(path)).status == 404
        await socket.send_str("x")
        assert await socket.receive_str() == "x"


@pytest.mark.parametrize("path", ["/v1/", "/v1/x", "/v2", "//v1"])
async def test_other_paths_are_not_found(path: str) -> None:
    async with serving() as (_, client):
        assert (await client.get(path)).status == 404
