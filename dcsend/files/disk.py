"""What the system's errors mean for a run that writes files.

Two sorts: a trouble of one file (a name too long, no permission), after which the other
files go on, and the loss of the disk (full, read-only, broken), after which none would.
Must not import the rest of `files`.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from dcsend.errors import DestinationError
from dcsend.printable import printable

__all__ = ["BINARY", "CLOEXEC", "NOFOLLOW", "NONBLOCK", "explain", "is_fatal", "readable"]

# Flags that not every system has, or needs.
BINARY: Final[int] = getattr(os, "O_BINARY", 0)
CLOEXEC: Final[int] = getattr(os, "O_CLOEXEC", 0)
NOFOLLOW: Final[int] = getattr(os, "O_NOFOLLOW", 0)
NONBLOCK: Final[int] = getattr(os, "O_NONBLOCK", 0)

_HINTS: Final = {
    errno.ENOSPC: "make room, then run it again",
    getattr(errno, "EDQUOT", errno.ENOSPC): "make room within your quota, then run it again",
    errno.EROFS: "choose another folder with --output",
    errno.EMFILE: "raise the limit of open files (ulimit -n), then run it again",
}
_FATAL: Final = frozenset(
    {*_HINTS, errno.EIO, errno.ENFILE, errno.ENOMEM, errno.ENXIO, errno.ENODEV}
)


def is_fatal(error: OSError) -> bool:
    """Tell whether *error* ends the run, and not one file only."""
    return error.errno in _FATAL


def explain(error: OSError, name: str) -> DestinationError:
    """Return *error* as one of dcsend's own.

    Args:
        error: what the system said.
        name: what was being written; made safe to show here.
    """
    reason = os.strerror(error.errno).lower() if error.errno else "unknown error"
    return DestinationError(
        f"can't write {printable(name)}: {reason}", _HINTS.get(error.errno or 0, "")
    )


def readable(size: int) -> str:
    """Return *size*, in bytes, for a person.

    >>> readable(999), readable(1_500_000)
    ('999 bytes', '1.5 MB')
    """
    if size < 1000:
        return f"{size} bytes"
    amount = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} PB"
