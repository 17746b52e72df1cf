"""Which verdicts on files have a line of their own; the others are counted."""

from __future__ import annotations

from typing import Final

from dcsend.display.wording import counted
from dcsend.session.events import FileFinished

__all__ = ["FileLines"]

_MAX_SKIPPED: Final = 3
"Skipped files that have a line each; the rest is counted."
_MAX_BAD: Final = 20
"Failed files that have a line each; the rest is counted. A peer may offer a million files."


class FileLines:
    """Counts the verdicts of a run.

    Args:
        verbose: whether each has a line.
    """

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._bad = 0
        self._skipped = 0
        self._there = 0

    def shows(self, event: FileFinished, *, brief: bool) -> bool:
        """Return whether a verdict has a line; *brief*: not if it is good."""
        if self._verbose:
            return True
        if event.status == "ok":
            return not brief
        if event.is_there:
            self._there += 1
            return False
        if event.status == "skipped":
            self._skipped += 1
            return self._skipped <= _MAX_SKIPPED
        self._bad += 1
        return self._bad <= _MAX_BAD

    def rest(self) -> list[str]:
        """Return how many had no line, once."""
        lines: list[str] = []
        if self._there:
            verb = "is" if self._there == 1 else "are"
            lines.append(f"{counted(self._there, 'file')} {verb} there already and not sent")
        if self._bad > _MAX_BAD:
            lines.append(f"and {self._bad - _MAX_BAD} more that are not ok (-v shows all)")
        if self._skipped > _MAX_SKIPPED:
            lines.append(f"and {self._skipped - _MAX_SKIPPED} more skipped (-v shows all)")
        self._bad = self._skipped = self._there = 0
        return lines
