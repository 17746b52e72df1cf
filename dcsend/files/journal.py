r"""The journal beside a part: how much of it was right, and of which file.

One JSON object per line. The first is the header; each other says that bytes [0, offset)
of the file have that SHA-256. Whoever resumes reads the part once, hashing, and goes on
at the last offset whose digest agrees; so nothing need be synced to disk while bytes
arrive, and a journal that says too much does no harm.

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
from dcsend.files.disk import BINARY, CLOEXEC, NOFOLLOW, NONBLOCK
from dcsend.files.folder import Folder
from dcsend.files.names import JOURNAL_SUFFIX, beside

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
"Bytes between two lines: what an interruption costs at most."
MIN_SIZE: Final = 8 << 20
"Bytes; a smaller file is sent again sooner than it is checked."
_MAX_JOURNAL: Final = 256 << 20
"Bytes read at most: the journal of 20 TB. A longer one is not ours."


@dataclass(frozen=True, slots=True)
class JournalHeader:
    """Which file of which transfer the part is of."""

    manifest: str
    "`manifest_id` of the whole manifest."
    path: str
    "The entry's path, as the peer said it."
    size: int | None
    "Bytes; None for a stream."
    mtime: int | None
    "Microseconds since 1970-01-01 UTC."


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """What a journal says."""

    header: JournalHeader
    points: tuple[tuple[int, bytes], ...]
    "Offset, and SHA-256 of the bytes before it; ascending offsets."


def wants_journal(entry: Entry) -> bool:
    """Tell whether a part of *entry* is worth resuming."""
    return entry.size is None or entry.size >= MIN_SIZE


class Journal:
    """The journal of one part that is being written.

    Args:
        folder: where the part is.
        name: the file's final name.
        header: the first line.

    Raises:
        OSError: it can't be made; what stands in its place, unless a folder, is removed.
    """

    def __init__(self, folder: Folder, name: str, header: JournalHeader) -> None:
        self._folder = folder
        self._name = beside(name, JOURNAL_SUFFIX)
        self._next = INTERVAL
        self._last = 0
        folder.remove(self._name)
        self._fd = folder.open(self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        self._write(
            {
                "v": VERSION,
                "manifest": header.manifest,
                "path": header.path,
                "size": header.size,
                "mtime": header.mtime,
            }
        )

    def note(self, position: int, hasher: _Hash) -> None:
        """Write a line if *position* is far enough from the last one."""
        if position >= self._next:
            self._point(position, hasher)
            self._next = position - position % INTERVAL + INTERVAL

    def keep(self, position: int, hasher: _Hash) -> None:
        """Write where the part ends now, and let go; the journal stays."""
        try:
            if position > self._last:
                self._point(position, hasher)
        finally:
            os.close(self._fd)

    def discard(self) -> None:
        """Remove the journal: the part is complete, or worthless."""
        os.close(self._fd)
        with contextlib.suppress(OSError):
            self._folder.remove(self._name)

    def _point(self, position: int, hasher: _Hash) -> None:
        self._write({"offset": position, "sha256": hasher.hexdigest()})
        self._last = position

    def _write(self, line: dict[str, int | str | None]) -> None:
        os.write(self._fd, json.dumps(line, separators=(",", ":")).encode() + b"\n")


def read_journal(path: Path) -> JournalRecord | None:
    """Read a journal from disk.

    Returns:
        What it says, up to the first line that is torn or not plain; None if there is no
        journal, or its header is not one of ours.
    """
    try:
        fd = os.open(path, os.O_RDONLY | NOFOLLOW | NONBLOCK | CLOEXEC | BINARY)
    except OSError:
        return None
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_JOURNAL:
        os.close(fd)
        return None
    with open(fd, "rb") as file:
        try:
            return parse_journal(file)
        except OSError:
            return None


def parse_journal(lines: Iterable[bytes]) -> JournalRecord | None:
    """Understand the lines of a journal; see `read_journal`."""
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
        return None  # torn: the run was cut off while writing it
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
