r"""The journal of a part: the file that it belongs to, and digests of its beginning.

One JSON object per line. The first is the header; each of the others has an offset, and the SHA-256
of the bytes [0, offset) of the file. A run that continues a part adds lines whose digest is of the
bytes [from, offset), where `from` is the offset of the line before, until it has verified what it
found. To resume, a run continues at the offset of the last line, and verifies the digests of all
lines while it receives. So nothing has to be synced while the file is received, and a journal with
too many lines does no harm.

    {"v":1,"manifest":"3f…","path":"film.mkv","size":104857600,"mtime":1700000000000000}
    {"offset":8388608,"sha256":"9b…"}
    {"offset":16777216,"from":8388608,"sha256":"04…"}
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Final, NamedTuple, TypeGuard

from dcsend.entry import Entry
from dcsend.errors import DestinationError
from dcsend.files.disk import NONBLOCK, close_quietly, write_all
from dcsend.files.folder import Folder
from dcsend.files.names import JOURNAL_SUFFIX
from dcsend.printable import printable

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = [
    "INTERVAL",
    "MIN_SIZE",
    "Journal",
    "Point",
    "find_point",
    "find_points",
    "is_journal",
    "open_journal",
    "parse_points",
    "wants_journal",
]

VERSION: Final = 1
INTERVAL: Final = 8 << 20
"Bytes between two lines; at most so many are received again after an interruption."
MIN_SIZE: Final = 8 << 20
"Bytes; a smaller file is sent again faster than it is verified."
_MAX_HEADER: Final = 1 << 20
"Bytes of the first line; a path has 4096 bytes at most, and JSON needs up to six for each."
_MAX_LINE: Final = 256
"Bytes of each line after the first."
_TAIL: Final = 64 << 10
"Bytes at the end of a journal in which the line of a continued part is looked for first."
_MAX_JOURNAL: Final = 256 << 20
"Bytes; a longer file is not read as a journal. A journal of this size is of a file of 20 TB."


class Point(NamedTuple):
    """A line of a journal."""

    offset: int
    "Bytes from the start of the file."
    start: int
    "The digest is of the bytes [start, offset)."
    sha256: bytes
    end: int
    "Bytes of the journal to the end of this line."


def wants_journal(entry: Entry) -> bool:
    """Return whether a part of *entry* gets a journal."""
    return entry.size is None or entry.size >= MIN_SIZE


class Journal:
    """The journal of a part that is being written; made by `create` or `resume`.

    Args:
        folder: the folder of the part.
        name: the name of the journal.
        fd: of the journal, open for writing at its end; owned by this object.
        position: offset of its last line.
    """

    def __init__(self, folder: Folder, name: str, fd: int, position: int) -> None:
        self._folder = folder
        self._name = name
        self._fd = fd
        self._last = position
        self._next = _following(position)

    @classmethod
    def create(cls, folder: Folder, name: str, entry: Entry, manifest: str) -> Journal:
        """Create the journal of a new part. An old journal or link in its place is removed.

        Args:
            folder: the folder of the part.
            name: the final name of the file.
            entry: of the file; its path, size and time are in the first line.
            manifest: `manifest_id` of the whole manifest.

        Raises:
            OSError: the journal can't be created.
            DestinationError: a folder has its name.
        """
        journal_name = folder.beside(name, JOURNAL_SUFFIX)
        status = folder.lstat(journal_name)
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise DestinationError(
                f"{printable(journal_name)} is in the way: it is a folder",
                "move it away, then run it again",
            )
        folder.remove(journal_name)
        fd = folder.open(journal_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        journal = cls(folder, journal_name, fd, 0)
        file = {"path": entry.path, "size": entry.size, "mtime": entry.mtime}
        try:
            journal._write({"v": VERSION, "manifest": manifest, **file})
        except OSError:
            journal.discard()
            raise
        return journal

    @classmethod
    def resume(cls, folder: Folder, name: str, entry: Entry, position: int) -> Journal | None:
        """Open the journal of a part that is continued, and remove its lines after *position*.

        Args:
            folder: the folder of the part.
            name: the final name of the file.
            entry: of the file.
            position: offset of the line after which the part is continued.

        Returns:
            The journal; None if it has no such line for this file.

        Raises:
            OSError: it can't be opened.
        """
        journal_name = folder.beside(name, JOURNAL_SUFFIX)
        end = _find_end(folder, name, entry, position)
        if end is None:
            return None
        fd = folder.open(journal_name, os.O_WRONLY | NONBLOCK)
        try:
            if not is_journal(os.fstat(fd)):
                close_quietly(fd)
                return None
            os.ftruncate(fd, end)
            os.lseek(fd, end, os.SEEK_SET)
        except OSError:
            close_quietly(fd)
            raise
        return cls(folder, journal_name, fd, position)

    @property
    def descriptor(self) -> int:
        """The descriptor of the journal."""
        return self._fd

    def note(self, position: int, hasher: _Hash, start: int = 0) -> bool:
        """Write a line if *position* has passed the next multiple of `INTERVAL`.

        Args:
            position: bytes of the file that are written.
            hasher: of the bytes [start, position).
            start: 0, or the offset of the last line.

        Returns:
            Whether a line was written.
        """
        if position < self._next:
            return False
        self._point(position, hasher, start)
        self._next = _following(position)
        return True

    def keep(self, position: int, hasher: _Hash, start: int = 0) -> None:
        """Write a line for the end of the part, and close the journal, which stays; see `note`."""
        try:
            if position > self._last:
                self._point(position, hasher, start)
        finally:
            close_quietly(self._fd)

    def close(self) -> None:
        """Close the journal, which stays; lines past the end of the part are ignored."""
        close_quietly(self._fd)

    def discard(self) -> None:
        """Close and remove the journal; never raises."""
        close_quietly(self._fd)
        with contextlib.suppress(OSError):
            self._folder.remove(self._name)

    def _point(self, position: int, hasher: _Hash, start: int) -> None:
        line: dict[str, int | str | None] = {"offset": position}
        if start:
            line["from"] = start
        self._write({**line, "sha256": hasher.hexdigest()})
        self._last = position

    def _write(self, line: dict[str, int | str | None]) -> None:
        write_all(self._fd, json.dumps(line, separators=(",", ":")).encode() + b"\n")


def _following(position: int) -> int:
    return position - position % INTERVAL + INTERVAL


def is_journal(status: os.stat_result) -> bool:
    """Return whether *status* is of a file that can be a journal: not another name of a file."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_size <= _MAX_JOURNAL


