"""The verdicts on files: one as a value, and those of a run, a million in little memory.

Imports only leaves.
"""

from __future__ import annotations

import os
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from dcsend.entry import Entry, Kind
from dcsend.listing import Entries, MadeOnAccess

__all__ = ["THERE", "FileFinished", "Verdicts", "named"]

THERE: Final = "it is there already"
"Reason of a file that is not sent because the receiver has the same."

_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_STATUSES: Final = ("ok", "mismatch", "failed", "skipped")
_MAX_REASONS: Final = 1000
"Different reasons that are kept; a peer can send one of 500 characters for each file."
_ONE_OF_MANY: Final = "like many others"
_NO_DIGEST: Final = bytes(32)


def named(field: str, name: str | None) -> dict[str, str | None]:
    r"""Return the fields of `--json` that hold a name of a file.

    JSON is Unicode, and a name may be any bytes: those that are not UTF-8 are U+FFFD, and a second
    field has all bytes in hexadecimal.

    >>> named("path", "caf\udce9")
    {'path': 'caf\ufffd', 'path_hex': '636166e9'}
    """
    if name is None or name.isascii() or not _SURROGATE.search(name):
        return {field: name}
    return {field: _SURROGATE.sub("\ufffd", name), f"{field}_hex": os.fsencode(name).hex()}


class FileFinished(NamedTuple):
    """The verdict on one file; a tuple, since there may be very many."""

    path: str
    "The path in the manifest."
    status: str
    "`ok`, `mismatch`, `failed` or `skipped`."
    bytes: int
    where: str = ""
    "Its path at the receiver, empty if it has none."
    sha256: str = ""
    "Hexadecimal; of the bytes sent or written."
    reason: str = ""
    "Why the status is not `ok`; empty if it is."
    exit: int = 0
    "The exit status that this file alone would give."

    @property
    def event(self) -> str:
        """As of every event."""
        return "file"

    @property
    def ok(self) -> bool:
        """Whether it arrived whole and was saved."""
        return self.status == "ok"

    @property
    def is_there(self) -> bool:
        """Whether it was not sent because the receiver has the same."""
        return self.reason == THERE and self.status == "skipped"

    @property
    def saved(self) -> Path | None:
        """Its path at the receiver."""
        return Path(self.where) if self.where else None

    def as_json(self) -> dict[str, Any]:
        """Path, where it was saved, size, digest, verdict."""
        return {
            **named("path", self.path),
            **named("saved", self.where or None),
            "bytes": self.bytes,
            "sha256": self.sha256 or None,
            "ok": self.ok,
            "status": self.status,
            "reason": self.reason or None,
        }


class Verdicts(MadeOnAccess[FileFinished]):
    """The verdicts of a run in their order, 54 bytes each beside the manifest.

    A thousand different reasons are kept.
    """

    def __init__(self, files: Iterable[FileFinished] = ()) -> None:
        self.entries: Sequence[Entry] = ()
        "The manifest, which has the paths."
        self.faults: Counter[int] = Counter()
        "Number of verdicts by exit status, without 0."
        self.good = 0
        "Number of files that are ok."
        self.first_bad: FileFinished | None = None
        self.lasting = 0
        "Number of failures because of names, which the next run would refuse again."
        self.offered = 0
        """Number of files, texts and links that should arrive, including those that the sender
        can't read; 0 before that is known."""
        self.unheard = 0
        "Number of these without a verdict here, since the sender could not read them."
        self.missed: Counter[Kind] = Counter()
        "Number of entries by kind with a verdict that is not ok."
        self._links = 0
        "Number of links offered; one that is made has no verdict."
        self._numbers = array("q")
        "Of the entry; negative: of one outside the manifest, in `_others`."
        self._others: list[str] = []
        self._status = bytearray()
        self._exits = bytearray()
        self._sizes = array("q")
        self._digests = bytearray()
        self._reasons = array("H")
        self._words = _Words(_ONE_OF_MANY)
        self._wheres = array("H")
        "What precedes the path in the place of a file; 0: it has none, or see `_elsewhere`."
        self._before = _Words("")
        self._elsewhere: dict[int, str] = {}
        "Places of files that do not end with the path."
        for file in files:
            self.add(file)

    def expect(self, entries: Sequence[Entry], unreadable: int, unheard: int = 0) -> None:
        """Count what should arrive.

        Args:
            entries: the manifest.
            unreadable: how many more things the sender should have offered and could not.
            unheard: how many of these will have no verdict here.
        """
        self.entries, self.unheard = entries, unheard
        kinds = Counter(
            map(entries.kind, range(len(entries)))
            if isinstance(entries, Entries)
            else (entry.kind for entry in entries)
        )
        self.offered = unreadable + kinds.total() - kinds[Kind.DIRECTORY]
        self._links = kinds[Kind.LINK]

    def add(self, file: FileFinished, number: int | None = None, *, lasting: bool = False) -> None:
        """Add a verdict.

        Args:
            file: the verdict.
            number: of the entry; None: it is not in the manifest.
            lasting: it is not ok because of its name.
        """
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
        if file.status != "ok" and number >= 0:
            self.missed[self.entries[number].kind] += 1
        if file.exit:
            self.lasting += lasting
            if number >= 0 and self.entries[number].kind is Kind.DIRECTORY:
                self.offered += 1  # those that are made are not counted
            self.faults[file.exit] += 1
            self.first_bad = self.first_bad or file

    @property
    def links(self) -> int:
        """Number of links at the receiver, after a complete transfer."""
        return self._links - self.missed[Kind.LINK]

    def empty_folders(self) -> int:
        """Return the number of empty folders at the receiver, after a complete transfer."""
        entries = self.entries
        last = len(entries) - 1
        return -self.missed[Kind.DIRECTORY] + sum(
            entry.kind is Kind.DIRECTORY
            and (number == last or not entries[number + 1].path.startswith(f"{entry.path}/"))
            for number, entry in enumerate(entries)
        )

    @property
    def saved(self) -> bool:
        """Whether a file that is ok has a place."""
        return bool(self._elsewhere) or len(self._before.words) > 1

    def __len__(self) -> int:
        return len(self._numbers)

    def _item(self, place: int) -> FileFinished:
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

    def __repr__(self) -> str:
        return f"<{len(self)} verdicts>"


class _Words:
    """Repeated texts by number; 0 is the empty one.

    Args:
        instead: replaces new texts when there are too many.
    """

    def __init__(self, instead: str) -> None:
        self.words = [""]
        self._numbers = {"": 0}
        self._instead = instead

    def number(self, word: str) -> int:
        """Return the number of *word*, or of its replacement."""
        if word not in self._numbers:
            if len(self.words) >= _MAX_REASONS and word != self._instead:
                return self.number(self._instead)
            self._numbers[word] = len(self.words)
            self.words.append(word)
        return self._numbers[word]
