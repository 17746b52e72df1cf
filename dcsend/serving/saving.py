"""Write the page to a file of the user's choice: whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from dcsend.errors import DestinationError
from dcsend.printable import printable

__all__ = ["save"]


_MOST_LINKS: Final = 40
"Links that lead on to each other, as many as Linux follows."


def save(content: bytes, path: Path, *, overwrite: bool = False) -> None:
    """Write *content* to *path*.

    Raises:
        DestinationError: there is a file already, no folder, or no right to write.
    """
    shown = printable(str(path))
    try:
        target = _followed(path)
        there = _lstat(target)
        # A device or a pipe is not replaced by a file.
        if there is not None and not stat.S_ISREG(there.st_mode):
            raise DestinationError(f"{shown} is not a file", "name a file, or - to pipe it")
        if overwrite:
            _replace(target, content, there)
        else:
            _create(target, content, None)
    except FileExistsError as exc:
        raise DestinationError(f"{shown} exists", "replace it with --overwrite") from exc
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
        reason = getattr(exc, "strerror", None) or str(exc)
        raise DestinationError(f"can't write {shown}: {reason}", "name another file") from exc


def _followed(path: Path) -> Path:
    """Return what *path* names at the end of links of our own.

    The system refuses to follow another user's link in a folder like /tmp (Linux:
    fs.protected_symlinks), but is not asked for a link that is read here. Folders on the way are
    left to it.

    Raises:
        DestinationError: the link belongs to another user.
        OSError: the links form a circle.
    """
    shown = printable(str(path))
    for _ in range(_MOST_LINKS):
        status = _lstat(path)
        if status is None or not stat.S_ISLNK(status.st_mode):
            return path
        if os.name == "posix" and status.st_uid not in (os.geteuid(), 0):
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
    file = target.open("xb")  # never through a link
    try:
        with file:  # a full disk may be told as late as here
            if mode is not None and os.name == "posix":
                with contextlib.suppress(OSError):
                    os.fchmod(file.fileno(), mode)
            file.write(content)
    except BaseException:
        target.unlink()
        raise


def _replace(target: Path, content: bytes, there: os.stat_result | None) -> None:
    # Short, whatever the name: a system counts its bytes. Random: it is nobody else's.
    beside = target.with_name(f".dcsend-{secrets.token_hex(8)}")
    mode = None
    if there is not None and os.name == "posix" and there.st_uid == os.geteuid():
        mode = stat.S_IMODE(there.st_mode)  # as readable as it was
    _create(beside, content, mode)
    try:
        beside.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
