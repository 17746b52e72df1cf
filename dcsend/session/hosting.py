"""The page of one run: where its link points to, and the server behind it if that is ours.

The port is open before the code is shown, so that the link can name it; the server is loaded
after that, and after aiortc: who scans a code needs seconds, a program that dials doesn't.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from dcsend.engines.addresses import side_network
from dcsend.engines.loading import load_aiortc
from dcsend.errors import UsageError
from dcsend.session.events import Emit, Link, Warned
from dcsend.session.worker import Worker
from dcsend.settings import Settings
from dcsend.signaling.dialcode import DialCode, page_base

if TYPE_CHECKING:
    from dcsend.serving.page import Page
    from dcsend.serving.server import PageServer

__all__ = ["Hosting", "hosting", "page_hosts"]

_NO_PAGE: Final = "dcsend:"
"The base of a link that opens nothing, but that `receive` and `--to` take."

_PRIVATE: Final = [
    ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
]
"What networks at home and at work use (RFC 1918); `is_private` knows many more."
_INSIDE: Final = ipaddress.ip_network("192.0.0.0/29")
"What a machine calls itself where the network has IPv6 only (RFC 7335): it is no one else's."


@asynccontextmanager
async def hosting(settings: Settings, emit: Emit) -> AsyncIterator[Hosting]:
    """Yield the page of a run that publishes a code; what is served ends with it.

    Raises:
        UsageError: the page was never built, its port is taken, or its URL is none.
    """
    page = Hosting(settings, emit)
    try:
        yield page
    finally:
        await page.close()


class Hosting:
    """Makes the link; serves the page if this run is to do it."""

    def __init__(self, settings: Settings, emit: Emit) -> None:
        self._emit = emit
        self._url = page_base(settings.page_url) if settings.page_url else ""
        self._port = settings.port
        self._page: Page | None = None
        self._sockets: list[socket.socket] = []
        self._server: PageServer | None = None
        self._starting: asyncio.Task[None] | None = None
        if settings.page and not settings.page_url:
            from dcsend.serving.page import read_page
            from dcsend.serving.port import listen

            self._page = read_page()
            self._sockets = listen(settings.port)

    def links(self, code: DialCode, names: Mapping[str, str]) -> tuple[Link, ...]:
        """Return what opens the page with *code* in it: a link for each network, the best first.

        Args:
            code: the code.
            names: the interface of each address in it, as far as that is known.

        Raises:
            UsageError: no browser can get to this machine by the addresses in the code.
        """
        if not self._sockets:
            return (Link(code.link(self._url or _NO_PAGE), ""),)
        port = self._sockets[0].getsockname()[1]
        hosts = page_hosts(code, names)
        return tuple(Link(code.link(f"http://{host}:{port}/"), name) for host, name in hosts)

    def start(self) -> None:
        """Serve as soon as what is needed for it is loaded; does not wait."""
        self._warn()
        if self._page is not None:
            self._starting = asyncio.create_task(self._start(self._page))

    async def close(self) -> None:
        """Serve no longer; idempotent."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        if self._server is not None:
            self._server.close()
        for sock in self._sockets:
            sock.close()

    def _warn(self) -> None:
        """Tell of a port that is good for everybody but browsers."""
        if self._page is None and not self._url:
            return
        from dcsend.serving.port import objection

        if why := objection(self._port, served=self._page is not None):
            self._emit(Warned("page", why, "choose another --port; dcsend itself connects to it"))

    async def _start(self, page: Page) -> None:
        with contextlib.suppress(ImportError):  # told by whoever can't do without
            await load_aiortc()
        worker = Worker("dcsend-load-aiohttp")
        try:
            server_class = await worker.run(_load)
            self._server = server_class(page)
            await self._server.start(self._sockets)
        except Exception as exc:  # noqa: BLE001 - the code can be used without a page
            hint = "install dcsend again, with its dependencies; the code itself still works"
            self._emit(Warned("page", f"the page can't be served: {exc}", hint))
            if self._server is not None:
                self._server.close()
            for sock in self._sockets:  # a browser is told so, too
                sock.close()
        finally:
            worker.close()


def page_hosts(code: DialCode, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the hosts for the page's URL, one for each network that this machine is in.

    The first is where a phone in the same network finds this machine: a private IPv4 address, if
    there is one, otherwise the first that needs no forwarded port. A VPN, and the network of this
    machine's containers, come after the others.

    Args:
        code: whose addresses are those of this machine.
        names: the interface of each; an address without one is in a network of its own.

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
        raise UsageError("no address in the code is one for the page", "do without it: --no-page")

    def rank(host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[bool, bool, bool]:
        aside = bool(side_network(names.get(str(host), "")))
        return host in _INSIDE, aside, not any(host in network for network in _PRIVATE)

    plain.sort(key=rank)
    best: dict[str, tuple[str, str]] = {}
    for host in plain:
        if host.is_loopback and best:
            continue
        name = names.get(str(host), "")
        best.setdefault(name or str(host), (f"[{host}]" if host.version == 6 else str(host), name))
    return list(best.values())


def _load() -> type[PageServer]:
    """Import aiohttp, 0.2 s long: nothing for the loop's own thread."""
    from dcsend.serving.server import PageServer

    return PageServer
