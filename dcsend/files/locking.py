"""Locks of parts, so that two runs never write the same one. Imports nothing else of `files`."""

from __future__ import annotations

import errno
import sys

from dcsend.errors import DestinationError
from dcsend.printable import printable

if sys.platform != "win32":
    import fcntl

__all__ = ["locked_error", "try_lock"]


def try_lock(fd: int) -> bool:
    """Lock a file until it is closed; return False if another process has locked it."""
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network file systems have no locks; `PartFile.place` detects a second writer.
            return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def locked_error(name: str) -> DestinationError:
    """Return the error for a file that another run is receiving."""
    return DestinationError(
        f"another dcsend is receiving {printable(name)} here", "wait for it, or end it"
    )
