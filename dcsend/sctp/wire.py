"""Encoding and parsing of SCTP packets: RFC 9260 and the extensions that data channels need.

Parsing checks form only: lengths and fixed fields. `association` checks the meaning. Nothing here
has state.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from google_crc32c import extend
from google_crc32c import value as crc32c

__all__ = [
    "Chunk",
    "Init",
    "Malformed",
    "Sack",
    "chunk",
    "chunks",
    "data_chunk",
    "has_checksum",
    "packet",
    "parameter",
    "parameters",
    "parse_forward_tsn",
    "parse_sack",
    "sack_chunk",
]

DATA: Final = 0
INIT: Final = 1
INIT_ACK: Final = 2
SACK: Final = 3
HEARTBEAT: Final = 4
HEARTBEAT_ACK: Final = 5
ABORT: Final = 6
SHUTDOWN: Final = 7
SHUTDOWN_ACK: Final = 8
ERROR: Final = 9
COOKIE_ECHO: Final = 10
COOKIE_ACK: Final = 11
SHUTDOWN_COMPLETE: Final = 14
RE_CONFIG: Final = 130
"RFC 6525."
PAD: Final = 132
"RFC 4820; receivers that do not support it skip it."
PART: Final = 190
"""A part of a DATA chunk, see `parts`; no standard. The highest bits are 10, so that other
receivers skip it."""
FORWARD_TSN: Final = 192
"RFC 3758."

LAST: Final = 1
"Flag of DATA: the last fragment of a message."
FIRST: Final = 2
UNORDERED: Final = 4
IMMEDIATE: Final = 8
"Flag of DATA: acknowledge at once (RFC 7053)."
REFLECTED: Final = 1
"Flag T of ABORT and SHUTDOWN COMPLETE: the tag is the one that the receiver has sent."

STATE_COOKIE: Final = 7
HEARTBEAT_INFO: Final = 1
ZERO_CHECKSUM: Final = 0x8001
"RFC 9653."
SUPPORTED_EXTENSIONS: Final = 0x8008
"RFC 5061: a list of chunk types."
FORWARD_TSN_SUPPORTED: Final = 0xC000
DTLS_DETECTS_ERRORS: Final = 1
"RFC 9653, 4: the reason for a zero checksum."

UNRECOGNIZED_CHUNK: Final = 6
USER_ABORT: Final = 12
PROTOCOL_VIOLATION: Final = 13
"Error causes (RFC 9260, 3.3.10)."

COMMON: Final = struct.Struct("!HHLL")
"Source port, destination port, verification tag, checksum."
HEADER: Final = struct.Struct("!BBH")
"Chunk type, flags, length without padding."
DATA_HEADER: Final = struct.Struct("!BBHLHHL")
"Chunk header, TSN, stream id, stream sequence number, payload protocol id."
_INIT: Final = struct.Struct("!LLHHL")
_SACK: Final = struct.Struct("!LLHH")
_PARAMETER: Final = struct.Struct("!HH")
_U32: Final = struct.Struct("!L")
_STREAM: Final = struct.Struct("!HH")

MAX_GAPS: Final = 300
"Gap blocks in a SACK that is sent: 1.2 KB, which every path takes in one packet."
MAX_DUPLICATES: Final = 16
_MAX_READ_GAPS: Final = 16_384
"Gap blocks in a received SACK, at most."

Chunk = tuple[int, int, bytes]
"Type, flags, and the value without header and padding."


class Malformed(ValueError):
    """A packet or a chunk whose lengths or fixed fields are invalid."""


@dataclass(frozen=True, slots=True)
class Init:
    """The fields and parameters of INIT and INIT ACK."""

    tag: int
    window: int
    "a_rwnd in bytes."
    outbound: int
    "Outbound streams that the sender requests."
    inbound: int
    tsn: int
    cookie: bytes = b""
    "State cookie of an INIT ACK."
    extensions: frozenset[int] = frozenset()
    "Chunk types that the sender supports."
    zero_checksum: bool = False
    "Whether it accepts packets without a checksum, since DTLS detects errors (RFC 9653)."

    def encode(self, kind: int) -> bytes:
        """Return the chunk; *kind* is INIT or INIT_ACK."""
        value = _INIT.pack(self.tag, self.window, self.outbound, self.inbound, self.tsn)
        if self.cookie:
            value += parameter(STATE_COOKIE, self.cookie)
        if self.zero_checksum:
            value += parameter(ZERO_CHECKSUM, _U32.pack(DTLS_DETECTS_ERRORS))
        if FORWARD_TSN in self.extensions:
            value += parameter(FORWARD_TSN_SUPPORTED, b"")
        value += parameter(SUPPORTED_EXTENSIONS, bytes(sorted(self.extensions)), last=True)
        return chunk(kind, 0, value)

    @classmethod
    def parse(cls, value: bytes) -> Init:
        """Parse the value of an INIT or INIT ACK.

        Raises:
            Malformed: it is too short, or has a field that must not be 0.
        """
        if len(value) < _INIT.size:
            raise Malformed("INIT is too short")
        tag, window, outbound, inbound, tsn = _INIT.unpack_from(value)
        if not (tag and outbound and inbound):
            raise Malformed("INIT without a tag or streams")
        cookie, extensions, zero_checksum = b"", set[int](), False
        for kind, content in parameters(value[_INIT.size :]):
            if kind == STATE_COOKIE:
                cookie = content
            elif kind == SUPPORTED_EXTENSIONS:
                extensions.update(content)
            elif kind == FORWARD_TSN_SUPPORTED:
                extensions.add(FORWARD_TSN)
            elif kind == ZERO_CHECKSUM:
                zero_checksum = content == _U32.pack(DTLS_DETECTS_ERRORS)
        return cls(
            tag, window, outbound, inbound, tsn, cookie, frozenset(extensions), zero_checksum
        )


@dataclass(frozen=True, slots=True)
class Sack:
    """A SACK chunk (RFC 9260, 3.3.4); TSNs have 32 bits."""

    cumulative: int
    window: int
    gaps: Sequence[tuple[int, int]]
    "First and last TSN of each gap ack block, as offsets from *cumulative*, both >= 2."


def has_checksum(data: bytes) -> bool:
    """Return whether the checksum of a packet is right (CRC-32C, RFC 9260, appendix A)."""
    computed = extend(crc32c(data[:8] + bytes(4)), data[12:])
    return int(computed) == int.from_bytes(data[8:12], "little")


def packet(ports: tuple[int, int], tag: int, content: bytes, *, checksum: bool = True) -> bytes:
    """Return a packet around *content*, one or more chunks.

    >>> packet((5000, 5000), 7, chunk(COOKIE_ACK, 0), checksum=False).hex(" ", 4)
    '13881388 00000007 00000000 0b000004'
    """
    data = COMMON.pack(*ports, tag, 0) + content
    if not checksum:
        return data
    return data[:8] + int(crc32c(data)).to_bytes(4, "little") + content


def chunks(data: bytes) -> Iterator[Chunk]:
    """Iterate over the chunks of a packet.

    Raises:
        Malformed: a length is wrong; chunks before it have been returned.
    """
    at, end = COMMON.size, len(data)
    while at < end:
        if at + HEADER.size > end:
            raise Malformed("less than a chunk at the end")
        kind, flags, length = HEADER.unpack_from(data, at)
        if length < HEADER.size or at + length > end:
            raise Malformed("a chunk's length is wrong")
        yield kind, flags, data[at + HEADER.size : at + length]
        at += length + -length % 4


def chunk(kind: int, flags: int, value: bytes = b"") -> bytes:
    """Return a chunk with its padding."""
    length = HEADER.size + len(value)
    return HEADER.pack(kind, flags, length) + value + bytes(-length % 4)


def parameter(kind: int, value: bytes, *, last: bool = False) -> bytes:
    """Return a parameter, or an error cause.

    It has padding unless it is the *last* one, which the length of the chunk does not count (RFC
    9260, 3.2).
    """
    length = _PARAMETER.size + len(value)
    padding = 0 if last else -length % 4
    return _PARAMETER.pack(kind, length) + value + bytes(padding)


def parameters(value: bytes) -> Iterator[tuple[int, bytes]]:
    """Iterate over the parameters or error causes of a chunk: type and content.

    Raises:
        Malformed: a length is wrong; parameters before it have been returned.
    """
    at = 0
    while at < len(value):
        if at + _PARAMETER.size > len(value):
            raise Malformed("less than a parameter at the end")
        kind, length = _PARAMETER.unpack_from(value, at)
        if length < _PARAMETER.size or at + length > len(value):
            raise Malformed("a parameter's length is wrong")
        yield kind, value[at + _PARAMETER.size : at + length]
        at += length + -length % 4


def data_chunk(
    flags: int, tsn: int, stream: int, sequence: int, protocol: int, content: bytes | memoryview
) -> bytes:
    """Return a DATA chunk with its padding."""
    length = DATA_HEADER.size + len(content)
    head = DATA_HEADER.pack(DATA, flags, length, tsn, stream, sequence, protocol)
    padding = -length % 4
    return head + content + bytes(padding) if padding else head + content


def sack_chunk(
    cumulative: int, window: int, gaps: Sequence[tuple[int, int]], duplicates: Sequence[int]
) -> bytes:
    """Return a SACK chunk; *gaps* as in `Sack`. Blocks that do not fit a packet are left out."""
    # Offsets have 16 bits.
    fit = [gap for gap in gaps[:MAX_GAPS] if gap[1] <= 0xFFFF]
    again = duplicates[:MAX_DUPLICATES]
    value = _SACK.pack(cumulative, window, len(fit), len(again))
    value += b"".join(_STREAM.pack(*gap) for gap in fit)
    return chunk(SACK, 0, value + b"".join(map(_U32.pack, again)))


def parse_sack(value: bytes) -> Sack:
    """Parse the value of a SACK.

    Raises:
        Malformed: its length is wrong, or gap ack blocks are not in order.
    """
    if len(value) < _SACK.size:
        raise Malformed("SACK is too short")
    cumulative, window, gaps, duplicates = _SACK.unpack_from(value)
    if gaps > _MAX_READ_GAPS or len(value) != _SACK.size + 4 * (gaps + duplicates):
        raise Malformed("SACK's length is wrong")
    if not gaps:
        return Sack(cumulative, window, ())
    end = _SACK.size + 4 * gaps
    blocks = list(_STREAM.iter_unpack(value[_SACK.size : end]))
    before = 0
    for first, last in blocks:
        # The TSN at offset 1 is missing, and blocks that touch are one block.
        if first <= before or last < first:
            raise Malformed("SACK's gap blocks are not in order")
        before = last
    return Sack(cumulative, window, blocks)


def parse_forward_tsn(value: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Parse a FORWARD TSN: the new cumulative TSN; streams and their sequence numbers.

    Raises:
        Malformed: its length is wrong.
    """
    if len(value) < _U32.size or len(value) % 4:
        raise Malformed("FORWARD TSN's length is wrong")
    return _U32.unpack_from(value)[0], list(_STREAM.iter_unpack(value[_U32.size :]))


def forward_tsn_chunk(cumulative: int, streams: Sequence[tuple[int, int]]) -> bytes:
    """Return a FORWARD TSN chunk (RFC 3758, 3.2)."""
    value = _U32.pack(cumulative) + b"".join(_STREAM.pack(*stream) for stream in streams)
    return chunk(FORWARD_TSN, 0, value)


def shutdown_chunk(cumulative: int) -> bytes:
    """Return a SHUTDOWN chunk, which contains the cumulative TSN."""
    return chunk(SHUTDOWN, 0, _U32.pack(cumulative))


def parse_shutdown(value: bytes) -> int:
    """Parse the cumulative TSN of a SHUTDOWN.

    Raises:
        Malformed: its length is wrong.
    """
    if len(value) != _U32.size:
        raise Malformed("SHUTDOWN's length is wrong")
    return int(_U32.unpack(value)[0])
