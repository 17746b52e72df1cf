"""Read one thing that is sent: a file, a stream or a text, block by block.

Each reader yields pieces and keeps no more than one in memory. A file that changes while
it is read is given up: what would arrive was never the file at any moment.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from typing import BinaryIO, Final, Protocol, TypeAlias

from dcsend.entry import Entry
from dcsend.files.folder import Identity, identity
from dcsend.files.listed import NOWHERE, Replaced, open_listed
from dcsend.files.manifest import SPARSE_MARGIN, Origin

__all__ = ["MAX_HOLE", "MIN_HOLE", "CantRead", "Piece", "Reader", "open_reader", "read_small"]

MIN_HOLE: Final = 64 << 10
"Bytes; a shorter run of zeros is read like anything else."
MAX_HOLE: Final = 1 << 30
"Bytes of one hole in the protocol; a longer one is sent as several."

_SHORTER: Final = "became shorter while it was sent"
_LONGER: Final = "is longer than its size says"
"As in /proc, and on some FUSE drives: the size is not to be trusted."

Piece: TypeAlias = bytes | int
"Bytes of the file, or the length of a hole."


class CantRead(Exception):
    """A source has to be given up; the text is the reason, for both sides to see."""


class Reader(Protocol):
    """One open source."""

    def pieces(self, start: int) -> Iterator[Piece]:
        """Yield the content from byte 0; before *start* the blocks end exactly there.

        Raises:
            CantRead: it has to be given up.
        """

    def close(self) -> None:
        """Let go of it."""


def open_reader(entry: Entry, origin: Origin, listed: Identity, block_size: int) -> Reader:
    """Open what *entry* was listed from.

    Args:
        entry: as it is in the manifest.
        origin: where its content is.
        listed: device and inode of what is there, as the scan saw them.
        block_size: bytes read at once.

    Raises:
        CantRead: it has vanished, may not be read, or is something else by now.
    """
    if isinstance(origin, bytes):
        return TextReader(origin, block_size)
    if not isinstance(origin, str):
        return StreamReader(origin, block_size)
    try:
        if entry.size is None:
            return StreamReader(_open_stream(origin, listed), block_size, owned=True)
        return FileReader(origin, entry, listed, block_size)
    except OSError as error:
        raise CantRead(_reason(error)) from None


class TextReader:
    """A text in memory."""

    def __init__(self, content: bytes, block_size: int) -> None:
        self._content = content
        self._block_size = block_size

    def pieces(self, start: int) -> Iterator[Piece]:
        """Yield the text; see `Reader.pieces`."""
        for first, last in ((0, start), (start, len(self._content))):
            for offset in range(first, last, self._block_size):
                yield self._content[offset : min(offset + self._block_size, last)]

    def close(self) -> None:
        """Do nothing."""


class StreamReader:
    """A stream whose end nobody knows before it is there.

    Args:
        stream: read as it comes, so that what was written on its other end is not held
            back until a block is full.
        block_size: bytes asked for at most at once.
        owned: close it at the end.
    """

    def __init__(
        self, stream: BinaryIO | io.FileIO, block_size: int, *, owned: bool = False
    ) -> None:
        self._stream = stream
        self._block_size = block_size
        self._owned = owned

    def pieces(self, start: int) -> Iterator[Piece]:
        """Yield what comes; see `Reader.pieces`."""
        # A buffered stream's read() waits until all is there; read1() does not.
        read = getattr(self._stream, "read1", self._stream.read)
        position = 0
        while True:
            room = self._block_size
            if position < start:
                room = min(room, start - position)
            try:
                piece = read(room)
            except (OSError, ValueError) as error:
                raise CantRead(_reason(error)) from None
            if piece is None:
                raise CantRead("has nothing to read yet and does not wait")
            if not piece:
                return
            position += len(piece)
            yield bytes(piece)

    def close(self) -> None:
        """Close the stream if it was opened here."""
        if self._owned:
            self._stream.close()


class FileReader:
    """A file of known size, with its holes where the system shows them.

    Args:
        path: where it was listed.
        entry: as announced to the receiver; its size is known.
        listed: device and inode, as the scan saw them.
        block_size: bytes read at once.

    Raises:
        CantRead: it is something else by now, or has another size or time.
        OSError: it can't be opened.
    """

    def __init__(self, path: str, entry: Entry, listed: Identity, block_size: int) -> None:
        size = self._size = entry.size or 0
        self._block_size = block_size
        self._fd, self._before = open_listed(path, entry.path.count("/"), listed)
        try:
            _check_listed(self._before, size, entry.mtime)
        except CantRead:
            self.close()
            raise
        blocks: int = getattr(self._before, "st_blocks", size)
        self._sparse = hasattr(os, "SEEK_HOLE") and blocks * 512 + SPARSE_MARGIN <= size
        self._hole: tuple[int, int] = (0, 0)
        "The last hole found: its start and its end."

    def pieces(self, start: int) -> Iterator[Piece]:
        """Yield the content; see `Reader.pieces`."""
        position = 0
        while position < self._size:
            limit = start if position < start else self._size
            piece = self._piece(position, limit)
            position += piece if isinstance(piece, int) else len(piece)
            if position >= self._size:
                # Before the last piece goes out, or the receiver would call it complete.
                self._check_unchanged()
            yield piece
        if not self._size:
            self._check_unchanged()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _piece(self, position: int, limit: int) -> Piece:
        """Return what is at *position*, at most to *limit*."""
        end = limit
        if self._sparse:
            first, last = self._find_hole(position)
            if first <= position < last:
                return min(last, limit, position + MAX_HOLE) - position
            end = min(limit, first)
        try:
            piece = os.read(self._fd, min(self._block_size, end - position))
        except OSError as error:
            raise CantRead(_reason(error)) from None
        if not piece:
            raise CantRead(_SHORTER)
        return piece

    def _find_hole(self, position: int) -> tuple[int, int]:
        """Return the hole at *position*, or the next one; (size, size) if there is none."""
        if position < self._hole[1]:
            return self._hole
        first = position
        try:
            while first < self._size:
                first = min(os.lseek(self._fd, first, os.SEEK_HOLE), self._size)
                last = self._data_after(first)
                if last - first >= MIN_HOLE:
                    break
                first = last
            else:
                first = last = self._size
        except OSError:
            self._sparse = False  # this file system does not tell after all
            first = last = self._size
        self._hole = (first, last)
        # Reading goes on behind the hole, or where it stood.
        os.lseek(self._fd, last if first <= position else position, os.SEEK_SET)
        return self._hole

    def _data_after(self, position: int) -> int:
        try:
            return min(os.lseek(self._fd, position, os.SEEK_DATA), self._size)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return self._size
            raise

    def _check_unchanged(self) -> None:
        try:
            if self._hole[1]:
                # Looking for holes has moved the place where reading goes on.
                os.lseek(self._fd, self._size, os.SEEK_SET)
            more = os.read(self._fd, 1)
        except OSError as error:
            raise CantRead(_reason(error)) from None
        _check_same(self._fd, self._before)
        if more:
            raise CantRead(_LONGER)


def read_small(path: str, entry: Entry, size: int, listed: Identity) -> bytes:
    """Return all of a file that is not sparse, and too small to be read in pieces.

    Args:
        path: as of a `FileReader`, like the others.
        entry: as announced to the receiver.
        size: its bytes; fewer than `SPARSE_MARGIN`.
        listed: device and inode, as the scan saw them.

    Raises:
        CantRead: it can't be opened or read, has changed, or changes meanwhile.
    """
    try:
        fd, before = open_listed(path, entry.path.count("/"), listed)
        try:
            _check_listed(before, size, entry.mtime)
            # One byte more than there should be: that there is none has to be seen, too.
            content = os.read(fd, size + 1)
            while len(content) < size and (more := os.read(fd, size + 1 - len(content))):
                content += more
            if len(content) < size:
                raise CantRead(_SHORTER)
            _check_same(fd, before)
        finally:
            os.close(fd)
    except OSError as error:
        raise CantRead(_reason(error)) from None
    if len(content) > size:
        raise CantRead(_LONGER)
    return content


def _open_stream(path: str, listed: Identity) -> io.FileIO:
    """Open a pipe or a device that was named: waiting for its other end is right."""
    stream = io.FileIO(path)
    try:
        status = os.fstat(stream.fileno())
        # Where /dev/fd is no folder of links, what it opens is another thing than what it lists.
        same = sys.platform != "linux" or listed in (NOWHERE, identity(status))
        if stat.S_ISREG(status.st_mode) or not same:
            raise CantRead("was replaced before it was sent")
    except BaseException:
        stream.close()
        raise
    return stream


def _check_listed(status: os.stat_result, size: int, mtime: int | None) -> None:
    """Refuse an open file that is not as it was listed."""
    if not stat.S_ISREG(status.st_mode):
        raise CantRead("is not a file any more")
    changed = mtime is not None and status.st_mtime_ns // 1000 != mtime
    if changed or status.st_size != size:
        raise CantRead("changed before it was sent")


def _check_same(fd: int, before: os.stat_result) -> None:
    after = os.fstat(fd)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise CantRead("changed while it was sent")


def _reason(error: OSError | ValueError) -> str:
    """Say why a source can't be read, in words for both sides."""
    if isinstance(error, FileNotFoundError):
        return "vanished before it was sent"
    if isinstance(error, Replaced):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "was replaced by a symbolic link"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return "can't be read"
