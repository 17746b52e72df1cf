"""The dialers that a listener has accepted connect again, after their connections were lost.

    check that names a pinned fingerprint ─► a dial ─► DTLS with that certificate ─► `next`
                                                └ no such handshake ─► nothing has changed

The code may be used by then, and its secret proves nothing: the certificate does. A check proves
nothing either, since it can be recorded and sent again, so it must not affect the present
connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic

from dcsend.net.address import Address
from dcsend.peers.incoming_dial import IncomingDial
from dcsend.peers.loading import Peer

if TYPE_CHECKING:
    from dcsend.ice.checks import Check

__all__ = ["Returns"]


class _Permit(Generic[Peer]):
    """One dialer that may connect again.

    Args:
        present: has its present connection.
    """

    def __init__(self, present: IncomingDial[Peer]) -> None:
        self.present = present
        self.complete: asyncio.Queue[IncomingDial[Peer]] = asyncio.Queue()

    def renew(self, present: IncomingDial[Peer]) -> None:
        """Note the connection that has taken over."""
        self.present = present


class Returns(Generic[Peer]):
    """Which dialers may connect again, and the connections that they have made."""

    def __init__(self) -> None:
        self._permits: dict[bytes, _Permit[Peer]] = {}
        "By the fingerprint of the dialer."
        self._asked: dict[bytes, tuple[Check, Address]] = {}
        "By fingerprint: the check with which a dial begins soon, and its source address."

    def permit(self, dial: IncomingDial[Peer]) -> None:
        """Let the dialer of *dial* connect again; *dial* has the present connection."""
        self._permits.setdefault(dial.fingerprint, _Permit(dial)).renew(dial)

    def revoke(self, dial: IncomingDial[Peer]) -> None:
        """Let the dialer of *dial* connect again no more; idempotent."""
        permit = self._permits.get(dial.fingerprint)
        if permit is not None and permit.present is dial:
            del self._permits[dial.fingerprint]

    def is_by(self, fingerprint: bytes) -> bool:
        """Return whether *fingerprint* is that of a dialer that may connect again."""
        return fingerprint in self._permits

    def ask(self, check: Check, source: Address, begin: Callable[[Check, Address], None]) -> None:
        """Begin a dial by a dialer with a permit soon, with the last check of those that wait.

        After a time in which this program was stopped, up to one attempt for each two seconds waits
        in the socket. The dialer has given up all but the last one, and a dial takes milliseconds.
        """
        fingerprint = check.credentials.fingerprint
        earlier = self._asked.get(fingerprint)
        if earlier is None:
            asyncio.get_running_loop().call_soon(self._begin, fingerprint, begin)
        elif earlier[0].message.transaction_id == check.message.transaction_id:
            return  # a copy, perhaps from elsewhere
        self._asked[fingerprint] = check, source

    def _begin(self, fingerprint: bytes, begin: Callable[[Check, Address], None]) -> None:
        asked = self._asked.pop(fingerprint)
        if self.is_by(fingerprint):
            begin(*asked)

    def completed(self, dial: IncomingDial[Peer]) -> bool:
        """Pass on a dial with open channels; return False if it is not by such a dialer."""
        permit = self._permits.get(dial.fingerprint)
        if permit is None:
            return False
        permit.complete.put_nowait(dial)
        return True

    async def next(self, dial: IncomingDial[Peer]) -> IncomingDial[Peer]:
        """Return the next dial with open channels by the dialer of *dial*, which has a permit."""
        return await self._permits[dial.fingerprint].complete.get()
