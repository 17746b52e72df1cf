"""Read everything that a scan has listed, in its order, as blocks ready to be framed.

One file is open at a time and one block in memory. The digest of a file is computed while
it is read. A file that can't be read, or changes, is given up with a reason; the others
go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from dcsend.entry import Entry, Kind
from dcsend.files.folder import Identity
from dcsend.files.intake import zeros
from dcsend.files.manifest import SPARSE_MARGIN, Origin, Scan
from dcsend.files.reading import CantRead, Piece, open_reader, read_small

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["BLOCK_SIZE", "Block", "Source"]

BLOCK_SIZE: Final = 16 * 64936
"Bytes: 16 full frames, about 1 MiB; bigger blocks read no faster."


class Block(NamedTuple):
    """A piece of a file, or the news that it has been given up."""

    number: int
    "Place of the entry in the manifest, from 0."
    offset: int
    "Bytes from the start of the file."
    payload: bytes = b""
    "What is there; empty for a hole, a failure, and an end that is told on its own."
    hole: int = 0
    "Bytes of zeros there instead, at most 1 GiB."
    digest: bytes | None = None
    "SHA-256 of the whole file, with its last block."
    failure: str = ""
    "Why the file has been given up; this is then its last block."

    @property
    def is_whole(self) -> bool:
        """Whether it has all of its file."""
        return not self.offset and self.digest is not None


class Source:
    """All files, streams and texts of a scan.

    Args:
        scanned: what `scan` returned.
        block_size: bytes of a block at most; a multiple of a frame's payload.
    """

    def __init__(self, scanned: Scan, block_size: int = BLOCK_SIZE) -> None:
        self._scan = scanned
        self._block_size = block_size
        self._small = min(block_size, SPARSE_MARGIN - 1)
        "Bytes of a file that is read at once; it can't have holes worth telling."

    @property
    def entries(self) -> Sequence[Entry]:
        """The manifest."""
        return self._scan.entries

    def blocks(self, skip: Container[int], have: Mapping[int, int]) -> Iterator[Block]:
        """Yield the blocks of every file in order.

        Closing the iterator early closes the file that is open.

        Args:
            skip: numbers of the entries that the receiver does not want.
            have: number -> bytes that the receiver has already; they are read for the
                digest and not yielded.
        """
        for number, entry in enumerate(self._scan.entries):
            if entry.kind not in (Kind.FILE, Kind.TEXT) or number in skip:
                continue
            origin, start = self._scan.origins[number], have.get(number, 0)
            if entry.size is None or entry.size > self._small or start or type(origin) is not str:
                yield from self._file(number, entry, origin, start)
            else:
                yield _small(number, origin, entry, entry.size, self._scan.identity(number))

    def _file(self, number: int, entry: Entry, origin: Origin, start: int) -> Iterator[Block]:
        position = 0
        listed = self._scan.identity(number)
        hasher = hashlib.sha256()
        try:
            if entry.size is not None and start > entry.size:
                raise CantRead("the receiver has more of it than there is")
            with closing(open_reader(entry, origin, listed, self._block_size)) as reader:
                ended = False
                for piece in reader.pieces(start):
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
                    raise CantRead("the receiver has more of it than there is")
                if not ended:
                    # Empty, a stream, ended by a hole, or there already: all but the digest.
                    yield Block(number, position, digest=hasher.digest())
        except CantRead as error:
            yield Block(number, position, failure=str(error))


def _small(number: int, path: str, entry: Entry, size: int, listed: Identity) -> Block:
    """Return all of a file, for which the reader's pieces would be twice the work."""
    try:
        content = read_small(path, entry, size, listed)
    except CantRead as error:
        return Block(number, 0, failure=str(error))
    return Block(number, 0, content, digest=hashlib.sha256(content).digest())


def _count(piece: Piece, hasher: _Hash) -> int:
    """Put *piece* into the digest and return its length."""
    if isinstance(piece, int):
        for block in zeros(piece):
            hasher.update(block)
        return piece
    hasher.update(piece)
    return len(piece)
