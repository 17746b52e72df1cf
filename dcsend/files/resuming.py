"""Parts of earlier runs that can be continued: which ones there are, and opening one of them.

A part belongs to an entry if its journal has the same path, size and time. Whether its content is
that of the sender's file is decided by digests, while the rest is received.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Container, Generator, Sequence
from typing import IO, NamedTuple

from dcsend.entry import Entry, Kind
from dcsend.errors import DcsendError, DestinationError
from dcsend.files.disk import NOFOLLOW, NONBLOCK, OPEN_FOLDER, close_quietly
from dcsend.files.folder import USE_DESCRIPTORS, Folder, Identity, identity
from dcsend.files.journal import MIN_SIZE, Point, find_points, open_journal, parse_points
from dcsend.files.locking import has_locks, locked_error, try_lock
from dcsend.files.names import PART_SUFFIX, safe_path
from dcsend.files.trailing import Changed, Trailing
from dcsend.listing import Entries
from dcsend.printable import printable

__all__ = [
    "FoundPart",
    "Walk",
    "changed_error",
    "damaged_error",
    "find_parts",
    "is_part",
    "limit_permissions",
    "open_check",
    "open_part",
]


class FoundPart(NamedTuple):
    """A part that can be continued."""

    start: int
    "Offset at which it is continued."
    stored: int
    "Bytes that it takes on the disk."
    digests: Sequence[tuple[int, str]]
    "Some offsets, each with the SHA-256 of the bytes before it, in hex."


def find_parts(
    entries: Entries, skip: Container[int], root: str, *, with_locked: bool = True
) -> dict[int, FoundPart]:
    """Return the part of each entry that can be continued.

    Opens nothing through a link below *root*, and changes nothing.

    Args:
        entries: the manifest.
        skip: numbers of the entries that are not received.
        root: the chosen folder.
        with_locked: whether parts that another transfer is writing are among them, which can't be
            opened.
    """
    found: dict[int, FoundPart] = {}
    walk = Walk(root)
    try:
        for number in range(len(entries)):
            size = entries.size(number)
            # Small files have no journal.
            if (size is not None and size < MIN_SIZE) or entries.kind(number) is not Kind.FILE:
                continue
            if number in skip:
                continue
            *parents, name = safe_path(entries.path(number))
            folder = walk.folder(parents)
            part = None if folder is None else _status(folder, name)
            if folder is None or part is None:
                continue
            points = find_points(folder, name, entries[number], part.st_size)
            if points and _has_locks(folder, name) and (with_locked or _is_free(folder, name)):
                blocks: int | None = getattr(part, "st_blocks", None)  # not on Windows
                stored = part.st_size if blocks is None else blocks * 512
                digests = [(one.offset, one.sha256.hex()) for one in points if not one.start]
                found[number] = FoundPart(points[-1].offset, stored, digests)
    finally:
        walk.close()
    return found


def _status(folder: Folder, name: str) -> os.stat_result | None:
    """Return the status of the part of *name*; None if there is none that can be continued."""
    try:
        status = folder.lstat(folder.beside(name, PART_SUFFIX))
    except OSError:
        return None
    return status if status is not None and is_part(status) else None


def is_part(status: os.stat_result) -> bool:
    """Return whether *status* can be of a part: a file of this user, with no other name.

    The owner of a file can change it after its digest was computed.
    """
    if sys.platform != "win32" and status.st_uid != os.geteuid():
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def _has_locks(folder: Folder, name: str) -> bool:
    """Return whether two runs can't continue the part of *name* at the same time."""
    journal = open_journal(folder, name)
    if journal is None:
        return False
    with journal:
        return has_locks(journal.fileno())


def _is_free(folder: Folder, name: str) -> bool:
    """Return whether no other transfer is writing the part of *name*."""
    try:
        fd = folder.open(folder.beside(name, PART_SUFFIX), os.O_RDONLY | NONBLOCK)
    except (OSError, DestinationError):
        return False
    try:
        return try_lock(fd)
    finally:
        close_quietly(fd)


