"""The client against servers that fail, stay silent, or send what they must not: one line each."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from dcsend.errors import ConnectionFailed, DcsendError, RemoteProtocolError
from dcsend.net.address import Address
from dcsend.rendezvous.client import allocate, growing_pauses, join
from dcsend.rendezvous.servers import Server, server_at
from dcsend.rendezvous.websocket import connect
from tests.support.scripted_mailbox import raw_server, scripted_server

ROOT: Final = Path(__file__).parents[2]

WELCOME = '{"type":"welcome","welcome":{}}'
CLAIMED = '{"type":"claimed","mailbox":"m"}'
OPEN = (WELCOME, CLAIMED, '{"type":"pong","pong":1}')

Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def sends(*texts: str | bytes) -> Callable[[web.WebSocketResponse], Awaitable[None]]:
    """Return a script that sends messages, bytes as binary ones, and reads until the end."""

    async def script(socket: web.WebSocketResponse) -> None:
        for text in texts:
            await (socket.send_bytes(text) if isinstance(text, bytes) else socket.send_str(text))
        async for message in socket:
            if json.loads(message.data)["type"] == "close":
                await socket.send_str('{"type":"closed"}')

    return script


async def failure(*texts: str | bytes, timeout: float = 15) -> DcsendError:
    """Return the error of a joiner to which a server sends *texts*."""
    async with scripted_server(sends(*texts)) as server:
        with pytest.raises(DcsendError) as caught:
            await _first_message(server, timeout)
    assert caught.value.hint
    return caught.value


async def _first_message(server: Server, timeout: float) -> tuple[str, bytes]:
    mailbox = await join(server, "7", timeout=timeout)
    try:
        return await mailbox.next()
    finally:
        await mailbox.close("errory")


# --- silent and slow servers


# The limits are long enough for a busy machine to connect in.


@pytest.mark.full
async def test_server_that_sends_no_welcome_is_silent() -> None:
    error = await failure(timeout=2)
    assert error.message == "the server scripted.example is silent: no welcome after 2 s"


@pytest.mark.full
async def test_server_that_sends_no_mailbox_is_slow() -> None:
    error = await failure(WELCOME, timeout=2)
    assert error.message == "the server scripted.example is slow: no mailbox after 2 s"


async def test_server_that_accepts_no_websocket_in_time_does_not_answer() -> None:
    async with raw_server(silent) as port:
        with pytest.raises(ConnectionFailed, match=r"does not answer within 0.1 s$"):
            await join(Server(f"ws://127.0.0.1:{port}/v1", "s.example"), "7", timeout=0.1)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


# --- what a server must not send


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "a message is not JSON"),
        ("[]", "a message is not a JSON object"),
        (b"\xff", "a message is not JSON"),
        ('{"type":"claimed","mailbox":[]}', "the id of a mailbox is not text"),
        ('{"type":"ice-servers","servers":{}}', "ice-servers is not a list of at most 8 servers"),
        (
            '{"type":"message","side":"x","phase":"a0","body":"xy"}',
            "a body is not hexadecimal",
        ),
    ],
)
async def test_malformed_message_of_a_server_is_one_line(text: str | bytes, why: str) -> None:
    error = await failure(WELCOME, text)
    assert error.message == f"the server scripted.example violates the mailbox protocol: {why}"
    assert isinstance(error, RemoteProtocolError)


async def test_message_of_more_than_64_kib_is_one_line() -> None:
    error = await failure(WELCOME, "x" * 65537)
    assert error.message == "the server scripted.example sends a message of more than 65536 bytes"


async def test_message_of_64_kib_is_read() -> None:
    padding = "x" * (65536 - len('{"type":""}'))
    error = await failure(f'{{"type":"{padding}"}}', '{"type":"welcome","welcome":{"error":"e"}}')
    assert error.message == "the server scripted.example refuses: e"


async def test_permission_that_a_server_requires_is_named() -> None:
    error = await failure(
        '{"type":"welcome","welcome":{"permission-required":{"hashcash":{"bits":6}}}}'
    )
    assert error.message == (
        "the server scripted.example requires a permission of a kind that dcsend does not "
        "support: hashcash"
    )


async def test_binary_messages_are_read_like_text() -> None:
    message = b'{"type":"message","side":"x","phase":"a0","body":"2a"}'
    async with scripted_server(sends(*(text.encode() for text in OPEN), message)) as server:
        mailbox = await join(server, "7")
        assert await mailbox.next() == ("a0", b"*")
        await mailbox.close("happy")


# --- connections that fail


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


def answers(head: str) -> Respond:
    """Return a server that sends *head* to each request."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"{head}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        await reader.read()

    return respond


