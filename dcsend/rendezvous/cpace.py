"""CPace: a key from a few words, of which an attacker can test one guess in each exchange.

The suite CPACE-X25519-SHA512 of draft-irtf-cfrg-cpace-21 in the initiator-responder setting:
A sends its share first, B responds. The names are those of the draft:

    PRS      password-related string: what both sides know
    CI       channel identifier: what both sides know of the conversation; not secret here
    sid      session identifier, unique to each exchange
    Y, AD    public share, and associated data that is sent beside it
    ISK      intermediate session key, equal on both sides if all of the above are
    Ta, Tb   tags of the key confirmation

The module computes values and keeps none: a scalar MUST be used for one exchange only. Python's
integers do not take constant time; that affects `generator` alone, which hashes its secret input
with a `sid` that is used once. The multiplications with scalars are those of `cryptography`.

Must not import anything of dcsend but `errors`.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from dcsend.errors import RemoteProtocolError

__all__ = [
    "ISK_SIZE",
    "SCALAR_SIZE",
    "SHARE_SIZE",
    "TAG_SIZE",
    "Sent",
    "confirmation_tag",
    "generator",
    "generator_string",
    "is_same_point",
    "is_tag",
    "lv_cat",
    "map_to_curve",
    "prepend_len",
    "scalar_mult",
    "session_key",
]

SCALAR_SIZE: Final = 32
"Bytes of a scalar; any random bytes are one (RFC 7748, 5)."
SHARE_SIZE: Final = 32
"Bytes of a public share: a u-coordinate of Curve25519."
ISK_SIZE: Final = 64
TAG_SIZE: Final = 64

_DSI: Final = b"CPace255"
"Domain-separation identifier of the group."
_BLOCK: Final = 128
"Bytes of an input block of SHA-512."
_P: Final = 2**255 - 19
"The prime of the field."
_A: Final = 486_662
"Coefficient of Curve25519: v² = u³ + A·u² + u."
_Z: Final = 2
"The non-square of the map (RFC 9380, 6.7.1)."


@dataclass(frozen=True, slots=True)
class Sent:
    """What one side has sent."""

    share: bytes
    "Y, 32 bytes."
    data: bytes
    "AD, any length."


def prepend_len(data: bytes) -> bytes:
    """Return *data* behind its length in LEB128 (appendix A.1 of the draft).

    >>> prepend_len(b"1234").hex(), prepend_len(bytes(128))[:2].hex()
    ('0431323334', '8001')
    """
    length = len(data)
    encoded = bytearray()
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded) + data


def lv_cat(*parts: bytes) -> bytes:
    """Return the parts, each behind its length."""
    return b"".join(map(prepend_len, parts))


def generator_string(prs: bytes, ci: bytes, sid: bytes) -> bytes:
    """Return what is hashed for the generator; the first block depends on PRS alone."""
    room = _BLOCK - 1 - len(prepend_len(prs)) - len(prepend_len(_DSI))
    return lv_cat(_DSI, prs, bytes(max(0, room)), ci, sid)


def map_to_curve(field_element: bytes) -> bytes:
    """Map 32 bytes to a u-coordinate of Curve25519 by Elligator 2 (RFC 9380, 6.7.1).

    Args:
        field_element: little-endian; the top bit is ignored, the rest is taken modulo p.
    """
    r = _coordinate(field_element)
    # The denominator is not 0, since -1/Z is no square.
    v = -_A * pow(1 + _Z * r * r, -1, _P) % _P
    is_square = pow(v * (v * v + _A * v + 1), (_P - 1) // 2, _P) == 1
    u = v if is_square else -v - _A
    return (u % _P).to_bytes(SHARE_SIZE, "little")


def generator(prs: bytes, ci: bytes, sid: bytes) -> bytes:
    """Return the generator of one exchange, as a u-coordinate of 32 bytes."""
    digest = hashlib.sha512(generator_string(prs, ci, sid)).digest()
    return map_to_curve(digest[:SHARE_SIZE])


def scalar_mult(scalar: bytes, point: bytes) -> bytes:
    """Multiply a point: X25519 (RFC 7748, 5).

    The result with the generator is a public share. The result with the share of the other side is
    the secret K, which MUST NOT leave the caller: it verifies guesses.

    Args:
        scalar: 32 bytes.
        point: 32 bytes; the top bit is ignored, and the rest is taken modulo p.

    Raises:
        RemoteProtocolError: the point has another length, or a low order: the result is zero.
    """
    if len(point) != SHARE_SIZE:
        raise RemoteProtocolError(f"a share of the key exchange has {len(point)} bytes")
    key = X25519PrivateKey.from_private_bytes(scalar)
    try:
        product = key.exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError:
        # OpenSSL compares the result with zero.
        product = bytes(SHARE_SIZE)
    if hmac.compare_digest(product, bytes(SHARE_SIZE)):
        raise RemoteProtocolError("a share of the key exchange has a low order")
    return product


def is_same_point(share: bytes, other: bytes) -> bool:
    """Return whether two shares are encodings of one point, as X25519 reads them."""
    return _coordinate(share) % _P == _coordinate(other) % _P


def _coordinate(encoded: bytes) -> int:
    """Read a u-coordinate (RFC 7748, 5): the top bit is ignored."""
    return int.from_bytes(encoded, "little") & (1 << 255) - 1


def session_key(sid: bytes, k: bytes, a: Sent, b: Sent) -> bytes:
    """Return the ISK.

    Args:
        sid: the session identifier.
        k: the product of one side's scalar and the other side's share.
        a: what the initiator has sent.
        b: what the responder has sent.
    """
    transcript = lv_cat(a.share, a.data) + lv_cat(b.share, b.data)
    return hashlib.sha512(lv_cat(_DSI + b"_ISK", sid, k) + transcript).digest()


def confirmation_tag(sid: bytes, isk: bytes, sent: Sent) -> bytes:
    """Return the tag by which the side that has sent *sent* proves that it has the ISK."""
    mac_key = hashlib.sha512(b"CPaceMac" + sid + isk).digest()
    return hmac.digest(mac_key, lv_cat(sent.share, sent.data), "sha512")


def is_tag(tag: bytes, sid: bytes, isk: bytes, sent: Sent) -> bool:
    """Return whether a tag is that of `confirmation_tag`, in constant time."""
    same: bool = hmac.compare_digest(tag, confirmation_tag(sid, isk, sent))
    return same
