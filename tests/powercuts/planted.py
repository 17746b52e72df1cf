"""Defects that the laboratory must find."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dcsend.entry import Existing
from dcsend.files import incoming_file
from dcsend.files.folder import Folder
from dcsend.files.interval_sync import IntervalSync
from dcsend.files.part import PartFile
from dcsend.files.placed_files import PlacedFiles

__all__ = ["DEFECTS", "plant"]

_LATE: Final = 4
"Files that are named and not synced."


def _no_interval_sync() -> None:
    def note(self: IntervalSync, position: int) -> None:
        """Begin no sync."""

    IntervalSync.note = note  # type: ignore[method-assign]


def _journal_before_part() -> None:
    sync = IntervalSync._sync

    def reversed_(self: IntervalSync, copies: Sequence[int]) -> None:
        part, journal, *folder = copies
        sync(self, [journal, part, *folder])

    IntervalSync._sync = reversed_  # type: ignore[method-assign]


def _name_before_content() -> None:
    place = PartFile.place
    named: list[str] = []

    def named_first(self: PartFile, existing: Existing, placed: PlacedFiles | None) -> str:
        name = place(self, existing, placed)
        named.append(self.folder.path_of(name))
        if len(named) > _LATE:
            with open(named.pop(0), "rb") as late:
                os.fsync(late.fileno())
        return name

    PartFile.place = named_first  # type: ignore[method-assign]
    setattr(incoming_file, "sync", lambda fd: None)  # noqa: B010 - it is final


def _no_sync_of_folders() -> None:
    Folder.sync = lambda self: None  # type: ignore[method-assign]


DEFECTS: Final[Mapping[str, tuple[Callable[[], None], str, str]]] = {
    "no-interval-sync": (_no_interval_sync, "paced", "ext4"),
    "journal-before-part": (_journal_before_part, "paced", "ext4-writeback"),
    "name-before-content": (_name_before_content, "several", "ext4"),
    "no-sync-of-folders": (_no_sync_of_folders, "several", "btrfs"),
}
"By name: what plants it, and the scene and the file system of the round that must find it."


def plant(name: str) -> None:
    """Put a defect into this process."""
    DEFECTS[name][0]()
