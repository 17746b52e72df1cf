"""The HTTP server of the page, and of the mailbox of a short code.

Imported after the code is shown, because aiohttp takes 200 ms. Untrusted clients can use a bounded
amount of memory and time: the numbers of connections and of requests a second are limited, and each
connection has one request and a deadline. A WebSocket has no deadline here: its handler has one.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import WSMsgType, web

from dcsend.serving.budget import RATE, Budget
from dcsend.serving.page import Page
from dcsend.serving.port import BACKLOG
from dcsend.serving.slots import Slot, Slots

__all__ = [
    "LIFETIME",
    "MAX_CONNECTIONS",
    "MAX_SOCKETS",
    "MAX_TEXT",
    "Handler",
    "PageServer",
    "ServedWebSocket",
]

MAX_CONNECTIONS: Final = 64
"Connections at one time; a browser opens at most six. A further one gets the slot of another one."
LIFETIME: Final = 10.0
"""Seconds until a connection is closed, whatever its state. Sending the page takes less than one;
aiohttp has no deadline for a request that arrives slowly."""
MAX_SOCKETS: Final = 8
"WebSockets at one time, which are counted as connections, too; the same."
MAX_TEXT: Final = 64 * 1024
"Bytes of one WebSocket message; a longer one ends the connection."
MAILBOX: Final = "/v1"
"Path of the WebSocket, as on every server of the mailbox protocol."
_HEARTBEAT: Final = 30.0
"Seconds without data until a ping; after half as many without an answer the connection ends."
_CLOSING: Final = 1.0
"Seconds for the closing handshake of a WebSocket (RFC 6455, 7.1.1)."
_LINGER: Final = 1.0
"Seconds for reading the body of a refused request; a reset could discard the response."
_MAX_LINE: Final = 8190
"Bytes of a request line or header field; browsers send cookies of other servers on this host."
_ENCODING: Final = re.compile(r"\bgzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))|,|$)", re.IGNORECASE)
"Matches a value of Accept-Encoding that accepts gzip with a quality above zero."

_HEADERS: Final = {
    # The default names the versions of aiohttp and Python.
    "Server": "dcsend",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}

_TRUSTED: Final = re.compile(
    r"(?:localhost|[^:\[\]]+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.IGNORECASE
)
"""Values of Host that browsers treat as potentially trustworthy over http. On others they ignore
`_OPENER_POLICY` and write a warning to the console."""
_OPENER_POLICY: Final = {"Cross-Origin-Opener-Policy": "same-origin"}

logger = logging.getLogger(__name__)
_AIOHTTP_LOGGER: Final = logging.getLogger(f"{__name__}.aiohttp")
_AIOHTTP_LOGGER.addHandler(logging.NullHandler())
_AIOHTTP_LOGGER.propagate = False  # its records contain what untrusted clients have sent


class ServedWebSocket:
    """A WebSocket that was accepted, for its handler. Messages are text."""

    def __init__(self, response: web.WebSocketResponse, slots: Sequence[Slot]) -> None:
        self._response = response
        self._slots = slots

    def keep(self) -> None:
        """Never end this connection for another one."""
        for slot in self._slots:
            slot.keep()

    async def receive(self) -> str | None:
        """Return the next text; None at the end, or after another message than a short text."""
        message = await self._response.receive()
        return str(message.data) if message.type is WSMsgType.TEXT else None

    async def send(self, text: str) -> None:
        """Send a text.

        Raises:
            ConnectionError: the connection is lost.
        """
        await self._response.send_str(text)


Handler = Callable[[ServedWebSocket], Awaitable[None]]
"Serves one WebSocket; it is closed when this returns. Must end those that take too long."


class PageServer:
    """Responds to `GET /` and `HEAD /` with the page, to other requests with an error status.

    With a handler of mailboxes it also accepts WebSockets at `/v1`, from any origin: a web page
    can do no more there than any other program in the network.

    Args:
        page: the page to serve; None for none.
        mailbox: serves a WebSocket; None for none.
        max_connections: connections that may be open at one time.
        max_sockets: WebSockets that may be open at one time.
        lifetime: seconds until a connection that is not a WebSocket is closed.
        rate: requests that are answered in a second; further ones wait.
    """

    def __init__(
        self,
        page: Page | None,
        mailbox: Handler | None = None,
        *,
        max_connections: int = MAX_CONNECTIONS,
        max_sockets: int = MAX_SOCKETS,
        lifetime: float = LIFETIME,
        rate: float = RATE,
    ) -> None:
        self._page = _Responses(page) if page is not None else None
        self._mailbox = mailbox
        self._sockets = Slots(max_sockets)
        self.slots = Slots(max_connections)
        "The slots of all connections; `_sockets` has those of WebSockets."
        self._lifetime = lifetime
        self._budget = Budget(rate)
        # A handler is cancelled with its connection, so that none outlives the run.
        self._manager = web.Server(self._respond, handler_cancellation=True)
        self._servers: list[asyncio.Server] = []
        self.connections: set[asyncio.BaseTransport] = set()
        "The open connections."

    @property
    def lifetime(self) -> float:
        """Seconds until a connection is closed."""
        return self._lifetime

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on *sockets* and take ownership of them."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            server = await loop.create_server(
                self.new_connection, sock=sock, backlog=BACKLOG, start_serving=False
            )
            # Appended before the await, so that `close` finds it if this task is cancelled.
            self._servers.append(server)
            await server.start_serving()
        logger.debug("page server started on %d sockets", len(sockets))

    def close(self) -> None:
        """Close all sockets and connections at once; idempotent."""
        if self._servers:
            logger.debug("page server stopped, %d connections open", len(self.connections))
        for server in self._servers:
            server.close()
        for transport in list(self.connections):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        self._servers.clear()

    def new_connection(self) -> asyncio.Protocol:
        """Return the protocol of a connection that was accepted."""
        return _PageConnection(self, self._manager)

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        await self._budget.turn(request.remote or "")
        if request.method not in ("GET", "HEAD"):
            return _refuse(405, {"Allow": "GET, HEAD"})
        if request.path == MAILBOX and self._mailbox is not None:
            return await self._serve(request, self._mailbox)
        if request.path != "/" or self._page is None:
            return _refuse(404)
        return self._page.to(request)

    async def _serve(self, request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        """Accept a WebSocket and pass it to *handler*."""
        socket = web.WebSocketResponse(
            timeout=_CLOSING,
            heartbeat=_HEARTBEAT,
            compress=False,  # a small message could become a large one
            max_msg_size=MAX_TEXT + 1,  # aiohttp refuses one of this size, too
        )
        socket.headers.update(_HEADERS)
        # aiohttp logs subprotocols, which the client chooses.
        if "Sec-WebSocket-Protocol" in request.headers or not socket.can_prepare(request):
            return _refuse(426, {"Upgrade": "websocket"})
        connection = request.protocol
        assert isinstance(connection, _PageConnection)
        slot = self._sockets.take(request.remote or "", connection.abort)
        if slot is None:
            return _refuse(503)
        try:
            await socket.prepare(request)
            connection.outlive()
            logger.debug("WebSocket accepted, %d are open", len(self._sockets))
            await handler(ServedWebSocket(socket, [slot, *connection.slots]))
        finally:
            self._sockets.leave(slot)
        return socket


class _Responses:
    """The responses with the page."""

    def __init__(self, page: Page) -> None:
        self._page = page.content
        self._compressed = gzip.compress(page.content, mtime=0)
        # A meta element can't contain frame-ancestors.
        self._policy = f"{page.policy}; frame-ancestors 'none'"

    def to(self, request: web.BaseRequest) -> web.Response:
        """Return the response to a request of the page."""
        headers = {
            **_HEADERS,
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": self._policy,
            "Vary": "Accept-Encoding",
        }
        if _TRUSTED.fullmatch(request.headers.get("Host", "")):
            headers |= _OPENER_POLICY
        body = self._page
        if _ENCODING.search(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            body = self._compressed
        response = web.Response(body=body, headers=headers)
        response.force_close()
        return response


class _PageConnection(web.RequestHandler):
    """One connection, for one request."""

    def __init__(self, server: PageServer, manager: web.Server) -> None:
        self._event_loop = asyncio.get_running_loop()
        super().__init__(
            manager,
            loop=self._event_loop,
            logger=_AIOHTTP_LOGGER,
            access_log=None,  # type: ignore[arg-type]  # as web.run_app allows
            tcp_keepalive=False,
            lingering_time=_LINGER,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_LINE,
        )
        self._page_server = server
        self._own_transport: asyncio.BaseTransport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._slot: Slot | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection and start its deadline."""
        super().connection_made(transport)
        self._own_transport = transport
        self._page_server.connections.add(transport)
        self._deadline = self._event_loop.call_later(self._page_server.lifetime, self.abort)
        host = str((transport.get_extra_info("peername") or [""])[0])
        self._slot = self._page_server.slots.take(host, self.abort)
        if self._slot is None:
            logger.debug("connection refused: %d are open", len(self._page_server.connections))
            self.abort()

    @property
    def slots(self) -> Sequence[Slot]:
        """The slot of this connection."""
        return [self._slot] if self._slot is not None else []

    def abort(self) -> None:
        """End the connection at once; its slot is free."""
        if isinstance(self._own_transport, asyncio.WriteTransport):
            self._page_server.connections.discard(self._own_transport)
            self._own_transport.abort()

    def outlive(self) -> None:
        """Let the connection live as long as its handler."""
        if self._deadline is not None:
            self._deadline.cancel()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Remove the connection."""
        if self._own_transport is not None:  # aiohttp may have reset its own reference by now
            self._page_server.connections.discard(self._own_transport)
        if self._slot is not None:
            self._page_server.slots.leave(self._slot)
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Respond to an invalid request with *status* and no body."""
        if request.writer.output_size:
            raise ConnectionError("a response has been started already")
        return _refuse(status)


def _refuse(status: int, more: dict[str, str] | None = None) -> web.Response:
    logger.debug("request refused with status %d", status)
    response = web.Response(status=status, headers={**_HEADERS, **(more or {})})
    response.force_close()
    return response
