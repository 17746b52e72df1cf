"""Folders held open, and the walk from the chosen folder down to them.

Where the system can (all but Windows), a folder is a descriptor and every name is looked
up in it, one component at a time and never through a symbolic link, so that a link
planted while files arrive leads nowhere. Elsewhere each component is looked at before it
is entered. Names given here are components that `names.safe_path` let through.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Final, Protocol

from dcsend.errors import DestinationError
from dcsend.files.disk import BINARY, CLOEXEC, NOFOLLOW
from dcsend.printable import printable

__all__ = ["Folder", "Identity", "Tree", "Wanted", "identity", "is_link"]

Identity = tuple[int, int]
"Device and inode: two names with one identity are one file."

HELD_OPEN: Final = 32
"Folders kept open between batches; macOS allows a process 256 descriptors."
USE_DESCRIPTORS: Final = os.open in os.supports_dir_fd and os.link in os.supports_dir_fd

_OPEN_FOLDER: Final = os.O_RDONLY | CLOEXEC | NOFOLLOW | getattr(os, "O_DIRECTORY", 0)
# File systems without hard links (FAT, some network ones) say so in one of these ways.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_REPARSE_POINT: Final = 0x400


def identity(status: os.stat_result) -> Identity:
    """Return what tells one file from every other."""
    return (status.st_dev, status.st_ino)


def is_link(status: os.stat_result) -> bool:
    """Tell whether a thing is a symbolic link, or a junction of Windows."""
    # A junction is a reparse point that is not called a link.
    attributes: int = getattr(status, "st_file_attributes", 0)
    return stat.S_ISLNK(status.st_mode) or bool(attributes & _REPARSE_POINT)


class Folder:
    """One folder; each method takes the name of something directly in it.

    Args:
        path: absolute; used for messages, and for access where there is no descriptor.
        fd: its descriptor, owned from now on; None where the system knows no `dir_fd`.
    """

    __slots__ = ("_inside", "fd", "made", "path", "users")

    def __init__(self, path: str, fd: int | None) -> None:
        self.path = path
        self._inside = os.path.join(path, "x")[:-1]
        self.fd = fd
        self.made = False
        "This run has made it, not long ago: nothing but what this run has put there is in it."
        self.users = 0
        "Files being written in it; it is not closed before they are done."

    def where(self, name: str) -> str:
        """Return the path of something in it."""
        return self._inside + name

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Open a file, never through a link, and return its descriptor."""
        flags |= NOFOLLOW | CLOEXEC | BINARY
        return os.open(self._at(name), flags, mode, dir_fd=self.fd)

    def lstat(self, name: str) -> os.stat_result | None:
        """Return what *name* itself is, or None if there is nothing."""
        try:
            return os.stat(self._at(name), dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove a file or a link; nothing there is fine."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self.fd)

    def replace(self, old: str, new: str) -> None:
        """Rename, in one step, over whatever file or link is there."""
        os.replace(self._at(old), self._at(new), src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def rename(self, old: str, new: str) -> None:
        """Rename, in one step, and never over anything.

        Raises:
            FileExistsError: *new* is there already.
        """
        if self.fd is None:
            self._rename_by_path(old, new)
            return
        try:
            os.link(old, new, src_dir_fd=self.fd, dst_dir_fd=self.fd, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._rename_over_reservation(old, new)
        else:
            self.remove(old)

    def symlink(self, target: str, name: str) -> None:
        """Make a symbolic link.

        Raises:
            FileExistsError: *name* is there already.
        """
        os.symlink(target, self._at(name), dir_fd=self.fd)

    def child(self, name: str, mode: int) -> tuple[Folder, bool]:
        """Open the folder *name*, making it if need be; also tell whether it was made.

        Args:
            name: of the folder.
            mode: permissions for a new one, less what the umask takes away.

        Raises:
            DestinationError: something that is not a folder is in the way.
        """
        made = False
        try:
            return self._enter(name), made
        except FileNotFoundError:
            pass
        try:
            os.mkdir(self._at(name), mode, dir_fd=self.fd)
            made = True
        except FileExistsError:
            pass
        return self._enter(name), made

    def finish(self, mode: int, mtime: int | None) -> None:
        """Give the folder itself its permissions and its time (microseconds)."""
        place: int | str = self.path if self.fd is None else self.fd
        if os.name == "posix":
            # mkdir was given these bits and more: what it left of them the umask allows.
            allowed = stat.S_IMODE(os.stat(place).st_mode)
            with contextlib.suppress(OSError):
                os.chmod(place, (mode & 0o777 & allowed) | (allowed & ~0o777))
        if mtime is not None:
            with contextlib.suppress(OSError, OverflowError):
                os.utime(place, ns=(mtime * 1000, mtime * 1000))

    def sync(self) -> None:
        """Make the names in it survive a crash, where the system lets one ask for it."""
        if self.fd is None:
            return
        try:
            os.fsync(self.fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EBADF, errno.EACCES, errno.EOPNOTSUPP):
                raise

    def close(self) -> None:
        """Let go of the descriptor."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def _at(self, name: str) -> str:
        return name if self.fd is not None else self.where(name)

    def _enter(self, name: str) -> Folder:
        path = self.where(name)
        if self.fd is None:
            status = os.lstat(path)
            if not stat.S_ISDIR(status.st_mode) or is_link(status):
                raise _in_the_way(path)
            return Folder(path, None)
        try:
            return Folder(path, os.open(name, _OPEN_FOLDER, dir_fd=self.fd))
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
                raise _in_the_way(path) from None
            raise

    def _rename_by_path(self, old: str, new: str) -> None:
        if os.name == "nt":
            os.rename(self._at(old), self._at(new))  # Windows never renames over a file
            return
        self._rename_over_reservation(old, new)

    def _rename_over_reservation(self, old: str, new: str) -> None:
        # The empty file takes the name; only then can renaming clobber nothing but it.
        os.close(self.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            self.replace(old, new)
        except OSError:
            self.remove(new)
            raise


class Wanted(Protocol):
    """What the folders in a tree shall be like."""

    def mode(self, path: str) -> int:
        """Return the permissions of a folder, named by its path below the root."""

    def made(self, path: str) -> None:
        """Note that a folder has been made."""


class _Nothing:
    """Folders get what the umask allows."""

    def mode(self, path: str) -> int:
        """As `Wanted.mode`."""
        return 0o777

    def made(self, path: str) -> None:
        """As `Wanted.made`."""


class Tree:
    """The chosen folder and those in it, opened when needed, a few kept open.

    Args:
        root: absolute; need not exist before the first call of `folder`.
        descriptors: whether to walk by descriptor.
    """

    def __init__(self, root: Path, *, descriptors: bool = USE_DESCRIPTORS) -> None:
        self.root = root
        self.wanted: Wanted = _Nothing()
        "What folders shall be like."
        self._descriptors = descriptors
        self._identity: Identity | None = None
        self._open: dict[tuple[str, ...], Folder] = {}

    def folder(self, parts: tuple[str, ...]) -> Folder:
        """Return the folder at *parts*, made with its parents if need be.

        Raises:
            DestinationError: something that is not a folder is in the way.
            OSError: the system refused.
        """
        found = self._open.pop(parts, None)
        if found is None:
            if len(self._open) >= 2 * HELD_OPEN:
                self.trim()
            found = self._walk(parts)
        self._open[parts] = found  # the last one used is the last to be closed
        return found

    def lost(self) -> bool:
        """Tell whether the chosen folder has gone, or is another one now."""
        if self._identity is None:
            return False
        try:
            return identity(os.stat(self.root)) != self._identity
        except OSError:
            return True

    def forget(self) -> None:
        """Close every folder that is not in use, so that it is looked up anew."""
        self._close_idle(keep=0)

    def trim(self) -> None:
        """Close all but a few of the folders that are not in use."""
        self._close_idle(keep=HELD_OPEN)

    def close(self) -> None:
        """Close every folder."""
        for folder in self._open.values():
            folder.close()
        self._open.clear()

    def _walk(self, parts: tuple[str, ...]) -> Folder:
        depth = len(parts)
        while depth and parts[:depth] not in self._open:
            depth -= 1
        held = self._open.get(parts[:depth])
        current = self._enter_root() if held is None else held
        passed: Folder | None = None
        try:
            for below in range(depth, len(parts)):
                here = parts[: below + 1]
                # Private from the first moment, but ours to fill until it is finished.
                path = "/".join(here)
                mode = self.wanted.mode(path) & 0o777 | 0o700
                current, made = current.child(parts[below], mode)
                if made:
                    current.made = True
                    self.wanted.made(path)
                if passed is not None:
                    passed.close()
                passed = current
        except BaseException:
            if passed is not None:
                passed.close()
            raise
        return current

    def _enter_root(self) -> Folder:
        os.makedirs(self.root, exist_ok=True)
        path = str(self.root)
        fd = None
        if self._descriptors:
            # A link is fine here: the person at this machine chose the folder.
            fd = os.open(path, _OPEN_FOLDER & ~NOFOLLOW)
        self._identity = identity(os.stat(path if fd is None else fd))
        root = self._open[()] = Folder(path, fd)
        return root

    def _close_idle(self, keep: int) -> None:
        idle = [parts for parts, folder in self._open.items() if parts and not folder.users]
        for parts in idle[: max(0, len(idle) - keep)]:
            self._open.pop(parts).close()


def _in_the_way(path: str) -> DestinationError:
    return DestinationError(
        f"{printable(path)} is in the way: it is not a folder",
        "dcsend never follows a link inside the chosen folder; move it away, then run it again",
    )
