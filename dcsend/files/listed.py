"""Open the very file that a scan has listed.

Between the scan and the first byte lie minutes: a person has to bring the code over. Whoever may
write in a folder that is sent could meanwhile put a symbolic link in place of a folder inside, or
another file in place of a file, and so have a file sent that is none of theirs. A decoy of the same
size and time is no effort.

A file is recognised by its device and inode. File systems that make inode numbers up as they go
(FAT, many network and FUSE ones) may give a file another number once they have forgotten it; there,
and where a scan learned no number (Windows), the file is opened anew, component by component from
the folder that was named, through no link, and has to be on the same device and to have no other
name.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import Final

from dcsend.files.disk import BINARY, CLOEXEC, NOFOLLOW, NONBLOCK
from dcsend.files.folder import USE_DESCRIPTORS, Identity, identity, is_link

__all__ = ["NOWHERE", "Replaced", "open_listed"]

NOWHERE: Final[Identity] = (0, 0)
"The identity of what a scan could not tell from other files."

# NONBLOCK: if a pipe has taken its place, opening it must not wait for a writer.
_FILE: Final = os.O_RDONLY | NOFOLLOW | NONBLOCK | CLOEXEC | BINARY
_FOLDER: Final = os.O_RDONLY | NOFOLLOW | CLOEXEC | getattr(os, "O_DIRECTORY", 0)
_MADE_UP: Final = frozenset(
    {"9p", "cifs", "davfs", "exfat", "msdos", "ncpfs", "prl_fs", "smb3", "vboxsf", "vfat", "vmhgfs"}
)
"Types of file systems on Linux that give inodes new numbers; all that begin with `fuse`, too."


class Replaced(OSError):
    """What is there now is not what was listed."""


def open_listed(path: str, levels: int, listed: Identity) -> tuple[int, os.stat_result]:
    """Open a file, and return its descriptor and what it is.

    Args:
        path: absolute.
        levels: how many folders of it lie below the one that was named.
        listed: device and inode, as the scan saw them.

    Raises:
        Replaced: it is another file by now.
        OSError: it can't be opened.
    """
    fd = os.open(path, _FILE)
    try:
        status = os.fstat(fd)
        if identity(status) == listed != NOWHERE:
            return fd, status
        if listed != NOWHERE and _keeps_inodes(status.st_dev):
            raise Replaced("was replaced by another file before it was sent")
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return _open_beneath(path, levels, listed[0])


def _open_beneath(path: str, levels: int, device: int) -> tuple[int, os.stat_result]:
    """Open *path*, the last *levels* folders of it and the file itself through no link."""
    root, names = path, list[str]()
    for _ in range(levels + 1):
        root, name = os.path.split(root)
        names.append(name)
    *folders, name = reversed(names)
    fd = _walk(root, folders, name) if USE_DESCRIPTORS else _look(root, folders, path)
    try:
        status = os.fstat(fd)
        if status.st_nlink > 1 or device not in (0, status.st_dev):
            raise Replaced("may have been replaced by another file before it was sent")
    except BaseException:
        os.close(fd)
        raise
    return fd, status


def _walk(root: str, folders: list[str], name: str) -> int:
    # The named folder may be reached by links: that is up to who named it.
    at = os.open(root, _FOLDER & ~NOFOLLOW)
    try:
        for folder in folders:
            try:
                below = os.open(folder, _FOLDER, dir_fd=at)
            except NotADirectoryError as error:  # of a link, too
                raise Replaced("a folder above it was replaced") from error
            os.close(at)
            at = below
        return os.open(name, _FILE, dir_fd=at)
    finally:
        os.close(at)


def _look(root: str, folders: list[str], path: str) -> int:
    """Open *path* where the system has no `dir_fd`: look for links before and afterwards."""
    _refuse_links(root, folders)
    fd = os.open(path, _FILE)
    try:
        _refuse_links(root, folders)
        if is_link(os.lstat(path)):
            raise Replaced("was replaced by a symbolic link")
    except BaseException:
        os.close(fd)
        raise
    return fd


def _refuse_links(root: str, folders: list[str]) -> None:
    for folder in folders:
        root = os.path.join(root, folder)
        status = os.lstat(root)
        if is_link(status) or not stat.S_ISDIR(status.st_mode):
            raise Replaced("was replaced by a symbolic link")


def _keeps_inodes(device: int) -> bool:
    """Tell whether a file system gives a file one inode number for as long as it is mounted."""
    if sys.platform != "linux":
        return False  # it can't be told; see above what is done then
    kind = _kinds().get(f"{os.major(device)}:{os.minor(device)}", "")
    return kind not in _MADE_UP and not kind.startswith("fuse")


def _kinds() -> dict[str, str]:
    """Return the type of each mounted file system by its device, as proc(5) has it.

    Btrfs and overlayfs say other devices of their files; those keep inode numbers.
    """
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            lines = [line.split(" - ") for line in file]
    except OSError:
        return {}
    return {line[0].split()[2]: line[-1].split()[0] for line in lines if len(line) > 1}
