"""How numbers, names and lists are said to a person; pure text, nothing printed.

Sizes are decimal (1 MB = 1 000 000 bytes), as networks, disks and phones count. Fixed words are
ASCII: every console can show them.
"""

from __future__ import annotations

import datetime
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from typing import Final

from dcsend.entry import Entry, Kind
from dcsend.files.names import is_hidden
from dcsend.printable import printable
from dcsend.session.events import Connected, FileFinished, Finished, ManifestKnown

__all__ = [
    "LONGEST",
    "LONGEST_MESSAGE",
    "counted",
    "describe_connection",
    "describe_file",
    "describe_manifest",
    "describe_result",
    "duration",
    "fit",
    "hidden_names",
    "list_entries",
    "short",
    "size",
    "until",
    "width",
    "wrapped",
]

LONGEST: Final = 200
"Columns of a name or a path; a peer can make one of 40 000."
_MAX_COUNTED: Final = 10_000
"Different names that are counted; a manifest may have a million."
LONGEST_MESSAGE: Final = 1000
"Columns of a sentence, which may hold a path or what the peer says."
_MAX_NAMES = 3
"Names in the one-line summary of a manifest; `l` lists all."
_MAX_HIDDEN = 5
"Hidden names in the line about them."


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

    >>> duration(0.42), duration(9.96), duration(59.7), duration(75), duration(3720)
    ('0.4 s', '10 s', '1 min 0 s', '1 min 15 s', '1 h 2 min')
    >>> duration(86400 * 3 + 3600)
    '3 d 1 h'
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def until(when: datetime.datetime, now: datetime.datetime) -> str:
    """Say a time of day, with the day unless it is today; both in the same time zone.

    >>> noon = datetime.datetime(2026, 5, 1, 12)
    >>> until(noon.replace(hour=13), noon), until(noon.replace(day=2), noon)
    ('13:00', '12:00 on 2 May')
    """
    day = "" if when.date() == now.date() else f" on {when.day} {when:%B}"
    return f"{when:%H:%M}{day}"


def counted(number: int, word: str) -> str:
    """Say how many.

    >>> counted(1, "file"), counted(3, "folder")
    ('1 file', '3 folders')
    """
    return f"{number} {word}{'' if number == 1 else 's'}"


