"""A rename that replaces nothing, in one step, which the standard library does not have.

`renameat2` of Linux with RENAME_NOREPLACE, `renameatx_np` of macOS with RENAME_EXCL. Some file
systems have neither. Imports nothing else of `files`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from typing import Final, TypeAlias

__all__ = ["rename_exclusive"]

_Call: TypeAlias = Callable[[int, bytes, int, bytes, int], int]

_CALLS: Final = {"linux": ("renameat2", 1, -100), "darwin": ("renameatx_np", 4, -2)}
"By system: the call, its flag, and AT_FDCWD, which stands for the current folder."
_NAME, _FLAG, _HERE = _CALLS.get(sys.platform, ("", 0, 0))


def _find() -> _Call | None:
    call: _Call | None = getattr(ctypes.CDLL(None, use_errno=True), _NAME, None) if _NAME else None
    return call


_CALL: Final = _find()


def rename_exclusive(old: str, new: str, folder: int | None) -> None:
    """Rename a file within a folder.

    Args:
        old: its name.
        new: its next one.
        folder: a descriptor; None: both are absolute paths.

    Raises:
        FileExistsError: *new* exists.
        OSError: it can't be renamed in this way; EINVAL, ENOSYS, ENOTSUP or another error, if this
            system or the file system has no such call.
    """
    if _CALL is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    at = _HERE if folder is None else folder
    if _CALL(at, os.fsencode(old), at, os.fsencode(new), _FLAG):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), new)
