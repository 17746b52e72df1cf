"""The final name of a received file: the first that is free, or one that may be replaced."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from typing import Final

from dcsend.entry import Existing
from dcsend.errors import DestinationError
from dcsend.files.folder import Folder
from dcsend.files.names import numbered
from dcsend.files.placed_files import PlacedFiles
from dcsend.printable import printable

__all__ = ["NameTaken", "candidate_names", "check_replaceable", "claim_name", "name_appeared"]

_MAX_NUMBER: Final = 9999
"Largest number in `NAME (1)`, `NAME (2)` and so on."


class NameTaken(DestinationError):
    """A file that did not exist when the manifest was examined has the final name."""


def candidate_names(folder: Folder, name: str, existing: Existing) -> Iterator[str]:
    """Yield the names to try, in order, for a file with the final name *name* in *folder*."""
    yield name
    if existing is Existing.RENAME:
        longest = folder.max_name_length(name)
        for number in range(1, _MAX_NUMBER + 1):
            yield numbered(name, number, longest)


def claim_name(give: Callable[[str], None], folder: Folder, name: str, existing: Existing) -> str:
    """Give a file the first free name, and return that name.

    Args:
        give: gives the file a name; raises `FileExistsError` if it is taken.
        folder: the folder of the file.
        name: the final name.
        existing: what to do if the name is taken.

    Raises:
        NameTaken: no name is free.
    """
    for free in candidate_names(folder, name, existing):
        try:
            give(free)
        except FileExistsError:
            continue
        return free
    raise name_appeared(name)


def check_replaceable(folder: Folder, name: str, placed: PlacedFiles | None, path: str) -> None:
    """Refuse to replace anything but a file or link that existed before this run.

    Args:
        folder: the folder of the file.
        name: its final name.
        placed: the files that this run has placed.
        path: of the entry.

    Raises:
        NameTaken: this run has placed a file there.
        DestinationError: neither a file nor a link has the name.
    """
    status = folder.lstat(name)
    if status is None:
        return
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        raise DestinationError(f"{printable(name)} exists and is not a file")
    # On a file system that ignores case or composition two names of a manifest may be one.
    if placed is not None and placed.contains(status, path):
        raise NameTaken(f"{printable(name)} is the name of another received file here")


def name_appeared(name: str) -> NameTaken:
    """Return the error for a name that was free when the manifest was examined."""
    return NameTaken(f"{printable(name)} was created by another program during the transfer")
