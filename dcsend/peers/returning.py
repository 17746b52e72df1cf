"""The dialer that a listener has accepted connects again, after its connection was lost.

    check that names the pinned fingerprint ─► a dial ─► DTLS with that certificate ─► `next`
                                                 └ no such handshake ─► nothing has changed

The code is used by then, and its secret proves nothing: the certificate does. A check proves
nothing either, since it can be recorded and sent again, so it must not affect the present
connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic

from dcsend.net.address import Address
from dcsend.peers.incoming_dial import IncomingDial
from dcsend.peers.loading import Peer

if TYPE_CHECKING:
    from dcsend.ice.checks import Check

__all__ = ["Returns"]


class Returns(Generic[Peer]):
    """Which dialer may connect again, and the connections that it has made."""

    def __init__(self) -> None:
        self._present: IncomingDial[Peer] | None = None
        self._complete: asyncio.Queue[IncomingDial[Peer]] = asyncio.Queue()

    def permit(self, dial: IncomingDial[Peer]) -> None:
        """Let the dialer of *dial* connect again; *dial* has the present connection."""
        self._present = dial

    def is_by(self, fingerprint: bytes) -> bool:
        """Return whether a certificate is that of the dialer that may connect again."""
        return self._present is not None and self._present.fingerprint == fingerprint

    def is_new(self, check: Check, source: Address) -> bool:
        """Return whether a check is one of that dialer, and not from the present address of it."""
        return (
            self._present is not None
            and self.is_by(check.credentials.fingerprint)
            and not self._present.endpoint.has_route(source)
        )

    def surplus(
        self, dials: Iterable[IncomingDial[Peer]], most: int
    ) -> Iterable[IncomingDial[Peer]]:
        """Return the oldest of *dials* by which there are too many for another one."""
        others = [dial for dial in dials if dial is not self._present]
        return others[: max(0, len(others) - most + 1)]

    def completed(self, dial: IncomingDial[Peer]) -> bool:
        """Pass on a dial with open channels; return False if it is not by that dialer."""
        if not self.is_by(dial.fingerprint):
            return False
        self._complete.put_nowait(dial)
        return True

    async def next(self) -> IncomingDial[Peer]:
        """Return the next dial with open channels."""
        return await self._complete.get()
