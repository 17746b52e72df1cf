"""The permissions of the folders in a manifest, and which of them this run has made.

Folders are looked up in the index of the manifest, because a table of their paths would take more
memory than all other data of a run.
"""

from __future__ import annotations

from collections.abc import Container

from dcsend.entry import Kind
from dcsend.listing import Entries, Index

__all__ = ["PlannedFolders"]


class PlannedFolders:
    """The folders of a manifest.

    Args:
        entries: the manifest.
        index: of the entries that can be saved.
        skip: numbers of the entries that are not received.
    """

    def __init__(self, entries: Entries, index: Index, skip: Container[int]) -> None:
        self.made_here = bytearray(len(entries))
        "For each entry, whether it is a folder that this run has made."
        self._entries = entries
        self._index = index
        self._skip = skip

    def mode(self, path: str) -> int:
        """Return the permissions of the folder *path*, relative to the chosen one."""
        number = self._find(path)
        return 0o777 if number is None else self._entries.mode(number)

    def made(self, path: str) -> None:
        """Note that the folder *path* has been created."""
        number = self._find(path)
        if number is not None:
            self.made_here[number] = True

    def _find(self, path: str) -> int | None:
        number = self._index.find(path)
        if number is None or self._entries.kind(number) is not Kind.DIRECTORY:
            return None
        return None if number in self._skip else number
