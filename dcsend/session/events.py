"""The events of a run: for the display, for `--json`, for users of the API.

Every event has `as_json()`: the fields of its line of `--json`, without the envelope.
Imports only leaves and modules with some of the events.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, ClassVar, Final

from dcsend.entry import NOTHING, Entry, Existing, Kind, LeftOut
from dcsend.errors import DcsendError
from dcsend.listing import Entries
from dcsend.session.code_events import (
    CodeReady,
    DescriptionReady,
    Link,
    ShortCodeOver,
    ShortCodeReady,
    ShortCodeServer,
    ShortCodeUsed,
)
from dcsend.session.limited import Limited
from dcsend.session.peer_events import (
    Arrived,
    Left,
    OfPeer,
    OfReceiver,
    OfSender,
    PeerCounts,
    PeerFinished,
    ReceiverFinished,
    SenderFinished,
)
from dcsend.session.planned import Planned
from dcsend.session.verdicts import FileFinished, Verdicts, named

__all__ = [
    "Arrived",
    "Checking",
    "CodeReady",
    "Connected",
    "Damaged",
    "DescriptionReady",
    "Disconnected",
    "Emit",
    "Event",
    "Failed",
    "FileFinished",
    "Finished",
    "Left",
    "Limited",
    "Link",
    "ManifestKnown",
    "OfPeer",
    "OfReceiver",
    "OfSender",
    "PeerCounts",
    "PeerFinished",
    "Planned",
    "Progressed",
    "ReceiverFinished",
    "Reconnected",
    "SenderFinished",
    "ShortCodeOver",
    "ShortCodeReady",
    "ShortCodeServer",
    "ShortCodeUsed",
    "TextExchanged",
    "Warned",
]

JsonObject = dict[str, Any]

_CONTENT: Final = (Kind.FILE, Kind.TEXT)


@dataclass(frozen=True, slots=True)
class Connected:
    """The peer is connected and authenticated, and has sent Hello."""

    event: ClassVar = "connected"
    route: str
    "`direct` or `relayed`."
    family: str
    "`IPv4` or `IPv6`."
    address: str
    "The peer's address as seen here."
    peer: str
    "Name and version of the peer's program; untrusted, to be escaped before it is shown."
    rtt_ms: float | None
    "Round trip in milliseconds, if one has been measured."
    name: str = ""
    """Name of the peer's device, at most 64 characters; empty if it sent none. Untrusted, to be
    escaped before it is shown."""
    is_browser: bool = False
    "Whether the peer claims to be the page in a browser."

    def as_json(self) -> JsonObject:
        """Route, address family, address, program, name, round trip in milliseconds."""
        return {
            "route": self.route,
            "family": self.family,
            "address": self.address,
            "peer": self.peer,
            "name": self.name or None,
            "rtt_ms": None if self.rtt_ms is None else round(self.rtt_ms, 1),
        }


def total_size(entries: Sequence[Entry], skip: Container[int] = ()) -> int | None:
    """Return the sum of the sizes in bytes of all but *skip*; None if one is unknown."""
    if isinstance(entries, Entries):
        sizes = map(entries.size, range(len(entries)))
    else:
        sizes = map(attrgetter("size"), entries)
    total = 0
    for number, size in enumerate(sizes):
        if number not in skip:
            if size is None:
                return None
            total += size
    return total


@dataclass(frozen=True, slots=True)
class ManifestKnown:
    """Everything that is offered, before a byte of it is accepted."""

    event: ClassVar = "manifest"
    entries: Sequence[Entry] = field(repr=False)
    left_out: LeftOut = NOTHING
    "How much the sender found and does not offer."
    taken: Sequence[int] = field(default=(), repr=False)
    """Numbers of the entries whose place in the chosen folder is taken; empty in the event, known
    where `accept` is called."""
    existing: Existing = Existing.REFUSE
    "What is done about these, unless the answer is a policy."
    fresh: int = 0
    "Number of files, links and texts that will be received and are not `taken`."
    resumed: int = 0
    "Bytes that an earlier run has received, which are not sent again; known like `taken`."
    same: int = 0
    "Number of files and links that are there already, and are not sent; known like `taken`."
    compared: int = 0
    "Bytes of existing files that the sender compares, and sends only if they differ."
    sender: int = 0
    "Where `accept` is called with `Settings.keep`: the number of the sender, as in `OfSender`."
    folder: str = ""
    "The same: where it is saved, if that is a folder of the sender (`Settings.into`)."

    @property
    def files(self) -> int:
        """Number of entries with content."""
        return sum(kind in _CONTENT for kind in self.kinds())

    @property
    def bytes(self) -> int | None:
        """Sum of the sizes in bytes, or None if one is unknown."""
        return total_size(self.entries)

    def kinds(self) -> Iterator[Kind]:
        """Yield the kind of each entry."""
        if isinstance(self.entries, Entries):
            return map(self.entries.kind, range(len(self.entries)))
        return (entry.kind for entry in self.entries)

    def as_json(self) -> JsonObject:
        """Count, total, what is left out, and every entry."""
        return {
            "files": self.files,
            "bytes": self.bytes,
            "left_out": self.left_out.as_json(),
            "entries": list(map(self.listed, self.entries)),
        }

    @staticmethod
    def listed(entry: Entry) -> JsonObject:
        """Return the JSON form of one entry."""
        return {"path": entry.path, "kind": entry.kind, "size": entry.size}


@dataclass(frozen=True, slots=True)
class Progressed:
    """Bytes that the receiver has, those of an earlier run included; the same on both sides."""

    event: ClassVar = "progress"
    bytes: int
    total: int | None
    rate: float
    "Bytes per second over the last seconds."
    path: str = ""
    "The current file."
    file_bytes: int = 0
    "Bytes of that file."
    file_total: int | None = None

    @property
    def eta_s(self) -> float | None:
        """Seconds left at this rate; None if unknown."""
        if self.total is None or self.rate <= 0:
            return None
        return max(0.0, (self.total - self.bytes) / self.rate)

    def as_json(self) -> JsonObject:
        """Bytes, total, rate, time left."""
        eta = None if self.eta_s is None else round(self.eta_s, 1)
        return {"bytes": self.bytes, "total": self.total, "rate": round(self.rate), "eta_s": eta}


@dataclass(frozen=True, slots=True)
class Checking:
    """How much of what an earlier run has transferred is read again and verified."""

    event: ClassVar = "checking"
    path: str
    bytes: int
    "Verified, so far; equal to `total` at the end."
    total: int
    "Bytes that the receiver had at the beginning."

    def as_json(self) -> JsonObject:
        """Path, bytes, total."""
        return {**named("path", self.path), "bytes": self.bytes, "total": self.total}


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytes that the receiver had were changed on its disk; they are sent again."""

    event: ClassVar = "damaged"
    path: str
    start: int
    "Offset of the first byte."
    end: int
    "Offset of the byte after the last."

    def as_json(self) -> JsonObject:
        """Path, start, end."""
        return {**named("path", self.path), "start": self.start, "end": self.end}


