"""The second meeting of two sides that a short code has connected, sans-I/O.

    allocator                                          joiner
    a0 = version, flags, nonce             ─────►
                                           ◄─────      b0 = version, flags, nonce, sealed offer
    a1 = version, flags, sealed answer     ─────►
    a2, a3, …: sealed                      ◄────►      b1, b2, …: sealed

Names and keys are derived from the key of the short code, so that there is no guess and no claim.
Both nonces are in the keys of an *attempt*: what was sealed for another one can't be opened.

Must not import anything of dcsend but `errors` and `rendezvous`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

from dcsend.errors import DcsendError, LocalProtocolError, RemoteProtocolError
from dcsend.rendezvous import sealing
from dcsend.rendezvous.handshake import HEAD, VERSION, Side, check_head
from dcsend.rendezvous.items import Item
from dcsend.rendezvous.sealing import Keys, Phase

__all__ = ["AgainAllocator", "AgainJoiner", "AgainKeys", "tag_of"]

_NONCE: Final = 16
"Bytes."
_SEALED: Final = HEAD + _NONCE
"Where the sealed message begins in b0."
_TAG: Final = 8
"Bytes of the allocator's nonce that name the attempt in the mailbox."


class AgainKeys:
    """What both sides derive from the key of their short code.

    Args:
        key: `Keys.again` of the short code.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.mailbox: Final = self._derive("mailbox", 16).hex()
        "Name of the mailbox on a server, and of that which the allocator serves."
        self.number: Final = str(int.from_bytes(self._derive("number", 8)))
        "What the allocator announces in its network, 1 to 20 digits."
        self.sides: Final = {side: self._derive(f"side {side}", 5).hex() for side in "ab"}
        "What identifies the two sides in the mailbox."

    def keys(self, a0: bytes, b0: bytes) -> Keys:
        """Return the keys of one attempt, by what is not sealed in a0 and b0."""
        salt = a0[:_SEALED] + b0[:_SEALED]
        return Keys(*(self._derive(purpose, sealing.KEY_SIZE, salt) for purpose in ("a>b", "b>a")))

    def _derive(self, purpose: str, size: int, salt: bytes = b"") -> bytes:
        return sealing.expand(self._key, f"again {purpose}", size, salt)


def _check_form(a0: bytes) -> None:
    """Refuse a first message that no joiner can answer.

    Raises:
        RemoteProtocolError: it has another length.
        IncompatibleVersion: it has another version.
    """
    phase = Phase("a", 0)
    check_head(phase, a0)
    if len(a0) != _SEALED:
        raise RemoteProtocolError(f"the message {phase} has {len(a0)} bytes")


def tag_of(a0: bytes) -> str:
    """Return what names an attempt in the mailbox.

    >>> tag_of(bytes([1, 0]) + bytes(range(16)))
    '0001020304050607'
    """
    return a0[HEAD : HEAD + _TAG].hex()


class AgainAllocator(Side):
    """The side that has shown the code, in one attempt.

    Args:
        again: of the short code.
        random: returns as many random bytes as it is asked for.
    """

    def __init__(self, again: AgainKeys, *, random: Callable[[int], bytes] = os.urandom) -> None:
        super().__init__("a", "b")
        self._again = again
        self._head = bytes([VERSION, 0]) + random(_NONCE)
        self._next = 1

    @property
    def first(self) -> tuple[str, bytes]:
        """Phase and body of the message that waits in the mailbox; it contains no secret."""
        return "a0", self._head

    def received(self, phase: str, body: bytes) -> list[Item]:
        """As `handshake.Allocator.received`."""
        return self._receive(phase, body)

    def seal(self, items: Sequence[Item]) -> tuple[str, bytes]:
        """As `handshake.Allocator.seal`."""
        self._check_alive()
        if not self.is_confirmed:
            raise LocalProtocolError("nothing is sent before the other side is confirmed")
        phase, body = self._seal(items)
        return str(phase), bytes([VERSION, 0]) + body if phase.number == 1 else body

    def _opened(self, phase: Phase, body: bytes) -> bytes:
        if phase.number:
            return self._open(phase, body)
        check_head(phase, body)
        self._keys = self._again.keys(self._head, body)
        plaintext = self._open(phase, body[_SEALED:])
        self._confirmed = True
        return plaintext


class AgainJoiner(Side):
    """The side that has entered the code, in one attempt; the arguments are the same."""

    def __init__(self, again: AgainKeys, *, random: Callable[[int], bytes] = os.urandom) -> None:
        super().__init__("b", "a")
        self._again = again
        self._head = bytes([VERSION, 0]) + random(_NONCE)
        self._due = 1

    def join(self, a0: bytes, items: Sequence[Item]) -> tuple[str, bytes]:
        """Return phase and body of the answer to the first message of the allocator.

        Args:
            a0: that message.
            items: an offer, and what follows it.

        Raises:
            DcsendError: as `handshake.Joiner.join`.
        """
        self._check_alive()
        if self._keys is not None:
            raise LocalProtocolError("an attempt has one offer")
        try:
            _check_form(a0)
        except DcsendError as error:
            self._failure = error
            raise
        self._keys = self._again.keys(a0, self._head)
        phase, sealed = self._seal(items)
        return str(phase), self._head + sealed

    def received(self, phase: str, body: bytes) -> list[Item]:
        """As `handshake.Joiner.received`."""
        return self._receive(phase, body)

    def seal(self, items: Sequence[Item]) -> tuple[str, bytes]:
        """As `handshake.Joiner.seal`."""
        self._check_alive()
        phase, body = self._seal(items)
        return str(phase), body

    def _opened(self, phase: Phase, body: bytes) -> bytes:
        if self._keys is None:
            raise RemoteProtocolError(f"the message {phase} arrived before its time")
        if phase.number > 1:
            return self._open(phase, body)
        check_head(phase, body)
        plaintext = self._open(phase, body[HEAD:])
        self._confirmed = True
        return plaintext
