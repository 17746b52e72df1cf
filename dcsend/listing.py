"""The entries of a manifest, up to a million in little memory, and an index of their paths.

An `Entry` takes 330 bytes for a path of 60 ASCII characters, and 16 KiB for one of 4095 characters
with an emoji, since Python then stores four bytes per character. Here it takes 32 bytes and its
UTF-8; the `Entry` is created on access. `MadeOnAccess` is the base class of all such sequences.
A leaf: imports only leaves.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar, overload

from dcsend.entry import Entry, Kind

__all__ = ["Entries", "Index", "MadeOnAccess", "is_one_file"]

Item = TypeVar("Item")

_KINDS: Final = (Kind.FILE, Kind.DIRECTORY, Kind.LINK, Kind.TEXT)
_KIND_BITS: Final = {kind: place << 12 for place, kind in enumerate(_KINDS)}
_MODE: Final = 0o7777
_UNKNOWN: Final = -(2**63)
"Stored for a size, a time or a number of bytes that is None."

_CACHED: Final = 1024
"Created entries that are cached, since each is accessed several times in a row."
_SHORT: Final = 512
"Bytes of path and target up to which an entry is cached."


class MadeOnAccess(Sequence[Item]):
    """A sequence that stores its items in another form, and grows; equal if its items are equal."""

    @abstractmethod
    def _item(self, number: int) -> Item:
        """Return an item, from 0."""

    @overload
    def __getitem__(self, number: int) -> Item: ...

    @overload
    def __getitem__(self, number: slice) -> list[Item]: ...

    def __getitem__(self, number: int | slice) -> Item | list[Item]:
        count = len(self)
        if isinstance(number, slice):
            return [self._item(one) for one in range(*number.indices(count))]
        if not -count <= number < count:
            raise IndexError(f"item {number} of {count}")
        return self._item(number % count)

    def __iter__(self) -> Iterator[Item]:
        return map(self._item, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(other) != len(self):
            return NotImplemented
        return all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it grows


class Entries(MadeOnAccess[Entry]):
    """A sequence of entries to which entries can be appended; they can't be removed or changed."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._names = bytearray()
        "Path and target of each entry in UTF-8, without separators."
        self._ends = array("I")
        "Where path and target of each entry end in `_names`."
        self._paths = array("H")
        "Bytes of each path."
        self._kinds = array("H")
        "Kind and permission bits."
        self._sizes = array("q")
        self._times = array("q")
        self._stored: array[int] | None = None
        "None until an entry has it, which is rare; then as long as the other arrays."
        self._cache: dict[int, Entry] = {}
        self.extend(entries)

    def append(self, entry: Entry) -> None:
        """Add an entry."""
        path, kind, size, mode, mtime, target, stored = entry
        names = path.encode("utf-8", "surrogatepass")
        self._paths.append(len(names))
        self._names += names
        if target:
            self._names += target.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._names))
        self._kinds.append(_KIND_BITS[kind] | mode)
        self._sizes.append(_UNKNOWN if size is None else size)
        self._times.append(_UNKNOWN if mtime is None else mtime)
        if stored is not None and self._stored is None:
            self._stored = array("q", [_UNKNOWN]) * (len(self._ends) - 1)
        if self._stored is not None:
            self._stored.append(_UNKNOWN if stored is None else stored)

    def extend(self, entries: Iterable[Entry]) -> None:
        """Add entries."""
        for entry in entries:
            self.append(entry)

    @property
    def names(self) -> int:
        """Bytes of all paths and targets in UTF-8."""
        return len(self._names)

    def names_before(self, number: int) -> int:
        """Return the number of bytes of the paths and targets of the first *number* entries."""
        return self._ends[number - 1] if number else 0

    def path(self, number: int) -> str:
        """Return the path of an entry."""
        start = self.names_before(number)
        return self._names[start : start + self._paths[number]].decode("utf-8", "surrogatepass")

    def kind(self, number: int) -> Kind:
        """Return the kind of an entry."""
        return _KINDS[self._kinds[number] >> 12]

    def mode(self, number: int) -> int:
        """Return the permission bits of an entry."""
        return self._kinds[number] & _MODE

    def size(self, number: int) -> int | None:
        """Return the size of an entry in bytes; None if it is unknown."""
        size = self._sizes[number]
        return None if size == _UNKNOWN else size

    def __len__(self) -> int:
        return len(self._ends)

    def _item(self, number: int) -> Entry:
        entry = self._cache.get(number)
        if entry is None:
            entry = self._make(number)
            if self._ends[number] - self.names_before(number) <= _SHORT:
                if len(self._cache) >= _CACHED:
                    self._cache.clear()
                self._cache[number] = entry
        return entry

    def __iter__(self) -> Iterator[Entry]:
        return map(self._make, range(len(self)))  # each once: the cache would not help

    def __repr__(self) -> str:
        return f"<{len(self)} entries>"

    def _make(self, number: int) -> Entry:
        start, end = self.names_before(number), self._ends[number]
        middle = start + self._paths[number]
        kind = self._kinds[number]
        size, mtime = self._sizes[number], self._times[number]
        stored = _UNKNOWN if self._stored is None else self._stored[number]
        return Entry(
            self._names[start:middle].decode("utf-8", "surrogatepass"),
            _KINDS[kind >> 12],
            None if size == _UNKNOWN else size,
            kind & _MODE,
            None if mtime == _UNKNOWN else mtime,
            self._names[middle:end].decode("utf-8", "surrogatepass") if middle < end else "",
            None if stored == _UNKNOWN else stored,
        )


def is_one_file(entries: Sequence[Entry]) -> bool:
    """Return whether the entries are exactly one file."""
    if len(entries) != 1:
        return False
    kind = entries.kind(0) if isinstance(entries, Entries) else entries[0].kind
    return kind is Kind.FILE


class Index:
    """Finds entries by their paths; takes 8 to 16 bytes for each.

    Args:
        entries: all entries; none may be appended later.
    """

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        size = 1 << max(4, (2 * len(entries)).bit_length())
        self._mask = size - 1
        self._places = array("I", bytes(4 * size))
        "Hash table with linear probing: number of the entry plus one, or 0 for a free place."

    def add(self, number: int, path: str) -> int:
        """Add an entry; return the number of the first entry with this path, perhaps its own."""
        place = self._place(path)
        found = self._places[place]
        if found:
            return found - 1
        self._places[place] = number + 1
        return number

    def find(self, path: str) -> int | None:
        """Return the number of the entry that was added for *path*."""
        found = self._places[self._place(path)]
        return found - 1 if found else None

    def _place(self, path: str) -> int:
        """Return the place of *path* in the table, or the free place for it."""
        place = hash(path) & self._mask
        while (found := self._places[place]) and self._entries.path(found - 1) != path:
            place = (place + 1) & self._mask
        return place
