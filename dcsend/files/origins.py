"""The origin of the content of each entry of a scan, without storing a path for each.

The origin of an entry in a tree is the path of the tree and the path of the entry below it. Imports
nothing else of `files`.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

from dcsend.listing import Entries, MadeOnAccess

__all__ = ["Origin", "Origins"]

Origin: TypeAlias = str | bytes | BinaryIO
"The content of an entry: its path on this machine, the bytes of a text, or an open stream."


class Origins(MadeOnAccess[Origin]):
    """An origin for each entry.

    Args:
        entries: may grow; each belongs to the last top before it.
    """

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._starts = array("I")
        "Numbers of the tops: the paths, texts and streams that are sent."
        self._tops: list[Origin] = []

    def begin(self, number: int, origin: Origin) -> None:
        """Add a top: the entry *number*, and the following entries, which are in it."""
        self._starts.append(number)
        self._tops.append(origin)

    def tops(self) -> Iterator[tuple[int, Origin]]:
        """Yield number and origin of each top."""
        return zip(self._starts, self._tops, strict=True)

    def __len__(self) -> int:
        return len(self._entries)

    def _item(self, number: int) -> Origin:
        place = bisect_right(self._starts, number) - 1
        start, top = self._starts[place], self._tops[place]
        if number == start or not isinstance(top, str):
            return top
        below = self._entries.path(number)[len(self._entries.path(start)) :]
        return top + (below if os.sep == "/" else below.replace("/", os.sep))
