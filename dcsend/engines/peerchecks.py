"""Which datagrams with checks reach the ICE of a side that expects one peer: `dialer`, `described`.

A `listener` expects several, and has rules of its own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dcsend.engines.integrity import is_authentic
from dcsend.engines.quota import Gate, SeenChecks
from dcsend.engines.udp import Address

if TYPE_CHECKING:
    from aioice.stun import Message

__all__ = ["PeerChecks"]

MAX_SOURCES: Final = 16
"Addresses, besides those that are known of the peer, from which it may show itself."
CHECKS_PER_SECOND: Final = 200
"New authentic checks of known sources, and as many of others; a peer sends fewer than 50."


class PeerChecks:
    """Judges the checks of one peer; what is not authentic costs and changes nothing."""

    def __init__(self, password: str, *, controlling: bool) -> None:
        """Prepare.

        Args:
            password: our ice-pwd, with which the peer signs.
            controlling: our role in ICE; the peer has the other one.
        """
        self.controlling = controlling
        self.heard = False
        "Whether a check of the peer has come."
        self._key = password.encode()
        self._sources = 0
        self._seen = SeenChecks()
        self._known = Gate(self._seen, CHECKS_PER_SECOND)
        self._strange = Gate(self._seen, CHECKS_PER_SECOND)

    def known(self, data: bytes, source: Address) -> Message | None:
        """Return the peer's check in what a known source has sent, or None."""
        return self._judged(data, source, self._known)

    def stranger(self, data: bytes, source: Address) -> Message | None:
        """Return it in what another source has sent, which becomes a known one then, or None."""
        if self._sources >= MAX_SOURCES:
            return None
        message = self._judged(data, source, self._strange)
        self._sources += message is not None
        return message

    def _judged(self, data: bytes, source: Address, gate: Gate) -> Message | None:
        now = asyncio.get_running_loop().time()
        if gate.is_overrun(data, now):
            return None
        if not is_authentic(data, self._key):
            return None
        if not gate.admits(data, source, now):
            return None
        from dcsend.engines.checks import parse_request

        message = parse_request(data, "ICE-CONTROLLED" if self.controlling else "ICE-CONTROLLING")
        if message is None:
            return None
        self.heard = True
        return message if self._seen.add(message.transaction_id, source) else None
