"""A peer that publishes a code, serves the page, and then says whatever a test wants.

The page always dials; so here the scripted peer is the one that listens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dcsend.engines.base import Connection
from dcsend.engines.certificate import Certificate
from dcsend.engines.listener import Listener
from dcsend.engines.loading import transfer_peer
from dcsend.engines.udp import UdpPort
from dcsend.serving.page import read_page
from dcsend.serving.port import listen
from dcsend.serving.server import PageServer
from dcsend.signaling.dialcode import Address, DialCode, ice_password, new_secret
from tests.page import lan_address
from tests.processes import PATIENCE
from tests.scripted_peer import Peer

__all__ = ["Host", "hosting"]


@dataclass(slots=True)
class Host:
    """A listener whose link nobody has opened yet."""

    link: str
    _accepting: asyncio.Task[Connection]

    async def peer(self) -> Peer:
        """Return the peer that talks to the page, once the page has dialled."""
        async with asyncio.timeout(PATIENCE):
            return Peer(await asyncio.shield(self._accepting))


@asynccontextmanager
async def hosting() -> AsyncIterator[Host]:
    """Publish a code and serve the page on this machine's address."""
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
        int(time.time()) + 600,
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
