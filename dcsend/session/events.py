"""What happens in a run, as values: for the display, for `--json`, for users of the API.

Every event has `as_json()`: what a line of `--json` says of it, without the envelope.
Imports only leaves.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

from dcsend.entry import Entry, Kind
from dcsend.errors import DcsendError
from dcsend.listing import Entries
from dcsend.session.verdicts import FileFinished, Verdicts

__all__ = [
    "Arrived",
    "ChannelAnnounced",
    "ChannelClosed",
    "ChannelOpened",
    "CodeReady",
    "Connected",
    "DescriptionReady",
    "Emit",
    "Event",
    "Failed",
    "FileFinished",
    "Finished",
    "Link",
    "ManifestKnown",
    "MessageExchanged",
    "Progressed",
    "StateChanged",
    "TextExchanged",
    "Warned",
]

JsonObject = dict[str, Any]

_CONTENT: Final = (Kind.FILE, Kind.TEXT)


class Link(NamedTuple):
    """What opens the page with a code in it."""

    url: str
    network: str
    "Name of the interface of this machine whose network it is for; empty if that is not known."


@dataclass(frozen=True, slots=True)
class CodeReady:
    """The listener can be dialed from now on.

    Comes again, with another code, when the addresses of this machine have changed while nobody
    has connected. Secret, certificate, port and expiry are the same: the codes before remain valid
    and work where their addresses still lead here.
    """

    name: ClassVar = "code"
    code: str = field(repr=False)
    "What `receive` or `--to` takes."
    link: str = field(repr=False)
    "The page's address with the code in its fragment."
    expires: datetime.datetime
    "When the code stops working; with a time zone."
    role: str
    "`sender` or `receiver`: which side published the code."
    links: Sequence[Link] = field(default=(), repr=False)
    "One for each network that this machine is in; the first is `link`."

    def as_json(self) -> JsonObject:
        """Code, link, all links, and when the code expires (ISO 8601)."""
        return {
            "code": self.code,
            "link": self.link,
            "links": [link.url for link in self.links] or [self.link],
            "expires": self.expires.isoformat(timespec="seconds"),
        }


@dataclass(frozen=True, slots=True)
class DescriptionReady:
    """Our session description, for the other side; it says more to come or is the last word."""

    name: ClassVar = "description"
    type: str
    "`offer` or `answer`."
    text: str = field(repr=False)
    "What the other side pastes; one line."

    def as_json(self) -> JsonObject:
        """Which half it is, and the text."""
        return {"type": self.type, "text": self.text}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A peer has connected with our code; it has not introduced itself, nor been accepted."""

    name: ClassVar = "arrived"
    address: str
    "The peer's address as we see it."

    def as_json(self) -> JsonObject:
        """The address."""
        return {"address": self.address}


@dataclass(frozen=True, slots=True)
class Left:
    """A peer that had connected with our code is gone, and nothing had been accepted."""

    name: ClassVar = "left"
    address: str
    "The peer's address as we saw it."
    error: DcsendError
    "How it left."
    again: bool
    "Whether the code works again; otherwise the run ends."

    def as_json(self) -> JsonObject:
        """Address, how it left, and whether the code works again."""
        return {
            "address": self.address,
            "kind": self.error.kind,
            "message": self.error.message,
            "again": self.again,
        }


@dataclass(frozen=True, slots=True)
class Connected:
    """The other side is there, and it is the right one."""

    name: ClassVar = "connected"
    route: str
    "`direct` or `relayed`."
    family: str
    "`IPv4` or `IPv6`."
    address: str
    "The peer's address as we see it."
    peer: str
    "What the peer calls itself; a stranger's text, to be escaped before it is shown."
    rtt: float | None
    "Round trip in seconds."

    def as_json(self) -> JsonObject:
        """Route, address family, address, agent, round trip in milliseconds."""
        return {
            "route": self.route,
            "family": self.family,
            "address": self.address,
            "peer": self.peer,
            "rtt_ms": None if self.rtt is None else round(self.rtt * 1000, 1),
        }


def total_size(entries: Sequence[Entry], skip: Container[int] = ()) -> int | None:
    """Sum up the sizes in bytes of all but those to *skip*; None if one is not known."""
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

    name: ClassVar = "manifest"
    entries: Sequence[Entry] = field(repr=False)

    @property
    def files(self) -> int:
        """How many entries carry bytes."""
        return sum(kind in _CONTENT for kind in self.kinds())

    @property
    def total(self) -> int | None:
        """Sum of the sizes in bytes, or None if one is not known."""
        return total_size(self.entries)

    def kinds(self) -> Iterator[Kind]:
        """Yield the kind of each entry."""
        if isinstance(self.entries, Entries):
            return map(self.entries.kind, range(len(self.entries)))
        return (entry.kind for entry in self.entries)

    def as_json(self) -> JsonObject:
        """Count, total, and every entry."""
        listed = list(map(self.listed, self.entries))
        return {"files": self.files, "bytes": self.total, "entries": listed}

    @staticmethod
    def listed(entry: Entry) -> JsonObject:
        """What is said of one entry."""
        return {"path": entry.path, "kind": entry.kind, "size": entry.size}