def width(text: str) -> int:
    """Return how many cells *text* takes in a terminal.

    >>> width("abc"), width("文件"), width("e\u0301")
    (3, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """Cut *text* in the middle, or pad it, to exactly *columns* cells.

    >>> fit("film.mkv", 10), fit("a long name of a film.mkv", 13), fit("文文文文.txt", 10)
    ('film.mkv  ', 'a long..m.mkv', '文文...txt')
    """
    if width(text) > columns:
        tail = _cut(text[::-1], (columns - 2) // 2)[::-1]
        text = _cut(text, columns - 2 - width(tail)) + ".." + tail
    return text + " " * (columns - width(text))


def short(text: str, columns: int = LONGEST) -> str:
    r"""Escape what a peer, or a disk, called something, and cut its middle out if it is long.

    >>> short("film.mkv"), short("a/very/long/path\x1b[2J/film.mkv", 20)
    ('film.mkv', 'a/very/lo../film.mkv')
    """
    if len(text) <= columns:
        head = tail = printable(text)
        if width(head) <= columns:
            return head
    else:  # escaped as far as it is shown: each character may become ten
        head, tail = printable(text[:columns]), printable(text[-columns:])
    tail = _cut(tail[::-1], (columns - 2) // 2)[::-1]
    return _cut(head, columns - 2 - width(tail)) + ".." + tail


def _cut(text: str, columns: int) -> str:
    """Return the longest beginning of *text* that takes no more than *columns* cells."""
    taken = 0
    for place, char in enumerate(text):
        taken += _cells(char)
        if taken > columns:
            return text[:place]
    return text


def wrapped(text: str, columns: int) -> list[str]:
    """Break prose into rows between words; long words, such as codes and paths, stay whole.

    >>> wrapped("what is complete stays", 12)
    ['what is', '  complete', '  stays']
    """
    import textwrap

    return textwrap.wrap(
        text,
        columns,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
        expand_tabs=False,
        replace_whitespace=False,
    )


def describe_connection(event: Connected, *, address: bool = False) -> str:
    """Say who is there and by which way; with the *address* on demand, it is long."""
    way = f"{event.route} over {event.family}" if event.family else event.route
    rtt = "" if event.rtt is None else _milliseconds(event.rtt)
    parts = (f"connected to {short(event.peer)}", way, event.address if address else "", rtt)
    return ", ".join(part for part in parts if part)


def _milliseconds(seconds: float) -> str:
    """Say a round trip.

    >>> _milliseconds(0.0004), _milliseconds(0.042)
    ('<1 ms', '42 ms')
    """
    return "<1 ms" if seconds < 0.001 else f"{seconds * 1000:.0f} ms"


def describe_manifest(event: ManifestKnown) -> str:
    """Say in one line what is offered."""
    kinds = Counter(event.kinds())
    parts = [
        counted(kinds[kind], word)
        for kind, word in (
            (Kind.FILE, "file"),
            (Kind.DIRECTORY, "folder"),
            (Kind.LINK, "link"),
            (Kind.TEXT, "text"),
        )
        if kind in kinds
    ]
    tops: dict[str, None] = {}
    for entry in event.entries:
        if entry.kind is not Kind.TEXT and len(tops) <= _MAX_COUNTED:
            tops[entry.path.partition("/")[0]] = None
    about = f": {_some(list(tops), _MAX_NAMES)}" if tops else ""
    return f"{', '.join(parts) or 'nothing'} ({size(event.total)}){about}"


def hidden_names(entries: Sequence[Entry]) -> str:
    """Say which names in a manifest begin with a dot; empty if none does.

    Names at the top come first, since only those decide what a home folder does; of the others each
    stands for what is in it.

    >>> hidden_names([Entry("a/.git/config"), Entry("a/b"), Entry(".ssh/authorized_keys")])
    'hidden: .ssh, a/.git'
    """
    tops: dict[str, None] = {}
    others: dict[str, None] = {}
    for entry in entries:
        if (entry.path.startswith(".") or "/." in entry.path) and entry.kind is not Kind.TEXT:
            parts = entry.path.split("/")
            first = next((n for n, part in enumerate(parts) if is_hidden(part)), None)
            found = others if first else tops
            if first is not None and len(found) <= _MAX_COUNTED:
                found["/".join(parts[: first + 1])] = None
    names = [*tops, *others]
    return f"hidden: {_some(names, _MAX_HIDDEN)}" if names else ""


def _some(names: Sequence[str], most: int) -> str:
    """Say the first of *names*, and how many more there are.

    >>> _some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    said = ", ".join(map(short, names[:most]))
    over = "more than " if len(names) > _MAX_COUNTED else ""
    return f"{said} and {over}{len(names) - most} more" if len(names) > most else said


def list_entries(event: ManifestKnown) -> Iterator[str]:
    """Say every entry, a line each, names escaped."""
    for entry in event.entries:
        yield f"{_measure(entry):>12}  {short(entry.path)}{_suffix(entry)}"


def _measure(entry: Entry) -> str:
    match entry.kind:
        case Kind.DIRECTORY:
            return "folder"
        case Kind.LINK:
            return "link"
        case Kind.FILE | Kind.TEXT:
            return size(entry.size)


def _suffix(entry: Entry) -> str:
    match entry.kind:
        case Kind.DIRECTORY:
            return "/"
        case Kind.LINK:
            return f" -> {short(entry.target)}"
        case Kind.TEXT:
            return " (a text, shown and not saved)"
        case Kind.FILE:
            return ""


def describe_file(event: FileFinished) -> str:
    """Say the verdict over one file, and its name here if that is another."""
    name = short(event.path)
    if event.status == "ok":
        renamed = event.saved is not None and event.saved.name != event.path.rpartition("/")[2]
        where = f", saved as {short(event.saved.name)}" if renamed and event.saved else ""
        return f"ok       {name} ({size(event.bytes)}){where}"
    # Most reasons name the file themselves; once is enough.
    reason = event.reason.removeprefix(f"{printable(event.path)}: ")
    return f"{event.status:<8} {name}: {short(reason)}"


def describe_result(event: Finished, texts: Set[int] = frozenset()) -> str:
    """Say how it all ended.

    Args:
        event: the end.
        texts: the hashes of the paths of those among its files that are texts.
    """
    shown = 0
    if texts:
        shown = sum(f.status == "ok" and hash(f.path) in texts for f in event.files)
    kinds = ((event.good - shown, "file"), (shown, "text"))
    what = ", ".join(counted(number, word) for number, word in kinds if number)
    verb = "received" if event.role == "receiver" else "sent"
    if not event.ok:
        return f"{what} {verb} and verified"
    rate = f", {size(round(event.bytes / event.seconds))}/s" if event.seconds > 0.05 else ""
    return (
        f"{verb} and verified {what or 'everything'}, {size(event.bytes)}"
        f" in {duration(event.seconds)}{rate}"
    )
