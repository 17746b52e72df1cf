"""The TCP port of one run: serves the page, and the mailbox of its short code in this network.

The port is open before the code is shown, so that the link can contain it. The server is imported
after that, and after aiortc: a person needs seconds to scan a code, a program that dials does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from dcsend.errors import UsageError
from dcsend.net.interfaces import is_point_to_point, side_network
from dcsend.peers.loading import load_aiortc
from dcsend.printable import system_reason
from dcsend.session.events import Emit, Link, Warned
from dcsend.session.worker import Worker
from dcsend.settings import Settings
from dcsend.signaling.dialcode import DialCode, page_base
from dcsend.signaling.link import link_of_both

if TYPE_CHECKING:
    from dcsend.rendezvous.local_mailbox import LocalMailbox
    from dcsend.serving.page import Page
    from dcsend.serving.server import PageServer, ServedWebSocket

__all__ = ["Hosting", "hosting", "page_hosts"]

logger = logging.getLogger(__name__)

_NO_PAGE: Final = "dcsend:"
"The base of a link that opens nothing, but that `receive` and `--to` take."

_PRIVATE: Final = [
    ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
]
"Addresses of networks at home and at work (RFC 1918); `is_private` includes many more."
_INSIDE: Final = ipaddress.ip_network("192.0.0.0/29")
"A machine's own IPv4 address in an IPv6-only network (RFC 7335): others can't use it."


@asynccontextmanager
async def hosting(
    settings: Settings,
    emit: Emit,
    *,
    built: Page | None = None,
    load: Callable[[], type[PageServer]] | None = None,
) -> AsyncIterator[Hosting]:
    """Yield the page of a run that publishes a code; serving ends with the context.

    Args:
        settings: of the run.
        emit: gets warnings.
        built: the page to serve; None for the one that was built.
        load: imports the server; None for `load_server`.

    Raises:
        UsageError: the page was never built, its port is taken, or its URL is invalid.
    """
    page = Hosting(settings, emit, built, load or load_server)
    try:
        yield page
    finally:
        await page.close()


class Hosting:
    """Makes the link; serves the page if this run does."""

    def __init__(
        self,
        settings: Settings,
        emit: Emit,
        built: Page | None,
        load: Callable[[], type[PageServer]],
    ) -> None:
        self._emit = emit
        self._load = load
        self._url = page_base(settings.page_url) if settings.page_url else ""
        self._hides_addresses = settings.relay_only
        self._port = settings.port
        self._code: DialCode | None = None
        "The newest dial code."
        self._page: Page | None = None
        self._sockets: list[socket.socket] = []
        self._server: PageServer | None = None
        self._starting: asyncio.Task[None] | None = None
        self._mailbox: LocalMailbox | None = None
        self._serves_mailbox = settings.uses_mdns
        self._keeps_port = False
        "Whether the page is served at the port of the last run if it is free, and by the next run."
        if settings.page and not settings.page_url and not settings.relay_only:
            from dcsend.serving.page import read_page

            self._page = built or read_page(server=_server(settings))
        if self._page is not None or self._serves_mailbox:
            from dcsend.serving.port import listen

            self._keeps_port = self._page is not None and not settings.port
            self._sockets = self._listen_again() if self._keeps_port else listen(settings.port)

    def _listen_again(self) -> list[socket.socket]:
        """Return sockets on the port of the last page, or on a random one."""
        from dcsend.serving.last_port import last_port
        from dcsend.serving.port import listen

        if port := last_port():
            try:
                return listen(port)
            except UsageError as exc:
                logger.debug("another port than that of the last page: %s", exc.message)
        return listen()

    def links(self, code: DialCode, names: Mapping[str, str]) -> tuple[Link, ...]:
        """Return links that open the page with *code*: one for each network, the best first.

        Args:
            code: the code.
            names: interface by address, where it is known.

        Raises:
            UsageError: no browser can reach this machine by the addresses in the code.
        """
        self._code = code
        if self._page is None:
            base = "" if self._hides_addresses else self._url
            return (Link(code.link(base or _NO_PAGE), ""),)
        port = self._sockets[0].getsockname()[1]
        hosts = page_hosts(code, names)
        return tuple(Link(code.link(f"http://{host}:{port}/"), name) for host, name in hosts)

    def link_of_both(self, short_code: str) -> str:
        """Return the link to a hosted page with both codes; empty if the page is not hosted.

        A phone that opens it may be in any network, and reaches the addresses of the dial code in
        one only. So that the QR code stays small, the dial code has one address: the other ones
        are candidates of the short code. A side that hides its addresses leaves it out.
        """
        if not self._url or self._url == _NO_PAGE or self._code is None:
            return ""
        if self._hides_addresses:
            return f"{self._url}#{short_code}"
        code = replace(self._code, addresses=self._code.addresses[:1])
        return link_of_both(code.link(self._url), short_code)

    def start(self) -> None:
        """Serve as soon as the server is imported; does not wait."""
        self._warn()
        if self._sockets:
            self._starting = asyncio.create_task(self._start())

    @contextlib.contextmanager
    def mailbox(self, mailbox: LocalMailbox) -> Iterator[int]:
        """Serve *mailbox* while the body runs; yield the TCP port."""
        self._mailbox = mailbox
        try:
            yield int(self._sockets[0].getsockname()[1])
        finally:
            if self._mailbox is mailbox:  # not that of a later code
                self._mailbox = None

    async def close(self) -> None:
        """Stop serving; idempotent."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        if self._server is not None:
            self._server.close()
        for sock in self._sockets:
            sock.close()

    def _warn(self) -> None:
        """Report a port that browsers do not connect to."""
        if self._page is None and not self._url:
            return
        from dcsend.serving.port import blocked_port

        if why := blocked_port(self._port, served=self._page is not None):
            self._emit(Warned("page", why, "choose another --port; dcsend itself connects to it"))

    async def _serve_mailbox(self, socket: ServedWebSocket) -> None:
        """Serve a client of the mailbox; without a short code, end its connection."""
        from dcsend.rendezvous.local_serving import serve

        if self._mailbox is not None:
            await serve(self._mailbox, socket)

    async def _start(self) -> None:
        with contextlib.suppress(ImportError):  # the connection that needs it reports it
            await load_aiortc()
        worker = Worker("dcsend-load-aiohttp")
        try:
            server_class = await worker.run(self._load)
            mailbox = self._serve_mailbox if self._serves_mailbox else None
            self._server = server_class(self._page, mailbox)
            await self._server.start(self._sockets)
            if self._keeps_port:
                from dcsend.serving.last_port import remember

                await worker.run(partial(remember, self._sockets[0].getsockname()[1]))
        except Exception as exc:  # noqa: BLE001 - the code can be used without a page
            reason = system_reason(exc, str(exc))
            hint = "install dcsend again, with its dependencies; the code itself still works"
            self._emit(Warned("page", f"the page can't be served: {reason}", hint))
            if self._server is not None:
                self._server.close()
            for sock in self._sockets:  # so that browsers get an error
                sock.close()
        finally:
            worker.close()


