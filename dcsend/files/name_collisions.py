"""Entries of a manifest whose names are one name on some file systems.

macOS, Windows, exFAT and SMB volumes ignore case, some of them Unicode composition, too, and FAT
removes dots at the end of a name. A program can't query these rules, so they are derived from
the names that a folder contains.
"""

from __future__ import annotations

import os
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dcsend.files.names import PART_SUFFIX, beside, folded
from dcsend.listing import Entries

__all__ = ["NameCollisions"]

_END: Final = re.compile("[. ](?:/|$)")
_MAX_LISTED: Final = 16
"Folders whose names are cached."


class NameCollisions:
    """Finds entries with colliding names; takes 12 bytes for each entry, from the first call on.

    Args:
        entries: the manifest.
        root: the chosen folder.
    """

    def __init__(self, entries: Entries, root: Path) -> None:
        self._entries = entries
        self._root = str(root)
        self._keys: array[int] | None = None
        "For each entry the hash of its path without what file systems ignore; sorted."
        self._numbers = array("I")
        "The entries, in the order of the keys."
        self._listed: dict[str, frozenset[str]] = {}

    def colliding(self, path: str) -> Iterator[tuple[int, str]]:
        """Yield number and path of every other entry whose name may be that of *path*."""
        if self._keys is None:
            self._keys = self._sort()
        key = hash(_key(path))
        for place in range(bisect_left(self._keys, key), len(self._keys)):
            if self._keys[place] != key:
                break
            other = self._entries.path(self._numbers[place])
            if other != path and _key(other) == _key(path):
                yield self._numbers[place], other

    def mistaken_for(self, number: int) -> str | None:
        """Find out whether the existing file of an entry is that of an earlier entry.

        Call it before anything is written.

        Returns:
            The path of the earlier entry; None if the file is that of the entry itself.
        """
        path = self._entries.path(number)
        for other, other_path in self.colliding(path):
            if other > number or not self._exists(other_path):
                continue
            # Inodes do not decide: two hard links have one, and two spellings of one name on a
            # FUSE file system may have two.
            if not (self._is_listed(path) and self._is_listed(other_path)):
                return other_path
        return None

    def sharing_part(self, path: str) -> str | None:
        """Return the path of another entry whose part would have the same name as that of *path*.

        Call it while the part of *path* exists, and no other part.
        """
        for _, other in self.colliding(path):
            *folders, name = other.split("/")
            if self._exists("/".join([*folders, beside(name, PART_SUFFIX)])):
                return other
        return None

    def _sort(self) -> array[int]:
        keys = array("q", (hash(_key(entry.path)) for entry in self._entries))
        self._numbers = array("I", sorted(range(len(keys)), key=keys.__getitem__))
        return array("q", (keys[number] for number in self._numbers))

    def _exists(self, path: str) -> bool:
        try:
            os.lstat(os.path.join(self._root, *path.split("/")))
        except (OSError, ValueError):
            return False
        return True

    def _is_listed(self, path: str) -> bool:
        """Return whether folders list each name of *path* in this spelling."""
        folder = self._root
        for name in path.split("/"):
            if name not in self._names(folder):
                return False
            folder = os.path.join(folder, name)
        return True

    def _names(self, folder: str) -> frozenset[str]:
        names = self._listed.get(folder)
        if names is None:
            if len(self._listed) >= _MAX_LISTED:
                self._listed.clear()
            try:
                names = frozenset(os.listdir(folder))
            except OSError:
                names = frozenset()
            self._listed[folder] = names
        return names


def _key(path: str) -> str:
    """Return the same text for all paths that some file system treats as one."""
    if path.isascii() and not _END.search(path):
        return path.lower()
    return "/".join(map(folded, path.split("/")))
