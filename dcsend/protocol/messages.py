"""The control messages: what they hold, and their JSON form.

`decode` is the only door from the wire: what it returns has been checked field by
field, and whatever it doesn't like it raises as RemoteProtocolError. `encode` passes
its own work through that door, so nothing leaves that a peer would have to refuse.
Must not import asyncio, files or engines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from dcsend.entry import Entry
from dcsend.errors import (
    IncompatibleVersion,
    LocalProtocolError,
    RemoteProtocolError,
    UsageError,
)
from dcsend.listing import Entries
from dcsend.printable import printable
from dcsend.protocol import limits
from dcsend.protocol.entries import entry_fields, read_entry
from dcsend.protocol.strict import Fields, check_unknown, dump, parse

__all__ = [
    "CANCEL_REASONS",
    "DECLINE_REASONS",
    "ROLES",
    "SKIP_REASONS",
    "STATUSES",
    "Accept",
    "Ack",
    "Bye",
    "Cancel",
    "Complete",
    "Decline",
    "Hello",
    "Manifest",
    "Message",
    "Verdict",
    "Working",
    "check_offer",
    "choose_version",
    "clip",
    "decode",
    "encode",
    "encode_manifest",
    "manifest_fault",
    "split_accept",
    "split_manifest",
    "split_verdict",
]

ROLES: Final = ("sender", "receiver")
SKIP_REASONS: Final = ("exists", "unsafe", "declined", "unsupported")
DECLINE_REASONS: Final = (
    "declined",
    "destination",
    "unsupported",
    "error",
    "interrupted",
    "timeout",
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
    "Protocol versions it speaks, 1 to 16 of them."
    agent: str
    "Name and version of the program, at most 128 code points; shown, never interpreted."
    role: str
    "One of ROLES."
    features: tuple[str, ...] = ()
    "Optional abilities, at most 64; unknown ones are ignored."
    max_frame: int = limits.MAX_FRAME
    "Largest data message it can receive, in bytes, 1024 or more."


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything the sender offers; long ones come in several messages."""

    entries: tuple[Entry, ...]
    "Numbered from 0, counted on over all Manifest messages."
    last: bool
    "Whether the manifest is now complete."


@dataclass(frozen=True, slots=True)
class Accept:
    """The receiver wants the files; long ones come in several messages."""

    window: int
    "Data-message bytes that may be in flight; the same in each message."
    skip: tuple[tuple[int, str], ...] = ()
    "(entry number, one of SKIP_REASONS)."
    have: tuple[tuple[int, int], ...] = ()
    "(file number, bytes that the receiver already holds, verified)."
    last: bool = True
    "Whether the answer is now complete."


@dataclass(frozen=True, slots=True)
class Decline:
    """The receiver wants none of it."""

    reason: str
    "One of DECLINE_REASONS."
    message: str = ""
    "For people, at most 500 code points."


@dataclass(frozen=True, slots=True)
class Ack:
    """Content is written, more may come."""

    bytes: int
    "Bytes of data messages, headers included, since the beginning."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of files."""

    files: tuple[tuple[int, str], ...]
    "(file number, one of STATUSES); each file once."


@dataclass(frozen=True, slots=True)
class Complete:
    """The receiver's last word."""

    ok: bool
    "Whether every accepted file is ok."
    files: int
    "How many are."
    bytes: int
    "Their sizes, summed."


@dataclass(frozen=True, slots=True)
class Working:
    """The disk, the source or the pipe of this side takes its time, so nothing else is sent."""