@dataclass(frozen=True, slots=True)
class Disconnected:
    """Nothing of the peer arrives any more; the two sides try to connect again."""

    event: ClassVar = "disconnected"
    seconds: float
    "Since the last datagram of the peer."
    limit: float
    "Seconds since then after which the run ends."

    def as_json(self) -> JsonObject:
        """How long ago, and for how long."""
        return {"seconds": round(self.seconds, 1), "limit": round(self.limit, 1)}


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The peer is connected again, and the transfer goes on."""

    event: ClassVar = "reconnected"
    seconds: float
    "For which nothing of the peer arrived."

    def as_json(self) -> JsonObject:
        """The length of the interruption."""
        return {"seconds": round(self.seconds, 1)}


@dataclass(frozen=True, slots=True)
class TextExchanged:
    """A message of the text channel, or an entry of kind text."""

    event: ClassVar = "text"
    text: str
    sent: bool
    "Whether this side has sent the text; otherwise it is received, and untrusted."
    kind: str
    "`line` (typed), `random` (keep-alive), or `snippet` (`--text`)."

    def as_json(self) -> JsonObject:
        """Text, kind and direction."""
        return {"text": self.text, "kind": self.kind, "sent": self.sent}


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning or a note; the run goes on."""

    event: ClassVar = "error"
    kind: str
    message: str
    hint: str = ""
    fatal: ClassVar = False

    def as_json(self) -> JsonObject:
        """Kind, message, hint; not fatal."""
        return _error(self)


