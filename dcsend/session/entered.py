"""A side that shows a code, and takes a code of the other side meanwhile.

waiting for a peer ─┬─► a peer has connected             ─► it is the peer
       ▲            └─► a code is entered ─► dials, joins ─┬─► its side is the peer
       └────────────────────── the error is shown ◄────────┘

The code that is shown works until the other one has led to a connection. An offer ends it at once,
since a person carries its answer to the other side.

The connection to the server is opened before a code is entered, so that a joiner saves that time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING

from dcsend.errors import DcsendError
from dcsend.peers.contract import Connection
from dcsend.rendezvous.servers import NONE, Server, read_option
from dcsend.session.arrivals import Arrivals
from dcsend.settings import Settings

if TYPE_CHECKING:
    from dcsend.rendezvous.server_mailbox import ServerMailbox
    from dcsend.session.links import BegunAnew

__all__ = ["Connect", "EarlyServer", "Enter", "Try", "WaitingOrEntered"]

Try = Callable[[str], Awaitable[None]]
"Connects with a valid code; if it raises DcsendError, another code can be tried."
Enter = Callable[[Try], Awaitable[bool]]
"""Reads codes of any kind that a person enters, and tries one after the other; returns True after
one that has connected, False at the end of input."""
Connect = Callable[[str], AbstractAsyncContextManager[Arrivals]]
"Connects with a code; the connection is closed at the end."


class EarlyServer:
    """What one run has before a code is entered: above all a connection to its server.

    The server learns that there is a client, and its address. An async context manager.
    """

    def __init__(self, settings: Settings) -> None:
        """Take the server of *settings*; without one there is no connection."""
        self._server = read_option(settings.server or NONE)
        self._closing: set[asyncio.Task[None]] = set()
        self._mailbox: ServerMailbox | None = None
        "The client that is connected to the server; each is used for one code at most."
        self._used: dict[tuple[str, str], ServerMailbox] = {}
        "The newest mailbox of each server and number."
        self.own_number = ""
        "Number of the short code that this run shows and announces; empty if it shows none."

    async def __aenter__(self) -> EarlyServer:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.disconnect()
        if self._closing:
            await asyncio.wait(self._closing)

    def shown(self, number: str) -> None:
        """Note the number of the short code that this run shows."""
        self.own_number = number

    def connect(self) -> None:
        """Begin to connect, unless there is a mailbox that is not used; errors are not reported."""
        if self._server is None or (self._mailbox is not None and self._mailbox.is_prepared):
            return
        from dcsend.rendezvous.client import prepare

        last = next(reversed(self._used.values()), None)
        side = last.kept_side if last is not None and last.server == self._server else ""
        self._mailbox = prepare(self._server, side=side)

    def joiner(self, server: Server, number: str) -> ServerMailbox:
        """Return a mailbox for `client.join`: the one that is connected, if it can be used.

        Args:
            server: of the code.
            number: of the code. A further attempt at it is made by the same side as the last one.
        """
        from dcsend.rendezvous.client import joiner

        place = server.url, number
        earlier = self._used.pop(place, None)
        side = earlier.kept_side if earlier is not None else ""
        others = {one.kept_side for one in self._used.values()}
        prepared = self._mailbox
        if prepared is not None and (prepared.side != side if side else prepared.side in others):
            prepared = None
        self._used[place] = mailbox = joiner(server, prepared, side=side)
        return mailbox

    def disconnect(self) -> None:
        """Close the connection in the background, unless it is used by now."""
        mailbox, self._mailbox = self._mailbox, None
        if mailbox is not None and mailbox.is_prepared:
            closing = asyncio.create_task(mailbox.close("lonely"))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


class WaitingOrEntered:
    """The peers of the code that is shown here, until another code has connected: then its peer."""

    def __init__(
        self,
        waiting: Arrivals,
        enter: Enter,
        connect: Connect,
        early: EarlyServer,
        *,
        end: Callable[[], Awaitable[None]],
        is_offer: Callable[[str], bool],
    ) -> None:
        """Prepare.

        Args:
            waiting: the peers of the code that is shown here.
            enter: called while no peer is connected; cancelled when one is.
            connect: for a code that was entered.
            early: connected while *enter* is called.
            end: ends the code that is shown here.
            is_offer: whether a code is one that has to be answered.
        """
        self._arrivals = waiting
        self._enter: Enter | None = enter
        self._connect = connect
        self._early = early
        self._end = end
        self._is_offer = is_offer
        self._other = AsyncExitStack()
        "Has the connection of the code that was entered."
        self._peer: Arrivals | None = None
        "The peer whose code was entered."
        self._offer = ""
        self._ending: asyncio.Future[None] | None = None

    async def close(self) -> None:
        """Close the connection of the code that was entered."""
        await self._other.aclose()
        if self._ending is not None:
            await self._ending

    async def next(self) -> Connection:
        """As `Arrivals.next`."""
        if self._enter is None:
            return await self._arrivals.next()
        self._early.connect()
        waiting = asyncio.ensure_future(self._arrivals.next())
        entering = asyncio.ensure_future(self._enter(self._try))
        is_entered = False
        try:
            await asyncio.wait({waiting, entering}, return_when=asyncio.FIRST_COMPLETED)
            is_entered = entering.done() and entering.result()
            if not is_entered:
                self._early.disconnect()
                if entering.done():
                    self._enter = None
                return await waiting
        finally:
            waiting.cancel()
            entering.cancel()
            await asyncio.wait({waiting, entering})
            if not is_entered:
                await self._other.aclose()  # it may have connected in the last moment
        self._enter = None
        self._early.disconnect()
        # The server confirms the end a round trip later. An answer needs the port.
        self._ending = asyncio.ensure_future(self._end())
        if self._offer:
            await self._ending
            self._peer = await self._other.enter_async_context(self._connect(self._offer))
        assert self._peer is not None
        self._arrivals = self._peer
        return await self._arrivals.next()

    async def _try(self, code: str) -> None:
        """Connect with a code that was entered; an offer is left to `next`."""
        if self._is_offer(code):
            self._offer = code
        else:
            try:
                self._peer = await self._other.enter_async_context(self._connect(code))
            except DcsendError:
                self._early.connect()  # for the next code
                raise

    def accepted(self) -> None:
        """As `Arrivals.accepted`."""
        self._arrivals.accepted()

    @property
    def is_last(self) -> bool:
        """As `Arrivals.is_last`."""
        return self._arrivals.is_last

    @property
    def once(self) -> str:
        """As `Arrivals.once`."""
        return self._arrivals.once

    async def parted(self, error: DcsendError, *, introduced: bool, is_last: bool = False) -> None:
        """As `Arrivals.parted`."""
        await self._arrivals.parted(error, introduced=introduced, is_last=is_last)

    async def begin_anew(self, begun: BegunAnew) -> Connection:
        """As `Arrivals.begin_anew`."""
        return await self._arrivals.begin_anew(begun)

    async def displaced(self) -> None:
        """As `Arrivals.displaced`."""
        await self._arrivals.displaced()
