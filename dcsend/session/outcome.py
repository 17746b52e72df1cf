"""From verdicts to an exit status, and from a peer's last word to an error, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dcsend.errors import (
    ConnectionFailed,
    DcsendError,
    DestinationError,
    IncompatibleVersion,
    IntegrityError,
    PartlyDone,
    PeerRefused,
    RemoteProtocolError,
    SourceError,
    TimedOut,
)
from dcsend.printable import printable
from dcsend.session.verdicts import FileFinished, Verdicts

__all__ = ["Tally", "cancel_reason", "exit_status", "failure", "peer_cancelled", "peer_declined"]

_OK, _PARTLY = 0, 11

_REASONS: Final[Sequence[tuple[type[DcsendError], str]]] = (
    (RemoteProtocolError, "protocol"),
    (IncompatibleVersion, "version"),
    (IntegrityError, "integrity"),
    (DestinationError, "destination"),
    (SourceError, "source"),
    (ConnectionFailed, "timeout"),
    (TimedOut, "timeout"),
)
"What we tell the peer when we end a transfer because of an error of ours; else `error`."


@dataclass(slots=True)
class Tally:
    """What a run has achieved so far; filled while it goes on, read when it has ended."""

    files: Verdicts = field(default_factory=Verdicts)
    bytes: int = 0
    "Payload bytes written at the receiver."
    started: float | None = None
    "When the manifest was accepted; seconds of the loop's clock."


def cancel_reason(error: BaseException) -> str:
    """Return the reason code of the `cancel` message that goes with *error*."""
    if not isinstance(error, DcsendError):
        return "interrupted"
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "error")


def peer_cancelled(reason: str, message: str) -> DcsendError:
    """Return what to raise when the peer has ended the transfer."""
    detail = printable(message)
    if reason == "integrity":
        return IntegrityError(detail or "the other side received damaged bytes")
    if reason == "version":
        return IncompatibleVersion(detail or "the other side has another version")
    if reason == "timeout":
        return ConnectionFailed(
            f"the other side gave up; it reports: {detail or 'nothing arrived in time'}",
            "run it again on both sides",
        )
    if reason == "interrupted":
        return PeerRefused("the other side cancelled", "run it again when both are ready")
    return PeerRefused(f"the other side stopped: {detail or printable(reason)}")


def peer_declined(reason: str, message: str) -> DcsendError:
    """Return what to raise when the receiver does not want the files."""
    if reason == "declined":
        return PeerRefused("the other side declined")
    return PeerRefused(f"the other side declined: {printable(message or reason)}")


def exit_status(files: Sequence[FileFinished]) -> int:
    """Return the exit status over all verdicts.

    Damaged bytes outrank everything; if every file failed, in one way, it is that way's
    status; if only some did, it is 11.
    """
    faults = _verdicts(files).faults
    if not faults:
        return _OK
    if IntegrityError.exit_status in faults:
        return IntegrityError.exit_status
    if len(faults) == 1 and faults.total() == len(files):
        return next(iter(faults))
    return _PARTLY


def _verdicts(files: Sequence[FileFinished]) -> Verdicts:
    return files if isinstance(files, Verdicts) else Verdicts(files)


def failure(files: Sequence[FileFinished]) -> DcsendError | None:
    """Return the error that sums up the verdicts, or None if all is well."""
    status = exit_status(files)
    verdicts = _verdicts(files)
    bad = verdicts.first_bad
    if bad is None:
        return None
    name = printable(bad.path)
    # Some reasons begin with the name already.
    first = f"{name}: {(bad.reason or bad.status).removeprefix(f'{name}: ')}"
    if len(files) > 1:
        first = f"{verdicts.faults.total()} of {len(files)} did not make it; {first}"
    for kind in (IntegrityError, SourceError, DestinationError):
        if status == kind.exit_status:
            return kind(first)
    return PartlyDone(
        first,
        "the others are safe; when the cause is gone, run it again, with --skip at the receiver",
    )
