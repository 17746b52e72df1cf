"""Carries the texts of one socket to a local mailbox and back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Protocol

from dcsend.rendezvous.local_mailbox import LocalConnection, LocalMailbox

__all__ = ["Socket", "serve"]

_OPENING: Final = 10.0
"Seconds until a connection must have opened the mailbox; a joiner needs two round trips."
_FLUSHING: Final = 1.0
"Seconds for the last texts."


class Socket(Protocol):
    """A WebSocket that a server has accepted."""

    async def receive(self) -> str | None:
        """Return the next text; None at the end, which includes a message that is too long."""

    async def send(self, text: str) -> None:
        """Send a text.

        Raises:
            ConnectionError: the connection is lost.
        """


async def serve(mailbox: LocalMailbox, socket: Socket, *, opening: float = _OPENING) -> None:
    """Serve one connection until it ends; the caller closes it afterwards.

    Args:
        mailbox: to serve.
        socket: of a joiner, or of any device in the network.
        opening: seconds until it must have opened the mailbox.
    """
    loop = asyncio.get_running_loop()
    outgoing: asyncio.Queue[str | None] = asyncio.Queue()
    flushing = asyncio.timeout(None)

    def close() -> None:
        outgoing.put_nowait(None)
        flushing.reschedule(loop.time() + _FLUSHING)

    async def read(connection: LocalConnection) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(opening) as limit:
                while (text := await socket.receive()) is not None:
                    connection.receive(text)
                    if connection.is_open:
                        limit.reschedule(None)
        connection.end()

    with contextlib.suppress(ConnectionError, TimeoutError):
        async with flushing:
            connection = mailbox.connect(outgoing.put_nowait, close)
            reading = asyncio.create_task(read(connection))
            try:
                while (text := await outgoing.get()) is not None:
                    await socket.send(text)
            finally:
                connection.end()
                reading.cancel()
                await asyncio.wait({reading})
