"""Part files: a file under a temporary name until its digest matches.

The part of NAME is `NAME.dcsend-part` in the same folder. It is always created anew, never opened
through a link, and locked while it is written, so that two runs never write the same part. A part
of an earlier run is removed, not truncated, because it may be a hard link to another file.

On file systems that ignore case or Unicode composition, two names of a manifest may be one name,
and their parts, too. So each run records the names of its own parts; inode numbers do not suffice,
since FUSE file systems may give each spelling of a name its own.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import sys
from collections.abc import Callable, Collection, Iterator
from typing import Final

from dcsend.entry import Entry, Existing
from dcsend.errors import DestinationError
from dcsend.files.disk import NONBLOCK, close_quietly
from dcsend.files.folder import Folder, Identity, identity
from dcsend.files.incoming_file import IncomingFile
from dcsend.files.journal import Journal, wants_journal
from dcsend.files.names import JOURNAL_SUFFIX, PART_SUFFIX, folded, numbered
from dcsend.files.placed_files import PlacedFiles
from dcsend.printable import printable

if sys.platform != "win32":
    import fcntl

__all__ = [
    "NameTaken",
    "PartFile",
    "PartOfThisRun",
    "candidate_names",
    "check_replaceable",
    "claim_name",
    "locked_error",
    "remove_stale",
    "try_lock",
]

logger = logging.getLogger(__name__)

_MAX_NUMBER: Final = 9999
"Largest number in `NAME (1)`, `NAME (2)` and so on."


class NameTaken(DestinationError):
    """A file that did not exist when the manifest was examined has the final name."""


class PartOfThisRun(DestinationError):
    """This run is writing another file whose part has the same name on this file system."""


class PartFile(IncomingFile):
    """A file that is written under a temporary name.

    Args:
        folder: the folder of the file.
        name: the final name, a component that `safe_path` returned.
        entry: of the manifest.
        manifest: returns the `manifest_id` of the transfer.
        own_parts: folded paths of the parts that this run is writing; updated here.

    Raises:
        PartOfThisRun: this run is writing a part of this name.
        DestinationError: another run is writing it, or something else has its name.
        OSError: a system call failed.
    """

    __slots__ = ("_identity", "_journal", "_key", "_own_parts", "_part")

    def __init__(
        self,
        folder: Folder,
        name: str,
        entry: Entry,
        manifest: Callable[[], str],
        own_parts: set[str],
    ) -> None:
        # With read and write permission for the owner, so that an interrupted part can be opened
        # again; `finish` removes them. The system applies the umask.
        fd = _create(folder, name, (entry.mode & 0o777) | 0o600, own_parts)
        self._part = folder.beside(name, PART_SUFFIX)
        try:
            self._identity: Identity = identity(os.fstat(fd))
        except OSError:
            close_quietly(fd)
            with contextlib.suppress(OSError):
                folder.remove(self._part)
            raise
        super().__init__(folder, name, entry, fd)
        self._own_parts, self._key = own_parts, folded(folder.path_of(self._part))
        own_parts.add(self._key)
        self._journal: Journal | None = None
        try:
            if wants_journal(entry):
                self._journal = Journal(folder, name, entry, manifest())
        except OSError:
            self.discard()
            raise
        logger.debug("part opened: %s", entry.path)

    def write(self, payload: bytes | memoryview) -> None:
        """Append *payload*, which `check` has accepted."""
        super().write(payload)
        if self._journal is not None:
            self._journal.note(self.position, self.hasher)

    def skip(self, length: int) -> None:
        """Append *length* zero bytes, as a hole where the file system has holes."""
        super().skip(length)
        if self._journal is not None:
            self._journal.note(self.position, self.hasher)

    def check_name(self, existing: Existing, placed: PlacedFiles | None) -> None:
        """Refuse a file that could not get its final name, before its content is received.

        Raises:
            NameTaken: the name is taken.
            DestinationError: the name is of something that must not be replaced.
        """
        if existing is Existing.OVERWRITE:
            check_replaceable(self.folder, self._name, placed, self.entry.path)
        elif existing is not Existing.RENAME and self.folder.lstat(self._name) is not None:
            raise _appeared(self._name)

    @property
    def descriptor_count(self) -> int:
        """How many descriptors are open for this file."""
        return 1 if self._journal is None else 2

    def place(self, existing: Existing, placed: PlacedFiles | None) -> str:
        """Rename the part; see `IncomingFile.place`. The part still exists if it raises."""
        if not self._exists():
            raise DestinationError(f"{printable(self.path)} was removed while it was written")
        if os.name == "nt":
            self._release()  # Windows renames no open file
        if existing is Existing.OVERWRITE:
            check_replaceable(self.folder, self._name, placed, self.entry.path)
            self.folder.replace(self._part, self._name)
            name = self._name
        else:
            name = claim_name(
                lambda free: self.folder.rename(self._part, free),
                self.folder,
                self._name,
                existing,
            )
        if placed is not None:
            placed.add(os.fstat(self._fd), self.entry.path)
        self._release()
        if self._journal is not None:
            self._journal.discard()
        return name

    def keep(self) -> bool:
        """Close the part; it stays with its journal for a later run."""
        kept = False
        with contextlib.suppress(OSError):
            if self._hole:
                os.ftruncate(self._fd, self.position)
            kept = self._exists()
        if self._journal is not None:
            with contextlib.suppress(OSError):
                self._journal.keep(self.position, self.hasher)
        self._release()
        logger.debug("part kept at byte %d: %s", self.position, self.entry.path)
        return kept

    def discard(self) -> None:
        """Remove the part and its journal; never raises."""
        with contextlib.suppress(OSError):
            if self._exists():
                if os.name == "nt":
                    self._release()
                self.folder.remove(self._part)
        if self._journal is not None:
            self._journal.discard()
        self._release()

    @property
    def path(self) -> str:
        """The path of the part."""
        return self.folder.path_of(self._part)

    def _exists(self) -> bool:
        status = self.folder.lstat(self._part)
        return status is not None and identity(status) == self._identity

    def _release(self) -> None:
        self._own_parts.discard(self._key)
        super()._release()


def candidate_names(folder: Folder, name: str, existing: Existing) -> Iterator[str]:
    """Yield the names to try, in order, for a file with the final name *name* in *folder*."""
    yield name
    if existing is Existing.RENAME:
        longest = folder.max_name_length(name)
        for number in range(1, _MAX_NUMBER + 1):
            yield numbered(name, number, longest)


def claim_name(give: Callable[[str], None], folder: Folder, name: str, existing: Existing) -> str:
    """Give a file the first free name, and return that name.

    Args:
        give: gives the file a name; raises `FileExistsError` if it is taken.
        folder: the folder of the file.
        name: the final name.
        existing: what to do if the name is taken.

    Raises:
        NameTaken: no name is free.
    """
    for free in candidate_names(folder, name, existing):
        try:
            give(free)
        except FileExistsError:
            continue
        return free
    raise _appeared(name)


def check_replaceable(folder: Folder, name: str, placed: PlacedFiles | None, path: str) -> None:
    """Refuse to replace anything but a file or link that existed before this run.

    Args:
        folder: the folder of the file.
        name: its final name.
        placed: the files that this run has placed.
        path: of the entry.

    Raises:
        NameTaken: this run has placed a file there.
        DestinationError: neither a file nor a link has the name.
    """
    status = folder.lstat(name)
    if status is None:
        return
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        raise DestinationError(f"{printable(name)} exists and is not a file")
    # On a file system that ignores case or composition two names of a manifest may be one.
    if placed is not None and placed.contains(status, path):
        raise NameTaken(f"{printable(name)} is the name of another received file here")


def _appeared(name: str) -> NameTaken:
    return NameTaken(f"{printable(name)} was created by another program during the transfer")


def _create(folder: Folder, name: str, mode: int, own_parts: Collection[str]) -> int:
    """Create and lock the part of *name*."""
    part = folder.beside(name, PART_SUFFIX)
    for _ in range(2):
        try:
            fd = folder.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            remove_stale(folder, name, own_parts)
            continue
        if try_lock(fd):
            return fd
        close_quietly(fd)
    raise locked_error(name)


def remove_stale(folder: Folder, name: str, own_parts: Collection[str] = ()) -> None:
    """Remove the part that an earlier run has left.

    Args:
        folder: the folder of the file.
        name: the final name of the file.
        own_parts: folded paths of the parts that this run is writing.

    Raises:
        PartOfThisRun: the part is one of *own_parts*.
        DestinationError: another run is writing it, or it is not a file.
    """
    part = folder.beside(name, PART_SUFFIX)
    status = folder.lstat(part)
    if status is None:
        return
    if not stat.S_ISREG(status.st_mode):
        raise DestinationError(
            f"{printable(part)} is in the way: it is not a file", "move it away, then run it again"
        )
    if folded(folder.path_of(part)) in own_parts:
        raise PartOfThisRun(
            f"{printable(name)} is the name of another file here, which is being received"
        )
    if os.name == "nt":
        try:
            folder.remove(part)  # Windows removes no open file
        except PermissionError:
            raise locked_error(name) from None
        return
    fd = folder.open(part, os.O_RDONLY | NONBLOCK)
    try:
        if identity(os.fstat(fd)) != identity(status) or not try_lock(fd):
            raise locked_error(name)
        # The journal first: without its part it has no meaning.
        folder.remove(folder.beside(name, JOURNAL_SUFFIX))
        folder.remove(part)
    finally:
        close_quietly(fd)


def try_lock(fd: int) -> bool:
    """Lock a file until it is closed; return False if another process has locked it."""
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network file systems have no locks; `PartFile.place` detects a second writer.
            return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def locked_error(name: str) -> DestinationError:
    """Return the error for a file that another run is receiving."""
    return DestinationError(
        f"another dcsend is receiving {printable(name)} here", "wait for it, or end it"
    )
