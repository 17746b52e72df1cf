"""Datagrams that are not connectivity checks: as on a port on the Internet, and malformed ones."""

from __future__ import annotations

import secrets
import struct
from typing import Final

from dcsend.ice.stun import binding_request

__all__ = ["JUNK", "attribute", "stun"]


def stun(body: bytes, *, kind: int = 1, length: int | None = None) -> bytes:
    """Return a STUN message with any attributes."""
    size = len(body) if length is None else length
    return struct.pack("!HHI", kind, size, 0x2112A442) + secrets.token_bytes(12) + body


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def spoiled(kind: int, value: bytes) -> bytes:
    """Return a request, without MESSAGE-INTEGRITY first, that has one strange attribute."""
    return stun(attribute(6, b"dc1/") + attribute(kind, value))


JUNK: Final = {
    "empty": b"",
    "one-byte": b"\x00",
    "text": b"hello",
    "short-header": stun(b"")[:19],
    "bare-request": binding_request(bytes(12)),
    "length-too-long": stun(b"", length=8),
    "length-too-short": stun(bytes(8), length=4),
    "attribute-cut": stun(struct.pack("!HH", 6, 400)),
    "username-not-utf8": spoiled(6, b"\xff\xfe\xfd"),
    "username-alone": spoiled(6, b"dc1/" + b"A" * 67 + b":abcd"),
    "priority-short": spoiled(0x24, b"\x00"),
    "role-long": spoiled(0x802A, bytes(9)),
    "address-short": spoiled(0x20, b"\x00"),
    "error-code-not-utf8": spoiled(9, b"\x00\x00\x04\x00\xff"),
    "wrong-fingerprint": spoiled(0x8028, bytes(4)),
    "method-unknown": stun(b"", kind=0x0EEF),
    "response": stun(b"", kind=0x0101),
    "indication": stun(b"", kind=0x0011),
    "huge-stun": stun(attribute(0x8022, bytes(60_000))),
    "many-attributes": stun(attribute(0x24, bytes(4)) * 5000),
    "client-hello": bytes.fromhex("16feff0000000000000000000401000000"),
    "rtp": bytes([128]) + bytes(40),
}
