"""Locks of parts, so that two runs never write the same one. Imports nothing else of `files`."""

from __future__ import annotations

import errno
import sys
from typing import Final

from dcsend.errors import DestinationError
from dcsend.printable import printable

if sys.platform != "win32":
    import fcntl

__all__ = ["PartLocked", "has_locks", "locked_error", "try_lock"]

_LOCKED: Final = (errno.EWOULDBLOCK, errno.EACCES)
"Errors of a file that another process has locked."


class PartLocked(DestinationError):
    """Another transfer is writing a part."""


def try_lock(fd: int) -> bool:
    """Lock a file until it is closed; return False if another process has locked it.

    Returns True on a file system without locks, as some network file systems are. There two runs
    have two parts, of which `PartFile.place` finds one removed; none is continued (`has_locks`).
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in _LOCKED
    return True


def has_locks(fd: int) -> bool:
    """Return whether the file system of an open file, which is not locked, has locks."""
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(fd, fcntl.LOCK_UN)
        except OSError as error:
            return error.errno in _LOCKED
    return True


def locked_error(name: str) -> PartLocked:
    """Return the error for a file that another run, or another transfer of this run, receives."""
    return PartLocked(
        f"another dcsend is receiving {printable(name)} here", "wait for it, or end it"
    )
