r"""A session description as one text that a user copies: the two codes of `--signal sdp`.

There are two forms, distinguished by their content. The compact form is binary, written as `ds` and
base 32, and read as leniently as a dial code. Version 1, integers in network byte order:

    version      u8    1
    length       u8    total bytes, checksum included
    flags        u8    bit 0: an answer; bits 1 and 2: setup (0 actpass, 1 active, 2 passive);
                       bit 3: the credentials are lower-case hexadecimal; bit 4: the mark is
                       present, in answers only; the others are 0
    ufrag        u8    characters of the ice-ufrag
    password     u8    characters of the ice-pwd
    fingerprint  32    SHA-256 of the DTLS certificate
    mark         u16   if present: CRC-16/CCITT-FALSE of fingerprint, ufrag and password of the
                       offer
    credentials        ufrag and password, with 4 bits per hexadecimal digit or 6 bits per ice-char
                       (A-Z a-z 0-9 + / in this order); padded with 0 to a whole byte
    candidates         head u8: type (0 host, 1 srflx, 2 prflx, 3 relay) * 4 + family (0 IPv4,
                       1 IPv6, 2 mDNS); then 4 or 16 bytes of address, or the UUID; port u16
    crc          u16   CRC-16/CCITT-FALSE of everything before

Priorities follow RFC 8445, 5.1.2.1 by type and order; mid is 0, the SCTP port 5000; messages have
at most 262144 bytes. The other form is that of the Pion demo: base64 of `{"type": …, "sdp": …}`. To
its SDP dcsend adds attributes, which other programs ignore: `a=dcsend-crc`, the same checksum of
the SDP before it, and in an answer `a=dcsend-offer`, the mark. Without a checksum, damage is
detected only if it breaks the syntax.

Must not import anything of dcsend but `description`, `errors`, `printable` and `signaling`.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import ipaddress
import json
import re
import struct
import uuid
from collections.abc import Iterator
from typing import Any, Final

from dcsend.description import Candidate, CandidateType, Description, SdpType, Setup
from dcsend.errors import IncompatibleVersion, IncompleteCode, MalformedCode
from dcsend.printable import printable
from dcsend.signaling import forgiving
from dcsend.signaling.sdp import MAX_SDP, check, format_sdp, parse_sdp, usable_host

__all__ = [
    *("BLOB_VERSION", "MAX_PACKED", "decode", "encode", "encode_json", "is_blob", "is_compact"),
    *("mark", "pack", "pack_candidate", "unpack", "unpack_candidate"),
]

BLOB_VERSION: Final = 1
"The layout that this module writes, and the only one that it reads."

_HEAD: Final = struct.Struct("!BBBBB32s")
_PORT: Final = struct.Struct("!H")
_CRC: Final = struct.Struct("!H")
MAX_PACKED: Final = 255
"Bytes of the compact form, at most."
_MAX_CANDIDATES: Final = 8
"Candidates with the highest priorities; more would make the code longer without helping."
_ANSWER, _HEX, _MARKED = 0x01, 0x08, 0x10
_MARK: Final = struct.Struct("!H")
_SETUPS: Final = (Setup.ACTPASS, Setup.ACTIVE, Setup.PASSIVE)
_TYPES: Final = tuple(CandidateType)
_PREFERENCES: Final = (126, 100, 110, 0)
"Type preferences of `_TYPES` (RFC 8445, 5.1.2.2)."
_ADDRESS_SIZES: Final = (4, 16, 16)
_MDNS: Final = 2
_ICE_CHARS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_HEX_CHARS: Final = "0123456789abcdef"

_CONTROL_SEQUENCE: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_COMMAND: Final = re.compile(
    r"^\W*dcsend(?:\.exe)?\s+(?:chat|receive|send\s.{0,999}?--to)[\s=]+", re.S
)
_OPTIONS: Final = re.compile(r"\s--?[a-z][a-z-]*(?:[\s=].*)?$", re.S)
_CLUTTER: Final = re.compile(r"[\s\x00-\x1f\x7f\u00ad\u200b-\u200f\u2060\ufeff'\"`<>«»‹›“”„‟‘’‚‛]+")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}", re.ASCII)
_PART: Final = "the code is damaged: a part of it is missing, or was changed"
_CHECKSUM: Final = "a=dcsend-crc:"
_MARK_LINE: Final = re.compile(r"^a=dcsend-offer:([0-9a-f]{4})\s*$", re.M)
_JSON_BEGINS: Final = re.compile(r"e[wy][A-Za-z0-9+/_-]{6}", re.ASCII)
"Base64 of a brace that is followed by a quote or white space."


def encode(description: Description) -> str:
    """Return the compact form; the last candidates are omitted if they don't fit.

    >>> encode(_example())[:20], len(encode(_example()))
    ('ds0510010p000g40r40m', 108)
    """
    return forgiving.base32(pack(description), forgiving.DESCRIPTION)


def encode_json(description: Description) -> str:
    r"""Return the form of the Pion demo, on one line.

    >>> base64.b64decode(encode_json(_example()))[:30]
    b'{"type":"offer","sdp":"v=0\\r\\n'
    """
    sdp = format_sdp(description)
    if description.offer_mark is not None:
        sdp += f"a=dcsend-offer:{description.offer_mark:04x}\r\n"
    sdp += f"{_CHECKSUM}{_crc(sdp):04x}\r\n"
    fields = {"type": description.type.value, "sdp": sdp}
    return base64.b64encode(json.dumps(fields, separators=(",", ":")).encode()).decode()


def decode(text: str, wanted: SdpType | None = None) -> Description:
    """Read a description in either form from pasted text.

    Args:
        text: the pasted text, which may be a whole command.
        wanted: the required type; None for either.

    Raises:
        MalformedCode: it is damaged, incomplete, of the wrong type, or not a description.
        IncompatibleVersion: it is intact, but of another version.

    >>> decode(encode(_example()).upper()) == decode(encode_json(_example())) == _example()
    True
    """
    if len(text) > forgiving.MAX_TEXT:
        raise MalformedCode(f"this is not a code: it has {len(text)} characters")
    plain = _unwrapped(text)
    if plain.startswith("v=0"):
        raise MalformedCode(
            "this is SDP without a type, offer or answer",
            "paste the JSON with type and sdp, or its base64",
        )
    if plain.startswith("{"):
        description = _from_json(plain)
    elif _JSON_BEGINS.match(stripped := _CLUTTER.sub("", plain)):
        description = _from_json(_from_base64(stripped))
    else:
        raw = forgiving.read(plain, MAX_PACKED, _size_of, forgiving.DESCRIPTION)
        description = unpack(raw)
    if wanted is not None and description.type is not wanted:
        article = "an"
        raise MalformedCode(
            f"this is {article} {description.type}, and {article} {wanted} is needed",
            "paste the code that the other side shows now",
        )
    return description


def mark(offer: Description) -> int:
    """Return 16 bits that identify an offer; its answer contains them.

    >>> f"{mark(_example()):04x}"
    '79c0'
    """
    credentials = (offer.ufrag + offer.password).encode("ascii")
    return binascii.crc_hqx(offer.fingerprint + credentials, 0xFFFF)


def is_blob(text: str) -> bool:
    """Return whether *text* is probably a description, not a dial code; never raises.

    >>> is_blob(encode(_example())), is_blob("dc058000820c20"), is_blob("http://192.168.1.7/#12")
    (True, False, False)
    """
    return is_compact(text) or _is_json(text)


def is_compact(text: str) -> bool:
    """Return whether *text* is probably a description in the compact form."""
    body = forgiving.squash(_unwrapped(text[: forgiving.MAX_TEXT]))
    return body.startswith(forgiving.DESCRIPTION) and not _is_json(text)


def _is_json(text: str) -> bool:
    plain = _unwrapped(text[: forgiving.MAX_TEXT])
    return plain.startswith("{") or bool(_JSON_BEGINS.match(_CLUTTER.sub("", plain)))


def _unwrapped(text: str) -> str:
    """Return *text* without escape sequences and without the command around the code."""
    text = _CONTROL_SEQUENCE.sub("", text)
    if command := _COMMAND.match(text):
        text = _OPTIONS.sub("", text[command.end() :])
    return text.strip()


def _from_base64(text: str) -> str:
    if not _BASE64.fullmatch(text):
        raise MalformedCode("the code is damaged: it has an invalid character")
    digits = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise IncompleteCode(_PART) from None


def _crc(sdp: str) -> int:
    # JSON can contain lone surrogates; parse_sdp reports what SDP can't contain.
    return binascii.crc_hqx(sdp.encode("utf-8", "surrogatepass"), 0xFFFF)


def _from_json(text: str) -> Description:
    try:
        fields: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise IncompleteCode(_PART) from None
    if not isinstance(fields, dict):
        raise MalformedCode("the code is damaged: it contains no session description")
    kind, sdp = fields.get("type"), fields.get("sdp")
    if not isinstance(sdp, str) or len(sdp) > MAX_SDP:
        raise MalformedCode("the code is damaged: it contains no SDP")
    covered, mark, crc = sdp.rpartition(_CHECKSUM)
    if mark and crc.strip() != f"{_crc(covered):04x}":
        raise MalformedCode("the code is damaged: its checksum is wrong")
    if kind not in tuple(SdpType):
        shown = printable(str(kind)[:20])
        raise MalformedCode(f"the code is neither an offer nor an answer, but {shown}")
    description = parse_sdp(SdpType(kind), sdp)
    marked = _MARK_LINE.search(sdp)
    if marked is None or description.type is SdpType.OFFER:
        return description
    return dataclasses.replace(description, offer_mark=int(marked[1], 16))


def pack(description: Description) -> bytes:
    """Return the bytes of the compact form, at most MAX_PACKED.

    The last candidates are omitted if they don't fit, and those with a name that is not a UUID.

    Raises:
        MalformedCode: ufrag and password are too long for it.

    >>> len(pack(_example())), unpack(pack(_example())) == _example()
    (66, True)
    """
    credentials = description.ufrag + description.password
    is_hex = set(credentials) <= set(_HEX_CHARS)
    is_answer = description.type is SdpType.ANSWER
    flags = is_answer * _ANSWER | _SETUPS.index(description.setup) << 1 | is_hex * _HEX
    body = b""
    if is_answer and description.offer_mark is not None:
        flags |= _MARKED
        body = _MARK.pack(description.offer_mark)
    body += _pack_chars(credentials, _HEX_CHARS if is_hex else _ICE_CHARS)
    room = MAX_PACKED - _HEAD.size - len(body) - _CRC.size
    if room < 0 or len(description.password) > 255:
        raise MalformedCode("the ice-ufrag and ice-pwd are too long for the compact form")
    for candidate in description.candidates[:_MAX_CANDIDATES]:
        packed = pack_candidate(candidate)
        if len(packed) > room:
            break
        room -= len(packed)
        body += packed
    head = _HEAD.pack(
        BLOB_VERSION,
        _HEAD.size + len(body) + _CRC.size,
        flags,
        len(description.ufrag),
        len(description.password),
        description.fingerprint,
    )
    return head + body + _CRC.pack(binascii.crc_hqx(head + body, 0xFFFF))


def _pack_chars(text: str, alphabet: str) -> bytes:
    width = (len(alphabet) - 1).bit_length()
    number = 0
    for char in text:
        number = number << width | alphabet.index(char)
    size = -(-len(text) * width // 8)
    return (number << 8 * size - len(text) * width).to_bytes(size)


def _unpack_chars(raw: bytes, count: int, alphabet: str) -> str:
    width = (len(alphabet) - 1).bit_length()
    number = int.from_bytes(raw) >> 8 * len(raw) - count * width
    places = range(count - 1, -1, -1)
    return "".join(alphabet[number >> width * place & len(alphabet) - 1] for place in places)


def pack_candidate(candidate: Candidate) -> bytes:
    """Return head, address and port of a candidate; empty for an mDNS name that is not a UUID."""
    if candidate.host.endswith(".local"):
        try:
            family, address = _MDNS, uuid.UUID(candidate.host.removesuffix(".local")).bytes
        except ValueError:
            return b""
    else:
        ip = ipaddress.ip_address(candidate.host)
        family, address = ip.version // 6, ip.packed
    head = _TYPES.index(candidate.type) << 2 | family
    return bytes([head]) + address + _PORT.pack(candidate.port)


def _size_of(beginning: bytes) -> int | None:
    """Return the length of a description from its first bytes; None if its version is unknown."""
    return beginning[1] if beginning[0] == BLOB_VERSION else None


def unpack(raw: bytes) -> Description:
    """Read the bytes of the compact form, as `pack` writes them.

    Raises:
        MalformedCode: the checksum, the length or a field is wrong.
        IncompatibleVersion: it is intact, but of another version.
    """
    body, crc = raw[: -_CRC.size], raw[-_CRC.size :]
    if len(raw) <= _CRC.size or binascii.crc_hqx(body, 0xFFFF) != int.from_bytes(crc):
        raise MalformedCode("the code is damaged: its checksum is wrong")
    if raw[0] != BLOB_VERSION:
        raise IncompatibleVersion(
            f"the code has version {raw[0]}, this dcsend supports version {BLOB_VERSION}"
        )
    if len(body) < _HEAD.size or raw[1] != len(raw):
        raise MalformedCode(f"the code is damaged: it has {len(raw)} bytes")
    _version, _length, flags, ufrag_size, password_size, fingerprint = _HEAD.unpack_from(raw)
    alphabet = _HEX_CHARS if flags & _HEX else _ICE_CHARS
    count = ufrag_size + password_size
    width = (len(alphabet) - 1).bit_length()
    start = _HEAD.size + (_MARK.size if flags & _MARKED else 0)
    end = start - (-count * width // 8)
    credentials = _unpack_chars(body[start:end], count, alphabet) if end <= len(body) else ""
    setup = flags >> 1 & 3
    if setup >= len(_SETUPS):
        raise MalformedCode("the code is damaged: its setup is unknown")
    try:
        description = Description(
            type=SdpType.ANSWER if flags & _ANSWER else SdpType.OFFER,
            ufrag=credentials[:ufrag_size],
            password=credentials[ufrag_size:],
            fingerprint=fingerprint,
            setup=_SETUPS[setup],
            candidates=tuple(_unpack_candidates(body[end:])),
            offer_mark=_MARK.unpack_from(body, _HEAD.size)[0] if flags & _MARKED else None,
        )
        check(description)
    except (IndexError, ValueError, struct.error):
        raise MalformedCode("the code is damaged: an address in it is invalid") from None
    if pack(description) != raw:
        raise MalformedCode("the code is not usable: it is not in its shortest form")
    return description


def _unpack_candidates(rest: bytes) -> Iterator[Candidate]:
    """Yield candidates until the end; raises ValueError, IndexError or struct.error."""
    number = 0
    while rest:
        priority = _PREFERENCES[rest[0] >> 2] << 24 | 65535 - number << 8 | 255
        candidate, rest = unpack_candidate(rest, priority)
        yield candidate
        number += 1


def unpack_candidate(raw: bytes, priority: int) -> tuple[Candidate, bytes]:
    """Read a candidate as `pack_candidate` writes it, of which the priority is not a part.

    Returns:
        The candidate, and the bytes after it.

    Raises:
        ValueError, IndexError, struct.error: it is truncated, or its type, family, address or port
            is not one that can be used.
    """
    kind, family = raw[0] >> 2, raw[0] & 3
    size = _ADDRESS_SIZES[family]
    address, (port,) = raw[1 : 1 + size], _PORT.unpack_from(raw, 1 + size)
    host = (
        f"{uuid.UUID(bytes=address)}.local"
        if family == _MDNS
        else str(ipaddress.ip_address(address))
    )
    if port == 0 or usable_host(host) is None:
        raise ValueError
    return Candidate(_TYPES[kind], host, port, priority), raw[1 + size + _PORT.size :]


def _example() -> Description:
    """Return the description of the examples above and of the test vectors."""
    first = (126 << 24) + (65535 << 8) + 255
    return Description(
        type=SdpType.OFFER,
        ufrag="abcd",
        password="ABCDEFGHIJKLMNOPQRSTUV",
        fingerprint=bytes(range(32)),
        setup=Setup.ACTPASS,
        candidates=(Candidate(CandidateType.HOST, "192.0.2.7", 40000, first),),
    )
