"""Write the page to a file of the user's choice: whole or not at all."""

from __future__ import annotations

import contextlib
import os
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
    with target.open("xb") as file:
        try:
            file.write(content)
            file.flush()
        except BaseException:
            target.unlink()
            raise


def _replace(target: Path, content: bytes) -> None:
    beside = target.with_name(f".{target.name[:100]}.{os.getpid()}")
    try:
        _create(beside, content)
        beside.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
