"""An HTTP client of the page server, and polling with a time limit."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import cast

__all__ = ["PATIENCE", "Answer", "Client", "until"]

PATIENCE = 150.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A client of one server."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection without sending anything."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def raw(self, request: bytes, host: str = "127.0.0.1", source: str = "") -> bytes:
        """Send *request* and return all bytes until the server closes.

        Args:
            request: bytes to send.
            host: address of the server.
            source: address of this client; empty for any.
        """
        local = (source, 0) if source else None
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(host, self.port, local_addr=local)
            try:
                writer.write(request)
                return await reader.read()
            finally:
                writer.close()

    async def get(
        self, path: str = "/", method: str = "GET", host: str = "127.0.0.1", **headers: str
    ) -> Answer:
        """Send one request."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        received = await self.raw(("\r\n".join(lines) + "\r\n\r\n").encode(), host)
        response = HTTPResponse(cast(socket.socket, _Socket(received)), method=method)
        response.begin()
        return Answer(response.status, dict(response.getheaders()), response.read())


class _Socket:
    """The part of a socket that http.client uses, over a complete response."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


async def until(
    condition: Callable[[], object], each: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Poll until *condition* holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)
            if each is not None:
                await each()
