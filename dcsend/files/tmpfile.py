"""Small files that are received many at a time: without a name until they are complete (O_TMPFILE).

Linux can write a file without a name and link it into its folder when it is complete. This takes
half the system calls of a part, which is created, locked, checked and removed, and no other program
can replace or open the file. A process that ends leaves nothing of it; small files are sent again
faster than they are found and verified.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import sys
from typing import Final

from dcsend.entry import Entry, Existing
from dcsend.errors import DestinationError
from dcsend.files.disk import CLOEXEC, close_quietly, ends_run
from dcsend.files.final_names import check_replaceable, claim_name
from dcsend.files.folder import Folder, identity
from dcsend.files.incoming_file import IncomingFile
from dcsend.files.locking import locked_error, try_lock
from dcsend.files.names import PART_SUFFIX
from dcsend.files.part import remove_stale
from dcsend.files.placed_files import PlacedFiles
from dcsend.files.syncing import FILE_SYSTEM_SYNC

__all__ = ["MAX_SIZE", "SUPPORTED", "Tmpfile", "TmpfileFactory", "open_tmpfile"]

MAX_SIZE: Final = 64 << 10
"Bytes; the part of a larger file is worth keeping if the run is interrupted."
_MIN_LINUX: Final = (5, 19)
"First Linux release that applies the umask to these files on every file system."
_FLAGS: Final = os.O_RDWR | CLOEXEC | getattr(os, "O_TMPFILE", 0)


class Tmpfile(IncomingFile):
    """A file without a name; see `TmpfileFactory.create`."""

    __slots__ = ()

    def place(self, existing: Existing, placed: PlacedFiles | None) -> str:
        """Link the file into its folder; see `IncomingFile.place`."""
        if existing is Existing.OVERWRITE:
            name = self._overwrite(placed)
        else:
            name = claim_name(self._link, self.folder, self._name, existing)
        if placed is not None:
            placed.add(os.fstat(self._fd), self.entry.path)
        self._release()
        return name

    def keep(self) -> bool:
        """Close the file, which removes it."""
        self._release()
        return False

    def discard(self) -> None:
        """Close the file, which removes it."""
        self._release()

    def _link(self, name: str) -> None:
        _link(self._fd, self.folder, name)

    def _overwrite(self, placed: PlacedFiles | None) -> str:
        try:
            self._link(self._name)
        except FileExistsError:
            pass
        else:
            return self._name
        check_replaceable(self.folder, self._name, placed, self.entry.path)
        # A link replaces no name; a rename does. So the file becomes a part first.
        remove_stale(self.folder, self._name)
        if not try_lock(self._fd):
            raise locked_error(self._name)
        part = self.folder.beside(self._name, PART_SUFFIX)
        self._link(part)
        try:
            self.folder.replace(part, self._name)
        except OSError:
            with contextlib.suppress(OSError):
                self.folder.remove(part)
            raise
        return self._name


class TmpfileFactory:
    """Creates files without a name on the file systems that support them."""

    def __init__(self) -> None:
        self._supporting: dict[int, bool] = {}
        "Whether a file system supports them, by device."
        self._suitable: dict[Folder, bool] = {}
        "Whether they can be created in a folder that has been checked."

    def recheck_folders(self) -> None:
        """Check again that folders still exist; call it before each portion."""
        self._suitable.clear()

    def create(self, folder: Folder, name: str, entry: Entry) -> Tmpfile | None:
        """Create a file, or return None if the file system does not support it.

        Raises:
            FileNotFoundError: the folder has been removed.
            OSError: the disk is full or gone.
        """
        suitable = self._suitable.get(folder)
        if suitable is None:
            suitable = self._suitable[folder] = self._is_suitable(folder, name)
        if not suitable:
            return None
        try:
            # Without added permissions: the file is never opened again.
            fd = open_tmpfile(folder, entry.mode & 0o777)
        except OSError:
            _check_exists(folder)  # ext4 reports EPERM for a removed folder
            raise
        return Tmpfile(folder, name, entry, fd)

    def _is_suitable(self, folder: Folder, name: str) -> bool:
        if folder.fd is None or not SUPPORTED:
            return False
        device = _check_exists(folder).st_dev
        supporting = self._supporting.get(device)
        if supporting is None:
            supporting = self._supporting[device] = _supports_tmpfiles(folder, name)
        return supporting


def _check_exists(folder: Folder) -> os.stat_result:
    """Return the status of an open folder.

    Raises:
        FileNotFoundError: it has been removed. Some file systems allow writing in it and refuse
            only the link at the end.
    """
    status = os.stat(".", dir_fd=folder.fd)
    if not status.st_nlink:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return status


def open_tmpfile(folder: Folder, mode: int) -> int:
    """Create a file without a name in an open folder; return its descriptor."""
    return os.open(".", _FLAGS, mode, dir_fd=folder.fd)


def _link(fd: int, folder: Folder, name: str) -> None:
    """Give the open file *fd* a name; never replaces anything."""
    os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=folder.fd)


def _supports_tmpfiles(folder: Folder, name: str) -> bool:
    """Try all steps with an empty file.

    Raises:
        OSError: the disk is full or gone.
    """
    # Of no other transfer, which may be creating the part of the same name.
    part = folder.beside(f"{name}~{secrets.token_hex(4)}", PART_SUFFIX)
    try:
        fd = open_tmpfile(folder, 0o600)
        try:
            _link(fd, folder, part)
            linked = folder.lstat(part)
            works = linked is not None and identity(linked) == identity(os.fstat(fd))
            folder.remove(part)
        finally:
            close_quietly(fd)
    except (OSError, DestinationError) as error:
        if isinstance(error, OSError) and ends_run(error):
            raise
        return False
    return works


def _is_supported() -> bool:
    if sys.platform != "linux" or not hasattr(os, "O_TMPFILE"):
        return False
    release = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
    return release >= _MIN_LINUX and FILE_SYSTEM_SYNC is not None


SUPPORTED: Final = _is_supported()
"Whether this system can create files without a name."
