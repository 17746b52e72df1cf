"""Small files of which many arrive together: without any name until their digest matches.

Linux writes a file without a name and links it into its folder when it is complete. That
takes half the calls of a part, which must be made, locked, looked at and removed; nobody
can plant, swap or share what has no name. Such a file goes with the process: it is sent
again sooner than it is looked for.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from typing import Final

from dcsend.entry import Entry
from dcsend.errors import DestinationError
from dcsend.files.disk import CLOEXEC, is_fatal
from dcsend.files.folder import Folder, Identity, identity
from dcsend.files.growing import GrowingFile
from dcsend.files.names import PART_SUFFIX, beside
from dcsend.files.operations import Existing
from dcsend.files.part import busy, check_replaceable, claim, lock, remove_stale
from dcsend.files.syncing import can_sync_file_systems

__all__ = ["MAX_SIZE", "UnnamedFile", "Unnamer"]

MAX_SIZE: Final = 64 << 10
"Bytes: a larger file is worth keeping when the run is interrupted."
_TRUSTED: Final = (5, 19)
"The Linux from which on an unnamed file gets what the umask allows on every file system."
_FLAGS: Final = os.O_RDWR | CLOEXEC | getattr(os, "O_TMPFILE", 0)


class UnnamedFile(GrowingFile):
    """One small file on its way to the disk; see `Unnamer`."""

    __slots__ = ()

    def place(self, existing: Existing, placed: set[Identity] | None) -> str:
        """Give it its final name; see `GrowingFile.place`."""
        if existing is Existing.OVERWRITE:
            name = self._overwrite(placed)
        else:
            name = claim(self._link, self._name, existing)
        if placed is not None:
            placed.add(identity(os.fstat(self._fd)))
        self._release()
        return name

    def keep(self) -> None:
        """Let go of it; nothing is left."""
        self._release()

    def discard(self) -> None:
        """Let go of it; nothing is left."""
        self._release()

    def _link(self, name: str) -> None:
        _link(self._fd, self.folder, name)

    def _overwrite(self, placed: set[Identity] | None) -> str:
        try:
            self._link(self._name)
        except FileExistsError:
            pass
        else:
            return self._name
        check_replaceable(self.folder, self._name, placed)
        # Only a name can be renamed over another: it becomes a part for this moment.
        remove_stale(self.folder, self._name)
        if not lock(self._fd):
            raise busy(self._name)
        part = beside(self._name, PART_SUFFIX)
        self._link(part)
        try:
            self.folder.replace(part, self._name)
        except OSError:
            self.folder.remove(part)
            raise
        return self._name


class Unnamer:
    """Begins unnamed files, and knows which file systems can have them."""

    def __init__(self) -> None:
        self._able: dict[int, bool] = {}
        "By device."
        self._fit: dict[Folder, bool] = {}
        "Folders that have been looked at, and whether unnamed files can be begun in them."

    def look_again(self) -> None:
        """Trust no folder to be there still; call it before each batch."""
        self._fit.clear()

    def begin(self, folder: Folder, name: str, entry: Entry) -> UnnamedFile | None:
        """Begin a file, or return None if it must be a part.

        Raises:
            FileNotFoundError: the folder has been removed.
            OSError: the disk is full or gone.
        """
        fit = self._fit.get(folder)
        if fit is None:
            fit = self._fit[folder] = self._is_fit(folder, name)
        if not fit:
            return None
        try:
            # No owner's bits are added: nobody has to open it again.
            fd = _open(folder, entry.mode & 0o777)
        except OSError:
            _check_there(folder)  # ext4 says that it is not permitted
            raise
        return UnnamedFile(folder, name, entry, fd)

    def _is_fit(self, folder: Folder, name: str) -> bool:
        if folder.fd is None or not _SUPPORTED:
            return False
        device = _check_there(folder).st_dev
        able = self._able.get(device)
        if able is None:
            able = self._able[device] = _is_able(folder, name)
        return able


def _check_there(folder: Folder) -> os.stat_result:
    """Return what the system says of a folder that is open.

    Raises:
        FileNotFoundError: it has been removed. Some file systems would let one write into it,
            and refuse the name only at the end.
    """
    status = os.stat(".", dir_fd=folder.fd)
    if not status.st_nlink:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return status


def _open(folder: Folder, mode: int) -> int:
    return os.open(".", _FLAGS, mode, dir_fd=folder.fd)


def _link(fd: int, folder: Folder, name: str) -> None:
    """Give the open file *fd* a name; never replaces anything."""
    os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=folder.fd)


def _is_able(folder: Folder, name: str) -> bool:
    """Try it once with an empty file, before there is anything to lose.

    Raises:
        OSError: the disk is full or gone.
    """
    part = beside(name, PART_SUFFIX)
    try:
        fd = _open(folder, 0o600)
        try:
            _link(fd, folder, part)
            made = folder.lstat(part)
            able = made is not None and identity(made) == identity(os.fstat(fd))
            folder.remove(part)
        finally:
            os.close(fd)
    except (OSError, DestinationError) as error:
        if isinstance(error, OSError) and is_fatal(error):
            raise
        return False
    return able


def _is_supported() -> bool:
    if sys.platform != "linux" or not hasattr(os, "O_TMPFILE"):
        return False
    version = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
    return version >= _TRUSTED and can_sync_file_systems()


_SUPPORTED: Final = _is_supported()
