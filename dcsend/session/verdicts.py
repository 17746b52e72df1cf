"""What became of each file: one of them as a value, and of a whole run, a million in little memory.

Imports only leaves.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, overload

from dcsend.entry import Entry

__all__ = ["FileFinished", "Verdicts"]

_STATUSES: Final = ("ok", "mismatch", "failed", "skipped")
_MAX_REASONS: Final = 1000
"Different reasons that are kept; a peer can give each file one of its own, of 500 characters."
_ONE_OF_MANY: Final = "like many others"
_NO_DIGEST: Final = bytes(32)


class FileFinished(NamedTuple):
    """The verdict over one file; a tuple, since there may be very many."""

    path: str
    "As the manifest names it."
    status: str
    "`ok`, `mismatch`, `failed` or `skipped`."
    bytes: int
    where: str = ""
    "Its path on the receiver's side, empty if it has none."
    sha256: str = ""
    "Hexadecimal; of the bytes that were sent, or of those written."
    reason: str = ""
    "Why it is not ok."
    exit: int = 0
    "The exit status that this file alone would give."

    @property
    def name(self) -> str:
        """As of every event."""
        return "file"

    @property
    def saved(self) -> Path | None:
        """Where it is, on the receiver's side."""
        return Path(self.where) if self.where else None

    def as_json(self) -> dict[str, Any]:
        """Path, where it was saved, size, digest, verdict."""
        return {
            "path": self.path,
            "saved": self.where or None,
            "bytes": self.bytes,
            "sha256": self.sha256 or None,
            "ok": self.status == "ok",
            "status": self.status,
            "reason": self.reason or None,
        }


class Verdicts(Sequence[FileFinished]):
    """The verdicts of a run in their order, in 54 bytes each beside the manifest.

    Of reasons that are different, a thousand are kept.
    """

    def __init__(self, files: Iterable[FileFinished] = ()) -> None:
        self.entries: Sequence[Entry] = ()
        "The manifest, which has the paths."
        self.faults: Counter[int] = Counter()
        "How many verdicts there are for each exit status but 0."
        self.good = 0
        "How many files are ok."
        self.first_bad: FileFinished | None = None
        self._numbers = array("q")
        "Of the entry; -1 and below: of one that is in no manifest, in `_others`."
        self._others: list[str] = []
        self._status = bytearray()
        self._exits = bytearray()
        self._sizes = array("q")
        self._digests = bytearray()
        self._reasons = array("H")
        self._words = _Words(_ONE_OF_MANY)
        self._wheres = array("H")
        "What precedes the path in the place where a file is; 0: it has none, or another one."
        self._before = _Words("")
        self._elsewhere: dict[int, str] = {}
        "Where a file is whose place does not end with its path."
        for file in files:
            self.add(file)

    def add(self, file: FileFinished, number: int | None = None) -> None:
        """Add a verdict, over the entry *number* of the manifest or over nothing that is in it."""
        place = len(self._numbers)
        if number is None:
            self._others.append(file.path)
            number = -len(self._others)
        self._numbers.append(number)
        self._status.append(_STATUSES.index(file.status))
        self._exits.append(file.exit)
        self._sizes.append(file.bytes)
        self._digests += bytes.fromhex(file.sha256) or _NO_DIGEST
        self._reasons.append(self._words.number(file.reason))
        before = file.where.removesuffix(file.path)
        known = self._before.number("" if before == file.where else before)
        if file.where and not known:
            self._elsewhere[place] = file.where
        self._wheres.append(known)
        self.good += file.status == "ok"
        if file.exit:
            self.faults[file.exit] += 1
            self.first_bad = self.first_bad or file

    @property
    def saved(self) -> bool:
        """Whether a file that is ok has a place."""
        return bool(self._elsewhere) or len(self._before.words) > 1

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> FileFinished: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[FileFinished]: ...

    def __getitem__(self, place: int | slice) -> FileFinished | Sequence[FileFinished]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        if place < 0:
            place += len(self)
        number = self._numbers[place]
        path = self.entries[number].path if number >= 0 else self._others[-1 - number]
        where = self._elsewhere.get(place, "")
        if self._wheres[place]:
            where = self._before.words[self._wheres[place]] + path
        digest = self._digests[32 * place : 32 * place + 32]
        return FileFinished(
            path,
            _STATUSES[self._status[place]],
            self._sizes[place],
            where,
            "" if digest == _NO_DIGEST else digest.hex(),
            self._words.words[self._reasons[place]],
            self._exits[place],
        )

    def __iter__(self) -> Iterator[FileFinished]:
        return (self[place] for place in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(other) != len(self):
            return NotImplemented
        return all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"<{len(self)} verdicts>"


class _Words:
    """Texts that come again and again, by number; 0 is the empty one.

    Args:
        instead: what stands for those that are too many.
    """

    def __init__(self, instead: str) -> None:
        self.words = [""]
        self._numbers = {"": 0}
        self._instead = instead

    def number(self, word: str) -> int:
        """Return the number of *word*, or of what stands for it."""
        if word not in self._numbers:
            if len(self.words) >= _MAX_REASONS and word != self._instead:
                return self.number(self._instead)
            self._numbers[word] = len(self.words)
            self.words.append(word)
        return self._numbers[word]
