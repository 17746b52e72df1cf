"""Rendezvous servers that a test scripts, on loopback in the process of the test."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from dcsend.rendezvous.servers import Server

__all__ = ["raw_server", "scripted_server"]

Script = Callable[[web.WebSocketResponse], Awaitable[None]]


@asynccontextmanager
async def scripted_server(
    script: Script, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Serve each WebSocket with *script*, and close it at the end of that."""

    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await script(socket)
        return socket

    server = web.Server(respond, handler_cancellation=True)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    scheme = "wss" if tls else "ws"
    try:
        yield Server(f"{scheme}://127.0.0.1:{port}/v1", "scripted.example")
    finally:
        listening.close()
        await server.shutdown(0.1)


@asynccontextmanager
async def raw_server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    host: str = "127.0.0.1",
) -> AsyncIterator[int]:
    """Serve each TCP connection to *host* with *serve*; yield the port."""
    tasks: set[asyncio.Task[None]] = set()
    is_closing = False

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if is_closing:  # accepted before, and reported now
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(converse(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, host, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        is_closing = True
        server.close()
        for task in tasks.copy():
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