@pytest.mark.parametrize(
    ("respond", "why"),
    [
        (closes, "closes the connection before it is open"),
        (answers("HTTP/1.1 404 Not Found"), "accepts no WebSocket at this URL: HTTP status 404"),
        (answers("HTTP/1.1 200 OK"), "accepts no WebSocket at this URL: HTTP status 200"),
        (
            answers("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/"),
            "accepts no WebSocket at this URL: a redirect",
        ),
        (
            answers("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade"),
            "accepts no WebSocket at this URL: an invalid handshake",
        ),
        (answers("nonsense"), "does not respond in HTTP"),
    ],
    ids=["closes", "404", "200", "302", "101", "nonsense"],
)
async def test_server_without_a_websocket_is_one_line(respond: Respond, why: str) -> None:
    async with raw_server(respond) as port:
        with pytest.raises(ConnectionFailed) as caught:
            await allocate(Server(f"ws://127.0.0.1:{port}/v1", "s.example"))
    assert caught.value.message == f"the server s.example {why}"
    assert "another server (--server), the QR code or the link" in caught.value.hint


async def test_name_that_does_not_exist_is_one_line() -> None:
    with pytest.raises(ConnectionFailed) as caught:
        await allocate(Server("ws://dcsend.invalid:1/v1", "dcsend.invalid"))
    reasons = ("the name does not exist", "no name server answers")
    assert caught.value.message.partition(": ")[2] in reasons