@dataclass(frozen=True, slots=True)
class Progressed:
    """Bytes that are written at the receiver: the truth on both sides."""

    name: ClassVar = "progress"
    bytes: int
    total: int | None
    rate: float
    "Bytes per second over the last seconds."
    path: str = ""
    "The file that is on the way now."
    file_bytes: int = 0
    "Bytes of that file."
    file_total: int | None = None

    @property
    def eta(self) -> float | None:
        """Seconds left at this rate; None if that can't be said."""
        if self.total is None or self.rate <= 0:
            return None
        return max(0.0, (self.total - self.bytes) / self.rate)

    def as_json(self) -> JsonObject:
        """Bytes, total, rate, time left."""
        eta = None if self.eta is None else round(self.eta, 1)
        return {"bytes": self.bytes, "total": self.total, "rate": round(self.rate), "eta_s": eta}


@dataclass(frozen=True, slots=True)
class TextExchanged:
    """Something on the text channel, or a text that was sent as such."""

    name: ClassVar = "text"
    text: str
    sent: bool
    "By us; otherwise received, and a stranger's text."
    kind: str
    "`line` (somebody typed it), `random` (a sign of life), or `snippet` (`--text`)."

    def as_json(self) -> JsonObject:
        """Text, kind and direction."""
        return {"text": self.text, "kind": self.kind, "sent": self.sent}


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A chat's connection has changed (W3C `RTCPeerConnectionState`)."""

    name: ClassVar = "state"
    state: str
    "`connecting`, `connected`, `disconnected`, `failed` or `closed`."

    def as_json(self) -> JsonObject:
        """The state."""
        return {"state": self.state}


@dataclass(frozen=True, slots=True)
class ChannelAnnounced:
    """The other side opens a data channel."""

    name: ClassVar = "channel"
    label: str
    "A stranger's text."
    id: int
    "Stream id, 0 to 65534."

    def as_json(self) -> JsonObject:
        """Label and stream id."""
        return {"label": self.label, "id": self.id}


@dataclass(frozen=True, slots=True)
class ChannelOpened(ChannelAnnounced):
    """A data channel, whoever opened it, can be used from now on."""

    name: ClassVar = "open"


@dataclass(frozen=True, slots=True)
class ChannelClosed(ChannelAnnounced):
    """A data channel is gone, the connection may go on."""

    name: ClassVar = "close"


@dataclass(frozen=True, slots=True)
class MessageExchanged:
    """A message of a chat, as it travelled."""

    name: ClassVar = "message"
    label: str
    "Of the channel."
    data: str | bytes
    "A text, or binary; of a stranger unless `sent`."
    sent: bool
    "By us."
    random: bool = False
    "One of ours that nobody typed."
    saved: Path | None = None
    "Where a binary message is."

    def as_json(self) -> JsonObject:
        """Channel, direction, and the text, or the size and hexadecimal bytes."""
        said: JsonObject = {"label": self.label, "sent": self.sent, "random": self.random}
        if isinstance(self.data, str):
            return {**said, "text": self.data}
        saved = None if self.saved is None else str(self.saved)
        return {**said, "bytes": len(self.data), "hex": self.data.hex(), "saved": saved}


@dataclass(frozen=True, slots=True)
class Warned:
    """Something to know that does not end the run."""

    name: ClassVar = "error"
    kind: str
    message: str
    hint: str = ""

    def as_json(self) -> JsonObject:
        """Kind, message, hint; not fatal."""
        return {
            "kind": self.kind,
            "message": self.message,
            "hint": self.hint or None,
            "fatal": False,
        }


@dataclass(frozen=True, slots=True)
class Failed:
    """Why the run ended without being done."""

    name: ClassVar = "error"
    error: DcsendError

    def as_json(self) -> JsonObject:
        """Kind, message, hint; fatal."""
        return {
            "kind": self.error.kind,
            "message": self.error.message,
            "hint": self.error.hint or None,
            "fatal": True,
        }


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of every run, exactly one; also what `send` and `receive` return."""

    name: ClassVar = "done"
    ok: bool
    exit: int
    "The exit status that goes with it."
    bytes: int
    "Payload bytes that arrived and were written."
    seconds: float
    "From the accepted manifest to the end."
    files: Sequence[FileFinished] = ()
    role: str = ""

    def as_json(self) -> JsonObject:
        """The outcome in numbers."""
        return {
            "ok": self.ok,
            "exit": self.exit,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "files": self.good,
        }

    @property
    def good(self) -> int:
        """How many files are ok."""
        if isinstance(self.files, Verdicts):
            return self.files.good
        return sum(file.status == "ok" for file in self.files)

    @property
    def saved(self) -> bool:
        """Whether one of those has a place, on the receiver's side."""
        if isinstance(self.files, Verdicts):
            return self.files.saved
        return any(file.status == "ok" and file.where for file in self.files)


Event = (
    Arrived
    | ChannelAnnounced
    | ChannelClosed
    | ChannelOpened
    | CodeReady
    | Connected
    | DescriptionReady
    | Left
    | ManifestKnown
    | MessageExchanged
    | Progressed
    | StateChanged
    | FileFinished
    | TextExchanged
    | Warned
    | Failed
    | Finished
)
Emit = Callable[[Event], None]
"Told of every event, in order, on the loop's thread; must not block."