@dataclass(frozen=True, slots=True)
class Failed:
    """Why the run failed."""

    event: ClassVar = "error"
    error: DcsendError
    kept: tuple[str, ...] = ()
    "Paths of unfinished files that stay at the receiver."
    fatal: ClassVar = True

    @property
    def kind(self) -> str:
        """The stable name of this class of failure."""
        return self.error.kind

    @property
    def message(self) -> str:
        """What happened."""
        return self.error.message

    @property
    def hint(self) -> str:
        """What to do about it; may be empty, and may have a command in a line of its own."""
        return self.error.hint

    def as_json(self) -> JsonObject:
        """Kind, message, hint; fatal."""
        return _error(self)


def _error(event: Warned | Failed) -> JsonObject:
    return {
        "kind": event.kind,
        "message": event.message,
        "hint": event.hint.replace("\n", " ") or None,
        "fatal": event.fatal,
    }


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of every run, exactly one; `send` and `receive` return it."""

    event: ClassVar = "done"
    ok: bool
    exit: int
    "Exit status of the process."
    bytes: int
    "Payload bytes that were written at the receiver."
    seconds: float
    "From acceptance to the end."
    files: Sequence[FileFinished] = ()
    role: str = ""
    left_out: LeftOut = NOTHING
    "How much the sender found and did not offer."
    receivers: PeerCounts | None = None
    "How several receivers have ended; None in a run for one."
    senders: PeerCounts | None = None
    "How the senders of a receiver that stays have ended; None in other runs."

    def as_json(self) -> JsonObject:
        """The outcome in numbers."""
        return {
            "ok": self.ok,
            "exit": self.exit,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "files": self.good,
            "left_out": self.left_out.as_json(),
            **({} if self.receivers is None else {"receivers": self.receivers.as_json()}),
            **({} if self.senders is None else {"senders": self.senders.as_json()}),
        }

    @property
    def good(self) -> int:
        """Number of files that are ok."""
        if isinstance(self.files, Verdicts):
            return self.files.good
        return sum(file.status == "ok" for file in self.files)

    @property
    def made(self) -> tuple[int, int]:
        """Number of empty folders and links at the receiver; (0, 0) if it is not ok."""
        if not self.ok or not isinstance(self.files, Verdicts):
            return 0, 0  # unknown after a transfer that was cut short
        return self.files.empty_folders(), self.files.links

    @property
    def saved(self) -> bool:
        """Whether a file has a path at the receiver."""
        if isinstance(self.files, Verdicts):
            return self.files.saved
        return any(file.status == "ok" and file.where for file in self.files)


Event = (
    Arrived
    | Checking
    | CodeReady
    | Connected
    | Damaged
    | DescriptionReady
    | Disconnected
    | Left
    | Limited
    | ManifestKnown
    | OfReceiver
    | OfSender
    | Planned
    | Progressed
    | ReceiverFinished
    | Reconnected
    | SenderFinished
    | ShortCodeOver
    | ShortCodeReady
    | ShortCodeServer
    | ShortCodeUsed
    | FileFinished
    | TextExchanged
    | Warned
    | Failed
    | Finished
)
Emit = Callable[[Event], None]
"Gets every event, in order, in the thread of the loop; must not block."
