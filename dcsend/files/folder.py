"""The chosen folder and the folders in it, opened without following symbolic links.

Except on Windows, a folder is a descriptor, and names are resolved relative to it, one component at
a time and never through a symbolic link; a link that another program creates during a transfer is
not followed. On Windows each component is checked before it is used. All names are components that
`names.safe_path` has returned.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path
from typing import Final

from dcsend.errors import DestinationError
from dcsend.files.disk import (
    BINARY,
    CLOEXEC,
    NOFOLLOW,
    OPEN_FOLDER,
    DestinationLost,
    Effect,
    close_quietly,
    effect,
    ends_run,
    explain,
    sync,
)
from dcsend.files.exclusive import rename_exclusive
from dcsend.files.names import MAX_COMPONENT, beside
from dcsend.files.planned_folders import PlannedFolders
from dcsend.printable import printable

__all__ = ["Folder", "Identity", "Tree", "identity", "is_link"]

Identity = tuple[int, int]
"Device and inode; two names with the same identity are one file."

HELD_OPEN: Final = 32
"Folders that stay open between portions; macOS allows 256 descriptors per process."
USE_DESCRIPTORS: Final = os.open in os.supports_dir_fd and os.link in os.supports_dir_fd
"Whether this system can resolve names relative to a descriptor."

_SHORT: Final = 96
"Bytes of a name to which every suffix can be added on every file system."
_SHORTEST: Final = 64
"Bytes; a file system that reports a smaller limit of names is not believed."
_NO_SYNC: Final = frozenset({errno.EBADF, errno.EACCES, errno.EPERM})
"Errors of folders that can't be synced, beside `disk.NO_SYNC`."
_REPARSE_POINT: Final = 0x400


def identity(status: os.stat_result) -> Identity:
    """Return device and inode."""
    return (status.st_dev, status.st_ino)


def is_link(status: os.stat_result) -> bool:
    """Return whether *status* is of a symbolic link or a Windows junction."""
    # A junction is a reparse point for which S_ISLNK is false.
    attributes: int = getattr(status, "st_file_attributes", 0)
    return stat.S_ISLNK(status.st_mode) or bool(attributes & _REPARSE_POINT)


class Folder:
    """One folder; methods take the name of a file or folder in it.

    Args:
        path: absolute; used for messages, and for access without a descriptor.
        fd: its descriptor, owned by this object; None if the system has no `dir_fd`.
        made: whether this run has just made it, so that it contains no other files.
    """

    __slots__ = ("_inside", "fd", "made", "path", "users")

    def __init__(self, path: str, fd: int | None, *, made: bool = False) -> None:
        self.path = path
        self._inside = os.path.join(path, "x")[:-1]
        self.fd = fd
        self.made = made
        self.users = 0
        "Open files in it; the folder is not closed before them."

    def hold(self) -> None:
        """Keep the folder open until as many calls of `release`."""
        self.users += 1

    def release(self) -> None:
        """Undo one call of `hold`."""
        self.users -= 1

    def path_of(self, name: str) -> str:
        """Return the path of *name*."""
        return self._inside + name

    def max_name_length(self, name: str) -> int:
        """Return the maximum length of a name derived from *name*, in bytes, at most 255.

        Most file systems allow 255 bytes, or more; eCryptfs 143.
        """
        if len(name) <= _SHORT and len(name.encode()) <= _SHORT:
            return MAX_COMPONENT
        if sys.platform == "win32":
            return MAX_COMPONENT
        try:
            longest = os.statvfs(self.path if self.fd is None else self.fd).f_namemax
        except OSError:
            return MAX_COMPONENT
        return min(longest, MAX_COMPONENT) if longest >= _SHORTEST else MAX_COMPONENT

    def beside(self, name: str, suffix: str) -> str:
        """Return the name of the part or the journal of *name*; see `names.beside`."""
        return beside(name, suffix, self.max_name_length(name))

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Open a file without following a link, and return its descriptor."""
        flags |= NOFOLLOW | CLOEXEC | BINARY
        return os.open(self._at(name), flags, mode, dir_fd=self.fd)

    def lstat(self, name: str) -> os.stat_result | None:
        """Return the status of *name* itself, not of a link's target; None if it does not exist."""
        try:
            return os.stat(self._at(name), dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove a file or a link, if it exists."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self.fd)

    def replace(self, old: str, new: str) -> None:
        """Rename atomically; replaces a file or link."""
        os.replace(self._at(old), self._at(new), src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def rename(self, old: str, new: str) -> None:
        """Rename without replacing anything.

        Raises:
            FileExistsError: *new* exists.
        """
        if os.name == "nt":
            os.rename(self._at(old), self._at(new))  # Windows never renames over a file
            return
        # FAT and some network file systems have no hard links, and others, among them drivers in
        # user space, no exclusive rename. The errors differ between them.
        for rename in (self._rename_exclusively, self._link_and_remove):
            try:
                rename(old, new)
            except FileExistsError:
                raise
            except OSError as error:
                if ends_run(error):
                    raise
            else:
                return
        self._rename_over_reservation(old, new)

    def symlink(self, target: str, name: str) -> None:
        """Create a symbolic link.

        Raises:
            FileExistsError: *name* exists.
        """
        os.symlink(target, self._at(name), dir_fd=self.fd)

    def child(self, name: str, mode: int) -> Folder:
        """Open the folder *name*; create it if it does not exist.

        Args:
            name: of the folder.
            mode: permissions of a new folder, before the umask.

        Raises:
            DestinationError: *name* is not a folder.
        """
        made = False
        try:
            return self.enter(name)
        except FileNotFoundError:
            pass
        try:
            os.mkdir(self._at(name), mode, dir_fd=self.fd)
            made = True
        except FileExistsError:
            pass
        return self.enter(name, made=made)

    def enter(self, name: str, *, made: bool = False) -> Folder:
        """Open the folder *name*, which exists; *made*: this run has just made it.

        Raises:
            DestinationError: *name* is not a folder, or is a link.
            OSError: it can't be opened.
        """
        path = self.path_of(name)
        if self.fd is None:
            status = os.lstat(path)
            if not stat.S_ISDIR(status.st_mode) or is_link(status):
                raise _in_the_way(path)
            return Folder(path, None, made=made)
        try:
            return Folder(path, os.open(name, OPEN_FOLDER, dir_fd=self.fd), made=made)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
                raise _in_the_way(path) from None
            raise

    def finish(self, mode: int, mtime: int | None) -> None:
        """Set permissions and time of the folder, as far as its file system can store them.

        Args:
            mode: permissions.
            mtime: microseconds since 1970-01-01 UTC.

        Raises:
            OSError: the status of the folder can't be read.
        """
        place: int | str = self.path if self.fd is None else self.fd
        if os.name == "posix":
            # `child` has set these bits and more; the umask allows those that are left.
            allowed = stat.S_IMODE(os.stat(place).st_mode)
            with contextlib.suppress(OSError):
                os.chmod(place, (mode & 0o777 & allowed) | (allowed & ~0o777))
        if mtime is not None:
            with contextlib.suppress(OSError, OverflowError):
                os.utime(place, ns=(mtime * 1000, mtime * 1000))

    def sync(self) -> None:
        """Make the names in the folder durable, where the system supports it."""
        if self.fd is None:
            return
        try:
            sync(self.fd)
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise

    def close(self) -> None:
        """Close the descriptor."""
        if self.fd is not None:
            close_quietly(self.fd)
            self.fd = None

    def _at(self, name: str) -> str:
        return name if self.fd is not None else self.path_of(name)

    def _rename_exclusively(self, old: str, new: str) -> None:
        rename_exclusive(self._at(old), self._at(new), self.fd)

    def _link_and_remove(self, old: str, new: str) -> None:
        os.link(
            self._at(old),
            self._at(new),
            src_dir_fd=self.fd,
            dst_dir_fd=self.fd,
            follow_symlinks=False,
        )
        # The file has its final name; if the old one stays, this is no failure. After a kill both
        # stay: `planning` finds the old one.
        with contextlib.suppress(OSError):
            self.remove(old)

    def _rename_over_reservation(self, old: str, new: str) -> None:
        # An empty file reserves the name, so that renaming replaces nothing else. After a kill it
        # stays.
        close_quietly(self.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            self.replace(old, new)
        except OSError:
            with contextlib.suppress(OSError):
                self.remove(new)
            raise


class Tree:
    """The chosen folder and the folders in it; some stay open.

    Args:
        root: absolute; created by the first call of `folder` if it does not exist.
        planned: permissions of new folders; notes which ones are made.
        descriptors: whether to open folders by descriptor.
    """

    def __init__(self, root: Path, planned: PlannedFolders, *, descriptors: bool) -> None:
        self.root = root
        self._planned = planned
        self._descriptors = descriptors
        self._identity: Identity | None = None
        self._open: dict[tuple[str, ...], Folder] = {}

    def folder(self, parts: tuple[str, ...]) -> Folder:
        """Return the folder *parts*; create it and its parents if they do not exist.

        Raises:
            DestinationLost: the chosen folder can't be created or opened.
            DestinationError: a component is not a folder.
            OSError: a system call failed.
        """
        found = self._open.pop(parts, None)
        if found is None:
            if len(self._open) >= 2 * HELD_OPEN:
                self.trim()
            found = self._walk(parts)
        self._open[parts] = found  # moved to the end: closed last
        return found

    def is_gone(self) -> bool:
        """Return whether the chosen folder was removed, or replaced by another one."""
        if self._identity is None:
            return False
        try:
            return identity(os.stat(self.root)) != self._identity
        except OSError as error:
            return effect(error) is not Effect.ENTRY

    def check_exists(self) -> None:
        """Check that the chosen folder still exists.

        Raises:
            DestinationLost: it was removed, moved or replaced.
        """
        if self.is_gone():
            # If it was moved, the reported paths of files would be wrong.
            raise DestinationLost(
                f"{printable(str(self.root))} was removed or moved during the transfer"
            )

    def classify(self, error: OSError, name: str) -> DestinationError:
        """Return the error of one entry, or raise the one that ends the run.

        Args:
            error: of a system call.
            name: the path that was being written.

        Raises:
            DestinationLost: the disk is full or gone.
        """
        failure = explain(error, name)
        if isinstance(failure, DestinationLost):
            raise failure
        if effect(error) is Effect.DOUBTFUL:
            self.check_exists()
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            if not missing and not self._responds():
                raise DestinationLost(failure.message, failure.hint)
        return failure

    def _responds(self) -> bool:
        """Return whether the disk of the chosen folder still completes a sync."""
        root = self._open.get(())
        if root is None or root.fd is None:
            return False
        try:
            root.sync()
        except OSError:
            return False
        return True

    def forget(self) -> None:
        """Close every folder that is not in use, so that it is opened again."""
        self._close_idle(keep=0)

    def trim(self) -> None:
        """Close folders that are not in use until `HELD_OPEN` are left."""
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
                # With all permissions for the owner until `Folder.finish`.
                path = "/".join(here)
                mode = self._planned.mode(path) & 0o777 | 0o700
                current = current.child(parts[below], mode)
                if current.made:
                    self._planned.made(path)
                if passed is not None:
                    passed.close()
                passed = current
        except BaseException:
            if passed is not None:
                passed.close()
            raise
        return current

    def _enter_root(self) -> Folder:
        path = str(self.root)
        fd = None
        try:
            os.makedirs(self.root, exist_ok=True)
            if self._descriptors:
                # May be a link: the person at this machine chose the folder.
                fd = os.open(path, OPEN_FOLDER & ~NOFOLLOW)
            self._identity = identity(os.stat(path if fd is None else fd))
        except OSError as error:
            if fd is not None:
                close_quietly(fd)
            failure = explain(error, path)
            raise DestinationLost(
                failure.message, failure.hint or "choose another folder with --output"
            ) from None
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
