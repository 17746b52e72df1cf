"""The control messages: their fields and their JSON form.

`decode` validates every field and raises RemoteProtocolError for a violation. `encode` decodes its
own result, so that no message is sent that a peer would have to refuse. Must not import asyncio,
files or peers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dcsend.entry import NOTHING, Entry, LeftOut
from dcsend.errors import (
    IncompatibleVersion,
    LocalProtocolError,
    RemoteProtocolError,
)
from dcsend.printable import printable
from dcsend.protocol import limits
from dcsend.protocol.device import is_device_name
from dcsend.protocol.entries import entry_fields, read_entry, read_left_out
from dcsend.protocol.strict import Fields, check_unknown, dump, parse

__all__ = [
    "AGAIN",
    "ANEW",
    "BROWSER",
    "CANCEL_REASONS",
    "DECLINE_REASONS",
    "RECONNECT",
    "ROLES",
    "SKIP_REASONS",
    "STATUSES",
    "WINDOW",
    "Accept",
    "Ack",
    "Again",
    "Bye",
    "Cancel",
    "Complete",
    "Decline",
    "Hello",
    "Manifest",
    "Message",
    "Verdict",
    "Working",
    "choose_version",
    "clip",
    "decode",
    "encode",
]

_SHA256: Final = re.compile("[0-9a-f]{64}")
BROWSER: Final = "browser"
"Feature of a peer in a browser, which ends a silent connection by itself."
ANEW: Final = "anew"
"Feature of a sender that begins anew with a peer that has lost its state; see `receipts`."
RECONNECT: Final = "reconnect"
"Feature of a peer that goes on over another connection; see `receipts`."
AGAIN: Final = "again"
"Feature of a sender that sends bytes again which were changed on the receiver's disk."
WINDOW: Final = "window"
"Feature of a sender that takes another window from Ack, and fits its frames to it."
ROLES: Final = ("sender", "receiver")
SKIP_REASONS: Final = ("exists", "same", "unsafe", "declined", "unsupported", "failed")
DECLINE_REASONS: Final = (
    "declined",
    "destination",
    "unsupported",
    "error",
    "interrupted",
    "timeout",
    "dry-run",
)
STATUSES: Final = ("ok", "mismatch", "failed")
CANCEL_REASONS: Final = (
    "interrupted",
    "error",
    "protocol",
    "version",
    "integrity",
    "destination",
    "source",
    "timeout",
)


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of either side."""

    versions: tuple[int, ...]
    "Protocol versions that the program supports, 1 to 16 of them."
    agent: str
    "Name and version of the program, at most 128 code points; shown, never interpreted."
    role: str
    "One of ROLES."
    features: tuple[str, ...] = ()
    "Optional capabilities, at most 64; unknown ones are ignored."
    max_frame: int = limits.MAX_FRAME
    "Bytes of the longest data message that it accepts, 1024 or more."
    name: str = ""
    "Name that people use for the device, see `is_device_name`; empty for none."


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that the sender offers; a long one is divided into several messages."""

    entries: tuple[Entry, ...]
    "Numbered from 0, counted over all Manifest messages."
    last: bool
    "Whether no other Manifest follows."
    left_out: LeftOut = NOTHING
    "What the sender found and does not offer; only in the last message."


@dataclass(frozen=True, slots=True)
class Accept:
    """The receiver accepts files; a long one is divided into several messages."""

    window: int
    "Bytes of data messages that may be in flight; the same in each message."
    skip: tuple[tuple[int, str], ...] = ()
    "(entry number, one of SKIP_REASONS)."
    have: tuple[tuple[int, int], ...] = ()
    "(file number, bytes that the receiver already holds)."
    last: bool = True
    "Whether no other Accept follows."
    digests: tuple[tuple[int, int, str], ...] = ()
    "(file number, offset, SHA-256 of the bytes before it in hex)."


@dataclass(frozen=True, slots=True)
class Decline:
    """The receiver declines the offer."""

    reason: str
    "One of DECLINE_REASONS."
    message: str = ""
    "For people, at most 500 code points."


@dataclass(frozen=True, slots=True)
class Ack:
    """Content is written, so that more may be sent."""

    bytes: int
    "Bytes of data messages since the beginning, headers included."
    window: int | None = None
    "How many may be in flight from now on; None: as before."


@dataclass(frozen=True, slots=True)
class Verdict:
    """The results of files."""

    files: tuple[tuple[int, str], ...]
    "(file number, one of STATUSES); each file once."


@dataclass(frozen=True, slots=True)
class Again:
    """Bytes that the receiver had were changed on its disk: they are to be sent again."""

    number: int
    "Of the file; `file` in JSON."
    start: int
    "Offset of the first byte; `from` in JSON."
    end: int
    "Offset of the byte after the last; `to` in JSON."


@dataclass(frozen=True, slots=True)
class Complete:
    """The last message of the receiver."""

    ok: bool
    "Whether every accepted entry is ok."
    files: int
    "Number of files and texts with the status ok."
    bytes: int
    "Sum of their sizes."


@dataclass(frozen=True, slots=True)
class Working:
    """The disk, the source or the pipe of this side has not finished yet."""


@dataclass(frozen=True, slots=True)
class Bye:
    """The sender has received Complete or Decline; both sides may close."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """The transfer ends; from either side, at any time before Complete."""

    reason: str
    "One of CANCEL_REASONS."
    message: str = ""
    "For people, at most 500 code points."


Message = (
    Hello | Manifest | Accept | Decline | Ack | Verdict | Working | Again | Complete | Bye | Cancel
)


def encode(message: Message) -> str:
    """Return the JSON text of a message.

    Raises:
        LocalProtocolError: the message contains something that a peer must refuse.

    >>> encode(Ack(bytes=65000))
    '{"type":"ack","bytes":65000}'
    """
    name = type(message).__name__.lower()
    fields: dict[str, object] = {"type": name}
    for key in _FIELDS[name]:
        fields[key] = getattr(message, _ATTRIBUTES.get(key, key))
    if isinstance(message, Manifest):
        fields["entries"] = [entry_fields(entry) for entry in message.entries]
        del fields["left_out"]
        if any(message.left_out):
            fields["left_out"] = message.left_out.as_json()
    if isinstance(message, Hello) and not message.name:
        del fields["name"]
    if isinstance(message, Accept) and not message.digests:
        del fields["digests"]
    if isinstance(message, Ack) and message.window is None:
        del fields["window"]
    text = dump(fields)
    try:
        decoded = decode(text)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"can't send this {name}: {error}") from None
    # A name that is not valid and an unknown reason are read as something else, without an error.
    if decoded != message and not isinstance(message, Manifest):
        raise LocalProtocolError(f"can't send this {name}: a peer would read {decoded}")
    return text


def decode(text: str) -> Message:
    """Read a message of the control channel.

    Raises:
        RemoteProtocolError: it breaks a rule of PROTOCOL.md.

    >>> decode('{"type": "ack", "bytes": 65000}')
    Ack(bytes=65000, window=None)
    """
    values = parse(text)
    name = values.get("type")
    if not isinstance(name, str) or name not in _READERS:
        shown = printable(name[:40]) if isinstance(name, str) else "none"
        raise RemoteProtocolError(f"unknown message type: {shown}")
    check_unknown(name, values, _STRICT[name])
    return _READERS[name](Fields(name, values))


def choose_version(hello: Hello, versions: Sequence[int] = limits.VERSIONS) -> int:
    """Return the highest version that both sides support; *versions* are those of this side.

    Raises:
        IncompatibleVersion: there is none.
    """
    common = set(hello.versions) & set(versions)
    if not common:
        theirs = ", ".join(map(str, hello.versions))
        ours = ", ".join(map(str, versions))
        raise IncompatibleVersion(
            f"the other side supports protocol version {theirs}, this side {ours}"
        )
    return max(common)


def clip(text: str) -> str:
    """Return the text, cut to what Cancel and Decline may contain.

    >>> len(clip("x" * 1000))
    500
    """
    # The text of an error may contain a file name that is not Unicode: surrogates can't be sent.
    return text.encode("utf-8", "backslashreplace").decode()[: limits.MAX_MESSAGE]


# --- one function for each message: fields in, message out


def _read_hello(fields: Fields) -> Hello:
    versions: list[int] = []
    for version in fields.array("versions", limits.MAX_VERSIONS):
        if type(version) is not int or not 1 <= version <= limits.MAX_VERSION:
            fields.refuse("versions", "contains something that is not a version")
        versions.append(version)
    if not versions:
        fields.refuse("versions", "is empty")
    return Hello(
        versions=tuple(versions),
        agent=fields.text("agent", limits.MAX_AGENT),
        role=fields.choice("role", ROLES),
        features=fields.texts("features", limits.MAX_FEATURES, limits.MAX_FEATURE),
        max_frame=fields.integer("max_frame", limits.MIN_FRAME, limits.MAX_FRAME_LIMIT),
        # It is only shown: an invalid one must not end the transfer.
        name=fields.lenient_text("name", is_device_name),
    )


def _read_manifest(fields: Fields) -> Manifest:
    entries = tuple(map(read_entry, fields.array("entries", limits.MAX_ENTRIES)))
    last = fields.boolean("last")
    if not entries and not last:
        fields.refuse("entries", "is empty though more follow")
    left_out = read_left_out(fields)
    if any(left_out) and not last:
        fields.refuse("left_out", "comes before the last message")
    return Manifest(entries, last, left_out)


def _read_accept(fields: Fields) -> Accept:
    window = fields.integer("window", 1, limits.MAX_SAFE)
    skip = fields.reasons_by_number("skip", SKIP_REASONS, "failed")
    have: list[tuple[int, int]] = []
    for number, offset in fields.pairs("have"):
        if type(offset) is not int or not 1 <= offset <= limits.MAX_SAFE:
            fields.refuse("have", "contains something that is not an offset")
        have.append((number, offset))
    last = fields.boolean("last")
    if not skip and not have and not last:
        fields.refuse("skip", "and have are empty though more follow")
    return Accept(window, skip, tuple(have), last, _read_digests(fields))


def _read_digests(fields: Fields) -> tuple[tuple[int, int, str], ...]:
    digests: list[tuple[int, int, str]] = []
    for item in fields.optional_array("digests", limits.MAX_DIGESTS):
        match item:
            case [int(number), int(at), str(sha256)] if (
                0 <= number < limits.MAX_ENTRIES
                and 1 <= at <= limits.MAX_SAFE
                and not {type(number), type(at)} - {int}
                and _SHA256.fullmatch(sha256)
            ):
                digests.append((number, at, sha256))
            case _:
                fields.refuse("digests", "contains something that is not a digest")
    return tuple(digests)


def _read_decline(fields: Fields) -> Decline:
    reason = fields.reason("reason", DECLINE_REASONS, "error")
    return Decline(reason, fields.text("message", limits.MAX_MESSAGE))


def _read_ack(fields: Fields) -> Ack:
    total = fields.integer("bytes", 0, limits.MAX_SAFE)
    window = fields.integer("window", 1, limits.MAX_SAFE) if fields.has("window") else None
    return Ack(total, window)


def _read_verdict(fields: Fields) -> Verdict:
    files = fields.reasons_by_number("files", STATUSES, "failed")
    if not files:
        fields.refuse("files", "is empty")
    return Verdict(files)


def _read_again(fields: Fields) -> Again:
    start = fields.integer("from", 0, limits.MAX_SAFE - 1)
    end = fields.integer("to", start + 1, limits.MAX_SAFE)
    return Again(fields.integer("file", 0, limits.MAX_ENTRIES - 1), start, end)


def _read_complete(fields: Fields) -> Complete:
    return Complete(
        ok=fields.boolean("ok"),
        files=fields.integer("files", 0, limits.MAX_ENTRIES),
        bytes=fields.integer("bytes", 0, limits.MAX_SAFE),
    )


def _read_working(fields: Fields) -> Working:
    return Working()


def _read_bye(fields: Fields) -> Bye:
    return Bye()


def _read_cancel(fields: Fields) -> Cancel:
    reason = fields.reason("reason", CANCEL_REASONS, "error")
    return Cancel(reason, fields.text("message", limits.MAX_MESSAGE))


_READERS: Final[Mapping[str, Callable[[Fields], Message]]] = {
    "hello": _read_hello,
    "manifest": _read_manifest,
    "accept": _read_accept,
    "decline": _read_decline,
    "ack": _read_ack,
    "verdict": _read_verdict,
    "again": _read_again,
    "complete": _read_complete,
    "working": _read_working,
    "bye": _read_bye,
    "cancel": _read_cancel,
}

# Without "type", in the order in which they are written.
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "hello": ("versions", "agent", "role", "features", "max_frame", "name"),
    "manifest": ("entries", "last", "left_out"),
    "accept": ("window", "skip", "have", "last", "digests"),
    "decline": ("reason", "message"),
    "ack": ("bytes", "window"),
    "verdict": ("files",),
    "again": ("file", "from", "to"),
    "complete": ("ok", "files", "bytes"),
    "working": (),
    "bye": (),
    "cancel": ("reason", "message"),
}

_ATTRIBUTES: Final[Mapping[str, str]] = {"file": "number", "from": "start", "to": "end"}
"Of a message, where its name is not that of the field."

# `name` may be of any type, and `left_out` may have unknown fields: their depth is checked as that
# of an unknown field.
_STRICT: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(field for field in fields if field not in ("name", "left_out"))
    for name, fields in _FIELDS.items()
}
