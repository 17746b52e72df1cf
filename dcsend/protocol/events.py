"""What happened: the values that `Sender.receive` and `Receiver.receive…` return.

Past tense and immutable. Text in them is as the peer sent it: `printable()` it before
it is shown. Of which there are some for each file, or frame, is a tuple: a frozen dataclass
takes three times as long to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dcsend.listing import Entries

__all__ = [
    "Accepted",
    "Acknowledged",
    "Cancelled",
    "Completed",
    "DataReceived",
    "Declined",
    "Event",
    "FileAborted",
    "FileEnded",
    "FileJudged",
    "FrameEvent",
    "HoleReceived",
    "ManifestReceived",
    "PeerIntroduced",
    "PeerSaidBye",
]


@dataclass(frozen=True, slots=True)
class PeerIntroduced:
    """The peer's Hello came, and it fits."""

    agent: str
    "Name and version of its program."
    version: int
    "The protocol version that both use from now on."
    features: tuple[str, ...]
    "Optional abilities it named, known or not."


@dataclass(frozen=True, slots=True)
class ManifestReceived:
    """The whole manifest is here: accept or decline it."""

    entries: Entries
    "Everything that is offered; paths not yet judged safe."


@dataclass(frozen=True, slots=True)
class Accepted:
    """The receiver wants the files: send them."""

    skip: Mapping[int, str]
    "Entries it doesn't want, with one of SKIP_REASONS."
    have: Mapping[int, int]
    "Where to start in files that it has the beginning of, in bytes."


@dataclass(frozen=True, slots=True)
class Declined:
    """The receiver wants none of it; nothing more happens."""

    reason: str
    "One of DECLINE_REASONS."
    message: str
    "For people; may be empty."


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """More may be sent."""

    bytes: int
    "Bytes of data messages whose content the receiver has written."


class FileJudged(NamedTuple):
    """The receiver said what became of a file."""

    number: int
    "The entry's number."
    status: str
    "One of STATUSES."


@dataclass(frozen=True, slots=True)
class Completed:
    """The receiver's last word came: call `end`."""

    ok: bool
    "Whether every accepted file is safe."
    files: int
    "How many are."
    bytes: int
    "Their sizes, summed."


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The peer ended it; nothing more happens."""

    reason: str
    "One of CANCEL_REASONS."
    message: str
    "For people; may be empty."


@dataclass(frozen=True, slots=True)
class PeerSaidBye:
    """The sender knows the receiver's last word; both may close."""


class DataReceived(NamedTuple):
    """Content to write."""

    number: int
    "The entry's number."
    offset: int
    "Where it belongs, in bytes."
    payload: memoryview | bytes
    "The content; a view into the message that was given in."
    cost: int
    "What to pass to `Receiver.written` when it is written, in bytes."


class HoleReceived(NamedTuple):
    """Zeros to leave out."""

    number: int
    "The entry's number."
    offset: int
    "Where they begin, in bytes."
    length: int
    "How many, in bytes."
    cost: int
    "What to pass to `Receiver.written`, in bytes."


class FileEnded(NamedTuple):
    """The last content of a file: write it, compare the digest, give a verdict."""

    number: int
    "The entry's number."
    offset: int
    "Where the payload belongs, in bytes."
    payload: memoryview | bytes
    "The last content, often empty."
    size: int
    "Length of the whole file, in bytes."
    digest: bytes
    "SHA-256 of the whole file, 32 bytes."
    cost: int
    "What to pass to `Receiver.written` when it is written, in bytes."


class FileAborted(NamedTuple):
    """The sender gave a file up: give the verdict `failed`."""

    number: int
    "The entry's number."
    reason: str
    "For people."
    cost: int
    "What to pass to `Receiver.written`, in bytes."


FrameEvent = DataReceived | HoleReceived | FileEnded | FileAborted

Event = (
    PeerIntroduced
    | ManifestReceived
    | Accepted
    | Declined
    | Acknowledged
    | FileJudged
    | Completed
    | Cancelled
    | PeerSaidBye
)
