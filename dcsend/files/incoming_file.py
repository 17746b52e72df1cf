"""A file that is being received to the disk: its descriptor, length, permissions and time.

Subclasses own its name: `part.PartFile` and `tmpfile.Tmpfile`.
"""

from __future__ import annotations

import abc
import os
import stat
import sys

from dcsend.entry import Entry, Existing
from dcsend.files.disk import close_quietly, ends_run, sync, write_all
from dcsend.files.folder import Folder
from dcsend.files.intake import Intake, zeros
from dcsend.files.interval_sync import IntervalSync
from dcsend.files.placed_files import PlacedFiles

__all__ = ["IncomingFile"]


class IncomingFile(Intake, abc.ABC):
    """A file that is being received.

    Args:
        folder: the folder of the file; kept open until the file is closed.
        name: the final name, a component that `safe_path` returned.
        entry: of the manifest.
        fd: open for writing; owned by this object.
    """

    __slots__ = ("_fd", "_hole", "_interval_sync", "_name", "folder")

    def __init__(self, folder: Folder, name: str, entry: Entry, fd: int) -> None:
        super().__init__(entry)
        self.folder = folder
        self._name = name
        self._fd = fd
        self._hole = 0
        "Zero bytes at the end that `position` counts and the file does not have yet."
        self._interval_sync: IntervalSync | None = None
        "None for a file that is not synced before it is complete."
        folder.hold()

    def write(self, payload: bytes | memoryview) -> None:
        """Append *payload*, which `check` has accepted."""
        if self._hole:
            self._write_hole()
        write_all(self._fd, payload)
        self.count(payload)

    def skip(self, length: int) -> None:
        """Append *length* zero bytes, as a hole where the file system has holes."""
        self.count_zeros(length)
        self._hole += length

    @property
    def descriptor(self) -> int:
        """The descriptor of the file."""
        return self._fd

    @property
    def unsynced(self) -> int:
        """Bytes that are written and may not be durable."""
        return self.position - (self._interval_sync.durable if self._interval_sync else 0)

    @property
    def descriptor_count(self) -> int:
        """How many descriptors are open for this file."""
        return 1

    def sync(self) -> None:
        """Call `finish`, and make the content durable.

        May be called from another thread while no other method runs.
        """
        self.finish()
        sync(self._fd)

    def finish(self) -> None:
        """Set length, permissions and time, as far as the file system can store them.

        Raises:
            OSError: a write failed, or the disk is full or gone.
        """
        if self._hole:
            self._write_hole()
        if self.entry.mode & 0o600 != 0o600 and os.name == "posix":
            self._remove_permissions()
        self._report_writes()
        if self.entry.mtime is not None:
            times = (self.entry.mtime * 1000, self.entry.mtime * 1000)
            where = self._fd if os.utime in os.supports_fd else self.path
            try:
                os.utime(where, ns=times)
            except OverflowError:
                return
            except OSError as error:
                if ends_run(error):
                    raise

    @abc.abstractmethod
    def place(self, existing: Existing, placed: PlacedFiles | None) -> str:
        """Give the file its final name, close it, and return that name.

        Args:
            existing: what to do if the name is taken.
            placed: the files that this run has placed; never overwritten.

        Raises:
            DestinationError: the name is taken; the file is still open.
            OSError: a system call failed; the file is still open.
        """

    @abc.abstractmethod
    def keep(self) -> bool:
        """Close the file, leaving what a later run can continue; never raises.

        Returns:
            Whether a part is left.
        """

    @abc.abstractmethod
    def discard(self) -> None:
        """Close the file and remove it; never raises."""

    def fail(self, error: OSError | None = None) -> bool:
        """Close and remove the file, unless a later run can use a part of it; never raises.

        Args:
            error: of the disk, if that is the reason.

        Returns:
            Whether a part is left.
        """
        self.discard()
        return False

    @property
    def path(self) -> str:
        """The path of the file while it is written."""
        return self.folder.path_of(self._name)

    def _write_hole(self) -> None:
        """Extend the file by the pending hole."""
        try:
            os.ftruncate(self._fd, self.position)
            os.lseek(self._fd, self.position, os.SEEK_SET)
        except OSError as error:
            if ends_run(error):
                raise
            # POSIX allows a file system to refuse to extend a file.
            for block in zeros(self._hole):
                write_all(self._fd, block)
        self._hole = 0

    def _remove_permissions(self) -> None:
        """Remove permissions of the owner that the sent file did not have.

        FAT, NTFS, exFAT and SMB volumes of another user, and Android, refuse chmod. The file is
        complete without it, and readable for no more users than before.
        """
        if sys.platform == "win32":
            return
        try:
            current = stat.S_IMODE(os.fstat(self._fd).st_mode)
            os.fchmod(self._fd, current & (self.entry.mode & 0o777))
        except OSError as error:
            if ends_run(error):
                raise

    def _report_writes(self) -> None:
        """Raise errors that a `close` would report, before the file has its name.

        Network file systems may transfer the content, and detect an exceeded quota, only when a
        descriptor of the file is closed.
        """
        if os.name == "nt":
            return
        try:
            copy = os.dup(self._fd)
        except OSError:
            return  # too many descriptors; `sync` reports errors, too
        os.close(copy)

    def _release(self) -> None:
        """Close the file; never raises: its content is synced or no longer needed."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            self.folder.release()
            close_quietly(fd)
