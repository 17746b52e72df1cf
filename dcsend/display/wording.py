"""How numbers, names and lists are said to a person; pure text, nothing printed.

Sizes are decimal (1 MB = 1 000 000 bytes), as networks, disks and phones count.
"""

from __future__ import annotations

from collections.abc import Iterator

from dcsend.entry import Entry, Kind
from dcsend.printable import printable
from dcsend.session.events import Connected, FileFinished, Finished, ManifestKnown

__all__ = [
    "describe_connection",
    "describe_file",
    "describe_manifest",
    "describe_result",
    "duration",
    "list_entries",
    "size",
]

_MAX_NAMES = 3
"Names in the one-line summary of a manifest; `l` lists all."


def size(count: int | None) -> str:
    """Say a number of bytes.

    >>> size(0), size(999), size(1_500), size(2_340_000_000), size(None)
    ('0 B', '999 B', '1.5 kB', '2.3 GB', 'unknown size')
    """
    if count is None:
        return "unknown size"
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95 or unit == "TB":
            break
    return f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """Say a time span.

    >>> duration(0.42), duration(75), duration(3720)
    ('0.4 s', '1 min 15 s', '1 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def counted(number: int, word: str) -> str:
    """Say how many.

    >>> counted(1, "file"), counted(3, "folder")
    ('1 file', '3 folders')
    """
    return f"{number} {word}{'' if number == 1 else 's'}"


def describe_connection(event: Connected) -> str:
    """Say who is there and by which way."""
    rtt = "" if event.rtt is None else f", {event.rtt * 1000:.0f} ms"
    way = " ".join(part for part in (event.route, event.family, event.address) if part)
    return f"connected to {printable(event.peer)}: {way}{rtt}"


def describe_manifest(event: ManifestKnown) -> str:
    """Say in one line what is offered."""
    kinds = [entry.kind for entry in event.entries]
    parts = [
        counted(kinds.count(kind), word)
        for kind, word in (
            (Kind.FILE, "file"),
            (Kind.DIRECTORY, "folder"),
            (Kind.LINK, "link"),
            (Kind.TEXT, "text"),
        )
        if kind in kinds
    ]
    tops = list(dict.fromkeys(e.path.split("/")[0] for e in event.entries if e.kind != Kind.TEXT))
    names = ", ".join(printable(name) for name in tops[:_MAX_NAMES])
    more = f" and {len(tops) - _MAX_NAMES} more" if len(tops) > _MAX_NAMES else ""
    about = f": {names}{more}" if names else ""
    return f"{', '.join(parts) or 'nothing'} ({size(event.total)}){about}"


def list_entries(event: ManifestKnown) -> Iterator[str]:
    """Say every entry, a line each, names escaped."""
    for entry in event.entries:
        yield f"{_measure(entry):>12}  {printable(entry.path)}{_suffix(entry)}"


def _measure(entry: Entry) -> str:
    return size(entry.size) if entry.kind in (Kind.FILE, Kind.TEXT) else entry.kind.value


def _suffix(entry: Entry) -> str:
    match entry.kind:
        case Kind.DIRECTORY:
            return "/"
        case Kind.LINK:
            return f" -> {printable(entry.target)}"
        case Kind.TEXT:
            return " (a text)"
        case Kind.FILE:
            return ""


def describe_file(event: FileFinished) -> str:
    """Say the verdict over one file."""
    name = printable(event.path)
    if event.status == "ok":
        where = f" -> {printable(str(event.saved))}" if event.saved is not None else ""
        return f"ok       {name} ({size(event.bytes)}){where}"
    return f"{event.status:<8} {name}: {printable(event.reason)}"


def describe_result(event: Finished) -> str:
    """Say how it all ended."""
    good = sum(file.status == "ok" for file in event.files)
    rate = f", {size(round(event.bytes / event.seconds))}/s" if event.seconds > 0.05 else ""
    verb = "received" if event.role == "receiver" else "sent"
    return (
        f"{verb} and verified {counted(good, 'file')}, {size(event.bytes)}"
        f" in {duration(event.seconds)}{rate}"
    )
