"""Opening the file that a scan has listed, and no other one in its place.

Minutes pass between the scan and the first read, while a person transfers the code. A user who can
write in a sent folder could replace a folder in it by a symbolic link, or a file by a hard link to
another one, and so have files sent that this user can't read. The check of size and time does not
prevent this.

A file is identified by its device and inode. Some file systems assign inode numbers dynamically
(FAT, many network and FUSE file systems) and may give a file a new one. For these, and where the
scan has no number (Windows), the file is opened component by component from the folder that the
user has named, without following links; it must be on the same device and have only one name.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from dcsend.files.disk import BINARY, CLOEXEC, NOFOLLOW, NONBLOCK, OPEN_FOLDER, close_quietly
from dcsend.files.folder import USE_DESCRIPTORS, Identity, identity, is_link

__all__ = [
    "NOWHERE",
    "FileReplaced",
    "OpenListed",
    "file_system_types",
    "has_stable_inodes",
    "open_listed",
]

NOWHERE: Final[Identity] = (0, 0)
"The identity of an entry without a known device and inode."

# NONBLOCK: opening a pipe in place of the file must not wait for a writer.
_FILE: Final = os.O_RDONLY | NOFOLLOW | NONBLOCK | CLOEXEC | BINARY
_DYNAMIC_INODES: Final = frozenset(
    {"9p", "cifs", "davfs", "exfat", "msdos", "ncpfs", "prl_fs", "smb3", "vboxsf", "vfat", "vmhgfs"}
)
"Linux file systems with dynamic inode numbers; those whose type begins with `fuse`, too."


class FileReplaced(OSError):
    """The file at this path is not the one that was listed."""


class OpenListed(Protocol):
    """Opens a file that was listed, as `open_listed` does."""

    def __call__(self, path: str, levels: int, listed: Identity) -> tuple[int, os.stat_result]:
        """Return the descriptor and the status of the file."""
        ...


def open_listed(
    path: str,
    levels: int,
    listed: Identity,
    *,
    stable: Callable[[int], bool] | None = None,
    descriptors: bool = USE_DESCRIPTORS,
) -> tuple[int, os.stat_result]:
    """Open a file, and return its descriptor and its status.

    Args:
        path: absolute.
        levels: number of components below the folder that the user has named.
        listed: device and inode at the scan.
        stable: whether inode numbers of a device do not change; None for `has_stable_inodes`.
        descriptors: whether the system can open files below a descriptor.

    Raises:
        FileReplaced: another file has its path.
        OSError: it can't be opened.
    """
    fd = os.open(path, _FILE)
    try:
        status = os.fstat(fd)
        if identity(status) == listed != NOWHERE:
            return fd, status
        # Whatever has the path now may have the inode number of the removed file, or another one.
        if not stat.S_ISREG(status.st_mode):
            raise FileReplaced("is not a file any more")
        if listed != NOWHERE and (stable or has_stable_inodes)(status.st_dev):
            raise FileReplaced("was replaced by another file before it was sent")
    except BaseException:
        close_quietly(fd)
        raise
    close_quietly(fd)
    return _open_beneath(path, levels, listed[0], descriptors=descriptors)


def _open_beneath(
    path: str, levels: int, device: int, *, descriptors: bool
) -> tuple[int, os.stat_result]:
    """Open *path* without following a link in its last *levels* folders and the file itself."""
    root, names = path, list[str]()
    for _ in range(levels + 1):
        root, name = os.path.split(root)
        names.append(name)
    *folders, name = reversed(names)
    fd = _walk(root, folders, name) if descriptors else _look(root, folders, path)
    try:
        status = os.fstat(fd)
        if status.st_nlink > 1 or device not in (0, status.st_dev):
            raise FileReplaced("may have been replaced by another file before it was sent")
    except BaseException:
        close_quietly(fd)
        raise
    return fd, status


def _walk(root: str, folders: list[str], name: str) -> int:
    # The user has chosen this folder, so links to it are followed.
    at = os.open(root, OPEN_FOLDER & ~NOFOLLOW)
    try:
        for folder in folders:
            try:
                below = os.open(folder, OPEN_FOLDER, dir_fd=at)
            except NotADirectoryError as error:  # also of a link
                raise FileReplaced("a folder above it was replaced") from error
            close_quietly(at)
            at = below
        return os.open(name, _FILE, dir_fd=at)
    finally:
        close_quietly(at)


def _look(root: str, folders: list[str], path: str) -> int:
    """Open *path* on systems without `dir_fd`: check for links before and afterwards."""
    _refuse_links(root, folders)
    fd = os.open(path, _FILE)
    try:
        _refuse_links(root, folders)
        if is_link(os.lstat(path)):
            raise FileReplaced("was replaced by a symbolic link")
    except BaseException:
        close_quietly(fd)
        raise
    return fd


def _refuse_links(root: str, folders: list[str]) -> None:
    for folder in folders:
        root = os.path.join(root, folder)
        status = os.lstat(root)
        if is_link(status) or not stat.S_ISDIR(status.st_mode):
            raise FileReplaced("was replaced by a symbolic link")


def has_stable_inodes(device: int, types: Mapping[str, str] | None = None) -> bool:
    """Return whether the file system of *device* never changes inode numbers while mounted.

    Args:
        device: of a file.
        types: of the mounted file systems; None for `file_system_types`.
    """
    if sys.platform != "linux":
        return False  # unknown
    kind = file_system_type(device, types)
    return kind not in _DYNAMIC_INODES and not kind.startswith("fuse")


def file_system_type(device: int, types: Mapping[str, str] | None = None) -> str:
    """Return the type of the file system of *device*, such as `ext4`; empty if it is not known.

    Args:
        device: of a file.
        types: of the mounted file systems; None for `file_system_types`.
    """
    if sys.platform != "linux":
        return ""
    types = file_system_types() if types is None else types
    return types.get(f"{os.major(device)}:{os.minor(device)}", "")


def file_system_types() -> dict[str, str]:
    """Return the type of each mounted file system by its device (proc(5), mountinfo).

    Files of Btrfs and overlayfs have other devices, which are not listed; their inode numbers
    do not change.
    """
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            lines = [line.split(" - ") for line in file]
    except OSError:
        return {}
    return {line[0].split()[2]: line[-1].split()[0] for line in lines if len(line) > 1}
