"""Symbolic links of a manifest: created last, and only if they stay inside the chosen folder."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from dcsend.entry import Existing
from dcsend.errors import DestinationError
from dcsend.files.final_names import NameTaken, candidate_names, check_replaceable
from dcsend.files.folder import Folder, is_link
from dcsend.files.names import PART_SUFFIX, safe_path, safe_target
from dcsend.listing import Entries, Index
from dcsend.printable import printable

__all__ = ["PlannedLinks", "check_link_path", "make_link"]

MAX_HOPS: Final = 40
"Links that the target of a link may pass; the limit of Linux."


class PlannedLinks:
    """The links that this run can create under their own names, and their targets.

    Args:
        entries: the manifest.
        index: of the entries that can be saved.
    """

    def __init__(self, entries: Entries, index: Index) -> None:
        self._entries = entries
        self._index = index
        self._planned = bytearray(len(entries))

    def plan(self, root: Path, numbers: Iterable[int], existing: Existing) -> None:
        """Find out which links can have their own names.

        Args:
            root: the chosen folder.
            numbers: of the links to create.
            existing: what to do about names that are taken.
        """
        for number in numbers:
            try:
                status = _lstat(root, safe_path(self._entries.path(number)))
            except OSError:
                continue  # in a folder that may not be entered; creating the link fails
            if status is None or (existing is Existing.OVERWRITE and _is_replaceable(status)):
                self._planned[number] = True

    def target(self, path: str) -> str | None:
        """Return the target of the link *path*; None if no such link is planned."""
        number = self._index.find(path)
        if number is None or not self._planned[number]:
            return None
        return self._entries[number].target


def check_link_path(root: Path, parts: tuple[str, ...], target: str, planned: PlannedLinks) -> None:
    """Refuse a link whose target passes through a link that existed before, or leads outside.

    Args:
        root: the chosen folder.
        parts: the path of the link below it.
        target: of the link.
        planned: links of this run, which are resolved whether they exist yet or not.

    Raises:
        DestinationError: the link is refused.
        OSError: a system call failed.
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
            here.pop()  # *here* contains no link, so the system resolves `..` in the same way
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
            raise DestinationError(f"{name}: the link leads through {way}, which is another link")


def make_link(folder: Folder, parts: tuple[str, ...], target: str, existing: Existing) -> str:
    """Create a link and return its name.

    Args:
        folder: the folder of the link.
        parts: the path of the link below the chosen folder.
        target: of the link, as the peer has sent it.
        existing: what to do if the name is taken.

    Raises:
        NameTaken: the name is taken.
        DestinationError: the link leads out of the chosen folder.
        OSError: a system call failed, as on Windows without the right to create links.
    """
    safe_target(parts, target)
    name = parts[-1]
    if existing is Existing.OVERWRITE:
        _replace(folder, name, target)
        return name
    for free in candidate_names(folder, name, existing):
        try:
            folder.symlink(target, free)
        except FileExistsError:
            continue
        return free
    raise NameTaken(f"{printable(name)} exists already")


def _lstat(root: Path, parts: tuple[str, ...]) -> os.stat_result | None:
    try:
        return os.lstat(os.path.join(root, *parts))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_replaceable(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)


def _replace(folder: Folder, name: str, target: str) -> None:
    check_replaceable(folder, name, None, "")
    part = folder.beside(name, PART_SUFFIX)
    folder.symlink(target, part)
    try:
        folder.replace(part, name)
    except OSError:
        with contextlib.suppress(OSError):
            folder.remove(part)
        raise
