"""Writing the page to a file, atomically.

Imports leaf modules and the standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Final

from dcsend.errors import DestinationError
from dcsend.printable import printable, system_reason

__all__ = ["save"]


_MOST_LINKS: Final = 40
"Symbolic links to follow in a row; the limit of Linux."


def save(content: bytes, path: Path, *, overwrite: bool = False) -> None:
    """Write *content* to *path*, completely or not at all.

    Args:
        content: of the file.
        path: of the file; a symbolic link of this user or of root is followed.
        overwrite: whether to replace an existing regular file.

    Raises:
        DestinationError: *path* exists, or can't be written.
    """
    shown = printable(str(path))
    try:
        target = _followed(path)
        status = _lstat(target)
        # Devices and pipes are never replaced.
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise DestinationError(f"{shown} is not a file", "name a file, or - to pipe it")
        if overwrite:
            _replace(target, content, status)
        else:
            _create(target, content, None)
    except FileExistsError as exc:
        raise DestinationError(f"{shown} exists", "replace it with --overwrite") from exc
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
        reason = system_reason(exc, str(exc))
        raise DestinationError(f"can't write {shown}: {reason}", "name another file") from exc


def _followed(path: Path) -> Path:
    """Return the path to which the symbolic links at the end of *path* lead.

    Linux refuses to follow another user's link in a folder like /tmp (fs.protected_symlinks), but
    not to read one, so this is checked here. Links in the folders above are left to the system.

    Raises:
        DestinationError: a link belongs to another user.
        OSError: the links form a loop.
    """
    shown = printable(str(path))
    for _ in range(_MOST_LINKS + 1):
        status = _lstat(path)
        if status is None or not stat.S_ISLNK(status.st_mode):
            return path
        if sys.platform != "win32" and status.st_uid not in (os.geteuid(), 0):
            raise DestinationError(
                f"{shown} is a symbolic link of another user", "remove it, or name another file"
            )
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _create(target: Path, content: bytes, mode: int | None) -> None:
    file = target.open("xb")  # O_EXCL: never through a link
    try:
        with file:  # closing may report that the disk is full
            if mode is not None and sys.platform != "win32":
                with contextlib.suppress(OSError):
                    os.fchmod(file.fileno(), mode)
            file.write(content)
    except BaseException:
        target.unlink()
        raise


def _replace(target: Path, content: bytes, old: os.stat_result | None) -> None:
    # Short, so that it fits where the name itself is of the greatest length.
    temporary = target.with_name(f".dcsend-{secrets.token_hex(8)}")
    mode = None
    if old is not None and sys.platform != "win32" and old.st_uid == os.geteuid():
        mode = stat.S_IMODE(old.st_mode)
    _create(temporary, content, mode)
    try:
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
