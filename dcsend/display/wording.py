"""Formats numbers, names and lists for the user; pure functions.

Sizes are decimal (1 MB = 1 000 000 bytes), as in networks, on disks and on phones. Fixed text is
ASCII, which every console can show.
"""

from __future__ import annotations

import datetime
import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from typing import Final

from dcsend.entry import Entry, Kind, LeftOut
from dcsend.files.names import is_hidden
from dcsend.printable import format_size, printable
from dcsend.session.events import (
    Checking,
    Connected,
    Damaged,
    FileFinished,
    Finished,
    ManifestKnown,
)

__all__ = [
    "LONGEST",
    "LONGEST_MESSAGE",
    "ago",
    "clipped",
    "counted",
    "cut",
    "describe_check",
    "describe_connection",
    "describe_file",
    "describe_left_out",
    "describe_manifest",
    "describe_result",
    "duration",
    "fit",
    "hidden_names",
    "isolated",
    "list_entries",
    "made",
    "rate",
    "remaining",
    "sentence",
    "short",
    "until",
    "width",
    "wrapped",
]

LONGEST: Final = 200
"Columns of a name or a path; a peer can send one of 40 000."
_MAX_COUNTED: Final = 10_000
"Different names that are counted; a manifest may have a million."
LONGEST_MESSAGE: Final = 1000
"Columns of a sentence, which may contain a path or text from the peer."
_LONGEST_SPAN: Final = 10 * 365 * 86_400.0
"Seconds; the longest remaining time that is shown."
_MAX_NAMES = 3
"Names in the summary of a manifest; `l` lists all."
_ISOLATES: Final = "\u2068\u2069"
"FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE."
_RIGHT_TO_LEFT: Final = frozenset(("R", "AL", "AN"))
"Bidirectional classes that can change the order of adjacent text."
_MAX_HIDDEN = 5
"Hidden names that are listed in one line."


