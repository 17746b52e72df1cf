"""Data frames: a 24-byte header, then the payload.

    0        1        2                 4                                 8
    +--------+--------+-----------------+---------------------------------+
    | type   | flags  | reserved = 0    | file number                     |
    +--------+--------+-----------------+---------------------------------+
    | offset                                                              |
    +-----------------------------------+---------------------------------+
    | length                            | CRC-32                          |
    +-----------------------------------+---------------------------------+
    | payload …                [SHA-256: END of the file, BATCH of each] |

Network byte order. The CRC covers the header, with its own field as zero, and all that follows.
This module has the layout only; `ledger` validates the order of frames, `window` their amount.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from dcsend.errors import IntegrityError, LocalProtocolError, RemoteProtocolError
from dcsend.protocol import limits

__all__ = [
    "END",
    "Frame",
    "FrameKind",
    "decode_frame",
    "encode_abort",
    "encode_again",
    "encode_batch",
    "encode_data",
    "encode_hole",
    "encode_restart",
]


class FrameKind(enum.IntEnum):
    """Type of a frame: its first byte."""

    DATA = 1
    HOLE = 2
    ABORT = 3
    BATCH = 4
    RESTART = 5
    AGAIN = 6


END: Final = 1
"Flag of a DATA frame that is the last of its file: the digest follows the payload."

_HEADER: Final = struct.Struct("!BBHIQII")
_BEFORE_CRC: Final = struct.Struct("!BBHIQI")
_CRC: Final = struct.Struct("!I")
_NO_CRC: Final = bytes(4)

# Plain integers: an enum member would cost a lookup for each frame.
_DATA: Final = 1
_HOLE: Final = 2
_ABORT: Final = 3
_BATCH: Final = 4
_RESTART: Final = 5
_AGAIN: Final = 6

_CONTENT: Final = {_DATA: FrameKind.DATA, _AGAIN: FrameKind.AGAIN}
"Frames with content and nothing else."
_BARE: Final = {
    _HOLE: range(1, limits.MAX_HOLE + 1),
    _RESTART: range(1),
    _AGAIN: range(limits.MAX_HOLE + 1),
}
"Lengths of the frames without a payload."


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame that has arrived."""

    kind: FrameKind
    number: int
    "Number of the entry; of a BATCH that of its first file."
    offset: int
    "Offset of the content in the file, in bytes; of a BATCH the number of its files."
    length: int
    """Bytes of content; of a HOLE its zeros, of an ABORT the bytes of the reason. An AGAIN that has
    a length and no payload is zeros; without a length it ends its range."""
    payload: memoryview | bytes
    "Content or reason; a view into the message, not a copy."
    digest: bytes | None
    "SHA-256 of the whole file, with END only; of a BATCH those of all its files."


def encode_data(
    number: int, offset: int, payload: bytes | memoryview, digest: bytes | None = None
) -> bytes:
    """Make a DATA frame; with *digest* (32 bytes) it is the last of its file.

    Raises:
        LocalProtocolError: it is empty and not the last, too long, or out of range.
    """
    length = len(payload)
    if digest is None:
        if not length:
            raise LocalProtocolError("an empty data frame must be the last of its file")
        if length > limits.MAX_PAYLOAD:
            raise LocalProtocolError(f"payload of {length} bytes is too long for a frame")
        head = _pack(_DATA, 0, number, offset, length)
        return b"".join((head, _CRC.pack(crc32(payload, crc32(_NO_CRC, crc32(head)))), payload))
    if length > limits.MAX_PAYLOAD_WITH_DIGEST:
        raise LocalProtocolError(f"payload of {length} bytes is too long for a last frame")
    if len(digest) != limits.DIGEST:
        raise LocalProtocolError(f"digest of {len(digest)} bytes is not a SHA-256")
    head = _pack(_DATA, END, number, offset, length)
    crc = crc32(digest, crc32(payload, crc32(_NO_CRC, crc32(head))))
    return b"".join((head, _CRC.pack(crc), payload, digest))


def encode_batch(number: int, contents: Sequence[bytes], digests: Sequence[bytes]) -> bytes:
    """Make a BATCH frame: whole files, in the order of the manifest.

    Args:
        number: of the first file.
        contents: whole content of each file.
        digests: SHA-256 of each, 32 bytes.

    Raises:
        LocalProtocolError: there are none, they are too long, or a number is out of range.
    """
    count, length = len(contents), sum(map(len, contents))
    if not count or count != len(digests) or any(len(one) != limits.DIGEST for one in digests):
        raise LocalProtocolError(f"batch of {count} files and {len(digests)} digests")
    if length + count * limits.DIGEST > limits.MAX_PAYLOAD:
        raise LocalProtocolError(f"{count} files of {length} bytes are too long for a frame")
    head = _pack(_BATCH, 0, number, count, length)
    content = b"".join((*contents, *digests))
    return b"".join((head, _CRC.pack(crc32(content, crc32(_NO_CRC, crc32(head)))), content))


