"""Events: the values that `Sender.receive` and `Receiver.receive…` return.

Immutable. Text in them is as the peer sent it: pass it to `printable()` before it is shown. Events
of a file or a frame are named tuples, which are made in a third of the time of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dcsend.entry import NOTHING, LeftOut
from dcsend.listing import Entries

__all__ = [
    "Accepted",
    "Acknowledged",
    "AskedAgain",
    "Cancelled",
    "Completed",
    "Declined",
    "Event",
    "ManifestReceived",
    "PeerIntroduced",
    "PeerSaidBye",
    "VerdictReceived",
]


@dataclass(frozen=True, slots=True)
class PeerIntroduced:
    """A valid Hello of the peer has arrived."""

    agent: str
    "Name and version of its program."
    version: int
    "The protocol version of the connection."
    features: tuple[str, ...]
    "Its optional capabilities, known or not."
    name: str = ""
    "Name of the device; empty for none."


@dataclass(frozen=True, slots=True)
class ManifestReceived:
    """The whole manifest has arrived: accept or decline it."""

    entries: Entries
    "Everything that is offered; paths are not validated yet."
    left_out: LeftOut = NOTHING
    "What the sender found and does not offer."


@dataclass(frozen=True, slots=True)
class Accepted:
    """The receiver has accepted: the files can be sent."""

    skip: Mapping[int, str]
    "Entries that it does not accept, each with one of SKIP_REASONS."
    have: Mapping[int, int]
    "Offset at which to start each file that it has in part, in bytes."
    digests: Sequence[tuple[int, int, str]] = ()
    "Number of such a file, an offset, and the SHA-256 of the bytes before it, in hex."


@dataclass(frozen=True, slots=True)
class Declined:
    """The receiver has declined the offer; the transfer has ended."""

    reason: str
    "One of DECLINE_REASONS."
    message: str
    "For people; may be empty."


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The receiver has written more content."""

    bytes: int
    "Bytes of data messages whose content the receiver has written."


class VerdictReceived(NamedTuple):
    """The status of a file has arrived."""

    number: int
    "The entry's number."
    status: str
    "One of STATUSES."


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """The receiver needs bytes again that were changed on its disk: see `Sender.asked`."""

    number: int
    "Of the file."
    start: int
    "Offset of the first byte."
    end: int
    "Offset of the byte after the last."


@dataclass(frozen=True, slots=True)
class Completed:
    """Complete has arrived: call `end`."""

    ok: bool
    "Whether every accepted entry is ok."
    files: int
    "Number of files and texts with the status ok."
    bytes: int
    "Sum of their sizes."


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The peer has cancelled; the transfer has ended."""

    reason: str
    "One of CANCEL_REASONS."
    message: str
    "For people; may be empty."


@dataclass(frozen=True, slots=True)
class PeerSaidBye:
    """The sender has received Complete or Decline; both sides may close."""

    by_cancel: bool = False
    "Whether it was a Cancel: after a Decline, the sender does not give its code back."


Event = (
    PeerIntroduced
    | ManifestReceived
    | Accepted
    | Declined
    | Acknowledged
    | AskedAgain
    | VerdictReceived
    | Completed
    | Cancelled
    | PeerSaidBye
)
