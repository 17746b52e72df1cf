"""Write the page to a file of the user's choice: whole or not at all."""

from __future__ import annotations

import contextlib
import secrets
import stat
from pathlib import Path

from dcsend.errors import DestinationError
from dcsend.printable import printable

__all__ = ["save"]


def save(content: bytes, path: Path, *, overwrite: bool = False) -> None:
    """Write *content* to *path*.

    Raises:
        DestinationError: there is a file already, no folder, or no right to write.
    """
    shown = printable(str(path))
    try:
        # Through a link to what it names; a device or a pipe is not replaced by a file.
        target = path.resolve()
        if target.exists() and not target.is_file():
            raise DestinationError(f"{shown} is not a file", "name a file, or - to pipe it")
        if overwrite:
            _replace(target, content)
        else:
            _create(target, content)
    except FileExistsError as exc:
        raise DestinationError(f"{shown} exists", "replace it with --overwrite") from exc
    except (OSError, ValueError, RuntimeError) as exc:  # a NUL in the name; links in a circle
        reason = getattr(exc, "strerror", None) or str(exc)
        raise DestinationError(f"can't write {shown}: {reason}", "name another file") from exc


def _create(target: Path, content: bytes) -> None:
    file = target.open("xb")
    try:
        with file:  # a full disk may be told as late as here
            file.write(content)
    except BaseException:
        target.unlink()
        raise


def _replace(target: Path, content: bytes) -> None:
    # Short, whatever the name: a system counts its bytes. Random: it is nobody else's.
    beside = target.with_name(f".dcsend-{secrets.token_hex(8)}")
    _create(beside, content)
    try:
        with contextlib.suppress(OSError):
            beside.chmod(stat.S_IMODE(target.stat().st_mode))  # as readable as it was
        beside.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
