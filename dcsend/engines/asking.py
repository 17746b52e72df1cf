"""From which of this machine's addresses checks leave, and what their answers prove.

A source address is easily forged, so nothing that merely arrives decides where our packets leave
from. An authenticated check makes the address that it came to a *candidate*: our own checks leave
from there, too. An authenticated answer that comes to the very address its check left from
*proves* that address, and from then on everything for that peer address leaves from it. It stays
until checks from it are no longer answered and one from another address is. Each check has a
transaction id for each address it leaves from, so that a copy of an answer, sent to another
address of ours, proves nothing.
"""

from __future__ import annotations

from typing import Final

from aioice.stun import Message

from dcsend.engines.origins import Origin
from dcsend.engines.udp import Address, UdpPort

__all__ = ["Asking"]

MAX_CANDIDATES: Final = 4
"Addresses of ours, for one of the peer's, that are candidates at a time; the first ones stay."
_REMEMBERED: Final = 512
"Checks whose answers may still prove something; a pair has a few at a time."
_SIGNATURE: Final = ("MESSAGE-INTEGRITY", "FINGERPRINT")


class Asking:
    """The checks of one ICE connection over one port."""

    def __init__(self, port: UdpPort) -> None:
        self._port = port
        self._candidates: dict[Address, dict[Origin, None]] = {}
        self._unanswered: set[Address] = set()
        "Peer addresses to which a check has gone that has not been answered."
        self._sent: dict[bytes, tuple[bytes, Origin | None]] = {}
        """By transaction id, the oldest first: the id of the check that this is, or is a copy of,
        and the address it left from; None where the system does not report it."""

    def authenticated(self, source: Address) -> None:
        """Note where an authenticated check of *source*, which is being handled, came to."""
        arrival = self._port.arrival(source)
        if arrival is None or arrival == self._port.kept(source):
            return
        candidates = self._candidates.setdefault(source, {})
        if len(candidates) < MAX_CANDIDATES:
            candidates[arrival] = None

    def check(
        self, message: Message, target: Address, key: bytes
    ) -> list[tuple[Message, Origin | None]]:
        """Return what leaves, and from where, when a check is sent, or sent again.

        Args:
            message: the check.
            target: where to.
            key: the password of the peer, with which a copy is signed.
        """
        leaving: list[tuple[Message, Origin | None]] = []
        for origin in self._from(target):
            known = self._sent.get(message.transaction_id)
            check = message if known is None or known[1] == origin else _copy(message, key)
            self._sent[check.transaction_id] = (message.transaction_id, origin)
            leaving.append((check, origin))
        while len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]
        self._unanswered.add(target)
        return leaving

    def _from(self, target: Address) -> list[Origin | None]:
        """Return the addresses to ask from: the proven one alone, as long as it is answered."""
        proven = self._port.kept(target)
        candidates: list[Origin | None] = [*self._candidates.get(target, ())]
        if proven is None:
            return candidates or [self._port.preferred(target)]
        if target not in self._unanswered:
            return [proven]
        # The peer is silent: our address may be gone, or its interface be down.
        if (preferred := self._port.preferred(target)) is not None and preferred not in candidates:
            candidates.append(preferred)
        return [proven, *(origin for origin in candidates if origin != proven)]

    def original(self, transaction_id: bytes) -> bytes:
        """Return the transaction id of the check that is answered, or that a copy of it is."""
        return self._sent.get(transaction_id, (transaction_id, None))[0]

    def answered(self, transaction_id: bytes, source: Address) -> bool:
        """Take an authenticated answer, which is being handled; False if it counts for nothing.

        Args:
            transaction_id: of the answer.
            source: where it came from.
        """
        _, origin = self._sent.get(transaction_id, (transaction_id, None))
        arrival = self._port.arrival(source)
        if origin is not None and arrival is not None:
            if arrival != origin:
                return False  # a copy of it, sent here
            if origin != self._port.kept(source):
                self._port.keep(source, origin)
                self._candidates.pop(source, None)
        self._unanswered.discard(source)
        return True


def _copy(message: Message, key: bytes) -> Message:
    """Return the same check with another transaction id."""
    attributes = {name: v for name, v in message.attributes.items() if name not in _SIGNATURE}
    copy = Message(message.message_method, message.message_class, attributes=attributes)
    copy.add_message_integrity(key)
    return copy
