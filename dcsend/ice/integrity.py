"""Authentication of STUN messages by their bytes, before they are parsed.

A forged datagram must not cost more than its reception. MESSAGE-INTEGRITY and FINGERPRINT are the
last two attributes of the messages of an ICE agent (RFC 8445, 7.1; RFC 8489, 14.5 and 14.7), so
that the end of the message and one HMAC are sufficient. Imports the standard library only, since it
is used before aiortc is loaded.
"""

from __future__ import annotations

import hmac
import struct
from typing import Final

__all__ = ["LARGEST", "is_authentic", "is_bounded", "is_error", "is_signed"]

LARGEST: Final = 1024
"Bytes of a message, at most. Checks of ICE agents have 150 to 400."
MAX_ATTRIBUTES: Final = 24
"In one message, at most. The checks of Chromium have 10."

_HEADER: Final = 20
_COOKIE: Final = b"\x21\x12\xa4\x42"
_FINGERPRINT: Final = b"\x80\x28\0\x04"
_INTEGRITY: Final = b"\0\x08\0\x14"
"Type and length of the two attributes."
_SIGNATURE: Final = 32
"Bytes of the two attributes at the end of a message: MESSAGE-INTEGRITY and FINGERPRINT."
_FINGERPRINT_SIZE: Final = 8
_DIGEST: Final = slice(-28, -8)
_SHORT: Final = struct.Struct("!H")
_ATTRIBUTE: Final = struct.Struct("!HH")
_FINGERPRINT_TYPE: Final = 0x8028


def is_signed(data: bytes) -> bool:
    """Return whether a datagram is a STUN message with the last two attributes of an ICE agent."""
    size = len(data)
    return (
        _HEADER + _SIGNATURE <= size <= LARGEST
        and data[4:8] == _COOKIE
        and data[-8:-4] == _FINGERPRINT
        and data[-32:-28] == _INTEGRITY
        and data[2] << 8 | data[3] == size - _HEADER
    )


def is_authentic(data: bytes, key: bytes) -> bool:
    """Return whether a datagram is a STUN message with a MESSAGE-INTEGRITY of *key*."""
    if not is_signed(data):
        return False
    length = _SHORT.pack(len(data) - _HEADER - _FINGERPRINT_SIZE)
    digest = hmac.digest(key, data[:2] + length + data[4:-_SIGNATURE], "sha1")
    same: bool = hmac.compare_digest(digest, data[_DIGEST])
    return same


def is_error(data: bytes) -> bool:
    """Return whether a datagram can be an error response to a Binding request."""
    return data[:2] == b"\x01\x11" and data[4:8] == _COOKIE


def is_bounded(data: bytes, largest: int = LARGEST) -> bool:
    """Return whether a STUN message has few attributes, and a FINGERPRINT only as the last one.

    The time to verify each FINGERPRINT grows with the number of bytes before it.

    Args:
        data: a datagram.
        largest: bytes of the message, at most.
    """
    if len(data) > largest:
        return False
    position = _HEADER
    for _ in range(MAX_ATTRIBUTES):
        if position + 4 > len(data):
            return position == len(data)
        kind, size = _ATTRIBUTE.unpack_from(data, position)
        position += 4 + int(size) + -int(size) % 4
        if kind == _FINGERPRINT_TYPE:
            return position == len(data)
    return position == len(data)
