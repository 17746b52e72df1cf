"""From which local addresses connectivity checks leave, and which of them a response verifies.

The source address of a datagram is easy to forge, so no datagram alone changes from where packets
leave. A valid request makes the local address at which it arrived a *candidate*: checks leave from
it as well. A valid response that arrives at the address from which its check left *verifies* that
address, and everything to that peer address leaves from it. It is used until checks from it are no
longer answered and one from another address is. A check has another transaction id for each address
from which it leaves, so that a copy of a response, sent to another local address, verifies nothing.
"""

from __future__ import annotations

from typing import Final

from aioice.stun import Message

from dcsend.net.address import Address
from dcsend.net.source_address import LocalAddress
from dcsend.net.udp import UdpPort

__all__ = ["CheckSources"]

MAX_CANDIDATES: Final = 4
"Candidate local addresses for one address of the peer; the first ones are kept."
MAX_REMEMBERED: Final = 512
"Checks whose responses can verify an address; a pair has a few outstanding."
_SIGNATURE: Final = ("MESSAGE-INTEGRITY", "FINGERPRINT")


class CheckSources:
    """The local addresses of the checks of one ICE connection over one port."""

    def __init__(self, port: UdpPort) -> None:
        self._port = port
        self._candidates: dict[Address, dict[LocalAddress, None]] = {}
        self._unanswered: set[Address] = set()
        "Peer addresses with a check that has not been answered."
        self._sent: dict[bytes, tuple[bytes, LocalAddress | None]] = {}
        """By transaction id, oldest first: the id of the check, or of the check that this is a copy
        of, and the local address; None if the system does not report it."""

    def request_received(self, source: Address) -> None:
        """Add a candidate: the address at which the request that is being handled arrived."""
        arrival = self._port.arrival(source)
        if arrival is None or arrival == self._port.kept(source):
            return
        candidates = self._candidates.setdefault(source, {})
        if len(candidates) < MAX_CANDIDATES:
            candidates[arrival] = None

    def outgoing(
        self, message: Message, target: Address, key: bytes
    ) -> list[tuple[Message, LocalAddress | None]]:
        """Return the check and its copies, each with the local address from which it leaves.

        Args:
            message: the check.
            target: an address of the peer.
            key: the peer's ice-pwd, for the MESSAGE-INTEGRITY of copies.
        """
        outgoing: list[tuple[Message, LocalAddress | None]] = []
        for local in self._locals(target):
            known = self._sent.get(message.transaction_id)
            check = message if known is None or known[1] == local else _copy(message, key)
            self._sent[check.transaction_id] = (message.transaction_id, local)
            outgoing.append((check, local))
        while len(self._sent) > MAX_REMEMBERED:
            del self._sent[next(iter(self._sent))]
        self._unanswered.add(target)
        return outgoing

    def _locals(self, target: Address) -> list[LocalAddress | None]:
        """Return the local addresses for a check: the verified one alone while it is answered."""
        verified = self._port.kept(target)
        candidates: list[LocalAddress | None] = [*self._candidates.get(target, ())]
        if verified is None:
            return candidates or [self._port.preferred(target)]
        if target not in self._unanswered:
            return [verified]
        # No response: the address may have been removed, or its interface may be down.
        if (preferred := self._port.preferred(target)) is not None and preferred not in candidates:
            candidates.append(preferred)
        return [verified, *(local for local in candidates if local != verified)]

    def original(self, transaction_id: bytes) -> bytes:
        """Return the transaction id of the check of which *transaction_id* may be a copy."""
        return self._sent.get(transaction_id, (transaction_id, None))[0]

    def answered(self, transaction_id: bytes, source: Address) -> bool:
        """Handle a valid response; return False if it arrived at another local address.

        Args:
            transaction_id: of the response.
            source: from which it came.
        """
        _, local = self._sent.get(transaction_id, (transaction_id, None))
        arrival = self._port.arrival(source)
        if local is not None and arrival is not None:
            if arrival != local:
                return False  # a copy of the response
            if local != self._port.kept(source):
                self._port.keep(source, local)
                self._candidates.pop(source, None)
        self._unanswered.discard(source)
        return True


def _copy(message: Message, key: bytes) -> Message:
    """Return the same check with another transaction id."""
    attributes = {name: v for name, v in message.attributes.items() if name not in _SIGNATURE}
    copy = Message(message.message_method, message.message_class, attributes=attributes)
    copy.add_message_integrity(key)
    return copy
