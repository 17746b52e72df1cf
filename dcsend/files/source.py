"""Reading the files of a scan, in its order, as blocks for the protocol.

One file is open and one block is in memory at a time. The digest of a file is computed while it is
read. A file that can't be read, or changes, is given up with a reason; the others continue.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Container, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Final, NamedTuple

from dcsend.entry import Entry, Kind
from dcsend.files.intake import zeros
from dcsend.files.journal import Point
from dcsend.files.manifest import Origin, Scan
from dcsend.files.reading import CantRead, Piece, Reader, open_reader, reason
from dcsend.files.shared import Share, SharedDigest
from dcsend.files.trailing import Changed, Checked, Trailing
from dcsend.files.verified_open import OpenListed, open_listed

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
    restart: bool = False
    "Whether the receiver has a part of another file: the blocks begin again, or it is given up."

    @property
    def is_whole(self) -> bool:
        """Whether the block contains the whole file."""
        return not self.offset and self.digest is not None


class Differs(CantRead):
    """The receiver has a part of another stream."""


class _Digest:
    """The digest of a file whose beginning may be hashed behind its reader.

    Args:
        start: bytes that the receiver has.
        trailing: hashes them and compares *points*; None if the reader yields them.
        points: digests of some of them.
        learn: called with the digest of the file; None if it is of no use to others.
    """

    def __init__(
        self,
        start: int,
        trailing: Trailing | None,
        points: Sequence[Point],
        learn: Callable[[bytes], None] | None,
    ) -> None:
        self._points = deque(points)
        self.position = 0 if trailing is None else start
        "Bytes of the file that are read."
        self._start = start
        self._trailing = trailing
        self._trails = trailing is not None
        self._hasher = hashlib.sha256() if trailing is None else None
        self._learn = learn
        self.returned = False
        "Whether `finish` has returned the digest."

    def add(self, piece: Piece) -> None:
        """Add the next piece.

        Raises:
            Changed: a digest of what the receiver has differs.
            Differs: the same, of a source that can't be read again.
        """
        if self._trailing is not None:
            self._hasher = self._trailing.catch_up(self.position)
            if self._hasher is not None:
                self._trailing = None
        before = self.position
        self.position += piece if isinstance(piece, int) else len(piece)
        if self._hasher is None:
            return
        if isinstance(piece, int):
            for block in zeros(piece):
                self._hasher.update(block)
            return
        rest = memoryview(piece)
        while not self._trails and self._points and self._points[0].offset <= self.position:
            point = self._points.popleft()
            self._hasher.update(rest[: point.offset - before])
            rest, before = rest[point.offset - before :], point.offset
            if self._hasher.digest() != point.sha256:
                raise Differs("differs from the beginning that the receiver has")
        self._hasher.update(rest)

    @property
    def is_known(self) -> bool:
        """Whether `finish` does not wait."""
        return self._trailing is None

    def finish(self, wanted: Callable[[], bool] = lambda: True) -> bytes | None:
        """Return the digest of what is read; None if it was not wanted any more."""
        if self._trailing is not None:
            self._hasher = self._trailing.finish(self.position, wanted)
            self._trailing = None
        if self._hasher is None:
            return None
        self.returned = True
        digest = self._hasher.digest()
        if self._learn is not None:
            self._learn(digest)
        return digest

    @property
    def checked(self) -> tuple[int, int] | None:
        """How many bytes that the receiver has are hashed, and how many there are; else None."""
        if not self._trails:
            return None
        trailing, start = self._trailing, self._start
        return (start if trailing is None else min(trailing.position, start)), start

    def close(self) -> None:
        """End the thread."""
        if self._trailing is not None:
            self._trailing.close()


class FileSource:
    """All files, streams and texts of a scan.

    Args:
        scanned: what `scan` returned.
        block_size: maximum bytes of a block; a multiple of the payload of a frame.
        open_file: opens a file that was listed.
        share: what is shared with the sources of other receivers; None for nothing.
    """

    def __init__(
        self,
        scanned: Scan,
        block_size: int = BLOCK_SIZE,
        open_file: OpenListed = open_listed,
        share: Share | None = None,
    ) -> None:
        self._scan = scanned
        self._block_size = block_size
        self._open_file = open_file
        self._share = share
        self._digest: tuple[Entry, _Digest | SharedDigest] | None = None
        "Entry and hasher of the file that is read."

    def close(self) -> None:
        """End the use of what is shared; idempotent."""
        if self._share is not None:
            self._share.close()

    @property
    def checking(self) -> Checked | None:
        """How much of what the receiver has is hashed, while that is done; for another thread."""
        current = self._digest
        if current is None:
            return None
        entry, digest = current
        checked = digest.checked
        return None if checked is None else Checked(entry.path, *checked)

    @property
    def entries(self) -> Sequence[Entry]:
        """The manifest."""
        return self._scan.entries

    def blocks(
        self,
        skip: Container[int],
        have: Mapping[int, int],
        due: Callable[[], int] = lambda: 0,
        digests: Sequence[tuple[int, int, str]] = (),
    ) -> Iterator[Block]:
        """Yield the blocks of every file in order.

        Closing the iterator early closes the file that is open.

        Args:
            skip: numbers of the entries that are not read.
            have: for some entries, the bytes that the receiver has. They are not yielded: those of
                a stream are read first, those of a file behind the others, for the digest.
            due: called for each block; returns the number of the file to send next. Files before
                it are not read any further.
            digests: number of a file in *have*, an offset, and the SHA-256 of the bytes that the
                receiver has before it, in hex. If the file has others, its blocks begin again.
        """
        points: dict[int, list[Point]] = {}
        for number, at, sha256 in digests:
            points.setdefault(number, []).append(Point(at, 0, bytes.fromhex(sha256), 0))
        for number, entry in enumerate(self._scan.entries):
            if entry.kind not in (Kind.FILE, Kind.TEXT) or number in skip:
                continue
            start, origin = have.get(number, 0), self._scan.origins[number]
            try:
                yield from self._file(number, entry, origin, start, due, points.get(number, ()))
            except Changed:
                yield Block(number, start, restart=True)
                yield from self._file(number, entry, origin, 0, due, ())

    def again(self, number: int, start: int, end: int) -> Generator[bytes | int, None, None]:
        """Yield bytes of a file that were sent before: content, or the lengths of holes.

        May run in another thread than `blocks`.

        Args:
            number: of the entry.
            start: offset of the first byte.
            end: offset of the byte after the last.

        Raises:
            CantRead: the file has changed since the scan, or can't be read twice.
            OSError: it can't be read.
        """
        entry, origin = self._scan.entries[number], self._scan.origins[number]
        if entry.size is None:
            raise CantRead("can't be read again")  # opening it could wait
        listed = self._scan.identity(number)
        opened = open_reader(entry, origin, listed, self._block_size, self._open_file)
        with closing(opened) as reader:
            yield from reader.again(start, end)

    def _file(
        self,
        number: int,
        entry: Entry,
        origin: Origin,
        start: int,
        due: Callable[[], int],
        points: Sequence[Point],
    ) -> Iterator[Block]:
        """Yield the blocks of one file.

        Raises:
            Changed: the bytes before *start* are not those of *points*.
        """
        position = 0
        listed = self._scan.identity(number)
        try:
            if entry.size is not None and start > entry.size:
                raise CantRead("the receiver has more bytes than the file")
            opened = open_reader(
                entry,
                origin,
                listed,
                self._block_size,
                self._open_file,
                partial(self._share.file, number) if self._share is not None else None,
            )
            with closing(opened) as reader, self._hashing(entry, reader, start, points) as digest:
                for block in _blocks(number, entry, reader.pieces(start), start, digest):
                    position = digest.position
                    if number < due():
                        return
                    if block is not None:
                        yield block
                if digest.position < start:
                    raise Differs("the receiver has more bytes than the file")
                if not digest.returned:
                    # Of empty files, streams, holes at the end, and what the receiver has.
                    value = digest.finish(lambda: number >= due())
                    if value is not None:
                        yield Block(number, digest.position, digest=value)
        except (CantRead, OSError) as error:
            # The part is of no use, and the content can't be produced again.
            restart = isinstance(error, Differs)
            yield Block(number, position, failure=reason(error), restart=restart)

    @contextmanager
    def _hashing(
        self, entry: Entry, reader: Reader, start: int, points: Sequence[Point]
    ) -> Iterator[_Digest | SharedDigest]:
        common = reader.common
        shared = None if common is None else common.digest(start, points)
        learn = None if common is None else partial(common.learn, points=points)
        with closing(
            shared or _Digest(start, reader.trailing(start, points), points, learn)
        ) as digest:
            self._digest = (entry, digest)
            try:
                yield digest
            finally:
                self._digest = None


def _blocks(
    number: int,
    entry: Entry,
    pieces: Iterator[Piece],
    start: int,
    digest: _Digest | SharedDigest,
) -> Iterator[Block | None]:
    """Yield the blocks of a file; None for a piece that the receiver has."""
    for piece in pieces:
        offset = digest.position
        digest.add(piece)
        if digest.position <= start:
            yield None
        elif isinstance(piece, int):
            yield Block(number, offset, hole=piece)
        else:
            ends = digest.position == entry.size and digest.is_known
            yield Block(number, offset, piece, digest=digest.finish() if ends else None)