def open_journal(folder: Folder, name: str) -> IO[bytes] | None:
    """Open the journal of the part of *name* to read it; None if there is none."""
    try:
        fd = folder.open(folder.beside(name, JOURNAL_SUFFIX), os.O_RDONLY | NONBLOCK)
    except OSError:
        return None
    try:
        if is_journal(os.fstat(fd)):
            return open(fd, "rb")
    except OSError:
        pass
    close_quietly(fd)
    return None


def find_point(folder: Folder, name: str, entry: Entry, size: int) -> Point | None:
    """Return the line at which the part of *name* can be continued.

    Args:
        folder: the folder of the part.
        name: the final name of the file.
        entry: of the file.
        size: bytes of the part.

    Returns:
        The last line with an offset of at most *size*; None if no journal of this file has one.
    """
    found: Point | None = None
    file = open_journal(folder, name)
    if file is None:
        return None
    with contextlib.suppress(OSError), file:
        for point in parse_points(file, entry):
            if point.offset > size:
                break
            found = point
    return found


def _find_end(folder: Folder, name: str, entry: Entry, position: int) -> int | None:
    """Return the bytes of the journal to the end of the line with an offset; None without one.

    The line is mostly one of the last, and the first new byte waits for this: all lines of a
    journal of 100 GB take 45 ms. They are read when the part is verified.
    """
    file = open_journal(folder, name)
    if file is None:
        return None
    with contextlib.suppress(OSError), file:
        head = file.readline(_MAX_HEADER)
        if not _is_header(_fields(head), entry):
            return None
        begin = max(len(head), os.fstat(file.fileno()).st_size - _TAIL)
        file.seek(begin)
        tail = file.read(_TAIL)
        at = tail.rfind(b'{"offset":%d,' % position)
        line = tail[at : tail.find(b"\n", at) + 1] if at >= 0 else b""
        fields = _fields(line)
        before = fields.get("from")
        if _point(fields, before if _is_number(before) else 0, 0) is not None:
            return begin + at + len(line)
    point = find_point(folder, name, entry, position)
    return None if point is None or point.offset != position else point.end


def find_points(folder: Folder, name: str, entry: Entry, size: int) -> Sequence[Point]:
    """Return lines with digests of whole beginnings, and at the end the one of `find_point`.

    The offset of each is at least eight times that of the line before.
    """
    found: list[Point] = []
    last: Point | None = None
    whole: Point | None = None
    file = open_journal(folder, name)
    if file is None:
        return ()
    with contextlib.suppress(OSError), file:
        for point in parse_points(file, entry):
            if point.offset > size:
                break
            last = point
            if not point.start:
                whole = point
                if not found or point.offset >= 8 * found[-1].offset:
                    found.append(point)
    if last is None:
        return ()
    if whole is not None and whole is not found[-1]:
        found.append(whole)
    return found if found and last is found[-1] else [*found, last]


def parse_points(file: IO[bytes], entry: Entry) -> Iterator[Point]:
    """Yield the lines of a journal up to the first that is incomplete or invalid.

    Yields nothing if the first line is not the header of *entry*: same path, size and time. Any
    bytes may be in the file.

    Raises:
        OSError: it can't be read.
    """
    first = file.readline(_MAX_HEADER)
    if not _is_header(_fields(first), entry):
        return
    end, offset = len(first), 0
    while line := file.readline(_MAX_LINE):
        end += len(line)
        point = _point(_fields(line), offset, end)
        if point is None or (entry.size is not None and point.offset > entry.size):
            return
        offset = point.offset
        yield point


def _fields(line: bytes) -> dict[str, object]:
    if not line.endswith(b"\n"):
        return {}  # incomplete: the run was interrupted
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _is_header(fields: dict[str, object], entry: Entry) -> bool:
    size, mtime = fields.get("size"), fields.get("mtime")
    return (
        fields.get("v") == VERSION
        and fields.get("path") == entry.path
        and (size is None or _is_number(size))
        and size == entry.size
        and (mtime is None or _is_number(mtime))
        and mtime == entry.mtime
    )


def _point(fields: dict[str, object], before: int, end: int) -> Point | None:
    """Return a line; None if it is invalid, or does not follow a line with offset *before*."""
    offset, start, sha256 = fields.get("offset"), fields.get("from", 0), fields.get("sha256")
    if not _is_number(offset) or offset <= before or not isinstance(sha256, str):
        return None
    if not _is_number(start) or start not in (0, before):
        return None
    try:
        digest = bytes.fromhex(sha256)
    except ValueError:
        return None
    return Point(offset, start, digest, end) if len(digest) == 32 else None


def _is_number(value: object) -> TypeGuard[int]:
    return type(value) is int  # and not a bool, which is an int too
