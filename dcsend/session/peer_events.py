"""Which peers come and go, and the events of several: receivers (`--times`), senders (`--keep`).

Imports nothing of `session`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from dcsend.errors import DcsendError

__all__ = [
    "Arrived",
    "Left",
    "OfPeer",
    "OfReceiver",
    "OfSender",
    "PeerCounts",
    "PeerFinished",
    "ReceiverFinished",
    "SenderFinished",
]

JsonObject = dict[str, Any]


class _Event(Protocol):
    """An event of a run with one peer."""

    @property
    def event(self) -> str:
        """Its name."""

    def as_json(self) -> JsonObject:
        """Return its fields."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A peer has connected with our code; it has not sent Hello yet, nor been accepted."""

    event: ClassVar = "arrived"
    address: str
    "The peer's address as seen here."

    def as_json(self) -> JsonObject:
        """The address."""
        return {"address": self.address}


@dataclass(frozen=True, slots=True)
class Left:
    """A peer that had connected with our code has left before anything was accepted."""

    event: ClassVar = "left"
    address: str
    "The peer's address as seen here."
    error: DcsendError
    "The error by which the peer has left."
    again: bool
    "Whether the code works again; otherwise the run ends."

    @property
    def kind(self) -> str:
        """The stable name of the class of failure by which it left."""
        return self.error.kind

    @property
    def message(self) -> str:
        """Why the peer has left, as a sentence."""
        return self.error.message

    def as_json(self) -> JsonObject:
        """Address, how it left, and whether the code works again."""
        return {
            "address": self.address,
            "kind": self.kind,
            "message": self.message,
            "again": self.again,
        }


@dataclass(frozen=True, slots=True)
class OfPeer:
    """An event of one of several peers: `OfReceiver` or `OfSender`."""

    role: ClassVar[str]
    "Of the peers."
    number: int
    "Number of the peer in this run, from 1, in the order in which they connect."
    inner: _Event
    "The event, as in a run with one peer."

    @property
    def event(self) -> str:
        """Its name."""
        return self.inner.event

    def as_json(self) -> JsonObject:
        """The fields of the event, and the number of the peer."""
        return {**self.inner.as_json(), self.role: self.number}


@dataclass(frozen=True, slots=True)
class OfReceiver(OfPeer):
    """An event of one of several receivers."""

    role: ClassVar = "receiver"


@dataclass(frozen=True, slots=True)
class OfSender(OfPeer):
    """An event of one of several senders."""

    role: ClassVar = "sender"


@dataclass(frozen=True, slots=True)
class PeerFinished:
    """The last event of one of several peers: `ReceiverFinished` or `SenderFinished`."""

    event: ClassVar[str]
    exit: int
    "The exit status of a run with this peer only."
    bytes: int
    "Payload bytes that were written at the receiver."
    seconds: float
    "From acceptance to the end."
    files: int
    "Number of files that are ok."
    error: DcsendError | None = None
    "Why not everything was transferred."

    @property
    def ok(self) -> bool:
        """Whether everything that was accepted is complete."""
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


@dataclass(frozen=True, slots=True)
class ReceiverFinished(PeerFinished):
    """The last event of a receiver that has accepted or declined."""

    event: ClassVar = "receiver_done"


@dataclass(frozen=True, slots=True)
class SenderFinished(PeerFinished):
    """The last event of a sender whose offer was accepted or declined."""

    event: ClassVar = "sender_done"


class PeerCounts(NamedTuple):
    """How the peers of a run have ended."""

    complete: int = 0
    "Everything that was accepted was transferred."
    failed: int = 0
    "Something was accepted, and not everything of it was transferred."
    declined: int = 0
    "Nothing was accepted."

    def as_json(self) -> JsonObject:
        """The three numbers."""
        complete, failed, declined = self
        return {"complete": complete, "failed": failed, "declined": declined}
