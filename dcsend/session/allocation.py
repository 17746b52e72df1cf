"""A number for a short code, and the mailboxes in which a joiner finds this side.

server ─► number ─┬─► mailbox on the server
no server ─► number, free in this network ─┴─► mailbox that this side serves and announces
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from dcsend.errors import DcsendError, RemoteProtocolError, UsageError
from dcsend.printable import printable
from dcsend.rendezvous.servers import NONE, Server, read_option
from dcsend.session.events import Emit, Warned
from dcsend.session.hosting import Hosting
from dcsend.session.publishing import WATCH
from dcsend.settings import Settings

if TYPE_CHECKING:
    from dcsend.rendezvous.discovery import NumberAnnouncement
    from dcsend.rendezvous.mailbox import Mailbox

__all__ = ["Allocation", "follow"]

_LOCAL_NUMBERS: Final = 99
"The largest number that is chosen without a server; one network has few codes at a time."
_TRIES: Final = 4
"Numbers that are tried until one is free in this network."
_MAX_LOSSES: Final = 3
"Mailboxes that a server may lose in one run. It loses one if it has lost its database."
_PATIENCE: Final = 1.5
"""Seconds until a number that the user has chosen counts as free in this network: it can't be
replaced by another one, and a busy machine answers after 0.3 s (measured at load 12)."""
_RECENT: Final = 3
"""Numbers that are not used again at once: a user who enters an earlier code once more must not
use up the present one."""


class Allocation:
    """Where the numbers of the short codes of one run come from.

    Args:
        settings: server, mDNS.
        emit: gets notes.
        page: serves the mailbox of this side.
    """

    def __init__(self, settings: Settings, emit: Emit, page: Hosting) -> None:
        self.server = read_option(settings.server or NONE)
        "None without one, and after it could not be used."
        self.is_local = settings.uses_mdns
        "Whether the codes work in this network without a server."
        self._emit = emit
        self._page = page
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self._losses = 0
        "How often the server has lost the mailbox of a code that waited."

    def lost(self, error: DcsendError) -> None:
        """Note that the mailbox on the server is lost for good, so that its code works no more.

        Further codes use the server, unless it violates the protocol or loses one after the other.

        Args:
            error: why it is lost.

        Raises:
            DcsendError: *error*, if there is no other way.
        """
        self._losses += 1
        if isinstance(error, RemoteProtocolError) or self._losses >= _MAX_LOSSES:
            self.server = None
            if not self.is_local:
                raise error

    @asynccontextmanager
    async def mailboxes(self, chosen: str = "") -> AsyncIterator[tuple[str, Sequence[Mailbox]]]:
        """Yield a number and its mailboxes, which are closed at the end.

        If the server can't be used, the number works in this network only, and the other way round.

        Args:
            chosen: number that the user has chosen; empty for a new one.

        Raises:
            UsageError: another code in this network has the number *chosen*.
            DcsendError: neither can be used.
        """
        if chosen and await self._is_taken(chosen, _PATIENCE):
            raise _taken(chosen)
        async with AsyncExitStack() as stack:
            found: list[Mailbox] = []
            if self.server is not None:
                try:
                    found.append(
                        await stack.enter_async_context(self._on_server(self.server, chosen))
                    )
                except DcsendError as exc:
                    if not self.is_local:
                        raise
                    self._emit(Warned("server", exc.message, exc.hint))
                    self.server = None
            if self.is_local:
                number = found[0].number if found else chosen or await self._free_number()
                found.append(await stack.enter_async_context(self._in_this_network(number)))
            self._recent.append(found[0].number)
            yield found[0].number, found

    @asynccontextmanager
    async def _on_server(self, server: Server, chosen: str) -> AsyncIterator[Mailbox]:
        """Yield a mailbox on *server* whose number is free in this network."""
        from dcsend.rendezvous import client

        async with AsyncExitStack() as stack:
            for _ in range(_TRIES):
                # Those that are not used are released after another one is allocated.
                mailbox = await client.allocate(server, chosen)
                stack.push_async_callback(mailbox.close, "lonely")
                if chosen or not await self._is_taken(mailbox.number):
                    break
            if mailbox.motd:
                self._emit(Warned("server", f"{server.name}: {printable(mailbox.motd)}"))
            yield mailbox

    async def _is_taken(self, number: str, patience: float | None = None) -> bool:
        """Return whether a number was used lately, or has a code in this network.

        Args:
            number: of a code.
            patience: seconds until it counts as free in this network; None for `discovery.LOOK`.
        """
        from dcsend.rendezvous import discovery

        if number in self._recent:
            return True
        return self.is_local and await discovery.is_taken(
            number, patience=discovery.LOOK if patience is None else patience
        )

    async def _free_number(self) -> str:
        """Return a number that is not taken.

        Raises:
            UsageError: so many are taken that none was found.
        """
        for _ in range(_TRIES):
            number = str(1 + secrets.randbelow(_LOCAL_NUMBERS))
            if not await self._is_taken(number):
                return number
        raise _taken(number)

    @asynccontextmanager
    async def _in_this_network(self, number: str) -> AsyncIterator[Mailbox]:
        """Serve a mailbox and announce it."""
        from dcsend.rendezvous import discovery
        from dcsend.rendezvous.local_mailbox import LocalMailbox

        mailbox = LocalMailbox(number)
        with self._page.mailbox(mailbox) as port:
            async with discovery.announced(number, port) as announcement:
                if not announcement.is_announced:
                    self._emit(
                        Warned(
                            "network",
                            "the short code may not be found in this network: it has no "
                            "multicast, or a firewall blocks UDP port 5353",
                            "use the link, or name a server: --server URL",
                        )
                    )
                following = asyncio.create_task(follow(announcement))
                try:
                    yield mailbox.side
                finally:
                    following.cancel()
                    await asyncio.wait({following})
                    await mailbox.side.close("lonely")


def _taken(number: str) -> UsageError:
    return UsageError(
        f"another code in this network has the number {number}", "choose another number, or none"
    )


async def follow(announcement: NumberAnnouncement) -> None:
    """Announce the addresses of this machine again when they have changed."""
    while True:
        await asyncio.sleep(WATCH.poll)
        await announcement.update()
