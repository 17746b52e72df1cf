"""A side that shows a code, and takes a code of the other side meanwhile.

waiting for a peer ─┬─► a peer has connected             ─► it is the peer
       ▲            └─► a code is entered ─► dials, joins ─┬─► its side is the peer
       └────────────────────── the error is shown ◄────────┘

The code that is shown works until the other one has led to a connection. An offer ends it at once,
since a person carries its answer to the other side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from dcsend.errors import DcsendError
from dcsend.peers.contract import Connection
from dcsend.session.arrivals import Arrivals

__all__ = ["Connect", "Enter", "Try", "WaitingOrEntered"]

Try = Callable[[str], Awaitable[None]]
"Connects with a valid code; if it raises DcsendError, another code can be tried."
Enter = Callable[[Try], Awaitable[bool]]
"""Reads codes of any kind that a person enters, and tries one after the other; returns True after
one that has connected, False at the end of input."""
Connect = Callable[[str], AbstractAsyncContextManager[Arrivals]]
"Connects with a code; the connection is closed at the end."


class WaitingOrEntered:
    """The peers of the code that is shown here, until another code has connected: then its peer."""

    def __init__(
        self,
        waiting: Arrivals,
        enter: Enter,
        connect: Connect,
        *,
        end: Callable[[], Awaitable[None]],
        is_offer: Callable[[str], bool],
    ) -> None:
        """Prepare.

        Args:
            waiting: the peers of the code that is shown here.
            enter: called while no peer is connected; cancelled when one is.
            connect: for a code that was entered.
            end: ends the code that is shown here.
            is_offer: whether a code is one that has to be answered.
        """
        self._arrivals = waiting
        self._enter: Enter | None = enter
        self._connect = connect
        self._end = end
        self._is_offer = is_offer
        self._other = AsyncExitStack()
        "Has the connection of the code that was entered."
        self._peer: Arrivals | None = None
        "That of the code that was entered."
        self._offer = ""

    async def close(self) -> None:
        """Close the connection of the code that was entered."""
        await self._other.aclose()

    async def next(self) -> Connection:
        """As `Arrivals.next`."""
        if self._enter is None:
            return await self._arrivals.next()
        waiting = asyncio.ensure_future(self._arrivals.next())
        entering = asyncio.ensure_future(self._enter(self._try))
        is_entered = False
        try:
            await asyncio.wait({waiting, entering}, return_when=asyncio.FIRST_COMPLETED)
            is_entered = entering.done() and entering.result()
            if not is_entered:
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
        await self._end()
        if self._offer:
            self._peer = await self._other.enter_async_context(self._connect(self._offer))
        assert self._peer is not None
        self._arrivals = self._peer
        return await self._arrivals.next()

    async def _try(self, code: str) -> None:
        """Connect with a code that was entered; an offer is left to `next`."""
        if self._is_offer(code):
            self._offer = code
        else:
            self._peer = await self._other.enter_async_context(self._connect(code))

    def accepted(self) -> None:
        """As `Arrivals.accepted`."""
        self._arrivals.accepted()

    @property
    def is_last(self) -> bool:
        """As `Arrivals.is_last`."""
        return self._arrivals.is_last

    async def parted(self, error: DcsendError, *, introduced: bool, is_last: bool = False) -> None:
        """As `Arrivals.parted`."""
        await self._arrivals.parted(error, introduced=introduced, is_last=is_last)

    async def displaced(self) -> None:
        """As `Arrivals.displaced`."""
        await self._arrivals.displaced()
