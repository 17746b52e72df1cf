"""Readers of files, streams and texts that are sent, block by block.

A reader yields pieces, of which at most one is in memory. A file that changes while it is read is
given up, because the receiver would get a mixture of two versions.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import BinaryIO, Final, Protocol, TypeAlias

from dcsend.entry import Entry
from dcsend.files.disk import close_quietly
from dcsend.files.folder import Identity, identity
from dcsend.files.holes import MAX_HOLE, Holes
from dcsend.files.journal import Point
from dcsend.files.manifest import Origin
from dcsend.files.shared import Common
from dcsend.files.trailing import Trailing
from dcsend.files.verified_open import NOWHERE, FileReplaced, OpenListed
from dcsend.printable import system_reason

__all__ = [
    "CantRead",
    "Piece",
    "Reader",
    "open_reader",
    "reason",
]

_SHORTER: Final = "became shorter while it was sent"
_LONGER: Final = "is longer than its listed size"
"For files in /proc and on some FUSE file systems, whose size is wrong."

Piece: TypeAlias = bytes | int
"Bytes of the file, or the length of a hole."


class CantRead(Exception):
    """A source is given up; the text is the reason, which is shown on both sides."""


class Reader(Protocol):
    """One open source."""

    @property
    def common(self) -> Common | None:
        """What it shares with the readers of other receivers; None for nothing."""

    def pieces(self, start: int) -> Iterator[Piece]:
        """Yield the content from byte 0; a piece that begins before *start* ends there or before.

        A reader with `trailing` yields it from *start*.

        Raises:
            CantRead: the source is given up.
            OSError: it can't be read.
        """

    def again(self, start: int, end: int) -> Iterator[Piece]:
        """Yield the bytes [start, end), instead of `pieces`.

        Raises:
            CantRead: the source has changed, or can't be read twice.
            OSError: it can't be read.
        """

    def trailing(self, start: int, points: Sequence[Point]) -> Trailing | None:
        """Return what hashes the bytes before *start* and those that follow, behind this reader.

        Args:
            start: bytes that the receiver has.
            points: digests of some of them.

        Returns:
            None for a source that can't be read twice.

        Raises:
            CantRead: the source is given up.
            OSError: it can't be opened.
        """

    def close(self) -> None:
        """Close the source; never raises, because the content has been read."""


def open_reader(
    entry: Entry,
    origin: Origin,
    listed: Identity,
    block_size: int,
    open_file: OpenListed,
    common: Callable[[os.stat_result], Common] | None = None,
) -> Reader:
    """Open the source of *entry*.

    Args:
        entry: as it is in the manifest.
        origin: path, stream or text.
        listed: device and inode that the scan found.
        block_size: bytes read at once.
        open_file: opens a file.
        common: returns what the reader of a file shares with others; None if it shares nothing.

    Raises:
        CantRead: it has been replaced since.
        OSError: it does not exist any more, or may not be read.
    """
    if isinstance(origin, bytes):
        return TextReader(origin, block_size)
    if not isinstance(origin, str):
        return StreamReader(origin, block_size)
    if entry.size is None:
        return StreamReader(_open_stream(origin, listed), block_size, owned=True)
    return FileReader(origin, entry, listed, block_size, open_file, common)


class TextReader:
    """A text in memory."""

    common: Final = None

    def __init__(self, content: bytes, block_size: int) -> None:
        self._content = content
        self._block_size = block_size

    def pieces(self, start: int) -> Iterator[Piece]:
        """Yield the text; see `Reader.pieces`."""
        for first, last in ((0, start), (start, len(self._content))):
            for offset in range(first, last, self._block_size):
                yield self._content[offset : min(offset + self._block_size, last)]

    def again(self, start: int, end: int) -> Iterator[Piece]:
        """Yield the bytes [start, end)."""
        yield self._content[start:end]

    def trailing(self, start: int, points: Sequence[Point]) -> Trailing | None:
        """Return None: a text is short."""

    def close(self) -> None:
        """Do nothing."""


class StreamReader:
    """A stream of unknown length.

    Args:
        stream: read without waiting until a block is full.
        block_size: maximum bytes of a read.
        owned: whether `close` closes the stream.
    """

    common: Final = None

    def __init__(
        self, stream: BinaryIO | io.FileIO, block_size: int, *, owned: bool = False
    ) -> None:
        self._stream = stream
        self._block_size = block_size
        self._owned = owned

    def pieces(self, start: int) -> Iterator[Piece]:
        """Yield available bytes until the end; see `Reader.pieces`."""
        # read() of a buffered stream waits for all the bytes; read1() does not.
        read = getattr(self._stream, "read1", self._stream.read)
        position = 0
        while True:
            room = self._block_size
            if position < start:
                room = min(room, start - position)
            try:
                piece = read(room)
            except ValueError:
                raise CantRead("can't be read") from None  # the stream is closed
            if piece is None:
                raise CantRead("is non-blocking and has no data yet")
            if not piece:
                return
            position += len(piece)
            yield bytes(piece)

    def again(self, start: int, end: int) -> Iterator[Piece]:
        """Raise: a stream is read once."""
        raise CantRead("can't be read again")

    def trailing(self, start: int, points: Sequence[Point]) -> Trailing | None:
        """Return None: a stream is read once."""

    def close(self) -> None:
        """Close the stream if it is owned."""
        if self._owned:
            with contextlib.suppress(OSError):
                self._stream.close()


class FileReader:
    """A file of known size, with its holes where the system shows them.

    Args:
        path: of the scan.
        entry: as announced to the receiver, with its size.
        listed: device and inode that the scan found.
        block_size: bytes read at once.
        open_file: opens it.
        common: as for `open_reader`.

    Raises:
        CantRead: it has been replaced, or has another size or time.
        OSError: it can't be opened.
    """

    def __init__(
        self,
        path: str,
        entry: Entry,
        listed: Identity,
        block_size: int,
        open_file: OpenListed,
        common: Callable[[os.stat_result], Common] | None = None,
    ) -> None:
        size = self._size = entry.size or 0
        self._block_size = block_size
        self._open = partial(open_file, path, entry.path.count("/"), listed)
        self._fd, self._before = self._open()
        try:
            _check_listed(self._before, size, entry.mtime)
        except CantRead:
            self.close()
            raise
        self._holes = Holes(self._fd, size, self._before)
        self.common = common(self._before) if common is not None else None

    def pieces(self, start: int) -> Iterator[Piece]:
        """Yield the content from *start*; see `Reader.pieces`."""
        position = start
        if start:
            os.lseek(self._fd, start, os.SEEK_SET)
        while position < self._size:
            piece = self._piece(position, self._size)
            is_hole = isinstance(piece, int)
            position += piece if isinstance(piece, int) else len(piece)
            if position >= self._size:
                # Before the last piece is yielded, so that a changed file is never sent completely.
                self._check_end(longer=self._has_more() if is_hole else position > self._size)
            yield piece
        if start >= self._size:
            self._check_end(longer=self._has_more())

    def again(self, start: int, end: int) -> Iterator[Piece]:
        """Yield the bytes [start, end); see `Reader.again`."""
        position = os.lseek(self._fd, start, os.SEEK_SET)
        while position < end:
            piece = self._piece(position, end)
            if not isinstance(piece, int):
                piece = piece[: end - position]  # one more byte is read at the end of the file
            position += piece if isinstance(piece, int) else len(piece)
            self._check_end(longer=False)
            yield piece

    def trailing(self, start: int, points: Sequence[Point]) -> Trailing | None:
        """Open the file a second time; see `Reader.trailing`."""
        if not start:
            return None
        fd, status = self._open()
        try:
            before = self._before
            if (identity(status), status.st_mtime_ns) != (identity(before), before.st_mtime_ns):
                raise CantRead("changed before it was sent")
            return Trailing(fd, self._size, (point for point in points))
        except BaseException:
            close_quietly(fd)
            raise

    def close(self) -> None:
        """Close the file; see `Reader.close`."""
        close_quietly(self._fd)

    def _piece(self, position: int, end: int) -> Piece:
        """Return what is at *position*, at most to *end*."""
        if self._holes.sparse:
            first, last = self._holes.at(position)
            if first <= position < last:
                return min(last, end, position + MAX_HOLE) - position
            end = min(end, first)
        length = min(self._block_size, end - position)
        if self.common is not None:
            # Blocks of all readers begin at the same places.
            length = min(length, self._block_size - position % self._block_size)
        # At the end one more byte is requested, to detect a file that has grown.
        piece = self._read(position, length + (position + length == self._size))
        if not piece:
            raise CantRead(_SHORTER)
        return piece

    def _read(self, position: int, length: int) -> bytes:
        if self.common is None:
            return os.read(self._fd, length)
        piece, is_read = self.common.read(position, length, partial(os.read, self._fd))
        if not is_read:
            os.lseek(self._fd, position + len(piece), os.SEEK_SET)
        return piece

    def _has_more(self) -> bool:
        """Return whether there is content after the listed size."""
        os.lseek(self._fd, self._size, os.SEEK_SET)
        return os.read(self._fd, 1) != b""

    def _check_end(self, *, longer: bool) -> None:
        after, before = os.fstat(self._fd), self._before
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise CantRead("changed while it was sent")
        if longer:
            raise CantRead(_LONGER)


def _open_stream(path: str, listed: Identity) -> io.FileIO:
    """Open a pipe or a device of a scan; waits for a writer of a pipe."""
    stream = io.FileIO(path)
    try:
        status = os.fstat(stream.fileno())
        # Except on Linux, an entry of /dev/fd and the file that it opens have different inodes.
        same = sys.platform != "linux" or listed in (NOWHERE, identity(status))
        if stat.S_ISREG(status.st_mode) or not same:
            raise CantRead("was replaced before it was sent")
    except BaseException:
        with contextlib.suppress(OSError):
            stream.close()
        raise
    return stream


def _check_listed(status: os.stat_result, size: int, mtime: int | None) -> None:
    """Refuse an open file that differs from the listed one."""
    if not stat.S_ISREG(status.st_mode):
        raise CantRead("is not a file any more")
    changed = mtime is not None and status.st_mtime_ns // 1000 != mtime
    if changed or status.st_size != size:
        raise CantRead("changed before it was sent")


def reason(error: CantRead | OSError) -> str:
    """Return the reason why a source is given up, which is shown on both sides."""
    if isinstance(error, CantRead):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "vanished before it was sent"
    if isinstance(error, FileReplaced):
        return str(error)
    if error.errno == errno.ELOOP:
        return "was replaced by a symbolic link"
    return system_reason(error, "can't be read")
