"""Reading the files of a scan, in its order, as blocks for the protocol.

One file is open and one block is in memory at a time. The digest of a file is computed while it is
read. A file that can't be read, or changes, is given up with a reason; the others continue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from dcsend.entry import Entry, Kind
from dcsend.files.intake import zeros
from dcsend.files.manifest import Origin, Scan
from dcsend.files.reading import CantRead, Piece, open_reader, reason
from dcsend.files.verified_open import OpenListed, open_listed

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["BLOCK_SIZE", "Block", "FileSource"]

BLOCK_SIZE: Final = 16 * 64936
"Bytes of 16 full frames, about 1 MiB; larger blocks are not read faster."


class Block(NamedTuple):
    """A piece of a file, or the reason why the file is given up."""

    number: int
    "Place of the entry in the manifest, from 0."
    offset: int
    "Bytes from the start of the file."
    payload: bytes = b""
    "Content; empty for a hole, a failure, and an end without content."
    hole: int = 0
    "Length of a hole in bytes, at most 1 GiB; 0 for content."
    digest: bytes | None = None
    "SHA-256 of the whole file; only in its last block."
    failure: str = ""
    "Why the file is given up; only in its last block."

    @property
    def is_whole(self) -> bool:
        """Whether the block contains the whole file."""
        return not self.offset and self.digest is not None


class FileSource:
    """All files, streams and texts of a scan.

    Args:
        scanned: what `scan` returned.
        block_size: maximum bytes of a block; a multiple of the payload of a frame.
        open_file: opens a file that was listed.
    """

    def __init__(
        self,
        scanned: Scan,
        block_size: int = BLOCK_SIZE,
        open_file: OpenListed = open_listed,
    ) -> None:
        self._scan = scanned
        self._block_size = block_size
        self._open_file = open_file

    @property
    def entries(self) -> Sequence[Entry]:
        """The manifest."""
        return self._scan.entries

    def blocks(
        self,
        skip: Container[int],
        have: Mapping[int, int],
        due: Callable[[], int] = lambda: 0,
    ) -> Iterator[Block]:
        """Yield the blocks of every file in order.

        Closing the iterator early closes the file that is open.

        Args:
            skip: numbers of the entries that are not read.
            have: for some entries, the bytes that the receiver has; they are read for the digest
                and not yielded.
            due: called for each block; returns the number of the file to send next. Files before
                it are not read any further.
        """
        for number, entry in enumerate(self._scan.entries):
            if entry.kind not in (Kind.FILE, Kind.TEXT) or number in skip:
                continue
            yield from self._file(
                number, entry, self._scan.origins[number], have.get(number, 0), due
            )

    def _file(
        self,
        number: int,
        entry: Entry,
        origin: Origin,
        start: int,
        due: Callable[[], int],
    ) -> Iterator[Block]:
        position = 0
        listed = self._scan.identity(number)
        hasher = hashlib.sha256()
        try:
            if entry.size is not None and start > entry.size:
                raise CantRead("the receiver has more bytes than the file")
            opened = open_reader(entry, origin, listed, self._block_size, self._open_file)
            with closing(opened) as reader:
                ended = False
                for piece in reader.pieces(start):
                    if number < due():
                        return
                    offset = position
                    position += _count(piece, hasher)
                    if position <= start:
                        continue
                    if isinstance(piece, int):
                        yield Block(number, offset, hole=piece)
                        continue
                    ended = position == entry.size
                    digest = hasher.digest() if ended else None
                    yield Block(number, offset, piece, digest=digest)
                if position < start:
                    raise CantRead("the receiver has more bytes than the file")
                if not ended:
                    # Of empty files, streams, holes at the end, and what the receiver has.
                    yield Block(number, position, digest=hasher.digest())
        except (CantRead, OSError) as error:
            yield Block(number, position, failure=reason(error))


def _count(piece: Piece, hasher: _Hash) -> int:
    """Add *piece* to the digest and return its length in bytes."""
    if isinstance(piece, int):
        for block in zeros(piece):
            hasher.update(block)
        return piece
    hasher.update(piece)
    return len(piece)
