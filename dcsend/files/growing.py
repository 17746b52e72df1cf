"""A file on the disk that is growing: its descriptor, its length, its times.

What it is called meanwhile, and how it gets its name, say `part` and `unnamed`.
"""

from __future__ import annotations

import abc
import os
import stat

from dcsend.entry import Entry
from dcsend.files.folder import Folder, Identity
from dcsend.files.intake import Intake
from dcsend.files.operations import Existing

__all__ = ["GrowingFile"]


class GrowingFile(Intake, abc.ABC):
    """One file on its way to the disk.

    Args:
        folder: where it shall be; kept open from now on.
        name: its final name, a component that `safe_path` let through.
        entry: as announced.
        fd: open for writing, owned from now on.
    """

    __slots__ = ("_fd", "_name", "_seek", "folder")

    def __init__(self, folder: Folder, name: str, entry: Entry, fd: int) -> None:
        super().__init__(entry)
        self.folder = folder
        "Where it is."
        self._name = name
        self._fd = fd
        self._seek = False
        folder.users += 1

    def write(self, payload: bytes | memoryview) -> None:
        """Append *payload*, which `check` has let pass."""
        if self._seek:
            os.lseek(self._fd, self.position, os.SEEK_SET)
            self._seek = False
        done = os.write(self._fd, payload)
        while done < len(payload):
            done += os.write(self._fd, memoryview(payload)[done:])
        self.count(payload)

    def skip(self, length: int) -> None:
        """Append zeros that take no room."""
        self.count_zeros(length)
        self._seek = True

    @property
    def descriptor(self) -> int:
        """Of the open file."""
        return self._fd

    @property
    def descriptors(self) -> int:
        """How many it holds."""
        return 1

    def sync(self) -> None:
        """Make it what it is to be, and its bytes survive a crash.

        Safe to call from another thread while no other method runs.
        """
        self.finish()
        os.fsync(self._fd)

    def finish(self) -> None:
        """Give it its length, permissions and time."""
        if self._seek:
            os.ftruncate(self._fd, self.position)
        if self.entry.mode & 0o600 != 0o600 and os.name == "posix":
            current = stat.S_IMODE(os.fstat(self._fd).st_mode)
            os.fchmod(self._fd, current & (self.entry.mode & 0o777))
        if self.entry.mtime is not None:
            times = (self.entry.mtime * 1000, self.entry.mtime * 1000)
            where = self._fd if os.utime in os.supports_fd else self._path
            try:
                os.utime(where, ns=times)
            except (OSError, OverflowError):
                return  # a time that the file system can't hold is no reason to lose the file

    @abc.abstractmethod
    def place(self, existing: Existing, placed: set[Identity] | None) -> str:
        """Give it its final name, let go of it, and return that name.

        Args:
            existing: what to do if the name is taken.
            placed: what this run has put in place already; never overwritten.

        Raises:
            DestinationError: the name is taken.
            OSError: the system refused. In both cases the file is still open.
        """

    @abc.abstractmethod
    def keep(self) -> None:
        """Let go of it, leaving for another run what can be left."""

    @abc.abstractmethod
    def discard(self) -> None:
        """Remove what there is of it; never raises."""

    @property
    def _path(self) -> str:
        return self.folder.where(self._name)

    def _release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self.folder.users -= 1
