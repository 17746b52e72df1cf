"""DATA chunks that are larger than the path MTU, retransmitted in parts (the bulk extension).

A chunk that has a TSN cannot be fragmented again (RFC 9260, 6.9), so a chunk that was made for a
larger packet would be lost for ever when the path MTU decreases. RFC 9260, 7.3 uses IP
fragmentation, which programs cannot request on every system. Here each part is a chunk of an own
type, and a receiver that has all parts has the DATA chunk. Loss detection, acknowledgements and
windows count the DATA chunk only. Other implementations receive no chunk that is larger than every
path takes (`probing`).

    0xBE   | flags of DATA | length
    TSN, stream id, stream sequence number, payload protocol id, as in DATA
    number of the part, from 0 | number of parts | 0 (16 bits)
    bytes of the message
"""

from __future__ import annotations

import struct
from typing import Final

from dcsend.sctp import wire
from dcsend.sctp.probing import BASE_PAYLOAD, MAX_PAYLOAD

__all__ = ["Parts", "split"]

_NUMBERS: Final = struct.Struct("!BBH")
_KEY: Final = wire.DATA_HEADER.size - wire.HEADER.size
"Bytes of the DATA header from the TSN on."
_HEAD: Final = _KEY + _NUMBERS.size
_SIZE: Final = BASE_PAYLOAD - _NUMBERS.size
"Bytes of a message in each part but the last."
_MOST: Final = -(-MAX_PAYLOAD // _SIZE)
"Parts of one chunk, at most."
_KEPT: Final = 16
"Incomplete chunks that are kept, at most: 280 KB. The sender retransmits those that are dropped."


def split(chunk: bytes) -> list[bytes]:
    """Return the parts of a DATA chunk as PART chunks."""
    _, flags, length = wire.HEADER.unpack_from(chunk)
    key = chunk[wire.HEADER.size : wire.DATA_HEADER.size]
    starts = range(wire.DATA_HEADER.size, length, _SIZE)
    return [
        wire.chunk(
            wire.PART,
            flags,
            key + _NUMBERS.pack(number, len(starts), 0) + chunk[start : min(start + _SIZE, length)],
        )
        for number, start in enumerate(starts)
    ]


class Parts:
    """Joins the parts that one peer sends."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, list[bytes]] = {}
        "By key and number of parts: the parts of each chunk, empty where one is missing."

    def add(self, flags: int, value: bytes) -> bytes | None:
        """Accept a part; return the DATA chunk if it is complete now.

        Args:
            flags: of the PART chunk.
            value: of the PART chunk, without its header.

        Raises:
            Malformed: its length or number is impossible.
        """
        if len(value) <= _HEAD:
            raise wire.Malformed("a part without data")
        key, content = value[:_KEY], value[_HEAD:]
        number, count, _ = _NUMBERS.unpack_from(value, _KEY)
        is_last = number == count - 1
        if not number < count <= _MOST or len(content) > _SIZE:
            raise wire.Malformed("impossible part")
        if not is_last and len(content) < _SIZE:
            raise wire.Malformed("a part is too short")
        name = key + bytes((flags, count))
        parts = self._waiting.setdefault(name, [b""] * count)
        parts[number] = content
        if all(parts):
            del self._waiting[name]
            data = b"".join(parts)
            return (
                wire.HEADER.pack(wire.DATA, flags, wire.DATA_HEADER.size + len(data)) + key + data
            )
        if len(self._waiting) > _KEPT:
            del self._waiting[next(iter(self._waiting))]
        return None
