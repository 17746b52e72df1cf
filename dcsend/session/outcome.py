"""Turn verdicts into an exit status, and a peer's last message into an error, and back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from dcsend.entry import NOTHING, Entry, LeftOut
from dcsend.errors import (
    ConnectionFailed,
    DcsendError,
    DestinationError,
    IncompatibleVersion,
    IntegrityError,
    PartlyDone,
    PeerCannotSave,
    PeerDryRun,
    PeerRefused,
    RemoteProtocolError,
    SourceError,
    TimedOut,
)
from dcsend.printable import printable
from dcsend.session.events import Emit, PeerCounts
from dcsend.session.verdicts import FileFinished, Verdicts

__all__ = [
    "BOTH_READY",
    "Tally",
    "cancel_reason",
    "exit_status",
    "failure",
    "peer_cancelled",
    "peer_declined",
]

BOTH_READY: Final = "run it again when both are ready"
"The hint if a person has ended the other side."

_OK, _PARTLY = 0, 11

_PAGE_CLOSED: Final = "the page was closed"
"""Message of the Cancel that the page sends when its tab is closed or reloaded, which it can't
distinguish; see PROTOCOL.md."""

_ABOVE_A_LIMIT: Final = re.compile(
    r"[\d.]+ \w+ are offered, and .+ are accepted(?: from one sender)?"
)
"""Message of a Decline because of `--max-peer` or `--max-total`, see `admission`; Decline has the
same reason for everything that can't be saved."""
_LESS: Final = (
    "send less; or ask the person there to start dcsend again with a higher limit (--max-peer or "
    "--max-total), which makes a new code"
)

_REASONS: Final[Sequence[tuple[type[DcsendError], str]]] = (
    (RemoteProtocolError, "protocol"),
    (IncompatibleVersion, "version"),
    (IntegrityError, "integrity"),
    (DestinationError, "destination"),
    (SourceError, "source"),
    (ConnectionFailed, "timeout"),
    (TimedOut, "timeout"),
)
"Reasons of Cancel by error of this side; `error` for all others."


class Tally:
    """What a run has achieved so far; its parts report events through it.

    Args:
        emit: gets the events.
        number: of the peer, in a run with several.
    """

    def __init__(self, emit: Emit, number: int = 0) -> None:
        self.emit: Final = emit
        self.files = Verdicts()
        self.bytes = 0
        "Payload bytes written at the receiver."
        self.started: float | None = None
        "When the manifest was accepted; seconds of the loop's clock."
        self.left_out = NOTHING
        "How much the sender found and did not offer."
        self.kept: Sequence[str] = ()
        "Paths of unfinished files that stay at the receiver."
        self.once = ""
        "Why a lost connection is not made again; empty if it may be."
        self.entered = False
        "Whether the other side's code was entered while this side waited with its own."
        self.number = number
        "Of the peer, in a run with several; otherwise 0."
        self.peer = "", ""
        "Name of its device, untrusted, and its address, once it has sent Hello."
        self.peers: PeerCounts | None = None
        "How several peers have ended; None in a run for one."
        self.complete = False
        "Whether the last message of this side has been sent: Complete, or Bye in answer to it."

    def expect(self, entries: Sequence[Entry], left_out: LeftOut, *, unheard: int = 0) -> None:
        """Note what is offered.

        Args:
            entries: the manifest.
            left_out: how much is not offered.
            unheard: how many unreadable things will have no verdict here.
        """
        self.left_out = left_out
        self.files.expect(entries, left_out.unreadable, unheard)

    def meet(self, once: str) -> None:
        """Note that there is a peer; see `Arrivals.once`."""
        self.once = once

    def enter(self) -> None:
        """Note that a code of the other side was entered while this side waited."""
        self.entered = True

    def begin_anew(self) -> None:
        """Forget what is achieved: the peer has lost it."""
        self.files = Verdicts()
        self.bytes = 0

    def introduce(self, name: str, address: str) -> None:
        """Note the name of the peer's device, and its address."""
        self.peer = name, address

    def begin(self, now: float) -> None:
        """Note that the manifest has been accepted."""
        self.started = now

    def end(self, *, is_complete: bool = True) -> None:
        """Note that the transfer is complete."""
        self.complete = is_complete

    def serve(self, peers: PeerCounts) -> None:
        """Note how several peers have ended."""
        self.peers = peers

    def count(self, size: int) -> None:
        """Count *size* bytes that have been written at the receiver."""
        self.bytes += size

    def report(
        self, file: FileFinished, number: int | None = None, *, lasting: bool = False
    ) -> None:
        """Keep and emit a verdict; see `Verdicts.add`."""
        self.files.add(file, number, lasting=lasting)
        self.emit(file)

    def keep(self, paths: Sequence[str]) -> None:
        """Note the unfinished files that stay."""
        self.kept = paths


