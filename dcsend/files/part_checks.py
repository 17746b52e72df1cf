"""The parts of a run that are continued, while what an earlier run has received is verified.

A file whose last byte arrives before that is done waits here, and the next files are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from dcsend.content import End, Repair
from dcsend.files.part import PartFile
from dcsend.files.sink import Damage
from dcsend.files.trailing import Checked

__all__ = ["PartChecks"]

_MAX_WAITING: Final = 8
"Files that wait at one time, each with three descriptors; for one more, the writer waits."


class PartChecks:
    """The checks of a run; the properties may be read by another thread.

    Args:
        have: bytes of the parts that are continued, by number of the entry.
    """

    def __init__(self, have: Mapping[int, int]) -> None:
        self._have = dict(have)
        self._files: dict[int, PartFile] = {}
        "The open files that are continued, by number of the entry."
        self._ends: dict[int, End] = {}
        "Of those files, the ends of the ones that have been received completely."
        self._last: Checked | None = None
        "How much was verified of the file that was verified last."

    @property
    def checking(self) -> Checked | None:
        """How much of the first file that is not verified yet is verified.

        Of the last file if all are verified; None if no file is continued.
        """
        last = self._last
        for number, file in list(self._files.items()):
            checked, start = file.checked, self._have[number]
            if checked is not None:
                return Checked(file.entry.path, min(checked, start), start)
            last = Checked(file.entry.path, start, start)
        return last

    @property
    def is_checking(self) -> bool:
        """Whether a file that has been received completely is being verified."""
        return any(
            number in self._ends and file.is_checking for number, file in list(self._files.items())
        )

    def take_damage(self) -> Sequence[Damage]:
        """See `Sink.take_damage`."""
        damage = ((number, file.take_change()) for number, file in self._files.items())
        return [Damage(number, *change) for number, change in damage if change is not None]

    def repair(self, repair: Repair) -> None:
        """Write bytes that were changed on the disk; see `PartFile.repair`."""
        file = self._files.get(repair.number)
        if file is not None:
            file.repair(repair)

    def begin(self, number: int, file: PartFile) -> None:
        """Add a file that has just been opened, if it is continued."""
        if number in self._have:
            self._files[number] = file

    def end(self, end: End) -> bool:
        """Return whether the digest of a complete file is known; if not, `take` returns it later.

        Raises:
            OSError: it can't be read.
        """
        file = self._files.get(end.number)
        if file is None:
            return True
        if file.settle(wait=len(self._ends) >= _MAX_WAITING):
            self.verified(end.number)
            return True
        # Without the payload, which is written: a view keeps the whole frame in memory.
        self._ends[end.number] = end._replace(payload=b"")
        file.hurry()
        return False

    def take(self, *, wait: bool) -> Iterator[End]:
        """Yield the files of `end` that are verified; with *wait*, all of them."""
        for number, end in list(self._ends.items()):
            file = self._files[number]
            if wait or not (file.is_checking or file.is_changed):
                yield end

    def verified(self, number: int) -> None:
        """Note that a file is verified, and forget it."""
        file = self._files.get(number)
        if file is not None:
            start = self._have[number]
            self._last = Checked(file.entry.path, start, start)
            self.drop(number)

    def restart(self, number: int) -> None:
        """Forget a file that begins again, and do not expect a part of it."""
        self.drop(number)
        self._have.pop(number, None)

    def drop(self, number: int) -> None:
        """Forget a file, if it is one of those that are continued."""
        self._files.pop(number, None)
        self._ends.pop(number, None)
