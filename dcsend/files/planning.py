"""Deciding which entries of a manifest can be received into a folder, before anything is accepted.

Reads the disk, and leaves it as it is. The code that writes does not rely on the results, because
the disk may change in between.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from array import array
from collections.abc import Container
from pathlib import Path
from typing import Final

from dcsend.entry import Entry, Existing, Kind
from dcsend.errors import DestinationError
from dcsend.files.folder import identity
from dcsend.files.forbidden import ForbiddenPlaces
from dcsend.files.intake import MAX_TEXT
from dcsend.files.journal import wants_journal
from dcsend.files.name_collisions import NameCollisions
from dcsend.files.names import (
    JOURNAL_SUFFIX,
    MAX_COMPONENT,
    PART_SUFFIX,
    RefusedLink,
    UnsafeName,
    beside,
    safe_path,
    safe_target,
)
from dcsend.files.present import Present
from dcsend.files.resuming import FoundPart, find_parts
from dcsend.files.room import check_room, nearest_existing
from dcsend.files.sink import Plan
from dcsend.importing import holds_modules, is_named
from dcsend.listing import Entries, Index
from dcsend.printable import printable, system_reason

__all__ = ["check_file", "check_root", "plan_folder"]

_MAX_NOTES: Final = 20
"Lines; a manifest could otherwise cause a million of them."
_MAX_TAKEN: Final = 3
"Names in the message about existing files."


def plan_folder(
    entries: Entries,
    index: Index,
    root: Path,
    existing: Existing,
    *,
    unattended: bool = False,
    present: Present | None = None,
    unwanted: Container[int] = (),
) -> Plan:
    """Examine the name of each entry, and look for existing files.

    Args:
        entries: the manifest.
        index: of these entries; those that can be saved are added to it.
        root: the chosen folder.
        existing: what to do about existing files.
        unattended: the names are accepted without being shown to a person.
        present: finds files that are there already.
        unwanted: numbers of the entries that are skipped.

    Raises:
        DestinationError: *root* can't be written, or has not enough room.
        OSError: a system call failed.
    """
    check_root(root, on_trial=False)
    collisions = NameCollisions(entries, root)
    survey = _Survey(
        root, index, existing, ForbiddenPlaces(root, unattended=unattended), collisions, present
    )
    for number, entry in enumerate(entries):
        if number in unwanted:
            survey.skip[number] = "declined"
        else:
            survey.examine(number, entry)
    refusal = survey.refusal()
    found = find_parts(entries, survey.skip, str(root), with_locked=existing is not Existing.RENAME)
    # With a refusal, the room is not known: it depends on the policy that is chosen instead.
    known = {} if refusal or present is None else present.compute(entries, found)
    for number, file in known.items():
        kept = file.size if file.size == entries.size(number) else 0
        found[number] = FoundPart(file.size, kept, [(file.size, file.hasher.hexdigest())])
    folders = survey.parents + survey.folders
    stale = [] if refusal else check_room(entries, survey.skip, root, folders, found)
    if not refusal:
        stale += survey.ended
    parts = dict(sorted(found.items()))
    return Plan(
        survey.skip,
        survey.last_notes(),
        stale,
        parts,
        survey.taken,
        refusal,
        known,
        survey.parents,
    )


def check_root(root: Path, option: str = "--output", *, on_trial: bool = True) -> None:
    """Refuse a folder that can't be created or written.

    Args:
        root: the folder.
        option: its option on the command line.
        on_trial: whether to create the first missing folder, and to remove it, since rights do not
            show that none can be created in /proc.

    Raises:
        DestinationError: it is not a folder, or may not be written.
    """
    name = printable(str(root))
    try:
        root = Path(os.path.abspath(root))
        name = printable(str(root))
        nearest, missing = nearest_existing(root)
        while True:
            try:
                _check_nearest(root, nearest, missing, option)
                if missing is not None and on_trial:
                    _try_to_create(missing)
            except (DestinationError, OSError):
                before = nearest
                nearest, missing = nearest_existing(root)
                if nearest == before:
                    raise
                # This function in another dcsend had created that folder, and has removed it.
            else:
                return
    except OSError as error:
        raise DestinationError(
            f"can't use {name}: {system_reason(error)}", f"choose another folder with {option}"
        ) from None


def _check_nearest(root: Path, nearest: Path, missing: Path | None, option: str) -> None:
    """Refuse a folder by what is there.

    Args:
        root: the folder, absolute.
        nearest: see `nearest_existing`.
        missing: see `nearest_existing`.
        option: its option on the command line.

    Raises:
        DestinationError: it is not a folder, or may not be written.
        OSError: a system call failed.
    """
    link = missing if missing is not None and missing.is_symlink() else None  # to nothing
    if link or not nearest.is_dir():
        raise DestinationError(
            f"{printable(str(link or nearest))} is not a folder", f"choose another with {option}"
        )
    real = os.path.realpath(root)
    if holds_modules(real) or is_named(real):
        raise DestinationError(
            f"{printable(str(root))} is a folder from which Python loads modules",
            f"choose another with {option}"
            + (", or take it out of PYTHONPATH" if is_named(real) else ""),
        )
    for right, verb in ((os.W_OK | os.X_OK, "write in"), (os.R_OK, "read")):
        if not os.access(nearest, right):
            raise DestinationError(
                f"can't {verb} {printable(str(nearest))}", f"choose another folder with {option}"
            )


def _try_to_create(folder: Path) -> None:
    """Create a folder and remove it.

    Raises:
        OSError: it can't be created.
    """
    with contextlib.suppress(FileExistsError):  # another program has just created it
        folder.mkdir()
        with contextlib.suppress(OSError):  # another program uses it already
            folder.rmdir()


def check_file(path: Path, existing: Existing) -> None:
    """Refuse the path of a pipe, a socket or a device for a received file.

    Args:
        path: of the file.
        existing: what to do about an existing file.

    Raises:
        DestinationError: a pipe, a socket or a device has this path.
    """
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return
    kept = existing in (Existing.RENAME, Existing.SKIP)
    if not (kept or stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
        raise DestinationError(
            f"{printable(str(path))} is a pipe, a socket or a device, which is never replaced",
            "choose another path with --output",
        )


_UNICODE: Final = sys.getfilesystemencoding().lower() in ("utf-8", "utf8")


class _Survey:
    """The results for the entries so far."""

    def __init__(
        self,
        root: Path,
        index: Index,
        existing: Existing,
        forbidden: ForbiddenPlaces,
        collisions: NameCollisions,
        present: Present | None,
    ) -> None:
        self._present = present
        self._collisions = collisions
        self._forbidden = forbidden if forbidden else None
        self.skip: dict[int, str] = {}
        self._notes: list[str] = []
        self._more = 0
        self._root = str(root)
        self._existing = existing
        self._index = index
        self.ended: list[int] = []
        "Numbers of the entries of which an earlier run has left something beside the file."
        self._taken: list[str] = []
        "Names of the first existing files, safe to show."
        self.taken = array("q")
        "Numbers of the entries with existing files."
        self._missing = "/"
        """The last folder that did not exist, with a slash at its end. Following entries in it
        need no system call. No path begins with a slash."""
        self.folders = 0
        "Folders to create that have an entry."
        self.parents = 0
        """Folders to create that have none. They are found by comparison with the previous path,
        so that some are counted twice if the manifest is not sorted."""
        self._last = ""
        "The last path that can be saved."

    def examine(self, number: int, entry: Entry) -> None:
        """Examine one entry."""
        if entry.kind is Kind.TEXT:
            if entry.size is None or entry.size > MAX_TEXT:
                self._refuse(number, "unsupported", "", "a text is too long to show")
            return
        try:
            parts = self._checked(number, entry)
        except UnsafeName as error:
            reason = "unsupported" if isinstance(error, RefusedLink) else "unsafe"
            self._refuse(number, reason, entry.path, f"not received: {error}")
            return
        self.parents += _new_parents(entry.path, self._last)
        self._last = entry.path
        status = self._conflict(entry.path, parts, entry.kind)
        if status is None:
            return
        if self._is_there(number, entry, parts, status):
            self.skip[number] = "same"
            self._note_ended(number, entry, parts, status)
            return
        self.taken.append(number)
        if len(self._taken) < _MAX_TAKEN:
            self._taken.append(printable(entry.path))
        if self._existing is Existing.SKIP and entry.kind is not Kind.DIRECTORY:
            self._skip(number, entry, parts, status)

    def _is_there(
        self, number: int, entry: Entry, parts: tuple[str, ...], status: os.stat_result
    ) -> bool:
        """Return whether an existing file agrees, and is not the file of another entry."""
        if self._present is None or self._collisions.mistaken_for(number) is not None:
            return False
        return self._present.agrees(number, entry, os.path.join(self._root, *parts), status)

    def _note_ended(
        self, number: int, entry: Entry, parts: tuple[str, ...], status: os.stat_result
    ) -> None:
        """Note what a run leaves that is killed just after it has given a file its final name.

        Either the part, which is another name of this file, or a journal without a part.
        """
        part = journal = None
        if status.st_nlink > 1:
            part = self._beside(parts, PART_SUFFIX)
        if wants_journal(entry) and self._beside(parts, PART_SUFFIX) is None:
            journal = self._beside(parts, JOURNAL_SUFFIX)
        if journal is not None or (part is not None and identity(part) == identity(status)):
            self.ended.append(number)

    def _beside(self, parts: tuple[str, ...], suffix: str) -> os.stat_result | None:
        try:
            return os.lstat(os.path.join(self._root, *parts[:-1], beside(parts[-1], suffix)))
        except OSError:
            return None

    def _skip(
        self, number: int, entry: Entry, parts: tuple[str, ...], status: os.stat_result
    ) -> None:
        """Skip an existing file, unless it is the file of another entry of this manifest."""
        other = self._collisions.mistaken_for(number)
        if other is None:
            self.skip[number] = "exists"
            self._note_ended(number, entry, parts, status)
        else:
            why = f"not received: {printable(other)} has the same name here; --rename keeps both"
            self._refuse(number, "unsafe", entry.path, why)

    def _checked(self, number: int, entry: Entry) -> tuple[str, ...]:
        """Return the components of the path of an entry that can be saved.

        Raises:
            UnsafeName: it can't.
        """
        parts = safe_path(entry.path)
        if entry.kind is Kind.LINK:
            safe_target(parts, entry.target)
        if not _UNICODE:
            _check_encoding(entry)
        if not entry.path.isascii():
            self._check_length(parts)
        if self._forbidden is not None:
            self._forbidden.check(parts)
        if self._index.add(number, entry.path) != number:
            raise UnsafeName("its path occurs twice")
        return parts

    def _check_length(self, parts: tuple[str, ...]) -> None:
        """Refuse a name that NTFS can store and the disk of the chosen folder can't.

        Raises:
            UnsafeName: a name is too long.
        """
        for part in parts:
            if len(part.encode()) <= MAX_COMPONENT:
                continue
            try:
                os.lstat(os.path.join(nearest_existing(Path(self._root))[0], part))
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    raise UnsafeName("a name in the path is too long for this disk") from None

    def refusal(self) -> DestinationError | None:
        """Return the error for existing files with `Existing.REFUSE`; None if there are none."""
        if not self._taken or self._existing is not Existing.REFUSE:
            return None
        names = ", ".join(self._taken)
        more = len(self.taken) - len(self._taken)
        verb = "exists" if len(self.taken) == 1 else "exist"
        return DestinationError(
            f"{names}{f' and {more} more' if more > 0 else ''} "
            f"{verb} in {printable(self._root)} already",
            "run it again with --overwrite, --rename or --skip",
        )

    def last_notes(self) -> list[str]:
        """Return the notes, and at the end the number of those that were omitted."""
        return [*self._notes, f"and {self._more} more"] if self._more else self._notes

    def _refuse(self, number: int, reason: str, path: str, why: str) -> None:
        self.skip[number] = reason
        if len(self._notes) < _MAX_NOTES:
            self._notes.append(f"{printable(path)}: {why}" if path else why)
        else:
            self._more += 1

    def _conflict(self, path: str, parts: tuple[str, ...], kind: Kind) -> os.stat_result | None:
        """Return the status of what exists at *path*; existing folders are no conflict."""
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
            return None
        both_folders = kind is Kind.DIRECTORY and stat.S_ISDIR(status.st_mode)
        return None if both_folders else status


def _check_encoding(entry: Entry) -> None:
    """Refuse a name that can't be encoded in the locale, if that is not UTF-8.

    Raises:
        UnsafeName: it can't.
    """
    try:
        os.fsencode(entry.path)
        os.fsencode(entry.target)
    except UnicodeEncodeError:
        encoding = sys.getfilesystemencoding()
        raise UnsafeName(
            f"the name can't be written in {encoding}, the encoding of this locale"
        ) from None


def _new_parents(path: str, last: str) -> int:
    """Count the parents of *path* that are neither *last* nor one of its parents.

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
