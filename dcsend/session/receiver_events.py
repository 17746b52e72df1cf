"""The events of a run that serves several receivers (`--times`).

Imports nothing of `session`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from dcsend.errors import DcsendError

__all__ = ["OfReceiver", "ReceiverCounts", "ReceiverFinished"]

JsonObject = dict[str, Any]


class _Event(Protocol):
    """An event of a run with one receiver."""

    @property
    def event(self) -> str:
        """Its name."""

    def as_json(self) -> JsonObject:
        """Return its fields."""


@dataclass(frozen=True, slots=True)
class OfReceiver:
    """An event of one of several receivers."""

    number: int
    "Number of the receiver in this run, from 1, in the order in which they connect."
    inner: _Event
    "The event, as in a run with one receiver."

    @property
    def event(self) -> str:
        """Its name."""
        return self.inner.event

    def as_json(self) -> JsonObject:
        """The fields of the event, and the number of the receiver."""
        return {**self.inner.as_json(), "receiver": self.number}


@dataclass(frozen=True, slots=True)
class ReceiverFinished:
    """The last event of a receiver that has accepted or declined."""

    event: ClassVar = "receiver_done"
    exit: int
    "The exit status of a run with this receiver only."
    bytes: int
    "Payload bytes that were written at the receiver."
    seconds: float
    "From acceptance to the end."
    files: int
    "Number of files that are ok."
    error: DcsendError | None = None
    "Why it does not have everything."

    @property
    def ok(self) -> bool:
        """Whether the receiver has everything that it has accepted."""
        return not self.exit

    @property
    def kind(self) -> str | None:
        """The stable name of the class of the error."""
        return None if self.error is None else self.error.kind

    @property
    def message(self) -> str | None:
        """The error, as a sentence."""
        return None if self.error is None else self.error.message

    def as_json(self) -> JsonObject:
        """The outcome in numbers, and the kind and message of the error."""
        return {
            "ok": self.ok,
            "exit": self.exit,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "files": self.files,
            "kind": self.kind,
            "message": self.message,
        }


class ReceiverCounts(NamedTuple):
    """How the receivers of a run have ended."""

    complete: int = 0
    "They have everything that they have accepted."
    failed: int = 0
    "They have accepted, and do not have everything."
    declined: int = 0

    def as_json(self) -> JsonObject:
        """The three numbers."""
        complete, failed, declined = self
        return {"complete": complete, "failed": failed, "declined": declined}