class Walk:
    """Opens folders one after the other; those above the last one stay open.

    Args:
        root: the chosen folder.
    """

    def __init__(self, root: str) -> None:
        self._names: list[str] = []
        self._folders: list[Folder] = []
        try:
            # May be a link: the person at this machine chose the folder.
            fd = os.open(root, OPEN_FOLDER & ~NOFOLLOW) if USE_DESCRIPTORS else None
        except OSError:
            return
        self._folders.append(Folder(root, fd))

    def folder(self, names: list[str]) -> Folder | None:
        """Return a folder below the root; None if it can't be opened."""
        shared = 0
        for one, other in zip(names, self._names, strict=False):
            if one != other:
                break
            shared += 1
        while len(self._folders) > shared + 1:
            self._folders.pop().close()
            self._names.pop()
        for name in names[shared:] if self._folders else ():
            try:
                self._folders.append(self._folders[-1].enter(name))
            except (OSError, DcsendError):
                return None
            self._names.append(name)
        return self._folders[-1] if self._folders else None

    def close(self) -> None:
        """Close all folders."""
        while self._folders:
            self._folders.pop().close()


def changed_error(name: str) -> DestinationError:
    """Return the error for a part that another program has changed since the manifest came."""
    return DestinationError(
        f"the unfinished part of {printable(name)} was changed or removed meanwhile",
        "run it again",
    )


def damaged_error(entry: Entry, changed: Changed) -> DestinationError:
    """Return the error for a part that differs from its journal."""
    first, last = (round(offset / 1_000_000) for offset in (changed.good, changed.bad))
    kept = "what precedes them is kept: " if changed.good else ""
    return DestinationError(
        f"{printable(entry.path)}: bytes {first} to {max(last, first + 1)} MB of its part were "
        f"changed on the disk; {kept}run it again"
    )


def open_part(folder: Folder, name: str, start: int) -> int:
    """Open and lock the part of *name* to continue it; the part stays as it is.

    Args:
        folder: the folder of the part.
        name: the final name of the file.
        start: bytes that it has at least.

    Raises:
        DestinationError: another run is writing it, or it is not the part any more.
        OSError: a system call failed.
    """
    part = folder.beside(name, PART_SUFFIX)
    status = folder.lstat(part)
    if status is None or not is_part(status):
        raise changed_error(name)
    if os.name == "nt":
        try:
            folder.replace(part, part)  # Windows renames no open file
        except PermissionError:
            raise locked_error(name) from None
    fd = folder.open(part, os.O_RDWR | NONBLOCK)
    try:
        if not try_lock(fd):
            raise locked_error(name)
        now = os.fstat(fd)
        if identity(now) != identity(status) or not is_part(now) or now.st_size < start:
            raise changed_error(name)
    except BaseException:
        close_quietly(fd)
        raise
    return fd


def limit_permissions(fd: int, mode: int) -> None:
    """Remove permissions of a part that *mode* does not have, as far as possible."""
    if sys.platform == "win32":
        return
    current = stat.S_IMODE(os.fstat(fd).st_mode)
    if current & ~mode:
        try:
            os.fchmod(fd, current & mode)
        except OSError:
            return  # FAT and others, and files of another user; see `IncomingFile`


def open_check(folder: Folder, name: str, entry: Entry, start: int, part: Identity) -> Trailing:
    """Return what verifies the first *start* bytes of a part behind its writer.

    Args:
        folder: the folder of the part.
        name: the final name of the file.
        entry: of the file.
        start: the offset at which the part is continued.
        part: device and inode.

    Raises:
        DestinationError: it is not the part any more.
        OSError: a system call failed.
    """
    file = open_journal(folder, name)
    if file is None:
        raise changed_error(name)
    points = _until(file, entry, start)
    try:
        fd = folder.open(folder.beside(name, PART_SUFFIX), os.O_RDONLY | NONBLOCK)
        try:
            status = os.fstat(fd)
            if identity(status) != part:
                raise changed_error(name)
            return Trailing(fd, start, points)
        except BaseException:
            close_quietly(fd)
            raise
    except BaseException:
        points.close()
        file.close()
        raise


def _until(file: IO[bytes], entry: Entry, start: int) -> Generator[Point, None, None]:
    """Yield the lines of a journal with offsets up to *start*; closes the file at the end."""
    with file:
        for point in parse_points(file, entry):
            if point.offset > start:
                return
            yield point
