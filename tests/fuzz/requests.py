"""Requests of any client to the server of the page, through the parser of aiohttp."""

from __future__ import annotations

import asyncio
from typing import Final

from dcsend.serving.page import Page
from dcsend.serving.server import PageServer
from tests.fuzz.script import Script

__all__ = ["request"]

_PAGE: Final = (
    b'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'"><title>x</title>'
)
_PIECES: Final = (
    *(b"GET / HTTP/1.1\r\n", b"HEAD / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n", b"GET "),
    *(b" HTTP/1.1\r\n", b"Host: x\r\n", b"Accept-Encoding: ", b"gzip;q=", b"Content-Length: "),
    *(b"Transfer-Encoding: chunked\r\n", b"Connection: Upgrade\r\n", b"Expect: 100-continue\r\n"),
    *(b"\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"Upgrade: websocket\r\n", b"Content-Encoding: gzip\r\n"),
)


class _Transport(asyncio.Transport):
    """The connection to the client; discards the response."""

    def __init__(self) -> None:
        super().__init__({"peername": ("203.0.113.2", 5000), "sockname": ("203.0.113.1", 80)})
        self.written = bytearray()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written += data

    def is_closing(self) -> bool:
        """Return whether it was closed."""
        return self.closed

    def close(self) -> None:
        """Close it."""
        self.closed = True

    def abort(self) -> None:
        """Close it."""
        self.closed = True

    def pause_reading(self) -> None:
        """Do nothing."""

    def resume_reading(self) -> None:
        """Do nothing."""

    def get_write_buffer_size(self) -> int:
        """Return 0."""
        return 0


def request(data: bytes) -> None:
    """Send bytes, in pieces; the response has a status line of HTTP, or is empty."""
    asyncio.run(_serve(Script(data)))


async def _serve(script: Script) -> None:
    failed: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
    server = PageServer(Page(_PAGE))
    connection, transport = server.new_connection(), _Transport()
    assert isinstance(connection, asyncio.Protocol)
    connection.connection_made(transport)
    try:
        while script and not transport.closed:
            how = script.byte()
            piece = _PIECES[how - 1] if 0 < how <= len(_PIECES) else script.take(how)
            connection.data_received(piece)
            if how & 1:
                await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
    finally:
        connection.connection_lost(None)
        for _ in range(20):
            await asyncio.sleep(0)
    assert not server.connections
    assert not transport.written or transport.written.startswith(b"HTTP/1."), transport.written
    assert b"500 Internal" not in transport.written[:40]
    assert not failed, failed