def _server(settings: Settings) -> str:
    """Return the URL of the rendezvous server of this run; empty for none."""
    if not settings.server:
        return ""
    from dcsend.rendezvous.servers import read_option

    server = read_option(settings.server)
    return server.url if server is not None else ""


def page_hosts(code: DialCode, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the hosts for the page's URL, one for each network that this machine is in.

    The first is the one that a phone in the same network can reach: a private IPv4 address, if
    there is one, otherwise the first that needs no forwarded port. A VPN, other point-to-point
    links, and the network of this machine's containers come after the others.

    Args:
        code: has the addresses of this machine.
        names: interface by address; an address without one counts as a network of its own.

    Returns:
        Host and interface, each interface once.

    Raises:
        UsageError: there is none.

    >>> from dcsend.signaling.dialcode import Address
    >>> addresses = (Address("203.0.113.9", 4000), Address("192.168.1.7", 4000))
    >>> names = {"203.0.113.9": "ppp0", "192.168.1.7": "wlan0"}
    >>> page_hosts(DialCode(bytes(16), bytes(32), 4000, addresses, 0), names)
    [('192.168.1.7', 'wlan0'), ('203.0.113.9', 'ppp0')]
    """
    hosts = [ipaddress.ip_address(a.host) for a in code.addresses if a.port == code.port]
    # A scope would have to be named in the URL, and is another on the phone.
    plain = [host for host in hosts if host.version == 4 or not host.is_link_local]
    if not plain:
        raise UsageError(
            "the page can't be served at any address of the code", "leave it out: --no-page"
        )

    def rank(host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[bool, bool, bool]:
        name = names.get(str(host), "")
        aside = bool(side_network(name)) or is_point_to_point(name)
        return host in _INSIDE, aside, not any(host in network for network in _PRIVATE)

    plain.sort(key=rank)
    best: dict[str, tuple[str, str]] = {}
    for host in plain:
        if host.is_loopback and best:
            continue
        name = names.get(str(host), "")
        best.setdefault(name or str(host), (f"[{host}]" if host.version == 6 else str(host), name))
    return list(best.values())


def load_server() -> type[PageServer]:
    """Import aiohttp; it takes 0.2 s, too long for the thread of the loop."""
    from dcsend.serving.server import PageServer

    return PageServer
