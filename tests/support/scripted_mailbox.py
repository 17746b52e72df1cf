"""Rendezvous servers that a test scripts, on loopback in the process of the test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
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
    """Serve each TCP connection to *host* with *serve*; yield the port.

    All sockets are closed at the end. `asyncio.start_server` may report a connection after that.
    """
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def accept() -> None:
        sock, _ = listening.accept()
        task = loop.create_task(converse(sock))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def converse(sock: socket.socket) -> None:
        try:
            reader, writer = await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        listening.setblocking(False)
        loop.add_reader(listening, accept)
        try:
            yield listening.getsockname()[1]
        finally:
            loop.remove_reader(listening)
            await asyncio.sleep(0)  # so that each task has its socket
            for task in tasks.copy():
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
