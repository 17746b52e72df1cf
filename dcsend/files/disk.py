"""The table of errno values: which errors fail one entry, and which end the run.

Most errors concern one entry (a name that is too long, a missing permission); the other entries
continue. If the disk is full, read-only or gone, all later entries would fail, so the run ends. A
few errors can mean either; then `folder.Tree.classify` checks the chosen folder. Imports nothing
else of `files`.
"""

from __future__ import annotations

import enum
import errno
import os
from typing import Final

from dcsend.errors import DestinationError
from dcsend.printable import printable, system_reason

__all__ = [
    "BINARY",
    "CLOEXEC",
    "NOFOLLOW",
    "NONBLOCK",
    "NO_SYNC",
    "OPEN_FOLDER",
    "DestinationLost",
    "Effect",
    "close_quietly",
    "effect",
    "ends_run",
    "explain",
    "may_pass",
    "sync",
    "write_all",
]

# Flags that some systems do not have.
BINARY: Final[int] = getattr(os, "O_BINARY", 0)
CLOEXEC: Final[int] = getattr(os, "O_CLOEXEC", 0)
NOFOLLOW: Final[int] = getattr(os, "O_NOFOLLOW", 0)
NONBLOCK: Final[int] = getattr(os, "O_NONBLOCK", 0)
OPEN_FOLDER: Final[int] = os.O_RDONLY | CLOEXEC | NOFOLLOW | getattr(os, "O_DIRECTORY", 0)
"To open a folder, not through a link."


class DestinationLost(DestinationError):
    """The destination can't be written any more; ends the run."""


class Effect(enum.Enum):
    """What ends because of an error: the entry, or the run."""

    ENTRY = "the entry alone"
    DOUBTFUL = "the entry; the run, if the chosen folder is gone or does not respond"
    RUN = "the run"


_CONNECT: Final = "see that the disk or the network folder is connected, then run it again"

# Errors that end more than one entry, with a hint for the user.
_TABLE: Final[dict[str, tuple[Effect, str]]] = {
    "ENOSPC": (Effect.RUN, "make room, then run it again"),
    "EDQUOT": (Effect.RUN, "make room within your quota, then run it again"),
    "EROFS": (Effect.RUN, "choose another folder with --output"),
    # The path or one of its parents is missing.
    "ENOENT": (Effect.DOUBTFUL, ""),
    "ENOTDIR": (Effect.DOUBTFUL, ""),
    # One file of a network file system, or all.
    "ESTALE": (Effect.DOUBTFUL, _CONNECT),
    # One bad block, or the whole disk.
    "EIO": (Effect.DOUBTFUL, _CONNECT),
    # A device was removed.
    "ENODEV": (Effect.RUN, _CONNECT),
    "ENXIO": (Effect.RUN, _CONNECT),
    "ENOMEDIUM": (Effect.RUN, _CONNECT),
    # The process of a FUSE file system has ended: ENOTCONN, and ECONNABORTED for pending calls
    # (Linux, fs/fuse/dev.c). The others are errors of network file systems.
    "ENOTCONN": (Effect.RUN, _CONNECT),
    "ECONNABORTED": (Effect.RUN, _CONNECT),
    "ECONNREFUSED": (Effect.RUN, _CONNECT),
    "ECONNRESET": (Effect.RUN, _CONNECT),
    "EHOSTDOWN": (Effect.RUN, _CONNECT),
    "EHOSTUNREACH": (Effect.RUN, _CONNECT),
    "ENETDOWN": (Effect.RUN, _CONNECT),
    "ENETUNREACH": (Effect.RUN, _CONNECT),
    "EREMOTEIO": (Effect.RUN, _CONNECT),
    "ESHUTDOWN": (Effect.RUN, _CONNECT),
    "ETIMEDOUT": (Effect.RUN, _CONNECT),
    # The hint is for a run that can't begin.
    "EMFILE": (Effect.ENTRY, "raise the limit of open files (ulimit -n), then run it again"),
    "EAGAIN": (Effect.ENTRY, "raise the limit of threads (ulimit -u), then run it again"),
}
_BY_NUMBER: Final = {
    number: row for name, row in _TABLE.items() if (number := getattr(errno, name, None))
}
NO_SYNC: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})
"Errors of file systems that do not support `fsync`."


def effect(error: OSError) -> Effect:
    """Return what ends because of *error*."""
    return _BY_NUMBER.get(error.errno or 0, (Effect.ENTRY, ""))[0]


def may_pass(error: OSError) -> bool:
    """Return whether *error* is of the disk or the system, and a later run may succeed."""
    return error.errno in (errno.EIO, errno.ESTALE, errno.EAGAIN)


def ends_run(error: OSError) -> bool:
    """Return whether *error* ends the run in any case."""
    return effect(error) is Effect.RUN


def explain(error: OSError, name: str) -> DestinationError:
    """Return *error* as a `DestinationError`; as a `DestinationLost` if it ends the run.

    Args:
        error: of a system call.
        name: the path that was being written; escaped here.
    """
    reason = system_reason(error)
    sort = DestinationLost if ends_run(error) else DestinationError
    hint = _BY_NUMBER.get(error.errno or 0, (Effect.ENTRY, ""))[1]
    return sort(f"can't write {printable(name)}: {reason}", hint)


def write_all(fd: int, content: bytes | memoryview) -> None:
    """Write all bytes; a disk that is nearly full takes a part of them.

    Raises:
        OSError: it takes no more.
    """
    done = os.write(fd, content)
    while done < len(content):
        done += os.write(fd, memoryview(content)[done:])


def sync(fd: int) -> None:
    """Make an open file or folder durable, where its file system supports it.

    Raises:
        OSError: earlier writes have failed.
    """
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def close_quietly(fd: int) -> None:
    """Close a descriptor and ignore errors: of a file that was read, synced or given up."""
    try:
        os.close(fd)
    except OSError:
        return
