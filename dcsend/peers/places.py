"""Which dialers and joiners of a listener are connected, and how many can be at once.

open channels ─► place ─► `next` ─► conversation ─► left
    └ none is free ─► refused as busy; `asked` is set
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic

from dcsend.errors import ConnectionFailed
from dcsend.net.address import Address
from dcsend.peers.incoming_dial import IncomingDial
from dcsend.peers.loading import Peer

if TYPE_CHECKING:
    from dcsend.ice.checks import Refusal

__all__ = ["Asked", "Places"]


class Asked(asyncio.Event):
    """Set when a dialer with the right secret finds no free place, or has the address of a peer."""

    host = ""
    "Where the last one was; empty for a joiner."
    holder: object = None
    "The connection of the peer whose address it has; only that one can make room for it."

    def by(self, host: str, holder: object = None) -> None:
        """Set it for a dialer at *host*, with the address of the connection *holder*."""
        self.host = host
        self.holder = holder
        self.set()


class Places(Generic[Peer]):
    """The places of one listener.

    Args:
        number: of places.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._taken: dict[Peer, IncomingDial[Peer]] = {}
        "By connection."
        self._new: asyncio.Queue[IncomingDial[Peer] | None] = asyncio.Queue()
        "Those that `next` has not returned; None after `close`."
        self._final: Refusal | None = None
        self._is_closed = False
        self.free, self.full = asyncio.Event(), asyncio.Event()
        "Set while a place is free; set while none is."
        self.free.set()

    def __contains__(self, dial: IncomingDial[Peer]) -> bool:
        return dial in self._taken.values()

    def __iter__(self) -> Iterator[IncomingDial[Peer]]:
        return iter(self._taken.values())

    def at(self, source: Address) -> IncomingDial[Peer] | None:
        """Return the dial to which datagrams of *source* are passed, if it has a place."""
        return next((dial for dial in self if dial.endpoint.has_route(source)), None)

    def of(self, connection: Peer) -> IncomingDial[Peer]:
        """Return the dial of a connection that has a place."""
        return self._taken[connection]

    @property
    def refusal(self) -> Refusal | None:
        """With what another dialer is refused now; None if a place is free."""
        from dcsend.ice.checks import Refusal

        return self._final or (Refusal.BUSY if self.full.is_set() else None)

    def end(self, refusal: Refusal) -> None:
        """Refuse all others with *refusal* from now on; only the first call has an effect."""
        self._final = self._final or refusal

    def limit(self, number: int) -> None:
        """Change the number of places; connections that are above it stay."""
        self._number = number
        self._note()

    def keep(self, connection: Peer) -> None:
        """Let an accepted peer keep its place for a while when it no longer responds."""
        self._taken[connection].keep()

    def take(self, dial: IncomingDial[Peer]) -> bool:
        """Give a dial a place; return False if none is free."""
        if self._final is not None or self._is_closed or len(self._taken) >= self._number:
            return False
        self._taken[dial.connection] = dial
        self._new.put_nowait(dial)
        self._note()
        return True

    def leave(self, connection: Peer) -> None:
        """Make the place of a connection free; idempotent."""
        self._taken.pop(connection, None)
        self._note()

    def replace(self, former: Peer, dial: IncomingDial[Peer]) -> None:
        """Give the place of a connection to another dial."""
        if self._taken.pop(former).is_kept:
            dial.keep()
        self._taken[dial.connection] = dial

    async def next(self) -> IncomingDial[Peer]:
        """Return the next dial that has a place.

        Raises:
            ConnectionFailed: `close` was called.
        """
        while True:
            dial = await self._new.get()
            if dial is None:
                self._new.put_nowait(None)
                raise ConnectionFailed("the listener is closed")
            if dial in self:
                return dial

    def close(self) -> None:
        """End all calls of `next`; idempotent."""
        self._is_closed = True
        self._new.put_nowait(None)

    def _note(self) -> None:
        if len(self._taken) < self._number:
            self.full.clear()
            self.free.set()
        else:
            self.free.clear()
            self.full.set()
