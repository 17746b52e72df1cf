"""Sealed messages of a short code: the keys of both directions, encryption, padding.

Each direction has a key of its own, and the number of a message is its nonce, so that no pair of
key and nonce is used twice. The phase of the message is authenticated with it: a sealed message is
of use in its own place only.

Must not import anything of dcsend but `errors` and `rendezvous.wire`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dcsend.errors import AuthenticationFailed, LocalProtocolError, RemoteProtocolError
from dcsend.rendezvous.wire import APP_ID, phase_letter

__all__ = [
    "BLOCK",
    "KEY_SIZE",
    "MAX_PLAINTEXT",
    "MAX_SEALED",
    "OVERHEAD",
    "Keys",
    "Phase",
    "derive",
    "expand",
    "is_sealed_size",
    "open_sealed",
    "seal",
]

KEY_SIZE: Final = 32
BLOCK: Final = 512
"Bytes. A plaintext is padded to a multiple, so that its size hides the number of its items."
MAX_PLAINTEXT: Final = 2048
"Bytes of a padded plaintext, at most."
OVERHEAD: Final = 16
"Bytes of the tag of ChaCha20-Poly1305."
MAX_SEALED: Final = MAX_PLAINTEXT + OVERHEAD
"Bytes of a sealed message, at most."

_NONCE_SIZE: Final = 12


@dataclass(frozen=True, slots=True)
class Phase:
    """The name of a message in the mailbox: who sends it, and its number."""

    side: str
    "`a` for the allocator, `b` for the joiner."
    number: int
    "0 to `wire.MAX_PHASES` - 1."

    @classmethod
    def parse(cls, name: str) -> Phase | None:
        """Read the name of a phase; None if it is not one of a short code.

        >>> str(Phase.parse("a12")), Phase.parse("a01"), Phase.parse("b64"), Phase.parse("pake")
        ('a12', None, None, None)
        """
        letter = phase_letter(name)
        return cls(letter, int(name[1:])) if letter else None

    def __str__(self) -> str:
        return f"{self.side}{self.number}"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that both sides derive from one ISK, 32 bytes each."""

    a_to_b: bytes = field(repr=False)
    "Seals what the allocator sends."
    b_to_a: bytes = field(repr=False)
    "Seals what the joiner sends."
    again: bytes = field(repr=False, default=b"")
    "For connecting once more without a code (`again`)."


def derive(isk: bytes) -> Keys:
    """Derive the keys from the ISK of CPace by HKDF-SHA-256 (RFC 5869) with an empty salt."""
    return Keys(expand(isk, "a>b"), expand(isk, "b>a"), expand(isk, "again"))


def expand(key: bytes, purpose: str, size: int = KEY_SIZE, salt: bytes = b"") -> bytes:
    """Return *size* bytes that HKDF-SHA-256 derives from a key, for one purpose."""
    info = f"dcsend 1 {purpose}".encode("ascii")
    return HKDF(algorithm=SHA256(), length=size, salt=salt or None, info=info).derive(key)


def seal(key: bytes, phase: Phase, plaintext: bytes) -> bytes:
    """Pad and encrypt a message with ChaCha20-Poly1305 (RFC 8439).

    Args:
        key: of the direction, 32 bytes; MUST NOT be used for the same phase twice.
        phase: of the message.
        plaintext: items, at most MAX_PLAINTEXT bytes.

    Returns:
        The sealed message: 528, 1040, 1552 or 2064 bytes.

    Raises:
        LocalProtocolError: the plaintext is too long.
    """
    if len(plaintext) > MAX_PLAINTEXT:
        raise LocalProtocolError(f"a message of {len(plaintext)} bytes is too long to be sealed")
    blocks = max(1, -(-len(plaintext) // BLOCK))
    padded = plaintext.ljust(blocks * BLOCK, b"\0")
    return ChaCha20Poly1305(key).encrypt(_nonce(phase), padded, _associated(phase))


def open_sealed(key: bytes, phase: Phase, sealed: bytes) -> bytes:
    """Authenticate and decrypt a message.

    Returns:
        The plaintext with its padding.

    Raises:
        RemoteProtocolError: it has a length that `seal` does not produce.
        AuthenticationFailed: it was not sealed by the other side for this phase.
    """
    if not is_sealed_size(len(sealed)):
        raise RemoteProtocolError(f"the sealed message {phase} has {len(sealed)} bytes")
    try:
        return ChaCha20Poly1305(key).decrypt(_nonce(phase), sealed, _associated(phase))
    except InvalidTag:
        raise AuthenticationFailed(
            f"the message {phase} was changed on its way, or the other side did not send it",
            "the server between the two sides may be hostile; make a new code, or use another one",
        ) from None


def is_sealed_size(size: int) -> bool:
    """Return whether a sealed message can have *size* bytes."""
    plain = size - OVERHEAD
    return BLOCK <= plain <= MAX_PLAINTEXT and plain % BLOCK == 0


def _nonce(phase: Phase) -> bytes:
    return phase.number.to_bytes(_NONCE_SIZE)


def _associated(phase: Phase) -> bytes:
    return f"{APP_ID}\0{phase}".encode("ascii")
