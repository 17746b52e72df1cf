r"""The journal of a part: the file that it belongs to, and digests of its beginning.

One JSON object per line. The first is the header; each of the others has the SHA-256 of the bytes
[0, offset) of the file. To resume, a run reads the part once, computes the digest, and continues at
the last offset whose digest matches. So nothing has to be synced while the file is received, and a
journal with too many lines does no harm.

    {"v":1,"manifest":"3f…","path":"film.mkv","size":104857600,"mtime":1700000000000000}
    {"offset":8388608,"sha256":"9b…"}
    {"offset":16777216,"sha256":"04…"}
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeGuard

from dcsend.entry import Entry
from dcsend.files.disk import BINARY, CLOEXEC, NOFOLLOW, NONBLOCK, close_quietly
from dcsend.files.folder import Folder
from dcsend.files.names import JOURNAL_SUFFIX

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = [
    "INTERVAL",
    "MIN_SIZE",
    "Journal",
    "JournalHeader",
    "JournalRecord",
    "parse_journal",
    "read_journal",
    "wants_journal",
]

VERSION: Final = 1
INTERVAL: Final = 8 << 20
"Bytes between two lines; at most so many are received again after an interruption."
MIN_SIZE: Final = 8 << 20
"Bytes; a smaller file is sent again faster than it is verified."
_MAX_JOURNAL: Final = 256 << 20
"Bytes; a longer file is not read as a journal. A journal of this size is of a file of 20 TB."


@dataclass(frozen=True, slots=True)
class JournalHeader:
    """The file to which a part belongs."""

    manifest: str
    "`manifest_id` of the whole manifest."
    path: str
    "The path of the entry, as the peer has sent it."
    size: int | None
    "Bytes; None for a stream."
    mtime: int | None
    "Microseconds since 1970-01-01 UTC."


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """The content of a journal."""

    header: JournalHeader
    points: tuple[tuple[int, bytes], ...]
    "Ascending offsets, each with the SHA-256 of the bytes before it."


def wants_journal(entry: Entry) -> bool:
    """Return whether a part of *entry* gets a journal."""
    return entry.size is None or entry.size >= MIN_SIZE


class Journal:
    """The journal of a part that is being written.

    Args:
        folder: the folder of the part.
        name: the final name of the file.
        header: the first line.

    Raises:
        OSError: the journal can't be created. An old journal or link in its place is removed.
    """

    def __init__(self, folder: Folder, name: str, header: JournalHeader) -> None:
        self._folder = folder
        self._name = folder.beside(name, JOURNAL_SUFFIX)
        self._next = INTERVAL
        self._last = 0
        folder.remove(self._name)
        self._fd = folder.open(self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            self._write(
                {
                    "v": VERSION,
                    "manifest": header.manifest,
                    "path": header.path,
                    "size": header.size,
                    "mtime": header.mtime,
                }
            )
        except OSError:
            self.discard()
            raise

    def note(self, position: int, hasher: _Hash) -> None:
        """Write a line if *position* has passed the next multiple of `INTERVAL`."""
        if position >= self._next:
            self._point(position, hasher)
            self._next = position - position % INTERVAL + INTERVAL

    def keep(self, position: int, hasher: _Hash) -> None:
        """Write a line for the end of the part, and close the journal, which stays."""
        try:
            if position > self._last:
                self._point(position, hasher)
        finally:
            close_quietly(self._fd)

    def discard(self) -> None:
        """Close and remove the journal; never raises."""
        close_quietly(self._fd)
        with contextlib.suppress(OSError):
            self._folder.remove(self._name)

    def _point(self, position: int, hasher: _Hash) -> None:
        self._write({"offset": position, "sha256": hasher.hexdigest()})
        self._last = position

    def _write(self, line: dict[str, int | str | None]) -> None:
        os.write(self._fd, json.dumps(line, separators=(",", ":")).encode() + b"\n")


def read_journal(path: Path) -> JournalRecord | None:
    """Read a journal from the disk.

    Returns:
        Its content, up to the first incomplete or invalid line; None if there is no journal with a
        valid header.
    """
    try:
        fd = os.open(path, os.O_RDONLY | NOFOLLOW | NONBLOCK | CLOEXEC | BINARY)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_JOURNAL:
            return None
        with open(fd, "rb", closefd=False) as file:
            return parse_journal(file)
    except OSError:
        return None
    finally:
        close_quietly(fd)


def parse_journal(lines: Iterable[bytes]) -> JournalRecord | None:
    """Parse the lines of a journal; see `read_journal`."""
    header: JournalHeader | None = None
    points: list[tuple[int, bytes]] = []
    for line in lines:
        fields = _fields(line)
        if header is None:
            header = None if fields is None else _header(fields)
            if header is None:
                return None
            continue
        point = None if fields is None else _point(fields)
        if point is None or (points and point[0] <= points[-1][0]):
            break
        points.append(point)
    return None if header is None else JournalRecord(header, tuple(points))


def _fields(line: bytes) -> dict[str, object] | None:
    if not line.endswith(b"\n"):
        return None  # incomplete: the run was interrupted
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _header(fields: dict[str, object]) -> JournalHeader | None:
    manifest, path = fields.get("manifest"), fields.get("path")
    if fields.get("v") != VERSION or not isinstance(manifest, str) or not isinstance(path, str):
        return None
    size, mtime = fields.get("size"), fields.get("mtime")
    if not (size is None or (_is_number(size) and size >= 0)):
        return None
    if not (mtime is None or _is_number(mtime)):
        return None
    return JournalHeader(manifest, path, size, mtime)


def _point(fields: dict[str, object]) -> tuple[int, bytes] | None:
    offset, sha256 = fields.get("offset"), fields.get("sha256")
    if not _is_number(offset) or offset <= 0 or not isinstance(sha256, str):
        return None
    try:
        digest = bytes.fromhex(sha256)
    except ValueError:
        return None
    return (offset, digest) if len(digest) == 32 else None


def _is_number(value: object) -> TypeGuard[int]:
    return type(value) is int  # and not a bool, which is an int too
