"""The state of each entry of a manifest while it is received, and the outcomes to report."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Container
from typing import Final

from dcsend.entry import Kind
from dcsend.errors import DcsendError, DestinationError, LocalProtocolError
from dcsend.files.final_names import NameTaken
from dcsend.files.intake import Intake, TextIntake
from dcsend.files.name_collisions import NameCollisions
from dcsend.files.sink import Outcome
from dcsend.listing import Entries
from dcsend.printable import printable

__all__ = ["EntryTable"]

logger = logging.getLogger(__name__)

# One byte for each entry: with 100 000 entries a set of numbers would take 60 times as much.
_REFUSED, _DUE, _COMPLETE, _ENDED = 0, 1, 2, 3

_MAX_REASONS: Final = 1000
"Entries whose names can't be created and that have a reason of their own."
_ONE_OF_MANY: Final = DestinationError("it could not be made, like many others")


class EntryTable:
    """Which entries are due, complete or ended.

    Args:
        entries: the manifest.
        skip: numbers of the entries that are not received.
        collisions: of this manifest.
    """

    def __init__(self, entries: Entries, skip: Container[int], collisions: NameCollisions) -> None:
        self._entries = entries
        self._collisions = collisions
        self._states = bytearray(
            _REFUSED if number in skip else _DUE for number in range(len(entries))
        )
        self._outcomes: list[Outcome] = []
        self._reasons = 0
        "Entries of `_MAX_REASONS`."

    def is_due(self, number: int) -> bool:
        """Return whether content of an entry is still expected.

        Raises:
            LocalProtocolError: the entry was not accepted, or has no content.
        """
        if not 0 <= number < len(self._states) or self._states[number] == _REFUSED:
            raise LocalProtocolError(f"content for entry {number}, which was not accepted")
        if self._entries.kind(number) not in (Kind.FILE, Kind.TEXT):
            raise LocalProtocolError(f"content for entry {number}, which has none")
        return self._states[number] == _DUE

    def has_ended(self, number: int) -> bool:
        """Return whether the outcome of an entry is known."""
        return self._states[number] == _ENDED

    def due(self, wanted: Kind) -> array[int]:
        """Return the numbers of the entries of one kind that are due."""
        kind = self._entries.kind
        states = enumerate(self._states)
        return array("I", (n for n, state in states if state == _DUE and kind(n) is wanted))

    def complete(self, number: int) -> None:
        """Note that all content of an entry has been received."""
        self._states[number] = _COMPLETE

    def succeed(
        self, number: int, where: str, intake: Intake | None = None, *, kept: bool = False
    ) -> None:
        """End an entry successfully.

        Args:
            number: of the entry.
            where: the path of a file; empty for other kinds.
            intake: of a file or text.
            kept: see `Outcome`.
        """
        self._states[number] = _ENDED
        if intake is None:
            self._outcomes.append(Outcome(number, "ok", where))
            return
        logger.debug("complete: %s", intake.entry.path)
        text = bytes(intake.content) if isinstance(intake, TextIntake) else None
        self._outcomes.append(
            Outcome(number, "ok", where, intake.position, intake.sha256, text=text, kept=kept)
        )

    def fail(
        self, number: int, error: DcsendError, intake: Intake | None, status: str = "failed"
    ) -> None:
        """End an entry with an error.

        Args:
            number: of the entry.
            error: the reason.
            intake: of a file or text whose content has begun.
            status: see `Outcome`.
        """
        self._states[number] = _ENDED
        if isinstance(error, NameTaken):
            error = self._collision(number) or error
        logger.debug("entry %d %s: %s", number, status, error.message)
        size = 0 if intake is None else intake.position
        sha256 = "" if intake is None else intake.sha256
        self._outcomes.append(Outcome(number, status, "", size, sha256, error))

    def fail_without_content(self, number: int, error: DcsendError) -> None:
        """End a folder or link with an error; after many, the reason is a general one."""
        self._reasons += 1
        self.fail(number, error if self._reasons <= _MAX_REASONS else _ONE_OF_MANY, None)

    def take_outcomes(self) -> list[Outcome]:
        """Return the outcomes since the last call."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def name(self, number: int) -> str:
        """Return the path of an entry, safe to show."""
        return printable(self._entries.path(number))

    def _collision(self, number: int) -> DestinationError | None:
        """Return the error for a name that another entry of this manifest has taken."""
        self._reasons += 1
        if self._reasons > _MAX_REASONS:
            return None
        other = self._collisions.sharing_part(self._entries.path(number))
        if other is None:
            return None
        return DestinationError(
            f"{self.name(number)}: {printable(other)} has the same name here; --rename keeps both"
        )
