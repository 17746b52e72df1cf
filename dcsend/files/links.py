"""Symbolic links that a peer asked for: made last, and only if they lead nowhere else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from dcsend.entry import Entry
from dcsend.errors import DestinationError
from dcsend.files.folder import Folder, is_link
from dcsend.files.names import PART_SUFFIX, beside, safe_path, safe_target
from dcsend.files.operations import Existing
from dcsend.files.part import free_names
from dcsend.printable import printable

__all__ = ["judge_way", "make_link", "planned_links"]

MAX_HOPS: Final = 40
"Links on the way of one link: what Linux follows."


def planned_links(
    root: Path, entries: Iterable[Entry], existing: Existing
) -> dict[tuple[str, ...], str]:
    """Return where each link will point that this run can give its own name.

    Args:
        root: the chosen folder.
        entries: the links that shall be made, let in by the plan.
        existing: what to do about names that are taken.
    """
    planned: dict[tuple[str, ...], str] = {}
    for entry in entries:
        parts = safe_path(entry.path)
        status = _lstat(root, parts)
        if status is None or (existing is Existing.OVERWRITE and _is_replaceable(status)):
            planned[parts] = entry.target
    return planned


def judge_way(
    root: Path, parts: tuple[str, ...], target: str, planned: Mapping[tuple[str, ...], str]
) -> None:
    """Refuse a link that leads through a link that was there before, and so anywhere.

    Args:
        root: the chosen folder.
        parts: the link's own path below it.
        target: what it shall hold.
        planned: what `planned_links` returned; followed on paper, whether made yet or not.

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
        onward = planned.get(tuple(here))
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
