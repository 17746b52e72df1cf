"""Part files: what a file is until its digest matches.

A part lies beside its target as `NAME.dcsend-part`, made anew each time and never opened
through a link; while it is written it is locked, so that two runs never share one. An
old one is removed, not truncated: it may be a second name of some other file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from typing import Final

from dcsend.entry import Entry
from dcsend.errors import DestinationError
from dcsend.files.disk import NONBLOCK
from dcsend.files.folder import Folder, Identity, identity
from dcsend.files.growing import GrowingFile
from dcsend.files.journal import Journal, JournalHeader, wants_journal
from dcsend.files.names import JOURNAL_SUFFIX, PART_SUFFIX, beside, numbered
from dcsend.files.operations import Existing
from dcsend.printable import printable

if sys.platform != "win32":
    import fcntl

__all__ = [
    "PartFile",
    "busy",
    "check_replaceable",
    "claim",
    "free_names",
    "lock",
    "remove_stale",
]

_MAX_NUMBER: Final = 9999
"Of `NAME (1)` … `NAME (9999)`; beyond, something else is wrong."


class PartFile(GrowingFile):
    """One file on its way to the disk.

    Args:
        folder: where it shall be.
        name: its final name, a component that `safe_path` let through.
        entry: as announced.
        manifest: gives the `manifest_id` of the transfer.

    Raises:
        DestinationError: another run is writing it, or something is in the way.
        OSError: the system refused.
    """

    __slots__ = ("_identity", "_journal", "_part")

    def __init__(
        self, folder: Folder, name: str, entry: Entry, manifest: Callable[[], str]
    ) -> None:
        # Owner bits are added so that an interrupted part can be opened again; `sync`
        # takes them away. The system applies the umask.
        fd = _create(folder, name, (entry.mode & 0o777) | 0o600)
        super().__init__(folder, name, entry, fd)
        self._part = beside(name, PART_SUFFIX)
        self._journal: Journal | None = None
        try:
            self._identity: Identity = identity(os.fstat(self._fd))
            if wants_journal(entry):
                header = JournalHeader(manifest(), entry.path, entry.size, entry.mtime)
                self._journal = Journal(folder, name, header)
        except OSError:
            self.discard()
            raise

    def write(self, payload: bytes | memoryview) -> None:
        """Append *payload*, which `check` has let pass."""
        super().write(payload)
        if self._journal is not None:
            self._journal.note(self.position, self.hasher)

    def skip(self, length: int) -> None:
        """Append zeros that take no room."""
        super().skip(length)
        if self._journal is not None:
            self._journal.note(self.position, self.hasher)

    @property
    def descriptors(self) -> int:
        """How many it holds."""
        return 1 if self._journal is None else 2

    def place(self, existing: Existing, placed: set[Identity] | None) -> str:
        """Give it its final name; see `GrowingFile.place`. The part is there if it raises."""
        status = self.folder.lstat(self._part)
        if status is None or identity(status) != self._identity:
            raise DestinationError(f"{printable(self._path)} was taken away while it was written")
        if os.name == "nt":
            self._release()  # Windows renames no open file
        if existing is Existing.OVERWRITE:
            check_replaceable(self.folder, self._name, placed)
            self.folder.replace(self._part, self._name)
            name = self._name
        else:
            name = claim(lambda free: self.folder.rename(self._part, free), self._name, existing)
        if placed is not None:
            placed.add(self._identity)
        self._release()
        if self._journal is not None:
            self._journal.discard()
        return name

    def keep(self) -> None:
        """Let go of it, leaving the part and its journal for another run."""
        try:
            if self._seek:
                os.ftruncate(self._fd, self.position)
        finally:
            try:
                if self._journal is not None:
                    self._journal.keep(self.position, self.hasher)
            finally:
                self._release()

    def discard(self) -> None:
        """Remove the part and its journal; never raises."""
        with contextlib.suppress(OSError):
            status = self.folder.lstat(self._part)
            if status is not None and identity(status) == self._identity:
                if os.name == "nt":
                    self._release()
                self.folder.remove(self._part)
        if self._journal is not None:
            self._journal.discard()
        self._release()

    @property
    def _path(self) -> str:
        return self.folder.where(self._part)


def free_names(name: str, existing: Existing) -> Iterator[str]:
    """Yield the names to try, in order, for what shall be called *name*.

    >>> names = free_names("a.txt", Existing.RENAME)
    >>> next(names), next(names)
    ('a.txt', 'a (1).txt')
    """
    yield name
    if existing is Existing.RENAME:
        for number in range(1, _MAX_NUMBER + 1):
            yield numbered(name, number)


def claim(give: Callable[[str], None], name: str, existing: Existing) -> str:
    """Give a file the first name that is free, and return it.

    Args:
        give: gives it a name, never over anything.
        name: what it shall be called.
        existing: what to do if that is taken.

    Raises:
        DestinationError: no name is free.
    """
    for free in free_names(name, existing):
        try:
            give(free)
        except FileExistsError:
            continue
        return free
    raise DestinationError(f"{printable(name)} has appeared while it was received")


def check_replaceable(folder: Folder, name: str, placed: set[Identity] | None) -> None:
    """Refuse to replace what is no file, or what this run has put in place.

    Raises:
        DestinationError: it is one of these.
    """
    status = folder.lstat(name)
    if status is None:
        return
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        raise DestinationError(f"{printable(name)} is there and is not a file")
    # On a disk that ignores case or composition two names of a manifest may be one.
    if placed is not None and identity(status) in placed:
        raise DestinationError(f"{printable(name)} is another received file's name here")


def _create(folder: Folder, name: str, mode: int) -> int:
    """Make and lock the part of *name*, out of nothing."""
    part = beside(name, PART_SUFFIX)
    for _ in range(2):
        try:
            fd = folder.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            remove_stale(folder, name)
            continue
        if lock(fd):
            return fd
        os.close(fd)
    raise busy(name)


def remove_stale(folder: Folder, name: str) -> None:
    """Remove the part that an earlier run has left.

    Raises:
        DestinationError: that run is alive, or it is no file.
    """
    part = beside(name, PART_SUFFIX)
    status = folder.lstat(part)
    if status is None:
        return
    if not stat.S_ISREG(status.st_mode):
        raise DestinationError(
            f"{printable(part)} is in the way: it is not a file", "move it away, then run it again"
        )
    if os.name == "nt":
        try:
            folder.remove(part)  # Windows removes no open file
        except PermissionError:
            raise busy(name) from None
        return
    fd = folder.open(part, os.O_RDONLY | NONBLOCK)
    try:
        if identity(os.fstat(fd)) != identity(status) or not lock(fd):
            raise busy(name)
        # The journal first: a journal without its part says nothing to anyone.
        folder.remove(beside(name, JOURNAL_SUFFIX))
        folder.remove(part)
    finally:
        os.close(fd)


def lock(fd: int) -> bool:
    """Lock a file for as long as it is open; False if another process has."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network file systems know no locks; the check at the end must do there.
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def busy(name: str) -> DestinationError:
    """Return the error that another run is writing the file."""
    return DestinationError(
        f"another dcsend is receiving {printable(name)} here", "wait for it, or end it"
    )
