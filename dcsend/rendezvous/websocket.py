"""One WebSocket to a rendezvous server, over a proxy of the environment if there is one.

Imports aiohttp, which takes 0.2 s: `client` imports this module in a thread. Each failure to
connect becomes one line that names the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
from types import SimpleNamespace
from typing import Final, NoReturn
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from dcsend.errors import ConnectionFailed, RemoteProtocolError
from dcsend.net.resolving import NameUnknownError, resolve
from dcsend.printable import printable, system_reason
from dcsend.rendezvous.mailbox import OTHER_SERVER
from dcsend.rendezvous.servers import Server
from dcsend.rendezvous.wire import MAX_TEXT

__all__ = ["WebSocket", "connect"]

logger = logging.getLogger(__name__)

_HEARTBEAT: Final = 30.0
"""Seconds without data until a ping, which also keeps the mappings of NATs; after half as many
without an answer the connection is lost."""
_HEARTBEAT_LOST: Final = 4.0
"The same while the network is lost from time to time."
_CLOSING: Final = 0.1
"Seconds for the closing handshake. The mailbox is closed by then, so nothing depends on it."
_DELAY: Final = 0.25
"Seconds until the next address is tried beside the earlier ones (RFC 8305, 5)."
_LOCAL_DELAY: Final = 0.1
"The same for a machine in this network, which answers in milliseconds; the least of RFC 8305."
_HTTP_REASONS: Final = ("wrong version number", "http request", "packet length too long")
"Reasons of a failed handshake if the answer is HTTP."
_PROXY: Final = "check https_proxy and no_proxy in the environment"


class WebSocket:
    """An open WebSocket. Messages are text."""

    def __init__(
        self, name: str, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse
    ) -> None:
        self._name = name
        self._session = session
        self._socket = socket

    async def send(self, text: str) -> None:
        """Send a text.

        Raises:
            ConnectionError: the connection is lost.
        """
        await self._socket.send_str(text)

    async def receive(self) -> str | None:
        """Return the next text; None when the connection is lost.

        Raises:
            RemoteProtocolError: the server violates the WebSocket protocol, or a message has more
                than MAX_TEXT bytes.
        """
        message = await self._socket.receive()
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                return str(message.data)
            case aiohttp.WSMsgType.BINARY:  # as the specification of the mailbox protocol says
                return bytes(message.data).decode(errors="replace")
            case aiohttp.WSMsgType.ERROR if isinstance(message.data, aiohttp.WebSocketError):
                what = "violates the WebSocket protocol"
                if message.data.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
                    what = f"sends a message of more than {MAX_TEXT} bytes"
                raise RemoteProtocolError(
                    f"the server {self._name} {what}", f"check its URL, or {OTHER_SERVER}"
                )
            case _:
                return None

    async def close(self) -> None:
        """Close the connection, in at most 0.1 s; idempotent."""
        try:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self._socket.close()
        finally:
            await self._session.close()


async def connect(server: Server, timeout: float, reach: float | None = None) -> WebSocket:
    """Open a WebSocket.

    Args:
        server: to connect to.
        timeout: seconds until the server must have accepted it.
        reach: seconds until the name must be resolved, and then until TCP must be connected, where
            the network is often lost: then its loss is noticed soon, too. None for no other limit.

    Raises:
        ConnectionFailed: the server, or the proxy, can't be reached, or refuses.
    """
    name = printable(server.name)
    proxy = None if server.hosts else _proxy(server.url)
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=_Resolver(server.hosts, reach),
            use_dns_cache=False,
            force_close=True,
            happy_eyeballs_delay=_LOCAL_DELAY if server.hosts else _DELAY,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=reach),
        headers={"User-Agent": "dcsend"},
        trace_configs=[trace],
    )
    try:
        async with asyncio.timeout(timeout):
            socket = await session.ws_connect(
                server.url,
                proxy=proxy,
                ssl=_trust(),
                heartbeat=_HEARTBEAT if reach is None else _HEARTBEAT_LOST,
                max_msg_size=MAX_TEXT + 1,  # aiohttp refuses one of this size, too
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSING),
            )
    except TimeoutError:
        await session.close()
        raise ConnectionFailed(
            f"the server {name} does not answer within {timeout:g} s",
            _without_tls(server) or f"check the network, or {OTHER_SERVER}",
        ) from None
    except (aiohttp.ClientError, OSError, _RedirectError) as exc:
        await session.close()
        failure = _failure(server, proxy, exc)
        logger.debug("no connection to the server %s: %s", name, failure)
        raise failure from exc
    except BaseException:
        await session.close()
        raise
    logger.debug("connected to the server %s", name)
    return WebSocket(name, session, socket)


class _RedirectError(Exception):
    """The server has redirected the request."""


async def _refuse_redirect(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    params: aiohttp.TraceRequestRedirectParams,
) -> NoReturn:
    """Follow no redirect: it could lead to a server without TLS, or into this network."""
    raise _RedirectError


class _Resolver(AbstractResolver):
    """Resolves host names in a daemon thread, or gives the addresses that are known.

    Args:
        hosts: the addresses of every name; empty to resolve it.
        patience: seconds for that; None for those of the system, which repeats a query that is
            lost after 5 s, mostly.
    """

    def __init__(self, hosts: tuple[str, ...], patience: float | None) -> None:
        self._hosts = hosts
        self._patience = patience

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            OSError: there is none; its message is the reason.
        """
        found = [(address, port) for address in self._hosts]
        if not found:
            try:
                async with asyncio.timeout(self._patience):
                    found = await resolve((host, port))
            except NameUnknownError as exc:
                raise OSError(None, str(exc)) from None
            except TimeoutError:
                raise OSError(None, str(NameUnknownError(exists_not=False))) from None
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address, _ in found
        ]

    async def close(self) -> None:
        """Nothing is open."""


