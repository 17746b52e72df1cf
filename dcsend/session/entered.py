"""A side that shows a code, and takes a code of the other side meanwhile.

waiting for a peer ─┬─► a peer has connected                     ─► it is the peer
                    └─► a code is entered: this side is no longer waiting ─► dials, or joins
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from dcsend.errors import DcsendError
from dcsend.peers.contract import Connection
from dcsend.session.arrivals import Arrivals

__all__ = ["Enter", "WaitingOrEntered"]

Enter = Callable[[], Awaitable[str | None]]
"Returns a valid code that a person has entered, of any kind; None at the end of input."


class WaitingOrEntered:
    """The peers of the code that is shown here, until another code is entered: then its peer."""

    def __init__(
        self, waiting: Arrivals, enter: Enter, change: Callable[[str], Awaitable[Arrivals]]
    ) -> None:
        """Prepare.

        Args:
            waiting: the peers of the code that is shown here.
            enter: called while no peer is connected; cancelled when one is.
            change: ends the waiting, and returns the peer of the code that was entered.
        """
        self._arrivals = waiting
        self._enter: Enter | None = enter
        self._change = change

    async def next(self) -> Connection:
        """As `Arrivals.next`."""
        if self._enter is None:
            return await self._arrivals.next()
        waiting = asyncio.ensure_future(self._arrivals.next())
        entering = asyncio.ensure_future(self._enter())
        try:
            await asyncio.wait({waiting, entering}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            self._enter = None
            code = entering.result()
            if code is None:
                return await waiting
        finally:
            waiting.cancel()
            entering.cancel()
            await asyncio.wait({waiting, entering})
        self._arrivals = await self._change(code)
        return await self._arrivals.next()

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
