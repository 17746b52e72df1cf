"""What the folders of a manifest shall be like, and which of them this run has made.

Found by the index of the manifest: a table of its own, with a path for each, would take more memory
than all the rest.
"""

from __future__ import annotations

from collections.abc import Container

from dcsend.entry import Kind
from dcsend.listing import Entries, Index

__all__ = ["PlannedFolders"]


class PlannedFolders:
    """A `folder.Wanted` of a manifest.

    Args:
        entries: the manifest.
        index: of its entries that can be saved.
        skip: numbers of those that are not wanted.
    """

    def __init__(self, entries: Entries, index: Index, skip: Container[int]) -> None:
        self.index = index
        self.ours = bytearray(len(entries))
        "For each entry whether it is a folder that this run has made."
        self._entries = entries
        self._skip = skip

    def mode(self, path: str) -> int:
        """As `Wanted.mode`."""
        number = self._find(path)
        return 0o777 if number is None else self._entries.mode(number)

    def made(self, path: str) -> None:
        """As `Wanted.made`."""
        number = self._find(path)
        if number is not None:
            self.ours[number] = True

    def _find(self, path: str) -> int | None:
        number = self.index.find(path)
        if number is None or self._entries.kind(number) is not Kind.DIRECTORY:
            return None
        return None if number in self._skip else number