def _trust() -> ssl.SSLContext | bool:
    """Return which authorities are trusted: those of the environment, or those of the system.

    aiohttp reads both when it is imported, which may be before a program sets the variables. A
    context with all authorities of the system takes 16 ms, so that of aiohttp is used.
    """
    given = any(name in os.environ for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return ssl.create_default_context() if given else True


def _proxy(url: str) -> str | None:
    """Return the URL of the proxy that the environment names for *url*; None for none.

    aiohttp itself would look for `wss_proxy` only. A WebSocket goes where https goes.

    Raises:
        ConnectionFailed: it is a proxy of a kind that is not supported.
    """
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    kinds = ("wss", "https", "all") if parts.scheme == "wss" else ("ws", "http", "all")
    proxy = next((proxies[kind] for kind in kinds if proxies.get(kind)), None)
    if proxy is None:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not proxy.lower().startswith(("http://", "https://")):
        raise ConnectionFailed(
            f"proxies of the kind {printable(proxy.partition('://')[0][:20])} are not supported",
            _PROXY,
        )
    return proxy


def _failure(server: Server, proxy: str | None, exc: Exception) -> ConnectionFailed:
    """Return the line for the user about a failed attempt to connect."""
    name = printable(server.name)
    match exc:
        case aiohttp.ClientProxyConnectionError():
            reason = f"the proxy {_place(proxy)} can't be reached: {_reason(exc.os_error)}"
            return ConnectionFailed(reason, _PROXY)
        case aiohttp.ClientHttpProxyError():
            place = _place(proxy)
            reason = f"the proxy {place} refuses the server {name}: HTTP status {exc.status}"
            return ConnectionFailed(reason, _PROXY)
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(exc.certificate_error, "verify_message", "") or "it is not valid"
            return ConnectionFailed(
                f"the certificate of the server {name} is refused: {printable(_begin(reason))}",
                "check the clock of this machine and the server's URL",
            )
        case aiohttp.ClientSSLError():
            reason = _tls_reason(exc.os_error)
            return ConnectionFailed(
                f"the server {name} has no working TLS: {reason}",
                _without_tls(server, reason) or f"check its URL, or {OTHER_SERVER}",
            )
        case aiohttp.WSServerHandshakeError() | _RedirectError():
            status = getattr(exc, "status", 0)
            why = f"HTTP status {status}" if status >= 200 and status != 101 else "a redirect"
            if status == 101:
                why = "an invalid handshake"
            return _refused(name, f"accepts no WebSocket at this URL: {why}")
        case aiohttp.ClientConnectorError():
            return ConnectionFailed(
                f"the server {name} can't be reached: {_reason(exc.os_error)}",
                (_without_tls(server) if exc.errno == errno.ECONNRESET else "")
                or f"check the network, or {OTHER_SERVER}",
            )
        case aiohttp.ClientResponseError():
            return _refused(name, "does not respond in HTTP")
        case _:
            return ConnectionFailed(
                f"the server {name} closes the connection before it is open",
                _without_tls(server) or f"check its URL, or {OTHER_SERVER}",
            )


def _without_tls(server: Server, reason: str = "") -> str:
    """Return the hint that a server may have no TLS; empty where that is not likely.

    A server that reads a line of HTTP first, as the stock one does, does not even answer a TLS
    handshake.

    Args:
        server: to which no connection could be made.
        reason: of the failed handshake, as OpenSSL words it; empty if it was not answered.
    """
    is_http = reason in _HTTP_REASONS
    if not server.url.startswith("wss://") or not (is_http or server.is_private):
        return ""
    return f"if it has no TLS, use --server ws{server.url.removeprefix('wss')} on both sides"


def _refused(name: str, what: str) -> ConnectionFailed:
    return ConnectionFailed(f"the server {name} {what}", f"check its URL, or {OTHER_SERVER}")


def _place(proxy: str | None) -> str:
    """Return host and port of a proxy, without its account."""
    return printable(urlsplit(proxy or "").netloc.rpartition("@")[2])


def _reason(error: OSError) -> str:
    """Return the reason of a failed connection, without the addresses that asyncio adds."""
    if isinstance(error, socket.gaierror) or not error.errno:
        text = error.strerror or ""
        return text if text.startswith(("the name", "no name")) else "none of its addresses answers"
    return _begin(os.strerror(error.errno))


def _tls_reason(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return (reason or "the handshake fails").lower().replace("_", " ")


def _begin(text: str) -> str:
    """Return *text* as the end of a message: first letter in lower case, no full stop."""
    return system_reason(OSError(0, text)).rstrip(".")