def cancel_reason(error: BaseException) -> str:
    """Return the reason code of the `cancel` message that goes with *error*."""
    if not isinstance(error, DcsendError):
        return "interrupted"
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "error")


def peer_cancelled(reason: str, message: str) -> DcsendError:
    """Return the error that ends this side when the peer has cancelled."""
    detail = printable(message)
    if reason == "integrity":
        return IntegrityError(detail or "the other side received damaged bytes")
    if reason == "version":
        return IncompatibleVersion(detail or "the other side has another version")
    if reason == "timeout":
        return ConnectionFailed(
            f"the other side stopped; it reports: {detail or 'nothing arrived in time'}",
            "run it again on both sides",
        )
    if reason == "interrupted" and message == _PAGE_CLOSED:
        return PeerRefused("the other side's page was closed or loaded again", BOTH_READY)
    if reason == "interrupted":
        return PeerRefused("the other side cancelled", BOTH_READY)
    return PeerRefused(f"the other side stopped: {detail or printable(reason)}")


def peer_declined(reason: str, message: str) -> DcsendError:
    """Return the error that ends the sender when the receiver has declined."""
    if reason == "declined":
        return PeerRefused("the other side declined")
    if reason == "dry-run":
        return PeerDryRun("the other side has made a dry run, and received nothing")
    if reason == "destination":
        hint = _LESS if _ABOVE_A_LIMIT.fullmatch(message) else ""
        said = printable(message) or "no reason"
        return PeerCannotSave(f"the other side can't save it: {said}", hint)
    if reason == "error":  # as "destination", from a listener whose code does not work again
        hint = "a new code is needed"
        return PeerRefused(f"the other side can't save it: {printable(message) or reason}", hint)
    return PeerRefused(f"the other side declined: {printable(message or reason)}")


def exit_status(files: Sequence[FileFinished]) -> int:
    """Return the exit status over all verdicts.

    Damaged bytes outrank everything else. If every file failed in the same way, it is the status of
    that failure; if only some did, 11.
    """
    faults, whole = _sum(_verdicts(files))
    if not faults:
        return _OK
    if IntegrityError.exit_status in faults:
        return IntegrityError.exit_status
    if len(faults) == 1 and faults.total() == whole:
        return next(iter(faults))
    return _PARTLY


def _verdicts(files: Sequence[FileFinished]) -> Verdicts:
    return files if isinstance(files, Verdicts) else Verdicts(files)


def _sum(verdicts: Verdicts) -> tuple[Counter[int], int]:
    """Return the number of failures by exit status, and the number of things offered."""
    faults = verdicts.faults.copy()
    if verdicts.unheard:
        faults[SourceError.exit_status] += verdicts.unheard
    return faults, verdicts.offered or len(verdicts)


def failure(files: Sequence[FileFinished]) -> DcsendError | None:
    """Return the error that sums up the verdicts, or None if there is no failure."""
    verdicts = _verdicts(files)
    status = exit_status(verdicts)
    if not status:
        return None
    faults, whole = _sum(verdicts)
    first = "the sender can't read it, or can't send its name"
    if (bad := verdicts.first_bad) is not None:
        name = printable(bad.path)
        # Some reasons begin with the name already.
        first = f"{name}: {(bad.reason or bad.status).removeprefix(f'{name}: ')}"
    elif verdicts.unheard > 1:
        first = "the sender can't read them, or can't send their names"
    if whole > 1:
        first = f"{faults.total()} of {whole} failed; {first}"
    for kind in (IntegrityError, SourceError, DestinationError):
        if status == kind.exit_status:
            return kind(first)
    return PartlyDone(first)
