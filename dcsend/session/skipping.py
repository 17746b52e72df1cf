"""The verdict on a file: at the receiver if it is taken, and on either side if it is not.

A link that is not made is announced before the receiver accepts, so leaving it out is no failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dcsend.entry import Entry, Kind
from dcsend.errors import DestinationError, IntegrityError, SourceError
from dcsend.files.sink import Outcome
from dcsend.printable import printable
from dcsend.session.events import Warned
from dcsend.session.verdicts import THERE, FileFinished

__all__ = ["restarted", "skipped", "written"]

_Words = Mapping[str, str]

_LEFT_OUT: Final[Mapping[str, _Words]] = {
    "receiver": {
        "exists": "a file of this name exists",
        "same": THERE,
        "declined": "not wanted",
    },
    "sender": {
        "exists": "the receiver has a file of this name",
        "same": THERE,
        "declined": "not wanted",
    },
}
"By role and by the reason in Accept; these are no failures."
_LINK: Final[_Words] = {
    "receiver": "this link is not created: its target is refused",
    "sender": "the receiver does not make this link",
}
_LOST: Final[Mapping[str, _Words]] = {
    "receiver": {
        "unsafe": "its name is refused",
        "unsupported": "it can't be shown",
        "failed": "it could not be made",
    },
    "sender": {
        "unsafe": "the receiver refuses this name",
        "unsupported": "the receiver can't take this kind",
        "failed": "the receiver could not make it",
    },
}
"By role and reason; these are failures."
_FAULTS: Final = {
    "mismatch": IntegrityError.exit_status,
    "aborted": SourceError.exit_status,
    "failed": DestinationError.exit_status,
}
"Exit status by the status of an outcome."


def skipped(role: str, entry: Entry, reason: str) -> FileFinished:
    """Return the verdict on an entry that is not taken.

    Args:
        role: `sender` or `receiver`: the side that reports it.
        entry: of the manifest.
        reason: one of SKIP_REASONS.
    """
    size = entry.size or 0 if role == "sender" else 0
    why = _LEFT_OUT[role].get(reason, "")
    if entry.kind is Kind.LINK and reason == "unsupported":
        why = _LINK[role]
    if why:
        return FileFinished(entry.path, "skipped", size, reason=why)
    return FileFinished(
        entry.path,
        "failed",
        size,
        reason=_LOST[role][reason],
        exit=DestinationError.exit_status,
    )


def restarted(entry: Entry, *, whole: bool) -> Warned:
    """Return the note on a file that begins again: what the receiver has is of another version.

    Args:
        entry: of the manifest.
        whole: whether the receiver has as many bytes as the file.
    """
    name = printable(entry.path)
    if whole:
        return Warned("changed", f"{name} differs from the file that is there: it is sent")
    return Warned("changed", f"{name} has changed, or the part of it is damaged: it begins again")


def written(entry: Entry, outcome: Outcome) -> FileFinished:
    """Return the verdict on an entry whose outcome the sink has returned."""
    if outcome.kept:
        return skipped("receiver", entry, "same")
    return FileFinished(
        entry.path,
        "failed" if outcome.status == "aborted" else outcome.status,
        outcome.size,
        where=outcome.where,
        sha256=outcome.sha256,
        reason=outcome.error.message if outcome.error else "",
        exit=_FAULTS.get(outcome.status, 0),
    )
