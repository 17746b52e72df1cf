"""Carries the texts of one socket to a local mailbox and back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Protocol

from dcsend.rendezvous.local_mailbox import LocalConnection, LocalMailbox

__all__ = ["CLAIMING", "JOINING", "Socket", "serve"]

CLAIMING: Final = 5.0
"Seconds until a connection must have claimed the number; a joiner does it at once."
JOINING: Final = 30.0
"""Seconds until a connection must have sent a message to the mailbox. A joiner's program loads its
libraries meanwhile."""
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

    def keep(self) -> None:
        """Note that this is the joiner: it must not be closed for another connection."""


async def serve(
    mailbox: LocalMailbox,
    socket: Socket,
    *,
    claiming: float = CLAIMING,
    joining: float = JOINING,
) -> None:
    """Serve one connection until it ends; the caller closes it afterwards.

    Args:
        mailbox: to serve.
        socket: of a joiner, or of any device in the network.
        claiming: seconds until it must have claimed the number.
        joining: seconds until it must have sent a message to the mailbox.
    """
    loop = asyncio.get_running_loop()
    outgoing: asyncio.Queue[str | None] = asyncio.Queue()
    flushing = asyncio.timeout(None)
    end = loop.time() + joining

    def close() -> None:
        outgoing.put_nowait(None)
        flushing.reschedule(loop.time() + _FLUSHING)

    async def read(connection: LocalConnection) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(claiming) as limit:
                while (text := await socket.receive()) is not None:
                    connection.receive(text)
                    if connection.is_joiner:
                        limit.reschedule(None)
                        socket.keep()
                    elif connection.is_claimed:
                        limit.reschedule(end)
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
