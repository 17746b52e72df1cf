"""Symbolic links that a peer asked for: made last, and only if they lead nowhere else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from dcsend.errors import DestinationError
from dcsend.files.folder import Folder, is_link
from dcsend.files.names import PART_SUFFIX, beside, safe_path, safe_target
from dcsend.files.operations import Existing
from dcsend.files.part import free_names
from dcsend.listing import Entries, Index
from dcsend.printable import printable

__all__ = ["PlannedLinks", "judge_way", "make_link"]

MAX_HOPS: Final = 40
"Links on the way of one link: what Linux follows."


class PlannedLinks:
    """The links that this run can give their own names, and where each will point.

    Args:
        entries: the manifest.
        index: of its entries that can be saved.
    """

    def __init__(self, entries: Entries, index: Index) -> None:
        self._entries = entries
        self._index = index
        self._planned = bytearray(len(entries))

    def plan(self, root: Path, numbers: Iterable[int], existing: Existing) -> None:
        """Look which of them can have their names.

        Args:
            root: the chosen folder.
            numbers: the links that shall be made, let in by the plan.
            existing: what to do about names that are taken.
        """
        for number in numbers:
            status = _lstat(root, safe_path(self._entries.path(number)))
            if status is None or (existing is Existing.OVERWRITE and _is_replaceable(status)):
                self._planned[number] = True

    def target(self, path: str) -> str | None:
        """Return where the link at *path* will point; None if no such link is planned."""
        number = self._index.find(path)
        if number is None or not self._planned[number]:
            return None
        return self._entries[number].target


def judge_way(root: Path, parts: tuple[str, ...], target: str, planned: PlannedLinks) -> None:
    """Refuse a link that leads through a link that was there before, and so anywhere.

    Args:
        root: the chosen folder.
        parts: the link's own path below it.
        target: what it shall hold.
        planned: followed on paper, whether made yet or not.

    Raises:
        DestinationError: it does.
        OSError: the system refused to say.
    """
    name = printable("/".join(parts))
    here = list(parts[:-1])
    rest = target.split("/")[::-1]
    hops = 0
    while rest:
        component = rest.pop()
        if component in ("", "."):
            continue
        if component == "..":
            if not here:
                raise DestinationError(f"{name}: the link points outside the folder")
            here.pop()  # no link is left in it, so this is what the system does, too
            continue
        here.append(component)
        onward = planned.target("/".join(here))
        if onward is not None:
            hops += 1
            if hops > MAX_HOPS:
                raise DestinationError(f"{name}: the link leads through too many links")
            here.pop()
            rest += onward.split("/")[::-1]
            continue
        status = _lstat(root, tuple(here))
        if status is not None and is_link(status):
            way = printable("/".join(here))
            raise DestinationError(f"{name}: the link leads through {way}, a link that was there")


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


def _lstat(root: Path, parts: tuple[str, ...]) -> os.stat_result | None:
    try:
        return os.lstat(os.path.join(root, *parts))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_replaceable(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)


def _replace(folder: Folder, name: str, target: str) -> None:
    status = folder.lstat(name)
    if status is not None and not _is_replaceable(status):
        raise DestinationError(f"{printable(name)} is there and is not a file")
    part = beside(name, PART_SUFFIX)
    folder.symlink(target, part)
    try:
        folder.replace(part, name)
    except OSError:
        folder.remove(part)
        raise