async def test_name_that_is_not_resolved_soon_is_asked_for_again_where_the_network_is_often_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A system repeats a query that was lost after 5 s: an outage would last so much longer."""
    queries: list[Address] = []

    async def lost(server: Address) -> list[Address]:
        queries.append(server)
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr("dcsend.rendezvous.websocket.resolve", lost)
    for _ in range(2):
        with pytest.raises(ConnectionFailed, match="no name server answers"):
            async with asyncio.timeout(10):
                await connect(server_at("lost.example"), 60, 0.05)
    assert queries == [("lost.example", 443)] * 2


async def test_known_addresses_are_used_in_place_of_the_name() -> None:
    async with scripted_server(sends(*OPEN)) as server:
        port = server.url.split(":")[2]
        known = Server(f"ws://dcsend.invalid:{port}", "local", ("192.0.2.1", "127.0.0.1"))
        mailbox = await join(known, "7")
        await mailbox.close("happy")


# --- a lost socket


def no_pauses() -> Iterator[float]:
    return repeat(0)


async def test_server_that_closes_the_socket_gets_another_one_of_the_same_side() -> None:
    sides: list[str] = []

    async def script(socket: web.WebSocketResponse) -> None:
        bind = json.loads(await socket.receive_str())
        sides.append(bind["side"])
        for text in OPEN:
            await socket.send_str(text)
        if len(sides) == 3:
            await socket.send_str('{"type":"message","side":"x","phase":"a0","body":""}')
            await socket.receive()

    async with scripted_server(script) as server:
        mailbox = await join(server, "7", pauses=no_pauses)
        assert await mailbox.next() == ("a0", b"")
        await mailbox.close("happy")
    assert len(sides) == 3
    assert len(set(sides)) == 1


async def test_two_clients_have_different_sides() -> None:
    sides: list[str] = []

    async def script(socket: web.WebSocketResponse) -> None:
        sides.append(json.loads(await socket.receive_str())["side"])
        await sends(*OPEN)(socket)

    async with scripted_server(script) as server:
        for _ in range(2):
            await (await join(server, "7")).close("happy")
    assert len(set(sides)) == 2
    assert {len(side) for side in sides} == {10}


def test_pauses_grow_to_half_a_minute() -> None:
    pauses = growing_pauses()
    first, *_, last = [next(pauses) for _ in range(20)]
    assert 0.5 <= first <= 1.5
    assert 15 <= last <= 45


async def test_close_ends_within_a_second_with_a_server_that_does_not_confirm_it() -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        for text in OPEN:
            await socket.send_str(text)
        while not (await socket.receive()).type.name.startswith("CLOS"):
            pass

    async with scripted_server(script) as server:
        mailbox = await join(server, "7")
        async with asyncio.timeout(1.5):
            await mailbox.close("lonely")
            await mailbox.close("lonely")
        with pytest.raises(ConnectionFailed, match="the mailbox is closed"):
            await mailbox.next()


async def test_message_that_is_added_just_before_the_close_is_sent() -> None:
    received: list[str] = []
    ended = asyncio.Event()

    async def script(socket: web.WebSocketResponse) -> None:
        for text in (WELCOME, CLAIMED, '{"type":"message","side":"x","phase":"a0","body":""}'):
            await socket.send_str(text)
        async for message in socket:
            received.append(json.loads(message.data)["type"])
            if received[-1] == "add":
                await socket.send_str('{"type":"pong","pong":1}')
            elif received[-1] == "close":
                await socket.send_str('{"type":"closed"}')
        ended.set()

    async with scripted_server(script) as server:
        mailbox = await join(server, "7")
        assert await mailbox.posted() == ("a0", b"")
        mailbox.add("b0", b"guess")
        await mailbox.close("happy")
        await ended.wait()
    assert received == ["bind", "claim", "open", "ping", "add", "release", "close"]


async def test_cancelled_join_leaves_no_connection() -> None:
    bound = asyncio.Event()
    ended = asyncio.Event()

    async def script(socket: web.WebSocketResponse) -> None:
        await socket.receive()
        bound.set()
        async for _ in socket:
            pass
        ended.set()

    async with scripted_server(script) as server:
        joining = asyncio.create_task(join(server, "7"))
        await bound.wait()
        joining.cancel()
        await asyncio.wait({joining}, timeout=0.9)  # there is no mailbox to close
        assert joining.cancelled()
        await ended.wait()


# --- proxies


class Proxy:
    """An HTTP proxy that connects each CONNECT to one port, or refuses it with a status."""

    def __init__(self, port: int = 0, status: str = "200 OK") -> None:
        self.asked: list[str] = []
        self._port = port
        self._status = status

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split(b"\r\n")[0].decode())
        writer.write(f"HTTP/1.1 {self._status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        await reader.read()


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("no_proxy")
@pytest.mark.parametrize("variable", ["https_proxy", "wss_proxy", "all_proxy"])
async def test_proxy_of_the_environment_is_asked_for_the_server(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(status="407 Proxy Authentication Required")
    async with raw_server(proxy.serve) as port:
        monkeypatch.setenv(variable, f"http://me:secret@127.0.0.1:{port}")
        with pytest.raises(ConnectionFailed) as caught:
            await allocate(Server("wss://mailbox.example/v1", "mailbox.example"))
    assert proxy.asked == ["CONNECT mailbox.example:443 HTTP/1.1"]
    place = f"the proxy 127.0.0.1:{port} refuses the server mailbox.example"
    assert caught.value.message == f"{place}: HTTP status 407"
    assert "https_proxy" in caught.value.hint


@pytest.mark.usefixtures("no_proxy")
async def test_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "127.0.0.1:1")
    with pytest.raises(ConnectionFailed) as caught:
        await allocate(Server("wss://mailbox.example/v1", "mailbox.example"))
    message = "the proxy 127.0.0.1:1 can't be reached: connection refused"
    assert caught.value.message == message


@pytest.mark.usefixtures("no_proxy")
async def test_proxy_of_an_unknown_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(ConnectionFailed, match="kind socks5 are not supported"):
        await allocate(Server("wss://mailbox.example/v1", "mailbox.example"))


@pytest.mark.usefixtures("no_proxy")
@pytest.mark.parametrize("excluded", [True, False])
async def test_server_in_this_network_or_in_no_proxy_is_reached_directly(
    monkeypatch: pytest.MonkeyPatch, *, excluded: bool
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    if excluded:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with scripted_server(sends(*OPEN)) as server:
        hosts = () if excluded else ("127.0.0.1",)
        mailbox = await join(Server(server.url, server.name, hosts), "7")
        await mailbox.close("happy")


# --- its import


@pytest.mark.full
def test_aiohttp_is_imported_with_the_first_connection() -> None:
    """The import takes 0.2 s, for which a code would wait."""
    program = (
        "import sys, dcsend.rendezvous.client, dcsend.rendezvous.local_serving\n"
        "import dcsend.rendezvous.servers\n"
        "print('aiohttp' in sys.modules, 'asyncio' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    shown = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "False True\n"
