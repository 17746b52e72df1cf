"""The sink for an open stream, such as standard output.

Bytes that have been written to a pipe can't be removed: a file with a wrong digest is reported, but
the reader has received its bytes.
"""

from __future__ import annotations

import errno
from collections.abc import Container, Sequence
from typing import BinaryIO

from dcsend.content import Abort, Content, Data, End, Hole, Restart
from dcsend.entry import Entry, Kind
from dcsend.errors import DcsendError, DestinationError, LocalProtocolError, SourceError
from dcsend.files.disk import explain
from dcsend.files.intake import Intake, zeros
from dcsend.files.sink import Damage, Outcome, Plan
from dcsend.printable import printable

__all__ = ["StreamSink"]


class StreamSink:
    """A `Sink` for exactly one file or text.

    Args:
        stream: open for binary writing; not closed here.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.kept: list[str] = []
        "Always empty; see `Sink`."
        self._number = -1
        self._intake: Intake | None = None

    @property
    def checking(self) -> None:
        """None: nothing is continued; see `Sink`."""
        return

    @property
    def is_checking(self) -> bool:
        """False; see `Sink`."""
        return False

    def take_damage(self) -> Sequence[Damage]:
        """Nothing; see `Sink`."""
        return ()

    def plan(self, entries: Sequence[Entry], unwanted: Container[int] = ()) -> Plan:
        """Refuse a manifest that is not one file or text; see `Sink.plan`."""
        wanted = [n for n, entry in enumerate(entries) if entry.kind in (Kind.FILE, Kind.TEXT)]
        if len(entries) != 1 or len(wanted) != 1:
            raise DestinationError(
                f"one file can be written to a stream, {len(entries)} entries are offered",
                "choose a folder with --output",
            )
        self._number = wanted[0]
        self._intake = Intake(entries[self._number])
        return Plan()

    def apply(self, portion: Sequence[Content], *, more: bool = False) -> list[Outcome]:
        """Write *portion* to the stream; see `Sink.apply`. *more* has no effect."""
        outcomes: list[Outcome] = []
        for operation in portion:
            if operation.number != self._number:
                raise LocalProtocolError(f"content for entry {operation.number}, not accepted")
            if self._intake is None:
                continue
            outcome = self._carry_out(operation, self._intake)
            if outcome is not None:
                self._intake = None
                outcomes.append(outcome)
        self._flush()
        return outcomes

    def finish(self) -> list[Outcome]:
        """Fail the entry if its end was not received; see `Sink.finish`."""
        intake, self._intake = self._intake, None
        if intake is None:
            return []
        name = printable(intake.entry.path)
        return [
            self._outcome(intake, "failed", DestinationError(f"{name}: its end was not received"))
        ]

    def close(self) -> list[Outcome]:
        """Do nothing: the stream belongs to the caller."""
        return []

    def _carry_out(self, operation: Content, intake: Intake) -> Outcome | None:
        try:
            match operation:
                case Data():
                    self._append(intake, operation.offset, operation.payload)
                case Hole():
                    intake.check(operation.offset, operation.length)
                    for block in zeros(operation.length):
                        self._write(block)
                        intake.count(block)
                case End():
                    self._append(intake, operation.offset, operation.payload)
                    mismatch = intake.mismatch(operation)
                    return self._outcome(intake, "mismatch" if mismatch else "ok", mismatch)
                case Restart():  # only of a part, of which a stream has none
                    raise LocalProtocolError(f"entry {operation.number} can't begin again")
                case Abort():
                    name = printable(intake.entry.path)
                    reason = printable(operation.reason) or "no reason given"
                    error = SourceError(f"{name}: the sender aborted it: {reason}")
                    return self._outcome(intake, "aborted", error)
        except DestinationError:
            raise
        except DcsendError as refused:
            return self._outcome(intake, "failed", refused)
        return None

    def _append(self, intake: Intake, offset: int, payload: bytes | memoryview) -> None:
        if payload:
            intake.check(offset, len(payload))
            self._write(payload)
            intake.count(payload)

    def _write(self, payload: bytes | memoryview) -> None:
        view = memoryview(payload)
        try:
            while view:
                # A raw stream may write a part only.
                view = view[self._stream.write(view) :]
        except OSError as error:
            raise _lost(error) from error

    def _flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise _lost(error) from error

    def _outcome(self, intake: Intake, status: str, error: DcsendError | None) -> Outcome:
        return Outcome(self._number, status, "", intake.position, intake.hasher.hexdigest(), error)


def _lost(error: OSError) -> DestinationError:
    if error.errno == errno.EPIPE:
        return DestinationError("the program that reads the output has ended")
    return explain(error, "the output")
