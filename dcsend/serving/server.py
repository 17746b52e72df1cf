"""Serve one page to whoever asks, and nothing else. The only importer of aiohttp.

Loaded after the code is shown: aiohttp takes 200 ms. What strangers send costs bounded memory and
time: few connections at once, each of them one request long and for seconds only.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import re
import socket
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from dcsend.serving.page import Page
from dcsend.serving.port import BACKLOG

__all__ = ["LIFETIME", "MAX_CONNECTIONS", "PageServer"]

MAX_CONNECTIONS: Final = 64
"At once; a browser opens six at most. What comes on top is closed unheard."
LIFETIME: Final = 10.0
"""Seconds that a connection may last, whatever it does. The page is through in a fraction of one;
aiohttp itself would wait an hour for a request, and for ever for one that comes bit by bit."""
_LINGER: Final = 1.0
"Seconds in which the rest of an unwanted request is read, or the answer to it could be lost."
_MAX_LINE: Final = 8190
"Bytes of a request line or of a header field; cookies of other servers on this host may come."
_ENCODING: Final = re.compile(r"\bgzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))|,|$)", re.IGNORECASE)
"In Accept-Encoding: gzip is accepted, and not with a quality of zero."

_HEADERS: Final = {
    # aiohttp would name its version and Python's.
    "Server": "dcsend",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}

_LOG: Final = logging.getLogger("dcsend.serving")
_LOG.addHandler(logging.NullHandler())
_LOG.propagate = False  # what strangers send is nothing to write down


class PageServer:
    """Answers `GET /` with the page, everything else with a status.

    Args:
        page: what to serve.
        max_connections: how many may be open at once.
        lifetime: seconds until a connection is closed.
    """

    def __init__(
        self, page: Page, *, max_connections: int = MAX_CONNECTIONS, lifetime: float = LIFETIME
    ) -> None:
        self._page = page.content
        self._compressed = gzip.compress(page.content, mtime=0)
        # What a meta element can't say: nobody may put the page into a frame.
        self._policy = f"{page.policy}; frame-ancestors 'none'"
        self._max_connections = max_connections
        self._lifetime = lifetime
        # A request ends with its connection: nothing of it outlives the run.
        self._manager = web.Server(self._answer, handler_cancellation=True)
        self._servers: list[asyncio.Server] = []
        self.connections: set[asyncio.BaseTransport] = set()
        "Those that are open."

    @property
    def lifetime(self) -> float:
        """Seconds until a connection is closed."""
        return self._lifetime

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on *sockets*, which are ours from now on."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            server = await loop.create_server(
                self._connection, sock=sock, backlog=BACKLOG, start_serving=False
            )
            # First known, then started: whoever is cancelled here leaves nothing open behind.
            self._servers.append(server)
            await server.start_serving()

    def close(self) -> None:
        """Close everything at once; idempotent."""
        for server in self._servers:
            server.close()
        for transport in list(self.connections):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        self._servers.clear()

    def _connection(self) -> asyncio.Protocol:
        if len(self.connections) >= self._max_connections:
            return _Refusal()
        return _Connection(self, self._manager)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return _refuse(405, {"Allow": "GET, HEAD"})
        if request.path != "/":
            return _refuse(404)
        headers = {
            **_HEADERS,
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": self._policy,
            "Vary": "Accept-Encoding",
        }
        body = self._page
        if _ENCODING.search(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            body = self._compressed
        response = web.Response(body=body, headers=headers)
        response.force_close()
        return response


class _Connection(web.RequestHandler):
    """One connection of a browser, for one request."""

    def __init__(self, server: PageServer, manager: web.Server) -> None:
        self._clock = asyncio.get_running_loop()
        super().__init__(
            manager,
            loop=self._clock,
            logger=_LOG,
            access_log=None,  # type: ignore[arg-type]  # as web.run_app allows
            tcp_keepalive=False,
            lingering_time=_LINGER,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_LINE,
        )
        self._owner = server
        self._counted: asyncio.BaseTransport | None = None
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, and give it its time."""
        super().connection_made(transport)
        self._counted = transport
        self._owner.connections.add(transport)
        if isinstance(transport, asyncio.WriteTransport):
            self._end = self._clock.call_later(self._owner.lifetime, transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it no more."""
        if self._counted is not None:  # aiohttp may have forgotten its own by now
            self._owner.connections.discard(self._counted)
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request with its status alone."""
        if request.writer.output_size:
            raise ConnectionError("too late for another answer")
        return _refuse(status)


class _Refusal(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.close()


def _refuse(status: int, more: dict[str, str] | None = None) -> web.Response:
    response = web.Response(status=status, headers={**_HEADERS, **(more or {})})
    response.force_close()
    return response