def duration(seconds: float) -> str:
    """Format a time span.

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


def ago(seconds: float) -> str:
    """Format how long ago something was, in its largest unit.

    >>> ago(0.4), ago(75), ago(7300), ago(86400 * 3 + 3600)
    ('0 s ago', '1 min ago', '2 h ago', '3 days ago')
    """
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago" if seconds >= 60 else f"{seconds // 1:.0f} s ago"
    hours = int(seconds // 3600)
    return f"{hours} h ago" if hours < 48 else f"{hours // 24} days ago"


def rate(limit: float | None) -> str:
    """Format a limit of the rate.

    >>> rate(2_000_000), rate(1_500), rate(None)
    ('2 MB/s', '1.5 kB/s', 'none')
    """
    return "none" if limit is None else f"{format_size(round(limit)).replace('.0 ', ' ')}/s"


def remaining(seconds: float) -> str:
    """Format a remaining time in whole seconds, so that it changes once a second.

    >>> remaining(0.2), remaining(8.9), remaining(75.5)
    ('1 s', '9 s', '1 min 16 s')
    """
    whole = max(1, math.ceil(min(seconds, _LONGEST_SPAN)))
    return f"{whole} s" if whole < 60 else duration(whole)


def until(when: datetime.datetime, now: datetime.datetime) -> str:
    """Format a time of day, with the date unless it is today; both in the same time zone.

    >>> noon = datetime.datetime(2026, 5, 1, 12)
    >>> until(noon.replace(hour=13), noon), until(noon.replace(day=2), noon)
    ('13:00', '12:00 on 2 May')
    """
    day = "" if when.date() == now.date() else f" on {when.day} {when:%B}"
    return f"{when:%H:%M}{day}"


def counted(number: int, word: str) -> str:
    """Format a number with its noun.

    >>> counted(1, "file"), counted(3, "folder")
    ('1 file', '3 folders')
    """
    return f"{number} {word}{'' if number == 1 else 's'}"


def width(text: str) -> int:
    """Return the number of terminal cells that *text* takes.

    >>> width("abc"), width("文件"), width("e\u0301")
    (3, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(char: str) -> int:
    if unicodedata.combining(char) or char in _ISOLATES:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """Cut *text* in the middle, or pad it, to exactly *columns* cells.

    >>> fit("film.mkv", 10), fit("a long name of a film.mkv", 13), fit("文文文文.txt", 10)
    ('film.mkv  ', 'a long..m.mkv', '文文...txt')
    """
    if width(text) > columns:
        tail = cut(text[::-1], (columns - 2) // 2)[::-1]
        text = cut(text, columns - 2 - width(tail)) + ".." + tail
    return text + " " * (columns - width(text))


def short(text: str, columns: int = LONGEST) -> str:
    r"""Escape a name from a peer or a disk, and cut its middle out if it is long.

    >>> short("film.mkv"), short("a/very/long/path\x1b[2J/film.mkv", 20)
    ('film.mkv', 'a/very/lo../film.mkv')
    """
    if len(text) <= columns:
        head = tail = printable(text)
        if width(head) <= columns:
            return isolated(head)
    else:  # an escaped character has up to ten columns: only the shown part is escaped
        head, tail = printable(text[:columns]), printable(text[-columns:])
    tail = cut(tail[::-1], (columns - 2) // 2)[::-1]
    return isolated(cut(head, columns - 2 - width(tail)) + ".." + tail)


def isolated(name: str) -> str:
    """Isolate a right-to-left name, so that a terminal does not reorder the text beside it.

    `printable` escapes directional control characters, but right-to-left letters have this effect
    as well.

    >>> isolated("anna"), isolated("\u05d0\u05e0\u05d4") == "\u2068\u05d0\u05e0\u05d4\u2069"
    ('anna', True)
    """
    if name.isascii() or _RIGHT_TO_LEFT.isdisjoint(map(unicodedata.bidirectional, name)):
        return name
    return f"{_ISOLATES[0]}{name}{_ISOLATES[1]}"


def sentence(text: str) -> str:
    """Escape a sentence, and cut off its end if a peer has made it very long."""
    return clipped(printable(text[: LONGEST_MESSAGE + 1]), LONGEST_MESSAGE)


def clipped(text: str, columns: int) -> str:
    """Cut off the end of *text*, between words, if it takes more than *columns* cells.

    >>> clipped("what is complete", 16), clipped("what is complete stays", 20)
    ('what is complete', 'what is complete...')
    """
    if width(text) <= columns:
        return text
    beginning = cut(text, columns - 3)
    head = beginning if text[len(beginning)] == " " else beginning.rpartition(" ")[0]
    if len(head) < len(beginning) // 2:  # a long word, such as a path
        head = beginning
    return head.rstrip(" ,;:") + "..."


def cut(text: str, columns: int) -> str:
    """Return the longest beginning of *text* that takes no more than *columns* cells."""
    taken = 0
    for place, char in enumerate(text):
        taken += _cells(char)
        if taken > columns:
            return text[:place]
    return text


def wrapped(text: str, columns: int) -> list[str]:
    """Break a sentence into rows between words; long words, such as codes, are not broken.

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


def describe_connection(event: Connected, *, program: bool = False) -> str:
    """Describe the peer and the route; with *program*, also the program of the peer."""
    way = f"{event.route} over {event.family}" if event.family else event.route
    rtt = "" if event.rtt_ms is None else _milliseconds(event.rtt_ms)
    runs = short(event.peer) if program else ""
    name, *facts = filter(None, (short(event.name), event.address, way, rtt, runs))
    return f"connected to {name} ({', '.join(facts)})" if facts else f"connected, {name}"


def _milliseconds(rtt: float) -> str:
    """Format a round-trip time.

    >>> _milliseconds(0.4), _milliseconds(42)
    ('<1 ms', '42 ms')
    """
    return "<1 ms" if rtt < 1 else f"{rtt:.0f} ms"


def describe_manifest(event: ManifestKnown) -> str:
    """Return a summary of an offer in one line."""
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
    return f"{', '.join(parts) or 'nothing'} ({format_size(event.bytes)}){about}"


def describe_left_out(left_out: LeftOut) -> str:
    """Describe what the sender does not send; empty if it sends everything.

    >>> describe_left_out(LeftOut(links=2, unreadable=1))
    'not sent: 2 symbolic links, 1 unreadable or with an unusable name'
    """
    parts = [
        counted(left_out.links, "symbolic link") if left_out.links else "",
        counted(left_out.others, "special file") if left_out.others else "",
        f"{left_out.unreadable} unreadable or with an unusable name" if left_out.unreadable else "",
    ]
    listed = ", ".join(part for part in parts if part)
    return f"not sent: {listed}" if listed else ""


def hidden_names(entries: Sequence[Entry]) -> str:
    """List the hidden names in a manifest, which begin with a dot; empty if there are none.

    Top-level names come first, because they alone can be configuration files of a home folder. The
    content of a hidden folder is not listed.

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
    """Join the first of *names*, and add how many more there are.

    >>> _some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    listed = ", ".join(map(short, names[:most]))
    over = "more than " if len(names) > _MAX_COUNTED else ""
    return f"{listed} and {over}{len(names) - most} more" if len(names) > most else listed


def list_entries(event: ManifestKnown) -> Iterator[str]:
    """Return a line for each entry, with escaped names."""
    for entry in event.entries:
        measure, suffix = _around(entry)
        yield f"{measure:>12}  {short(entry.path)}{suffix}"


def _around(entry: Entry) -> tuple[str, str]:
    """Return what is shown before the path of an entry, and after it."""
    match entry.kind:
        case Kind.DIRECTORY:
            return "folder", "/"
        case Kind.LINK:
            return "link", f" -> {short(entry.target)}"
        case Kind.TEXT:
            return format_size(entry.size), " (a text, shown and not saved)"
        case Kind.FILE:
            return format_size(entry.size), ""


def describe_file(event: FileFinished) -> str:
    """Return the line of a verdict, with the local name of the file if it differs."""
    name = short(event.path)
    if event.status == "ok":
        renamed = event.saved is not None and event.saved.name != event.path.rpartition("/")[2]
        where = f", saved as {short(event.saved.name)}" if renamed and event.saved else ""
        return f"ok       {name} ({format_size(event.bytes)}){where}"
    # Most reasons begin with the path, which is already in the line.
    reason = event.reason.removeprefix(f"{printable(event.path)}: ")
    return f"{event.status:<8} {name}: {short(reason)}"


def describe_check(event: Checking, *, sends: bool) -> str:
    """Describe how much of what an earlier run has transferred is verified.

    >>> describe_check(Checking("film.mkv", 40, 100), sends=False)
    'checking 100 B received earlier, 40 %'
    """
    percent = 100 * event.bytes // event.total if event.total else 100
    verb = "sent" if sends else "received"
    return f"checking {format_size(event.total)} {verb} earlier, {percent} %"


def describe_damage(event: Damaged, *, sends: bool) -> str:
    """Describe which bytes of a part are sent again.

    >>> describe_damage(Damaged("film.mkv", 12_000_000, 20_000_000), sends=False)
    'bytes 12 to 20 MB of film.mkv were changed on the disk and are sent again'
    """
    first, last = event.start // 1_000_000, -(-event.end // 1_000_000)
    disk = "the receiver's disk" if sends else "the disk"
    name = short(event.path)
    return f"bytes {first} to {last} MB of {name} were changed on {disk} and are sent again"


def made(event: Finished) -> list[tuple[int, str]]:
    """Return the numbers of created entries that have no verdict: empty folders and links."""
    counts = zip(event.made, ("empty folder", "link"), strict=True)
    return [(number, word) for number, word in counts if number > 0]


def describe_result(event: Finished, texts: Set[int] = frozenset()) -> str:
    """Return the line of the result.

    Args:
        event: the result.
        texts: hashes of the paths of its text entries.
    """
    shown = 0
    if texts:
        shown = sum(f.status == "ok" and hash(f.path) in texts for f in event.files)
    kinds = [(event.good - shown, "file"), (shown, "text")]
    kinds[1:1] = made(event)
    what = ", ".join(counted(number, word) for number, word in kinds if number)
    verb = "received" if event.role == "receiver" else "sent"
    if not event.ok:
        return f"{what} {verb} and verified"
    if not what:
        return f"nothing was {verb}: everything was left out"
    rate = f", {format_size(round(event.bytes / event.seconds))}/s" if event.seconds > 0.05 else ""
    amount = f"{format_size(event.bytes)} in {duration(event.seconds)}{rate}"
    return f"{verb} and verified {what}, {amount}"
