"""The row below the bars about the check of what an earlier run has transferred."""

from __future__ import annotations

from dcsend.display.wording import clipped, describe_check, describe_damage
from dcsend.session.events import Checking, Damaged

__all__ = ["CheckLine"]


class CheckLine:
    """The row, while there is one.

    Args:
        sends: whether this side sends.
        redrawn: whether rows can be replaced.
    """

    def __init__(self, *, sends: bool, redrawn: bool) -> None:
        self._sends = sends
        self._redrawn = redrawn
        self._event: Checking | None = None
        self._announced = ""
        "Path of the last file that `update` has returned a line for."

    def update(self, event: Checking | Damaged) -> str:
        """Show this event instead; nothing if the check is complete.

        Returns:
            The line to write, for a file once where rows can't be replaced; otherwise empty.
        """
        if isinstance(event, Damaged):
            return describe_damage(event, sends=self._sends)
        self._event = None if event.bytes == event.total else event
        if self._redrawn or self._event is None or event.path == self._announced:
            return ""
        self._announced = event.path
        return describe_check(event, sends=self._sends)

    def end(self, path: str) -> None:
        """Show nothing more about a file."""
        if self._event is not None and self._event.path == path:
            self._event = None

    def rows(self, columns: int) -> list[str]:
        """Return the row for a window of this width; empty if there is none."""
        if self._event is None:
            return []
        return [clipped(describe_check(self._event, sends=self._sends), columns - 1)]