def encode_hole(number: int, offset: int, length: int) -> bytes:
    """Make a HOLE frame: *length* zero bytes at *offset*.

    Raises:
        LocalProtocolError: the length is not from 1 to 2**30, or a number is out of range.
    """
    if not 1 <= length <= limits.MAX_HOLE:
        raise LocalProtocolError(f"hole of {length} bytes is not from 1 to {limits.MAX_HOLE}")
    return _short(_HOLE, number, offset, length, b"")


def hole_cost(length: int) -> int:
    """Return the bytes of the window that a hole of *length* bytes takes.

    >>> hole_cost(1), hole_cost(1 << 30)
    (24, 1048600)
    """
    return limits.FRAME_HEADER + length // limits.HOLE_UNIT


def encode_abort(number: int, offset: int, reason: str) -> bytes:
    """Make an ABORT frame: the sender gives the file up at *offset*.

    A reason of more than 500 bytes is cut between two characters.

    Raises:
        LocalProtocolError: a number is out of range.
    """
    payload = reason.encode("utf-8", "backslashreplace")[: limits.MAX_MESSAGE]
    payload = payload.decode("utf-8", "ignore").encode()
    return _short(_ABORT, number, offset, len(payload), payload)


def encode_restart(number: int, offset: int) -> bytes:
    """Make a RESTART frame: the file, of which *offset* bytes are there, begins again.

    Raises:
        LocalProtocolError: a number is out of range.
    """
    return _short(_RESTART, number, offset, 0, b"")


def encode_again(number: int, offset: int, piece: bytes | memoryview | int) -> bytes:
    """Make an AGAIN frame: content, or so many zeros; with 0 the range is not sent.

    Raises:
        LocalProtocolError: it is too long, or a number is out of range.
    """
    if isinstance(piece, int):
        if piece > limits.MAX_HOLE:
            raise LocalProtocolError(f"{piece} zeros are more than {limits.MAX_HOLE}")
        return _short(_AGAIN, number, offset, piece, b"")
    if not 0 < len(piece) <= limits.MAX_PAYLOAD:
        raise LocalProtocolError(f"payload of {len(piece)} bytes does not fit a frame")
    return _short(_AGAIN, number, offset, len(piece), piece)


def decode_frame(data: bytes) -> Frame:
    """Read a message of the data channel.

    Raises:
        IntegrityError: its checksum is wrong.
        RemoteProtocolError: it breaks a rule of PROTOCOL.md.
    """
    size = len(data)
    if not limits.FRAME_HEADER <= size <= limits.MAX_FRAME:
        raise RemoteProtocolError(f"data message of {size} bytes is not a frame")
    kind, flags, reserved, number, offset, length, crc = _HEADER.unpack_from(data)
    view = memoryview(data)
    # First, so that every damaged field is reported as damage.
    if crc32(view[24:], crc32(_NO_CRC, crc32(view[:20]))) != crc:
        raise IntegrityError("a frame was damaged on its way")
    if reserved or offset + length > limits.MAX_SAFE or number >= limits.MAX_ENTRIES:
        raise RemoteProtocolError("frame with a number out of range")
    if kind in _CONTENT and flags == 0 and length and size == 24 + length:
        return Frame(_CONTENT[kind], number, offset, length, view[24:], None)
    if kind == _DATA and flags == END and size == 56 + length:
        payload = view[24 : 24 + length]
        return Frame(FrameKind.DATA, number, offset, length, payload, data[24 + length :])
    if kind == _BATCH and flags == 0 and offset and size == 24 + length + 32 * offset:
        payload = view[24 : 24 + length]
        return Frame(FrameKind.BATCH, number, offset, length, payload, data[24 + length :])
    if kind in _BARE and flags == 0 and size == 24 and length in _BARE[kind]:
        return Frame(FrameKind(kind), number, offset, length, b"", None)
    if kind == _ABORT and flags == 0 and size == 24 + length and length <= limits.MAX_MESSAGE:
        try:
            str(view[24:], "utf-8")
        except UnicodeDecodeError:
            raise RemoteProtocolError("reason of an abort frame is not UTF-8") from None
        return Frame(FrameKind.ABORT, number, offset, length, view[24:], None)
    raise RemoteProtocolError(_complaint(kind, flags, length))


def _pack(kind: int, flags: int, number: int, offset: int, length: int) -> bytes:
    if not (0 <= number < limits.MAX_ENTRIES and 0 <= offset <= limits.MAX_SAFE - length):
        raise LocalProtocolError(f"file number {number} or offset {offset} is out of range")
    return _BEFORE_CRC.pack(kind, flags, 0, number, offset, length)


def _short(kind: int, number: int, offset: int, length: int, payload: bytes | memoryview) -> bytes:
    head = _pack(kind, 0, number, offset, length)
    return b"".join((head, _CRC.pack(crc32(payload, crc32(_NO_CRC, crc32(head)))), payload))


def _complaint(kind: int, flags: int, length: int) -> str:
    if kind not in (_DATA, _HOLE, _ABORT, _BATCH, _RESTART, _AGAIN):
        return f"frame of unknown type {kind}"
    if flags & ~(END if kind == _DATA else 0):
        return f"frame with unknown flags {flags}"
    return f"frame with a wrong length of {length} bytes"
