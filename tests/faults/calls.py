"""Kinds of calls on files, and the errors that the manual pages and file systems document for each.

A program that is interrupted by a signal may see EINTR; file systems over a network or FUSE add
EIO, ENOTCONN, ESTALE and ETIMEDOUT to every call that reaches them.
"""

from __future__ import annotations

import errno
from typing import Final

__all__ = ["ENDING", "ERRORS", "KINDS", "LASTING", "MAY_END", "SHORT", "WRITING"]

SHORT: Final = "short"
"""In place of an error: the call transfers half of the bytes. Disks do so after a signal or with
little space left, file systems over a network or FUSE at any time."""

_LOST: Final = "EIO ENOTCONN ESTALE"
_PATH: Final = f"EACCES ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR {_LOST}"
_ROOM: Final = "ENOSPC EDQUOT EROFS"

ERRORS: Final[dict[str, tuple[str, ...]]] = {
    kind: tuple(names.split())
    for kind, names in {
        "open": f"{_PATH} EMFILE ENFILE EPERM EINTR EBUSY EINVAL ENODEV ENXIO EOVERFLOW ETXTBSY",
        "create": f"{_PATH} {_ROOM} EEXIST EMFILE ENFILE EPERM EINTR EISDIR EINVAL EOPNOTSUPP",
        "read": f"{SHORT} {_LOST} EINTR EINVAL EISDIR ENOMEM ETIMEDOUT",
        "write": f"{SHORT} {_LOST} {_ROOM} EFBIG EINTR EINVAL ENOMEM EPERM ETIMEDOUT",
        "close": "EIO ENOSPC EDQUOT EINTR ENOTCONN ESTALE",
        "fsync": f"{_LOST} {_ROOM} EINTR EINVAL EOPNOTSUPP ETIMEDOUT",
        "syncfs": f"{_LOST} ENOSPC EDQUOT",
        "rename": f"{_PATH} {_ROOM} EBUSY EINVAL EISDIR EMLINK ENOTEMPTY EPERM EXDEV",
        "link": f"{_PATH} {_ROOM} EEXIST EMLINK EPERM EXDEV EOPNOTSUPP",
        "unlink": f"{_PATH} EROFS EBUSY EISDIR EPERM",
        "mkdir": f"{_PATH} {_ROOM} EEXIST EMLINK EPERM EINVAL",
        "stat": f"{_PATH} EOVERFLOW",
        "fstat": f"{_LOST} ENOMEM EOVERFLOW",
        "utime": f"{_LOST} EACCES EPERM EROFS EINVAL ENOENT",
        "chmod": f"{_LOST} EACCES EPERM EROFS EOPNOTSUPP ENOENT",
        "symlink": f"{_PATH} {_ROOM} EEXIST EPERM",
        "readlink": f"{_PATH} EINVAL",
        "opendir": f"{_PATH} EMFILE ENFILE",
        "readdir": f"{_LOST} ENOENT ENOMEM EOVERFLOW",
        "statvfs": f"{_PATH} EINTR ENOSYS EOVERFLOW",
        "truncate": f"{_LOST} EFBIG EINTR EINVAL EPERM EROFS",
        "seek": f"{_LOST} EINVAL ENXIO EOVERFLOW",
        "access": f"{_PATH} EROFS EPERM",
        "flock": f"{_LOST} EINTR EINVAL ENOLCK EWOULDBLOCK EOPNOTSUPP",
        "copy": f"{_LOST} {_ROOM} EFBIG EINVAL ENOMEM EOPNOTSUPP EXDEV",
        "allocate": f"{_LOST} {_ROOM} EFBIG EINTR EINVAL EOPNOTSUPP",
    }.items()
}
"By kind; the order of the kinds is that of `enum kind` in inject.c."

KINDS: Final = tuple(ERRORS)

WRITING: Final = (
    "create",
    "write",
    "close",
    "fsync",
    "syncfs",
    "rename",
    "link",
    "mkdir",
    "symlink",
)
"Calls that a full or read-only disk refuses."

LASTING: Final[dict[str, tuple[str, ...]]] = {
    SHORT: ("read", "write"),
    "EIO": KINDS,
    "ENOTCONN": KINDS,
    "ESTALE": KINDS,
    "ENOSPC": WRITING,
    "EDQUOT": WRITING,
    "EROFS": ("create", "rename", "link", "unlink", "mkdir", "symlink", "utime", "chmod"),
}
"Persistent errors, and the calls that have them: a dead mount, a full disk."

ENDING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"Errors that end a receiver's run."

MAY_END: Final = ENDING | {
    getattr(errno, name)
    for name in (
        *("EIO", "ENOTCONN", "ESTALE", "ETIMEDOUT"),  # the disk, or the way to it, is lost
        *("ENODEV", "ENXIO", "ENFILE", "EMFILE", "ENOMEM"),  # no other file would do better
    )
}
"Errors that may end a run, since other calls will fail, too."
