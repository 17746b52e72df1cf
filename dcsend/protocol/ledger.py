"""The ledger: the file and the offset that are due next, and the status of each file.

Both sides keep one, from the same manifest and the same Accept: the sender so as to keep the rules,
the receiver to detect violations. It takes one byte for each entry. Methods whose name ends in
`_fault` return what is wrong, or "".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dcsend.entry import Entry, Kind
from dcsend.protocol import limits
from dcsend.protocol.messages import Complete

__all__ = ["Ledger", "answer_fault", "has_frames"]

_COMING: Final = 1
"Expected, and not ended yet."
_ENDED: Final = 2
"Its last frame has been sent or received."
_ABORTED: Final = 4
"Given up by the sender."
_HAS_VERDICT: Final = 8
"It has a status."
_PLAIN: Final = 16
"A directory or a link: no frames; a status only if it could not be made."


def has_frames(entry: Entry) -> bool:
    """Return whether an entry has content, which is sent in frames."""
    return entry.kind is Kind.FILE or entry.kind is Kind.TEXT


class Ledger:
    """The state of all files of a transfer.

    Args:
        entries: the manifest.
        skip: numbers of entries that are not sent.
        have: offset of the first frame of each file that the receiver has in part.
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
        self._coming = self._without_verdict = self._marks.count(_COMING)
        self._good_files = 0
        self._good_bytes = 0
        self._all_good = True
        # Of streams that have ended and have no status yet; other sizes are in the manifest.
        self._sizes: dict[int, int] = {}
        self.number = -1
        "The file whose frames are due; the number of entries when all have ended."
        self.position = 0
        "Offset of its next frame, in bytes."
        self._limit = 0
        self._known = True
        self._holes = 0
        "Zeros of the current file that were holes."
        self._restarted = False
        "Whether the current file has begun again."
        self._open_next()

    @property
    def all_passed(self) -> bool:
        """Whether each expected file has ended or was aborted."""
        return not self._coming

    @property
    def all_verdicts_given(self) -> bool:
        """Whether each expected file has ended or was aborted, and has its status."""
        return not self._coming and not self._without_verdict

    def has_verdict(self, number: int) -> bool:
        """Return whether an entry of the manifest has its status."""
        return bool(self._marks[number] & _HAS_VERDICT)

    def is_refused(self, number: int) -> bool:
        """Return whether a file has its status before its last frame: no more content is needed."""
        if not 0 <= number < len(self._marks):
            return False
        # A directory or a link has no frames, although it may have a status.
        return self._marks[number] & ~_COMING == _HAS_VERDICT

    def frame_fault(self, number: int, offset: int, length: int, ends: bool) -> str:
        """Return what is wrong with DATA or HOLE of *length* bytes as the next frame."""
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
        """Return what is wrong with *length* more zeros as a hole, in addition to `frame_fault`."""
        content = self.position - self._holes
        if self._known or self._holes + length <= content + limits.MAX_HOLE:
            return ""
        return f"file {self.number}, of unknown size, has more holes than content"

    def next_whole(self, count: int) -> list[tuple[int, int]]:
        """Return number and size of the next *count* files; fewer if one can't be in a BATCH.

        It can't if it has begun, if the receiver has a part, or if its size is unknown.
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
        """Return what is wrong with *number* and *offset* of the next frame."""
        if number != self.number:
            return f"frame of file {number} while file {self.number} is due"
        if offset != self.position:
            return f"frame of file {number} at {offset} while {self.position} is due"
        return ""

    def _size_fault(self, end: int) -> str:
        more_or_less = "more" if end > self._limit else "less"
        return f"file {self.number} has {more_or_less} than its {self._limit} bytes"

    def restart_fault(self, number: int, offset: int) -> str:
        """Return what is wrong with RESTART as the next frame."""
        if number == self.number and (number not in self._have or self._restarted):
            return f"file {number} begins again, of which the receiver has no part"
        return self.place_fault(number, offset)

    def pass_restart(self) -> None:
        """Begin the current file again."""
        self.position = self._holes = 0
        self._restarted = True

    def pass_content(self, length: int) -> None:
        """Count DATA of the current file."""
        self.position += length

    def pass_hole(self, length: int) -> None:
        """Count a HOLE of the current file."""
        self.position += length
        self._holes += length

    def pass_end(self) -> None:
        """End the current file; the next one is due."""
        if not self._known and not self._marks[self.number] & _HAS_VERDICT:
            self._sizes[self.number] = self.position
        self._pass(_ENDED)

    def pass_whole(self, files: Sequence[tuple[int, int]]) -> None:
        """End files of `next_whole`, at least one."""
        for number, _ in files:
            self._marks[number] |= _ENDED
        self._coming -= len(files)
        self.number = files[-1][0]
        self._open_next()

    def pass_abort(self) -> None:
        """Abort the current file; the next one is due."""
        self._pass(_ABORTED)

    def verdict_fault(self, number: int, status: str) -> str:
        """Return what is wrong with a status."""
        mark = self._marks[number] if 0 <= number < len(self._marks) else 0
        if not mark:
            return f"verdict on {number}, which is not a file to be sent"
        if mark & _HAS_VERDICT:
            return f"second verdict on {number}"
        if mark & _PLAIN:
            return "" if status == "failed" else f"verdict {status} on {number}, which is no file"
        if status != "failed" and not mark & _ENDED:
            return f"verdict {status} on file {number}, which has not ended"
        return ""

    def record_verdict(self, number: int, status: str) -> None:
        """Record a status that has no fault."""
        if self._marks[number] & _PLAIN:
            self._marks[number] |= _HAS_VERDICT
            self._all_good = False
            return
        self._marks[number] |= _HAS_VERDICT
        self._without_verdict -= 1
        streamed = self._sizes.pop(number, 0)
        if status == "ok":
            self._good_files += 1
            self._good_bytes += self._entries[number].size or streamed
        else:
            self._all_good = False

    def totals(self) -> Complete:
        """Return the Complete that follows from all statuses."""
        return Complete(ok=self._all_good, files=self._good_files, bytes=self._good_bytes)

    def _pass(self, mark: int) -> None:
        self._marks[self.number] |= mark
        self._coming -= 1
        self._open_next()

    def _open_next(self) -> None:
        # Files that are not due yet have no mark but _COMING, or _HAS_VERDICT too (failed early).
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
            self._restarted = False


def answer_fault(entries: Sequence[Entry], skip: Mapping[int, str], have: Mapping[int, int]) -> str:
    """Return what is wrong with the `skip` and `have` of an Accept for these entries."""
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


def digests_fault(have: Mapping[int, int], digests: Sequence[tuple[int, int, str]]) -> str:
    """Return what is wrong with the `digests` of an Accept with this `have`."""
    last: tuple[int, int] = (-1, 0)
    for number, at, _ in digests:
        if at > have.get(number, 0):
            return f"has a digest of {at} bytes of file {number}, of which it has not so many"
        if (number, at) <= last:
            return f"has a digest of {at} bytes of file {number} out of order"
        last = (number, at)
    return ""
