"""Symbolic links that a peer asked for: made last, and only if they lead nowhere else."""

from __future__ import annotations

import stat

from dcsend.errors import DestinationError
from dcsend.files.folder import Folder
from dcsend.files.names import PART_SUFFIX, beside, safe_target
from dcsend.files.operations import Existing
from dcsend.files.part import free_names
from dcsend.printable import printable

__all__ = ["make_link"]


def make_link(folder: Folder, parts: tuple[str, ...], target: str, existing: Existing) -> str:
    """Make a link and return the name it got.

    Args:
        folder: where it shall be.
        parts: the link's own path below the chosen folder.
        target: what it shall hold, as the peer said it.
        existing: what to do if the name is taken.

    Raises:
        DestinationError: it would lead out of the chosen folder, or its name is taken.
        OSError: the system refused, as Windows does without the right to make links.
    """
    safe_target(parts, target)
    name = parts[-1]
    if existing is Existing.OVERWRITE:
        _replace(folder, name, target)
        return name
    for free in free_names(name, existing):
        try:
            folder.symlink(target, free)
        except FileExistsError:
            continue
        return free
    raise DestinationError(f"{printable(name)} is there already")


def _replace(folder: Folder, name: str, target: str) -> None:
    status = folder.lstat(name)
    if status is not None and not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        raise DestinationError(f"{printable(name)} is there and is not a file")
    part = beside(name, PART_SUFFIX)
    folder.symlink(target, part)
    try:
        folder.replace(part, name)
    except OSError:
        folder.remove(part)
        raise
