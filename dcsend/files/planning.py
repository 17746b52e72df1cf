"""What of a manifest can be received into a folder, decided before the first byte.

Only looks at the disk; changes nothing on it. The walk that writes does not rely on what
was seen here: it may have changed by then.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from dcsend.entry import Entry, Kind
from dcsend.errors import DestinationError
from dcsend.files.disk import readable
from dcsend.files.forbidden import Forbidden
from dcsend.files.intake import MAX_TEXT
from dcsend.files.names import UnsafeName, safe_path, safe_target
from dcsend.files.operations import Existing, Plan
from dcsend.importing import holds_modules, is_named
from dcsend.listing import Index
from dcsend.printable import printable

__all__ = ["check_room", "check_root", "plan_folder"]

_MAX_NOTES: Final = 20
"Lines; a peer could otherwise fill the screen with a million of them."
_MAX_TAKEN: Final = 3
"Names in the sentence that says what is there already."


def plan_folder(
    entries: Iterable[Entry],
    index: Index,
    root: Path,
    existing: Existing,
    *,
    unattended: bool = False,
) -> Plan:
    """Judge each entry's name, and what is there already.

    Args:
        entries: what is offered.
        index: of these entries; those whose name can be saved are added to it.
        root: the chosen folder.
        existing: what to do about files that are there.
        unattended: nobody is shown the names before they are accepted.

    Raises:
        DestinationError: *root* can't be written, has not enough room, or, with
            `Existing.REFUSE`, holds some of the files.
    """
    check_root(root)
    survey = _Survey(root, index, existing, Forbidden(root, unattended=unattended))
    for number, entry in enumerate(entries):
        survey.judge(number, entry)
    survey.refuse_taken()
    wanted = (entry for number, entry in enumerate(entries) if number not in survey.skip)
    check_room(wanted, root, survey.folders)
    return Plan(survey.skip, survey.last_notes())


def check_root(root: Path) -> None:
    """Refuse a folder that can't be made or written.

    Raises:
        DestinationError: it is no folder, or may not be written.
    """
    name = printable(str(root))
    if os.path.lexists(root) and not root.is_dir():
        raise DestinationError(f"{name} is not a folder", "choose another with --output")
    ancestor = _nearest(root)
    if not ancestor.is_dir():
        raise DestinationError(f"{printable(str(ancestor))} is not a folder")
    real = os.path.realpath(root)
    if holds_modules(real) or is_named(real):
        raise DestinationError(
            f"{name} is a folder from which Python loads modules",
            "choose another with --output"
            + (", or take it out of PYTHONPATH" if is_named(real) else ""),
        )
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise DestinationError(
            f"can't write in {printable(str(ancestor))}", "choose another folder with --output"
        )


def check_room(entries: Iterable[Entry], root: Path, folders: int = 0) -> None:
    """Refuse more than the disk has room for, as far as the sizes are known.

    Args:
        entries: what is wanted.
        root: the chosen folder.
        folders: how many have to be made; each takes a block of the disk.

    Raises:
        DestinationError: there is not enough room.
    """
    nearest = _nearest(root)
    needed = folders * _block(nearest)
    for entry in entries:
        if entry.kind is Kind.FILE and entry.size is not None:
            needed += entry.size if entry.stored is None else min(entry.size, entry.stored)
    if not needed:
        return
    try:
        free = shutil.disk_usage(nearest).free
    except OSError:
        return  # a file system that does not say; the disk itself will
    if needed > free:
        raise DestinationError(
            f"not enough room in {printable(str(root))}: "
            f"{readable(needed)} needed, {readable(free)} free",
            "make room, or choose another folder with --output",
        )


class _Survey:
    """What has been found out, entry by entry."""

    def __init__(self, root: Path, index: Index, existing: Existing, forbidden: Forbidden) -> None:
        self._forbidden = forbidden if forbidden else None
        self.skip: dict[int, str] = {}
        self._notes: list[str] = []
        self._more = 0
        self._root = str(root)
        self._existing = existing
        self._index = index
        self._taken: list[str] = []
        "The first few of what is there already, to be shown."
        self._taken_in_all = 0
        self._missing = "/"
        """The folder, with a slash at its end, that was not there when last looked for, so that
        nothing is in it: folders come before what is in them. No path begins with a slash."""
        self.folders = 0
        """Folders that have to be made. Those that are no entries are told from the path before,
        so some are counted twice where a manifest isn't sorted."""
        self._last = ""
        "The last path that was let in."

    def judge(self, number: int, entry: Entry) -> None:
        """Judge one entry."""
        if entry.kind is Kind.TEXT:
            if entry.size is None or entry.size > MAX_TEXT:
                self._refuse(number, "unsupported", "", "a text is too long to show")
            return
        try:
            parts = self._checked(number, entry)
        except UnsafeName as error:
            self._refuse(number, "unsafe", entry.path, f"not received: {error}")
            return
        self.folders += _new_parents(entry.path, self._last)
        self._last = entry.path
        if not self._is_taken(entry.path, parts, entry.kind):
            return
        if self._existing is Existing.REFUSE:
            self._taken_in_all += 1
            if len(self._taken) < _MAX_TAKEN:
                self._taken.append(printable(entry.path))
        elif self._existing is Existing.SKIP and entry.kind is not Kind.DIRECTORY:
            self.skip[number] = "exists"

    def _checked(self, number: int, entry: Entry) -> tuple[str, ...]:
        """Return the components of a path that can be saved."""
        parts = safe_path(entry.path)
        if entry.kind is Kind.LINK:
            safe_target(parts, entry.target)
        if self._forbidden is not None:
            self._forbidden.check(parts)
        if self._index.add(number, entry.path) != number:
            raise UnsafeName("it is named twice")
        return parts

    def refuse_taken(self) -> None:
        """Stop if any target exists and nobody said what to do then."""
        if not self._taken:
            return
        names = ", ".join(self._taken)
        more = self._taken_in_all - len(self._taken)
        verb = "exists" if self._taken_in_all == 1 else "exist"
        raise DestinationError(
            f"{names}{f' and {more} more' if more > 0 else ''} "
            f"{verb} in {printable(self._root)} already",
            "--overwrite, --rename or --skip",
        )

    def last_notes(self) -> list[str]:
        """Return the notes, the count of those left out last."""
        return [*self._notes, f"and {self._more} more"] if self._more else self._notes

    def _refuse(self, number: int, reason: str, path: str, why: str) -> None:
        self.skip[number] = reason
        if len(self._notes) < _MAX_NOTES:
            self._notes.append(f"{printable(path)}: {why}" if path else why)
        else:
            self._more += 1

    def _is_taken(self, path: str, parts: tuple[str, ...], kind: Kind) -> bool:
        status: os.stat_result | None = None
        missing = path.startswith(self._missing)
        if not missing:
            with contextlib.suppress(OSError, ValueError):
                status = os.lstat(os.path.join(self._root, *parts))
        if status is None:
            if kind is Kind.DIRECTORY:
                self.folders += 1
                if not missing:
                    self._missing = f"{path}/"
            return False
        # Folders are filled up; what stands where a folder must be is in the way.
        return kind is not Kind.DIRECTORY or not stat.S_ISDIR(status.st_mode)


def _new_parents(path: str, last: str) -> int:
    """Count the folders above *path* that *last* is not in, nor is itself.

    >>> _new_parents("a/b/c/d", "a/x"), _new_parents("a/b", "a"), _new_parents("ab/c", "a/b")
    (2, 0, 1)
    """
    parents = path.split("/")[:-1]
    shared = 0
    for one, other in zip(parents, last.split("/"), strict=False):
        if one != other:
            break
        shared += 1
    return len(parents) - shared


def _block(path: Path) -> int:
    """Return how many bytes the smallest thing takes on the disk of *path*."""
    try:
        return os.statvfs(path).f_frsize
    except (AttributeError, OSError):  # Windows; a file system that does not say
        return 4096


def _nearest(path: Path) -> Path:
    """Return *path*, or the closest of its parents that exists."""
    while not path.exists() and path.parent != path:
        path = path.parent
    return path