@dataclass(frozen=True, slots=True)
class Bye:
    """The sender has read the last word; both may close."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """It ends here; either side, any time."""

    reason: str
    "One of CANCEL_REASONS."
    message: str = ""
    "For people, at most 500 code points."


Message = Hello | Manifest | Accept | Decline | Ack | Verdict | Working | Complete | Bye | Cancel


def encode(message: Message) -> str:
    """Turn a message into the text that goes on the control channel.

    Raises:
        LocalProtocolError: the message holds something that a peer must refuse.

    >>> encode(Ack(bytes=65000))
    '{"type":"ack","bytes":65000}'
    """
    name = type(message).__name__.lower()
    fields: dict[str, object] = {"type": name}
    for key in _FIELDS[name]:
        fields[key] = getattr(message, key)
    if isinstance(message, Manifest):
        fields["entries"] = [entry_fields(entry) for entry in message.entries]
    text = dump(fields)
    try:
        decode(text)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"can't send this {name}: {error}") from None
    return text


def decode(text: str) -> Message:
    """Turn what arrived on the control channel into a message.

    Raises:
        RemoteProtocolError: it is no message, or breaks a rule of PROTOCOL.md.

    >>> decode('{"type": "ack", "bytes": 65000}')
    Ack(bytes=65000)
    """
    values = parse(text)
    name = values.get("type")
    if not isinstance(name, str) or name not in _READERS:
        shown = printable(name[:40]) if isinstance(name, str) else "none"
        raise RemoteProtocolError(f"unknown message type: {shown}")
    check_unknown(name, values, _FIELDS[name])
    return _READERS[name](Fields(name, values))


def choose_version(hello: Hello) -> int:
    """Choose the highest version that both sides speak.

    Raises:
        IncompatibleVersion: there is none.
    """
    common = set(hello.versions) & set(limits.VERSIONS)
    if not common:
        theirs = ", ".join(map(str, hello.versions))
        ours = ", ".join(map(str, limits.VERSIONS))
        raise IncompatibleVersion(
            f"the other side speaks protocol version {theirs}, this side {ours}"
        )
    return max(common)


def clip(text: str) -> str:
    """Shorten an explanation to what Cancel and Decline may hold.

    >>> len(clip("x" * 1000))
    500
    """
    # An error's text may name a file whose name isn't Unicode: surrogates can't be sent.
    return text.encode("utf-8", "backslashreplace").decode()[: limits.MAX_MESSAGE]


def manifest_fault(entries: Entries, start: int = 0) -> str:
    """Say what is wrong with a manifest as a whole, as far as it is there; "" if nothing is.

    Args:
        entries: all of it so far.
        start: how many of them have been looked at before.
    """
    if len(entries) > limits.MAX_ENTRIES:
        return f"manifest has more than {limits.MAX_ENTRIES} entries"
    most = limits.MAX_NAMES + start * limits.NAMES_PER_ENTRY
    if entries.names <= most:
        return ""
    for number in range(start + 1, len(entries) + 1):
        if entries.names_before(number) > limits.MAX_NAMES + number * limits.NAMES_PER_ENTRY:
            return (
                f"manifest has names of more than {limits.MAX_NAMES} bytes "
                f"and {limits.NAMES_PER_ENTRY} for each entry"
            )
    return ""


def check_offer(entries: Sequence[Entry]) -> None:
    """Refuse to offer more than one transfer may have.

    Raises:
        UsageError: too many entries, or names that are too long together.
    """
    hint = "send it in parts, or as one archive"
    if len(entries) > limits.MAX_ENTRIES:
        raise UsageError(
            f"{len(entries)} entries are more than the {limits.MAX_ENTRIES} of one transfer", hint
        )
    most, names = limits.MAX_NAMES, 0
    for entry in entries:
        most += limits.NAMES_PER_ENTRY
        names += len(entry.path.encode("utf-8", "surrogatepass"))
        names += len(entry.target.encode("utf-8", "surrogatepass"))
        if names > most:
            raise UsageError(
                f"the paths of {len(entries)} entries are longer together than one transfer takes",
                hint,
            )


def encode_manifest(entries: Sequence[Entry]) -> list[str]:
    """Turn all entries into the texts that offer them; 4 to 9 µs each, which can be done early.

    Raises:
        LocalProtocolError: an entry holds something that a peer must refuse.
    """
    return [encode(part) for part in split_manifest(entries)]


def split_manifest(entries: Sequence[Entry]) -> Iterator[Manifest]:
    """Divide all entries into messages of at most 48 KiB (or one entry, if it is longer)."""
    part: list[Entry] = []
    room = limits.SPLIT_CONTROL
    for entry in entries:
        cost = _most_bytes(entry)
        if part and cost > room:
            yield Manifest(tuple(part), last=False)
            part, room = [], limits.SPLIT_CONTROL
        part.append(entry)
        room -= cost
    yield Manifest(tuple(part), last=True)


def _most_bytes(entry: Entry) -> int:
    """The most that an entry can take in a message; cheaper than to encode it twice."""
    names = entry.path + entry.target
    size = len(names.encode("utf-8", "surrogatepass"))
    # Visible characters take at most a backslash more, others become \\u0000.
    return 160 + size * (2 if names.isprintable() else 6)


def split_accept(window: int, skip: Mapping[int, str], have: Mapping[int, int]) -> Iterator[Accept]:
    """Divide an answer into messages of at most 1000 pairs."""
    skips, haves = iter(skip.items()), iter(have.items())
    left = len(skip) + len(have)
    while True:
        skip_part = tuple(islice(skips, limits.PAIRS_PER_MESSAGE))
        have_part = tuple(islice(haves, limits.PAIRS_PER_MESSAGE - len(skip_part)))
        left -= len(skip_part) + len(have_part)
        yield Accept(window, skip_part, have_part, last=not left)
        if not left:
            return


def split_verdict(files: Sequence[tuple[int, str]]) -> Iterator[Verdict]:
    """Divide verdicts into messages of at most 1000 pairs."""
    for start in range(0, len(files), limits.PAIRS_PER_MESSAGE):
        yield Verdict(tuple(files[start : start + limits.PAIRS_PER_MESSAGE]))


# --- One reader per message: checked values in, the dataclass out


def _read_hello(fields: Fields) -> Hello:
    versions: list[int] = []
    for version in fields.array("versions", limits.MAX_VERSIONS):
        if type(version) is not int or not 1 <= version <= limits.MAX_VERSION:
            fields.refuse("versions", "holds something that is no version")
        versions.append(version)
    if not versions:
        fields.refuse("versions", "is empty")
    return Hello(
        versions=tuple(versions),
        agent=fields.text("agent", limits.MAX_AGENT),
        role=fields.choice("role", ROLES),
        features=fields.texts("features", limits.MAX_FEATURES, limits.MAX_FEATURE),
        max_frame=fields.integer("max_frame", limits.MIN_FRAME, limits.MAX_FRAME_LIMIT),
    )


def _read_manifest(fields: Fields) -> Manifest:
    entries = tuple(map(read_entry, fields.array("entries", limits.MAX_ENTRIES)))
    last = fields.boolean("last")
    if not entries and not last:
        fields.refuse("entries", "is empty though more follow")
    return Manifest(entries, last)


def _read_accept(fields: Fields) -> Accept:
    window = fields.integer("window", 1, limits.MAX_SAFE)
    skip = fields.choices_by_number("skip", SKIP_REASONS)
    have: list[tuple[int, int]] = []
    for number, offset in fields.pairs("have"):
        if type(offset) is not int or not 1 <= offset <= limits.MAX_SAFE:
            fields.refuse("have", "holds something that is no offset")
        have.append((number, offset))
    last = fields.boolean("last")
    if not skip and not have and not last:
        fields.refuse("skip", "and have are empty though more follow")
    return Accept(window, skip, tuple(have), last)


def _read_decline(fields: Fields) -> Decline:
    reason = fields.choice("reason", DECLINE_REASONS)
    return Decline(reason, fields.text("message", limits.MAX_MESSAGE))


def _read_ack(fields: Fields) -> Ack:
    return Ack(fields.integer("bytes", 0, limits.MAX_SAFE))


def _read_verdict(fields: Fields) -> Verdict:
    files = fields.choices_by_number("files", STATUSES)
    if not files:
        fields.refuse("files", "is empty")
    return Verdict(files)


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
    reason = fields.choice("reason", CANCEL_REASONS)
    return Cancel(reason, fields.text("message", limits.MAX_MESSAGE))


_READERS: Final[Mapping[str, Callable[[Fields], Message]]] = {
    "hello": _read_hello,
    "manifest": _read_manifest,
    "accept": _read_accept,
    "decline": _read_decline,
    "ack": _read_ack,
    "verdict": _read_verdict,
    "complete": _read_complete,
    "working": _read_working,
    "bye": _read_bye,
    "cancel": _read_cancel,
}

# Without "type", in the order in which they are written.
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "hello": ("versions", "agent", "role", "features", "max_frame"),
    "manifest": ("entries", "last"),
    "accept": ("window", "skip", "have", "last"),
    "decline": ("reason", "message"),
    "ack": ("bytes",),
    "verdict": ("files",),
    "complete": ("ok", "files", "bytes"),
    "working": (),
    "bye": (),
    "cancel": ("reason", "message"),
}
