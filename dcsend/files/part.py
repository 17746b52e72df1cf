"""Part files: a file under a temporary name until its digest matches.

The part of NAME is `NAME.dcsend-part` in the same folder. It is never opened through a link, and
locked while it is written, so that two runs never write the same part. A part of an earlier run is
continued if its journal is of the same file; otherwise it is removed, not truncated, because it may
be a hard link to another file.

On file systems that ignore case or Unicode composition, two names of a manifest may be one name,
and their parts, too. So each run records the names of its own parts; inode numbers do not suffice,
since FUSE file systems may give each spelling of a name its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
from collections.abc import Callable, Collection

from dcsend.content import Repair
from dcsend.entry import Entry, Existing
from dcsend.errors import DestinationError
from dcsend.files.disk import NONBLOCK, close_quietly, may_pass
from dcsend.files.final_names import check_replaceable, claim_name, name_appeared
from dcsend.files.folder import Folder, Identity, identity
from dcsend.files.incoming_file import IncomingFile
from dcsend.files.intake import zeros
from dcsend.files.interval_sync import IntervalSync
from dcsend.files.journal import Journal, wants_journal
from dcsend.files.locking import locked_error, try_lock
from dcsend.files.names import JOURNAL_SUFFIX, PART_SUFFIX, folded
from dcsend.files.placed_files import PlacedFiles
from dcsend.files.repairing import overwrite
from dcsend.files.resuming import (
    changed_error,
    damaged_error,
    limit_permissions,
    open_check,
    open_part,
)
from dcsend.files.trailing import Changed, Trailing
from dcsend.printable import printable

__all__ = ["PartFile", "PartOfThisRun", "create_part", "remove_stale"]

logger = logging.getLogger(__name__)


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
        start: bytes of an existing part that are kept; 0 to begin a new one.
        part_name: the name whose part is written, if another transfer has that of *name*; only for
            a new one, which a later run does not find.

    Raises:
        PartOfThisRun: this run is writing a part of this name.
        DestinationError: another run is writing it, or something else has its name, or the part
            that is to be continued is gone.
        OSError: a system call failed.
    """

    __slots__ = (
        *("_changed", "_check", "_identity", "_journal", "_key", "_line", "_own_parts"),
        *("_part", "_reported"),
    )

    def __init__(
        self,
        folder: Folder,
        name: str,
        entry: Entry,
        manifest: Callable[[], str],
        own_parts: set[str],
        start: int = 0,
        part_name: str = "",
    ) -> None:
        # With read and write permission for the owner, so that an interrupted part can be opened
        # again; `finish` removes them. The system applies the umask.
        mode = (entry.mode & 0o777) | 0o600
        fd = (
            open_part(folder, name, start)
            if start
            else create_part(folder, part_name or name, mode, own_parts)
        )
        self._part = folder.beside(part_name or name, PART_SUFFIX)
        try:
            self._identity: Identity = identity(os.fstat(fd))
        except OSError:
            close_quietly(fd)
            if not start:
                with contextlib.suppress(OSError):
                    folder.remove(self._part)
            raise
        super().__init__(folder, name, entry, fd)
        self._own_parts, self._key = own_parts, folded(folder.path_of(self._part))
        own_parts.add(self._key)
        self._journal: Journal | None = None
        self._check: Trailing | None = None
        "Verifies what the part had, then what has followed; None once `hasher` is of all bytes."
        self._line = 0
        "Offset from which on `hasher` is; that of the last line of the journal during the check."
        self._changed: Changed | None = None
        "What the check has found, until it is received again."
        self._reported = False
        "Whether `take_change` has returned that."
        try:
            if start:
                self._continue(start, mode)
            elif wants_journal(entry):
                self._journal = Journal.create(folder, part_name or name, entry, manifest())
            if self._journal is not None:
                self._interval_sync = IntervalSync(folder, fd, self._journal.descriptor, start)
        except (OSError, DestinationError):
            if start:
                self._close_threads()
                if self._journal is not None:
                    self._journal.close()
                self._release()  # the part stays
            else:
                self.discard()
            raise
        logger.debug("part %s: %s", f"continued at byte {start}" if start else "opened", entry.path)

    def _continue(self, start: int, mode: int) -> None:
        """Verify the first *start* bytes from now on, and remove what follows them.

        Raises:
            DestinationError: the journal has no such line any more.
            OSError: a system call failed.
        """
        self._check = open_check(self.folder, self._name, self.entry, start, self._identity)
        self._journal = Journal.resume(self.folder, self._name, self.entry, start)
        if self._journal is None:
            raise changed_error(self._name)
        os.ftruncate(self._fd, start)
        os.lseek(self._fd, start, os.SEEK_SET)
        limit_permissions(self._fd, mode)
        self.position = self._line = start
        self._check.follow(start)

    def write(self, payload: bytes | memoryview) -> None:
        """Append *payload*, which `check` has accepted."""
        self.settle()
        super().write(payload)
        self._note()

    def skip(self, length: int) -> None:
        """Append *length* zero bytes, as a hole where the file system has holes."""
        self.settle()
        super().skip(length)
        self._note()

    def settle(self, *, wait: bool = False) -> bool:
        """Return whether the digest is of all received bytes; never if the part `is_changed`.

        That of a part of an earlier run is computed in a thread, which gets as far as the bytes
        that were written when this method was last called.

        Args:
            wait: compute the rest now.

        Raises:
            OSError: it can't be read.
        """
        if self._check is None:
            return True
        if self._changed is not None:
            return False
        written = self.position - self._hole
        try:
            check = self._check
            hasher = check.finish(written) if wait else check.catch_up(written)
        except Changed as changed:
            self._changed, self._reported = changed, False
            return False
        if hasher is None:
            return False
        for block in zeros(self._hole):
            hasher.update(block)
        self.hasher, self._line, self._check = hasher, 0, None
        return True

    def hurry(self) -> None:
        """Verify with the usual priority: everything has been received."""
        if self._check is not None:
            self._check.hurry()

    @property
    def sha256(self) -> str:
        """See `Intake.sha256`; not known during the check of what an earlier run has received."""
        return super().sha256 if self._check is None else ""

    @property
    def checked(self) -> int | None:
        """How many bytes are verified; None if that is done."""
        return None if self._check is None else self._check.position

    @property
    def is_checking(self) -> bool:
        """Whether `settle` has allowed bytes that are not verified yet."""
        return self._check is not None and self._check.is_busy

    @property
    def is_changed(self) -> bool:
        """Whether the part differs from its journal."""
        return self._changed is not None

    def take_change(self) -> tuple[int, int] | None:
        """Return, once, where the changed range starts and ends; None if there is none."""
        if self._changed is None or self._reported:
            return None
        self._reported = True
        return self._changed.good, self._changed.bad

    def fail_changed(self) -> None:
        """Raise `DestinationError` if the part `is_changed`."""
        if self._changed is not None:
            raise damaged_error(self.entry, self._changed)

    def repair(self, repair: Repair) -> None:
        """Write bytes of the changed range; after the last, it is verified again.

        Raises:
            DestinationError: the sender does not send them.
            OSError: a system call failed.
        """
        changed, check = self._changed, self._check
        if changed is None or check is None:
            return
        end = repair.offset + repair.length
        if not repair.length or not changed.good <= repair.offset < end <= changed.bad:
            self.fail_changed()
        overwrite(self._fd, repair)
        written = os.lseek(self._fd, self.position - self._hole, os.SEEK_SET)
        if end == changed.bad:
            self._changed = None
            check.resume()
            check.follow(written)

    def _note(self) -> None:
        """Write a line of the journal and begin a sync, if it is time for one."""
        if (
            self._journal is not None
            and self._journal.note(self.position, self.hasher, self._line)
            and self._line
        ):
            self.hasher, self._line = hashlib.sha256(), self.position
        if self._interval_sync is not None:
            self._interval_sync.note(self.position - self._hole)

    def check_name(self, existing: Existing, placed: PlacedFiles | None) -> None:
        """Refuse a file that could not get its final name, before its content is received.

        Raises:
            NameTaken: the name is taken.
            DestinationError: the name is of something that must not be replaced.
        """
        if existing is Existing.OVERWRITE:
            check_replaceable(self.folder, self._name, placed, self.entry.path)
        elif existing is not Existing.RENAME and self.folder.lstat(self._name) is not None:
            raise name_appeared(self._name)

    @property
    def descriptor_count(self) -> int:
        """How many descriptors are open for this file."""
        return 1 if self._journal is None else 2  # the check has ended when this counts

    def finish(self) -> None:
        """See `IncomingFile.finish`; also raises the error of an earlier sync."""
        super().finish()
        if self._interval_sync is not None:
            self._interval_sync.settle()

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
        self._close_threads()
        kept = False
        with contextlib.suppress(OSError):
            if self._hole:
                os.ftruncate(self._fd, self.position)
            kept = self._exists()
        if self._journal is not None:
            with contextlib.suppress(OSError):
                self._journal.keep(self.position, self.hasher, self._line)
        self._release()
        logger.debug("part kept at byte %d: %s", self.position, self.entry.path)
        return kept

    def fail(self, error: OSError | None = None) -> bool:
        """Close the part; never raises.

        It stays if the disk may work again: its journal is compared with it then. If it was
        changed, the part of it that was not stays.
        """
        if error is not None and may_pass(error) and self._journal is not None:
            return self.keep()
        changed = self._changed
        if changed is None or not changed.good or self._journal is None:
            self.discard()
            return False
        self._close_threads()
        kept = False
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, changed.good)
            kept = self._exists()
        self._journal.close()
        self._release()
        return kept

    def discard(self) -> None:
        """Remove the part and its journal; never raises."""
        self._close_threads()
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

    def _close_threads(self) -> None:
        if self._check is not None:
            self._check.close(wait=os.name == "nt")  # Windows removes no open file
        if self._interval_sync is not None:
            self._interval_sync.close()

    def _exists(self) -> bool:
        status = self.folder.lstat(self._part)
        return status is not None and identity(status) == self._identity

    def _release(self) -> None:
        self._own_parts.discard(self._key)
        super()._release()


def create_part(folder: Folder, name: str, mode: int, own_parts: Collection[str]) -> int:
    """Create and lock the part of *name*."""
    part = folder.beside(name, PART_SUFFIX)
    for _ in range(2):
        try:
            fd = folder.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            remove_stale(folder, name, own_parts)
            continue
        try:
            # `leftovers` may have removed it before it was locked.
            if try_lock(fd) and os.fstat(fd).st_nlink:
                return fd
        except OSError:
            close_quietly(fd)
            raise
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
