"""A scripted peer that publishes a code and serves the page.

The page is always the dialer, so this peer is the listener.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dcsend.dtls.certificate import Certificate
from dcsend.net.udp import UdpPort
from dcsend.peers.contract import Connection
from dcsend.peers.listener import Listener
from dcsend.peers.loading import transfer_peer
from dcsend.serving.page import read_page
from dcsend.serving.port import listen
from dcsend.serving.server import PageServer
from dcsend.signaling.dialcode import Address, DialCode, ice_password, new_secret
from tests.support.page import lan_address
from tests.support.processes import PATIENCE
from tests.support.scripted_peer import Peer

__all__ = ["Host", "hosted", "hosting"]


@dataclass(slots=True)
class Host:
    """A listener, and the link to its page."""

    link: str
    _accepting: asyncio.Task[Connection]

    async def peer(self) -> Peer:
        """Wait for the page to dial; return the connection to it."""
        async with asyncio.timeout(PATIENCE):
            return Peer(await asyncio.shield(self._accepting))


@asynccontextmanager
async def hosting(seconds: int = 600) -> AsyncIterator[Host]:
    """Publish a code that expires in *seconds*, and serve the page on this machine's address."""
    address, certificate, secret = lan_address(), Certificate.generate(), new_secret()
    server, sockets = PageServer(read_page()), listen()
    page = f"http://{address}:{sockets[0].getsockname()[1]}/"
    await server.start(sockets)
    port = await UdpPort.open()
    listener = Listener(
        port, certificate=certificate, password=ice_password(secret), make=transfer_peer
    )
    accepting = asyncio.create_task(listener.accept())
    code = DialCode(
        secret,
        certificate.fingerprint,
        port.port,
        (Address(address, port.port),),
        int(time.time()) + seconds,
    )
    try:
        yield Host(code.link(page), accepting)
    finally:
        server.close()
        accepting.cancel()
        await asyncio.wait({accepting})
        if not accepting.cancelled() and accepting.exception() is None:
            await accepting.result().close()
        await listener.close()


@asynccontextmanager
async def hosted(server: str = "") -> AsyncIterator[str]:
    """Serve the page on loopback, with a rendezvous server written into it; yield the link.

    Chromium asks for a permission before a page from the network connects to a server on loopback
    (Local Network Access), and tests can't answer.
    """
    pages, sockets = PageServer(read_page(server=server)), listen()
    await pages.start(sockets)
    try:
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
    finally:
        pages.close()
