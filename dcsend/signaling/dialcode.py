r"""The dial code: all that a dialer needs to connect to a listener, as one short text.

The listener shows the code, and the user types, pastes or scans it on the other side. Layout of
version 1, integers in network byte order:

    version      u8    1
    counts       u8    2 bits each, from the top: plain IPv4, plain IPv6, mapped IPv4,
                       mapped IPv6; 0 to 3 of each, at least one address in all
    secret       16
    fingerprint  32    SHA-256 of the listener's DTLS certificate
    port         u16   the listener's UDP port, never 0
    expires      u32   seconds since 1970-01-01 00:00 UTC
    plain IPv4   4 each    with the UDP port `port`
    plain IPv6   16 each   with the UDP port `port`
    mapped IPv4  4 + 2     with a port of its own, as reported by a STUN server
    mapped IPv6  16 + 2
    crc          u16   CRC-16/CCITT-FALSE of everything before

In every version the first byte is the version and the last two are the checksum, so that a newer
code can be distinguished from a damaged one. There are two text forms: `dc` and base 32 (Crockford)
for users; decimal digits after `#` in a link for QR codes, in which digits are the densest encoding
that a URL permits. `forgiving` finds the bytes in pasted text.

Must not import anything of dcsend but `errors`, `printable` and `signaling`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from dcsend.errors import IncompatibleVersion, MalformedCode, UsageError
from dcsend.printable import printable
from dcsend.signaling import forgiving
from dcsend.signaling.address import MAX_PER_GROUP, Address, grouped, select_addresses

__all__ = [
    "CODE_VERSION",
    "FINGERPRINT_SIZE",
    "SECRET_SIZE",
    "Address",
    "DialCode",
    "decode",
    "decode_bytes",
    "ice_password",
    "new_secret",
    "page_base",
    "select_addresses",
]

CODE_VERSION: Final = 1
"The layout that this module writes, and the only one that it reads."

SECRET_SIZE: Final = 16
"Bytes of the secret; 128 bits can't be guessed while the code is valid."

FINGERPRINT_SIZE: Final = 32
"Bytes of a SHA-256 digest."

MAX_TIME: Final = 2**32 - 1
"The last second that fits into four bytes, in the year 2106."

_HEAD: Final = struct.Struct(f"!BB{SECRET_SIZE}s{FINGERPRINT_SIZE}sHI")
_CRC: Final = struct.Struct("!H")
_PORT: Final = struct.Struct("!H")
_HOST_SIZES: Final = (4, 16, 4, 16)
"Bytes of a host in each group, in the order of the layout."
_MAX_SIZE: Final = _HEAD.size + MAX_PER_GROUP * (4 + 16 + 6 + 18) + _CRC.size


@dataclass(frozen=True, slots=True)
class DialCode:
    """A dial code. Equal codes have equal texts, and vice versa.

    Raises:
        UsageError: a field is out of its range.
    """

    secret: bytes = field(repr=False)
    "16 random bytes, used for one code only; they authorise one connection."
    fingerprint: bytes
    "SHA-256 of the listener's DTLS certificate (DER), 32 bytes."
    port: int
    "UDP port of the listener, 1 to 65535."
    addresses: tuple[Address, ...]
    """Addresses to dial: up to 3 of each group, sorted by group, otherwise in the given order.
    An address whose port is `port` is plain, any other is mapped."""
    expires: int
    """When the listener stops waiting, by its own clock: whole seconds since 1970-01-01 00:00 UTC,
    0 to 2**32 - 1. Because clocks differ, a dialer always tries to connect, and uses this only to
    explain a failure."""

    def __post_init__(self) -> None:
        """Validate the fields; sort the addresses by group."""
        if len(self.secret) != SECRET_SIZE or len(self.fingerprint) != FINGERPRINT_SIZE:
            raise UsageError(
                f"a code needs a secret of {SECRET_SIZE} bytes and a fingerprint of "
                f"{FINGERPRINT_SIZE}, not {len(self.secret)} and {len(self.fingerprint)}"
            )
        if not 1 <= self.port <= 0xFFFF:
            raise UsageError(f"port {self.port} is not in the range 1 to 65535")
        if not 0 <= self.expires <= MAX_TIME:
            raise UsageError(f"the code can't expire at {self.expires}, only at 0 to {MAX_TIME}")
        groups = grouped(self.port, self.addresses)
        if not any(groups):
            raise UsageError("a code needs at least one address")
        if any(len(group) > MAX_PER_GROUP for group in groups):
            raise UsageError(f"a code has room for {MAX_PER_GROUP} addresses of each kind")
        if len(set(self.addresses)) < len(self.addresses):
            raise UsageError("the code has the same address twice")
        object.__setattr__(self, "addresses", tuple(a for group in groups for a in group))

    def encode(self) -> bytes:
        """Return the bytes of the code.

        >>> _example().encode()[:2].hex(), len(_example().encode())
        ('0150', 78)
        """
        groups = grouped(self.port, self.addresses)
        counts = 0
        for group in groups:
            counts = counts << 2 | len(group)
        body = bytearray(
            _HEAD.pack(CODE_VERSION, counts, self.secret, self.fingerprint, self.port, self.expires)
        )
        for number, group in enumerate(groups):
            for address in group:
                body += ipaddress.ip_address(address.host).packed
                if number >= 2:
                    body += _PORT.pack(address.port)
        return bytes(body) + _CRC.pack(_checksum(body))

    def text(self) -> str:
        """Return the text form for users: `dc` and base 32, lower case, no padding.

        >>> _example().text()[:20]
        'dc058000820c20a1g710'
        """
        return forgiving.base32(self.encode())

    def link(self, page_url: str) -> str:
        """Return the form for a browser: *page_url*, `#`, and the bytes as a decimal number.

        Browsers do not send the fragment (after `#`) to the server.

        Args:
            page_url: an http, https or file URL without a fragment (a final `#` is accepted),
                or `dcsend:`, which opens no page.

        Raises:
            UsageError: *page_url* is none of these.

        >>> _example().link("https://dcsend.example/")[:34]
        'https://dcsend.example/#3569247475'
        >>> _example().link("dcsend:")[:18]
        'dcsend:#3569247475'
        """
        return f"{page_base(page_url)}#{int.from_bytes(self.encode())}"


def decode(text: str) -> DialCode:
    r"""Read a code from pasted text.

    Accepts either form, a whole link, or a whole `dcsend receive ...` command. White space, line
    breaks, quotes, mail quote marks, hyphens, invisible characters, punctuation and the marks of a
    bracketed paste are ignored. Capitals are accepted, as are `o` for 0 and `i` or `l` for 1.

    Raises:
        MalformedCode: it is damaged, incomplete, or not a code.
        IncompatibleVersion: it is intact, but of another version.

    >>> decode("\x1b[200~> DC05-8000\u200b-" + _example().text()[8:] + ".\r\n") == _example()
    True
    """
    return decode_bytes(forgiving.read(text, _MAX_SIZE, _size_of))


def decode_bytes(raw: bytes) -> DialCode:
    """Read a code from the bytes that `DialCode.encode` returns.

    Raises:
        MalformedCode: the checksum or the length is wrong, or a field is out of its range.
        IncompatibleVersion: it is intact, but of another version.
    """
    if len(raw) <= _CRC.size or _checksum(raw[: -_CRC.size]) != int.from_bytes(raw[-_CRC.size :]):
        raise MalformedCode("the code is damaged: its checksum is wrong")
    if raw[0] != CODE_VERSION:
        raise IncompatibleVersion(
            f"the code has version {raw[0]}, this dcsend supports version {CODE_VERSION}"
        )
    if len(raw) < _HEAD.size or len(raw) != _size_of(raw):
        raise MalformedCode(f"the code is damaged: it has {len(raw)} bytes")
    _version, counts, secret, fingerprint, port, expires = _HEAD.unpack_from(raw)
    try:
        addresses = tuple(_read_addresses(raw, counts, port))
        code = DialCode(secret, fingerprint, port, addresses, expires)
    except UsageError as error:
        raise MalformedCode(f"the code is not usable: {error}") from error
    if code.encode() != raw:
        # A mapped address whose port is that of the code has a shorter form.
        raise MalformedCode("the code is not usable: it is not in its shortest form")
    return code


def ice_password(secret: bytes) -> str:
    """Return the ICE password of the listener, which both sides derive from the secret.

    24 characters of RFC 8839's `ice-char`, 144 bits.

    >>> ice_password(bytes(range(16)))
    '1X03PMfeXb9SMaeT/+w5m7OO'
    """
    digest = hmac.new(secret, b"dcsend ice-pwd", hashlib.sha256).digest()
    return base64.b64encode(digest[:18]).decode("ascii")


def new_secret() -> bytes:
    """Return a new secret from the random number generator of the system."""
    return secrets.token_bytes(SECRET_SIZE)


def _example() -> DialCode:
    """Return the code of the examples above and of the test vectors."""
    addresses = (Address("192.0.2.7", 40000), Address("2001:db8::7", 40000))
    return DialCode(bytes(range(16)), bytes(range(32)), 40000, addresses, 2_000_000_000)


def _counts(packed: int) -> tuple[int, ...]:
    """Return the number of addresses in each group, from the counts byte."""
    return tuple(packed >> shift & 3 for shift in (6, 4, 2, 0))


def _size_of(beginning: bytes) -> int | None:
    """Return the length of a code from its first bytes; None if its version is unknown."""
    if beginning[0] != CODE_VERSION:
        return None
    plain4, plain6, mapped4, mapped6 = _counts(beginning[1])
    return _HEAD.size + 4 * plain4 + 16 * plain6 + 6 * mapped4 + 18 * mapped6 + _CRC.size


def _read_addresses(raw: bytes, packed: int, port: int) -> Iterable[Address]:
    """Yield the addresses of a code whose length matches its counts byte."""
    offset = _HEAD.size
    for number, count in enumerate(_counts(packed)):
        size = _HOST_SIZES[number]
        for _ in range(count):
            host = str(ipaddress.ip_address(raw[offset : offset + size]))
            offset += size
            if number < 2:
                yield Address(host, port)
            else:
                yield Address(host, *_PORT.unpack_from(raw, offset))
                offset += _PORT.size


def _checksum(body: bytes | bytearray) -> int:
    """Return the CRC-16/CCITT-FALSE of *body*."""
    return binascii.crc_hqx(body, 0xFFFF)


def page_base(page_url: str) -> str:
    """Return *page_url* without a final `#`; see `DialCode.link`.

    Raises:
        UsageError: it can't be the beginning of a link.
    """
    shown = printable(page_url)
    if any(char.isspace() or not char.isprintable() for char in page_url):
        raise UsageError(f"the page's URL {shown} has white space or invisible characters")
    base, _, fragment = page_url.partition("#")
    if fragment:
        raise UsageError(f"the page's URL {shown} has something after its #", "remove that part")
    try:
        parts = urlsplit(base)
        _ = parts.port  # raises ValueError if it is invalid
    except ValueError as error:
        raise UsageError(f"the page's URL {shown} is not a URL: {error}") from error
    if parts.scheme in ("http", "https"):
        usable = bool(parts.hostname)
    else:
        usable = (parts.scheme == "file" and bool(parts.path)) or base.lower() == "dcsend:"
    if not usable:
        raise UsageError(f"the page's URL {shown} is not an http, https or file URL")
    return base
