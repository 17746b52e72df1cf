"""The ledger: which byte of which file comes next, and what became of each file.

Both sides keep one, from the same manifest and the same Accept, so that they agree
on every number in it: the sender not to break a rule, the receiver to notice who does.
One byte of memory per entry. Methods that judge return what is wrong, or "".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dcsend.entry import Entry, Kind
from dcsend.protocol import limits
from dcsend.protocol.messages import Complete

__all__ = ["Ledger", "answer_fault", "has_frames"]

_COMING: Final = 1
"Expected, and not yet ended."
_ENDED: Final = 2
"Its last frame has passed."
_ABORTED: Final = 4
"Given up by the sender."
_JUDGED: Final = 8
"Has a verdict."
_PLAIN: Final = 16
"A folder or a link: no frames; a verdict only if it could not be made."


def has_frames(entry: Entry) -> bool:
    """Say whether an entry has content that travels as frames."""
    return entry.kind is Kind.FILE or entry.kind is Kind.TEXT


class Ledger:
    """The state of all files of a transfer.

    Args:
        entries: the manifest.
        skip: numbers that are not sent.
        have: offsets at which files begin that are there in part.
    """

    def __init__(
        self, entries: Sequence[Entry], skip: Mapping[int, str], have: Mapping[int, int]
    ) -> None:
        self._entries = entries
        self._have = have
        self._marks = bytearray(
            0 if number in skip else _COMING if has_frames(entry) else _PLAIN
            for number, entry in enumerate(entries)
        )
        self._coming = self._unjudged = self._marks.count(_COMING)
        self._good_files = 0
        self._good_bytes = 0
        self._all_good = True
        # Only of streams that ended and are not yet judged: the manifest knows the others.
        self._sizes: dict[int, int] = {}
        self.number = -1
        "The file whose frames pass now; the number of entries when all have passed."
        self.position = 0
        "Where its next frame begins, in bytes."
        self._limit = 0
        self._known = True
        self._holes = 0
        "Zeros that the current file has had as holes."
        self._open_next()

    @property
    def all_passed(self) -> bool:
        """Whether each expected file has ended or was aborted."""
        return not self._coming

    @property
    def all_judged(self) -> bool:
        """Whether each expected file has ended or was aborted, and has its verdict."""
        return not self._coming and not self._unjudged

    def frame_fault(self, number: int, offset: int, length: int, ends: bool) -> str:
        """Say what is wrong with DATA or HOLE of *length* bytes as the next frame."""
        end = offset + length
        if (
            number == self.number
            and offset == self.position
            and end <= self._limit
            and (end == self._limit or not (ends and self._known))
        ):
            return ""
        return self.place_fault(number, offset) or self._size_fault(end)

    def hole_fault(self, length: int) -> str:
        """Say what is wrong with *length* more zeros as a hole, beside `frame_fault`."""
        content = self.position - self._holes
        if self._known or self._holes + length <= content + limits.MAX_HOLE:
            return ""
        return f"file {self.number}, of unknown size, has more holes than content"

    def next_whole(self, count: int) -> list[tuple[int, int]]:
        """Return number and size of the next *count* files, as far as each can come whole.

        One can't that has begun, is there in part, or has a size that nobody knows.
        """
        files: list[tuple[int, int]] = []
        if self.position:
            return files
        for number in range(self.number, len(self._marks)):
            if self._marks[number] & _COMING:
                size = self._entries[number].size
                if len(files) == count or size is None or number in self._have:
                    break
                files.append((number, size))
        return files

    def place_fault(self, number: int, offset: int) -> str:
        """Say what is wrong with *number* and *offset* in the next frame."""
        if number != self.number:
            return f"frame of file {number} while file {self.number} is due"
        if offset != self.position:
            return f"frame of file {number} at {offset} while {self.position} is due"
        return ""

    def _size_fault(self, end: int) -> str:
        more_or_less = "more" if end > self._limit else "less"
        return f"file {self.number} has {more_or_less} than its {self._limit} bytes"

    def pass_content(self, length: int) -> None:
        """Count DATA of the current file."""
        self.position += length

    def pass_hole(self, length: int) -> None:
        """Count a HOLE of the current file."""
        self.position += length
        self._holes += length

    def pass_end(self) -> None:
        """The current file has ended; turn to the next."""
        if not self._known and not self._marks[self.number] & _JUDGED:
            self._sizes[self.number] = self.position
        self._pass(_ENDED)

    def pass_whole(self, files: Sequence[tuple[int, int]]) -> None:
        """Count files of `next_whole`, at least one, each with all that it has."""
        for number, _ in files:
            self._marks[number] |= _ENDED
        self._coming -= len(files)
        self.number = files[-1][0]
        self._open_next()

    def pass_abort(self) -> None:
        """The current file was aborted; turn to the next."""
        self._pass(_ABORTED)

    def verdict_fault(self, number: int, status: str) -> str:
        """Say what is wrong with a verdict."""
        mark = self._marks[number] if 0 <= number < len(self._marks) else 0
        if not mark:
            return f"verdict on {number}, which is not a file to be sent"
        if mark & _JUDGED:
            return f"second verdict on {number}"
        if mark & _PLAIN:
            return "" if status == "failed" else f"verdict {status} on {number}, which is no file"
        if status != "failed" and not mark & _ENDED:
            return f"verdict {status} on file {number}, which has not ended"
        return ""

    def judge(self, number: int, status: str) -> None:
        """Note a verdict that has no fault."""
        if self._marks[number] & _PLAIN:
            self._marks[number] |= _JUDGED
            self._all_good = False
            return
        self._marks[number] |= _JUDGED
        self._unjudged -= 1
        streamed = self._sizes.pop(number, 0)
        if status == "ok":
            self._good_files += 1
            self._good_bytes += self._entries[number].size or streamed
        else:
            self._all_good = False

    def totals(self) -> Complete:
        """The last word that follows from all verdicts."""
        return Complete(ok=self._all_good, files=self._good_files, bytes=self._good_bytes)

    def _pass(self, mark: int) -> None:
        self._marks[self.number] |= mark
        self._coming -= 1
        self._open_next()

    def _open_next(self) -> None:
        # Of files ahead, none has any other mark than _COMING or _JUDGED (failed early) with it.
        number = self.number + 1
        while number < len(self._marks) and not self._marks[number] & _COMING:
            number += 1
        self.number = number
        if number < len(self._marks):
            size = self._entries[number].size
            self._known = size is not None
            self._limit = limits.MAX_SAFE if size is None else size
            self.position = self._have.get(number, 0)
            self._holes = 0


def answer_fault(entries: Sequence[Entry], skip: Mapping[int, str], have: Mapping[int, int]) -> str:
    """Say what is wrong with the `skip` and `have` of an Accept for these entries."""
    for number in skip:
        if not 0 <= number < len(entries):
            return f"skips {number}, which is not in the manifest"
    for number, offset in have.items():
        if not 0 <= number < len(entries) or not has_frames(entries[number]) or number in skip:
            return f"has a part of {number}, which is not a file to be sent"
        size = entries[number].size
        if offset < 1 or (size is not None and offset > size):
            return f"has {offset} bytes of file {number}, more than there are"
    return ""
