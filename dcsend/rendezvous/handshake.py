"""The handshake of a short code: CPace, its confirmation, and sealed messages, sans-I/O.

    allocator                                                   joiner
    a0 = version, flags, sid, Ya               ─────►
                                               ◄─────   b0 = version, flags, Yb, Tb, sealed offer
    a1 = version, flags, Ta, sealed answer     ─────►
    a2, a3, …: sealed                          ◄────►   b1, b2, …: sealed

    or, with other words:
    a1 = version, flags                        ─────►

Both sides get the messages from a mailbox that is not trusted: it can change, invent, repeat,
reorder and withhold them. All that it achieves with it is that there is no connection. Each object
is for one code and one exchange; after an error it raises the same one again.

Must not import anything of dcsend but `description`, `errors`, `printable` and `rendezvous`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

from dcsend.description import Candidate, Description, SdpType
from dcsend.errors import (
    AuthenticationFailed,
    DcsendError,
    IncompatibleVersion,
    LocalProtocolError,
    RemoteProtocolError,
)
from dcsend.printable import printable
from dcsend.rendezvous import cpace, sealing
from dcsend.rendezvous import items as contents
from dcsend.rendezvous.items import Bye, Item
from dcsend.rendezvous.sealing import Keys, Phase
from dcsend.rendezvous.wire import APP_ID, MAX_PHASES

__all__ = [
    *("MAX_BODY", "MAX_CANDIDATES", "VERSION", "Allocator", "Joiner", "WrongWords"),
    *("HEAD", "Side", "check_first", "check_head"),
]

VERSION: Final = 1
"The version of the bodies that this module writes, and the only one that it reads."
MAX_CANDIDATES: Final = 32
"Candidates of one side, at most, besides those in its description."

HEAD: Final = 2
"Bytes of version and flags."
_SID_SIZE: Final = 16
_CONTEXT: Final = b"dcsend short code 1"
_A0_SIZE: Final = HEAD + _SID_SIZE + cpace.SHARE_SIZE
_B0_SEALED: Final = HEAD + cpace.SHARE_SIZE + cpace.TAG_SIZE
_A1_SEALED: Final = HEAD + cpace.TAG_SIZE
MAX_BODY: Final = _B0_SEALED + sealing.MAX_SEALED
"Bytes of a body, at most."


class Side:
    """What both sides have: order, limits, and the state of the exchange.

    Args:
        own: letter of the phases that this side sends.
        peer: letter of the phases that the other side sends.
    """

    def __init__(self, own: str, peer: str) -> None:
        self._own, self._peer = own, peer
        self._keys: Keys | None = None
        self._confirmed = False
        self._failure: DcsendError | None = None
        self._held: dict[int, bytes] = {}
        self._due = 0
        "Number of the next message of the other side."
        self._next = 0
        "Number of the next message of this side."
        self._received_candidates = 0
        self._sent_candidates = 0

    @property
    def is_confirmed(self) -> bool:
        """Whether the other side has proven that it has the words."""
        return self._confirmed

    @property
    def again(self) -> bytes:
        """The key for connecting once more without a code.

        Raises:
            LocalProtocolError: there is no key yet.
        """
        return self._agreed().again

    def _check_alive(self) -> None:
        if self._failure is not None:
            raise self._failure.with_traceback(None)

    def _receive(self, phase: str, body: bytes) -> list[Item]:
        self._check_alive()
        try:
            return self._due_now(phase, body)
        except DcsendError as error:
            self._failure = error
            self._held.clear()
            raise

    def _due_now(self, name: str, body: bytes) -> list[Item]:
        phase = Phase.parse(name)
        if phase is None or phase.side != self._peer:
            raise RemoteProtocolError(f"the mailbox has a message {printable(name[:20])!r}")
        if phase.number < self._due or phase.number in self._held:
            return []
        if len(body) > MAX_BODY:
            raise RemoteProtocolError(f"the message {phase} has {len(body)} bytes")
        self._held[phase.number] = body
        found: list[Item] = []
        while (body_due := self._held.pop(self._due, None)) is not None:
            phase = Phase(self._peer, self._due)
            self._due += 1
            found += self._checked(phase, self._opened(phase, body_due))
        return found

    def _opened(self, phase: Phase, body: bytes) -> bytes:
        """Return the plaintext of the message that is due."""
        raise NotImplementedError

    def _open(self, phase: Phase, sealed: bytes) -> bytes:
        keys = self._agreed()
        key = keys.b_to_a if self._peer == "b" else keys.a_to_b
        return sealing.open_sealed(key, phase, sealed)

    def _checked(self, phase: Phase, plaintext: bytes) -> list[Item]:
        """Return the items of a message, which has been authenticated."""
        found = contents.decode(plaintext)
        self._received_candidates += _candidates(found)
        if not _fits(phase, found) or self._received_candidates > MAX_CANDIDATES:
            raise RemoteProtocolError(f"the message {phase} has items that do not belong there")
        return found

    def _agreed(self) -> Keys:
        if self._keys is None:
            raise LocalProtocolError("nothing can be sealed before there is a key")
        return self._keys

    def _seal(self, items: Sequence[Item]) -> tuple[Phase, bytes]:
        keys, phase = self._agreed(), Phase(self._own, self._next)
        sent = self._sent_candidates + _candidates(items)
        if not _fits(phase, items) or sent > MAX_CANDIDATES:
            raise LocalProtocolError(f"these items do not belong in the message {phase}")
        if phase.number >= MAX_PHASES:
            raise LocalProtocolError(f"there are no more than {MAX_PHASES} messages")
        key = keys.a_to_b if self._own == "a" else keys.b_to_a
        sealed = sealing.seal(key, phase, contents.encode(items))
        self._next += 1
        self._sent_candidates = sent
        return phase, sealed


class WrongWords(AuthenticationFailed):
    """The side that shows the code has other words."""


class Allocator(Side):
    """The side that shows the code. It accepts one guess.

    Args:
        words: of the code, joined by hyphens, without number and host.
        number: of the code, in digits.
        random: returns as many random bytes as it is asked for.
    """

    def __init__(
        self, words: str, number: str, *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        super().__init__("a", "b")
        self._sid = random(_SID_SIZE)
        self._scalar = random(cpace.SCALAR_SIZE)
        generator = cpace.generator(words.encode(), _channel(number), self._sid)
        head = bytes([VERSION, 0])
        self._sent = cpace.Sent(cpace.scalar_mult(self._scalar, generator), head)
        self._tag = b""
        self._next = 1

    @property
    def first(self) -> tuple[str, bytes]:
        """Phase and body of the message that waits in the mailbox; it contains no secret."""
        return "a0", self._sent.data + self._sid + self._sent.share

    def received(self, phase: str, body: bytes) -> list[Item]:
        """Process a message of the other side.

        The first b0 uses the code up, whatever its content. Only messages of the mailbox from which
        it came may be passed after it.

        Returns:
            The items that are due now, in their order. The first are those of b0: an offer, and
            what follows it. Empty if an earlier message is missing, or for a repetition.

        Raises:
            AuthenticationFailed: the other side does not have the words, or a message was changed.
            RemoteProtocolError: a message breaks a rule.
            IncompatibleVersion: the other side has another version.
        """
        return self._receive(phase, body)

    def seal(self, items: Sequence[Item]) -> tuple[str, bytes]:
        """Return phase and body of the next message, which contains *items*.

        The first one needs an answer as its first item, or a bye.

        Raises:
            LocalProtocolError: the other side is not confirmed, or a limit is exceeded.
        """
        self._check_alive()
        if not self.is_confirmed:
            raise LocalProtocolError("nothing is sent before the other side is confirmed")
        phase, body = self._seal(items)
        if phase.number == 1:
            body = bytes([VERSION, 0]) + self._tag + body
        return str(phase), body

    def refusal(self) -> tuple[str, bytes]:
        """Return phase and body of the message by which the joiner fails at once.

        It is for the mailbox from which the message came that `received` refused. It contains no
        secret: the joiner could see from the missing answer, too, that its guess was wrong.

        Raises:
            LocalProtocolError: `received` has not raised AuthenticationFailed, or a1 was sealed
                before.
        """
        if not isinstance(self._failure, AuthenticationFailed) or self._next > 1:
            raise LocalProtocolError("only a message that is not authentic is refused, before a1")
        return str(Phase("a", 1)), bytes([VERSION, 0])

    def _opened(self, phase: Phase, body: bytes) -> bytes:
        if phase.number:
            return self._open(phase, body)
        check_head(phase, body)
        if not sealing.is_sealed_size(len(body) - _B0_SEALED):
            raise RemoteProtocolError(f"the message {phase} has {len(body)} bytes")
        theirs = cpace.Sent(body[HEAD : HEAD + cpace.SHARE_SIZE], body[:HEAD])
        _check_reflection(self._sent, theirs)
        k, self._scalar = cpace.scalar_mult(self._scalar, theirs.share), b""
        isk = cpace.session_key(self._sid, k, self._sent, theirs)
        if not cpace.is_tag(body[HEAD + cpace.SHARE_SIZE : _B0_SEALED], self._sid, isk, theirs):
            raise AuthenticationFailed(
                "the other side entered other words, so this code is used up",
                "give the other side the new code; a wrong code can also be a guess",
            )
        self._tag = cpace.confirmation_tag(self._sid, isk, self._sent)
        self._keys = sealing.derive(isk)
        plaintext = self._open(phase, body[_B0_SEALED:])
        self._confirmed = True
        return plaintext


class Joiner(Side):
    """The side that enters the code. It makes one guess.

    Args:
        words: of the code, joined by hyphens, without number and host.
        number: of the code, in digits.
        random: returns as many random bytes as it is asked for.
    """

    def __init__(
        self, words: str, number: str, *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        super().__init__("b", "a")
        self._words, self._channel = words.encode(), _channel(number)
        self._scalar = random(cpace.SCALAR_SIZE)
        self._sid, self._isk = b"", b""
        self._theirs = cpace.Sent(b"", b"")
        self._due = 1

    def join(self, a0: bytes, items: Sequence[Item]) -> tuple[str, bytes]:
        """Return phase and body of the answer to the first message of the allocator.

        Args:
            a0: that message.
            items: an offer, and what follows it. Only the holder of the words can open it.

        Raises:
            RemoteProtocolError: the message breaks a rule.
            IncompatibleVersion: the other side has another version.
            LocalProtocolError: it was called before, or the items are not valid.
        """
        self._check_alive()
        if self._keys is not None:
            raise LocalProtocolError("a joiner makes one guess")
        try:
            return self._join(a0, items)
        except DcsendError as error:
            self._failure = error
            raise

    def _join(self, a0: bytes, items: Sequence[Item]) -> tuple[str, bytes]:
        _check_form(a0)
        self._sid = a0[HEAD : HEAD + _SID_SIZE]
        self._theirs = cpace.Sent(a0[HEAD + _SID_SIZE :], a0[:HEAD])
        generator = cpace.generator(self._words, self._channel, self._sid)
        head = bytes([VERSION, 0])
        ours = cpace.Sent(cpace.scalar_mult(self._scalar, generator), head)
        _check_reflection(ours, self._theirs)
        k, self._scalar = cpace.scalar_mult(self._scalar, self._theirs.share), b""
        self._isk = cpace.session_key(self._sid, k, self._theirs, ours)
        self._keys = sealing.derive(self._isk)
        tag = cpace.confirmation_tag(self._sid, self._isk, ours)
        own_phase, sealed = self._seal(items)
        return str(own_phase), head + ours.share + tag + sealed

    def received(self, phase: str, body: bytes) -> list[Item]:
        """Process a message of the other side; a0 is for `join`.

        Returns:
            The items that are due now, in their order. The first are those of a1: an answer and
            what follows it, or a bye. Empty if an earlier message is missing, or for a repetition.

        Raises:
            AuthenticationFailed: the other side does not have the words or refuses those of this
                side, or a message was changed.
            RemoteProtocolError: a message breaks a rule, or arrives before `join` was called.
            IncompatibleVersion: the other side has another version.
        """
        return self._receive(phase, body)

    def seal(self, items: Sequence[Item]) -> tuple[str, bytes]:
        """Return phase and body of the next message, which contains *items*.

        It may be sent before the other side is confirmed, as the offer is: without the words, it
        can't be opened.

        Raises:
            LocalProtocolError: `join` was not called, or a limit is exceeded.
        """
        self._check_alive()
        phase, body = self._seal(items)
        return str(phase), body

    def _opened(self, phase: Phase, body: bytes) -> bytes:
        if self._keys is None:
            raise RemoteProtocolError(f"the message {phase} arrived before its time")
        if phase.number > 1:
            return self._open(phase, body)
        check_head(phase, body)
        if len(body) == HEAD:
            raise WrongWords(
                "the words of the code are wrong, which uses it up",
                "ask the other side for its new code",
            )
        if not sealing.is_sealed_size(len(body) - _A1_SEALED):
            raise RemoteProtocolError(f"the message {phase} has {len(body)} bytes")
        if not cpace.is_tag(body[HEAD:_A1_SEALED], self._sid, self._isk, self._theirs):
            raise AuthenticationFailed(
                "the other side does not have the words of this code",
                "ask it for a new code; the server between the two sides may be hostile",
            )
        plaintext = self._open(phase, body[_A1_SEALED:])
        self._confirmed = True
        return plaintext


def check_first(a0: bytes) -> None:
    """Refuse a first message that no joiner can answer, before a guess is made.

    Args:
        a0: the message that a mailbox has.

    Raises:
        RemoteProtocolError: it breaks a rule.
        IncompatibleVersion: it has another version.
    """
    _check_form(a0)
    # With a share of low order, the product with every scalar is zero.
    cpace.scalar_mult(os.urandom(cpace.SCALAR_SIZE), a0[HEAD + _SID_SIZE :])


def _check_form(a0: bytes) -> None:
    phase = Phase("a", 0)
    check_head(phase, a0)
    if len(a0) != _A0_SIZE:
        raise RemoteProtocolError(f"the message {phase} has {len(a0)} bytes")


def _channel(number: str) -> bytes:
    """Return the CI of CPace."""
    return cpace.lv_cat(_CONTEXT, APP_ID.encode("ascii"), number.encode("ascii"))


def check_head(phase: Phase, body: bytes) -> None:
    """Check the version; the flags are not used yet."""
    if len(body) < HEAD:
        raise RemoteProtocolError(f"the message {phase} has {len(body)} bytes")
    if body[0] != VERSION:
        raise IncompatibleVersion(
            f"the other side has version {body[0]} of short codes, this dcsend version {VERSION}"
        )


def _check_reflection(own: cpace.Sent, theirs: cpace.Sent) -> None:
    """Refuse this side's own share, with which an attacker could return its tag, too."""
    if cpace.is_same_point(own.share, theirs.share):
        raise RemoteProtocolError("the mailbox returned the share of this side")


def _candidates(items: Sequence[Item]) -> int:
    return sum(isinstance(item, Candidate) for item in items)


def _fits(phase: Phase, items: Sequence[Item]) -> bool:
    """Return whether the description is where it belongs: first in b0 and a1, nowhere else."""
    descriptions = [item for item in items if isinstance(item, Description)]
    first = items[0] if items else None
    match str(phase):
        case "b0":
            kind = SdpType.OFFER
        case "a1":
            kind = SdpType.ANSWER
            if isinstance(first, Bye):
                return not descriptions
        case _:
            return not descriptions
    return isinstance(first, Description) and first.type is kind and len(descriptions) == 1
