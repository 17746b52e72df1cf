"""What the layouts of all codes share: rows, and text beside a QR code."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final
from urllib.parse import urlsplit

from dcsend.display.qr import Choice, Request, choose_mode
from dcsend.display.streams import Stream
from dcsend.display.wording import counted, width, wrapped
from dcsend.printable import format_size, printable
from dcsend.session.events import CodeReady, Link

__all__ = [
    "beside",
    "broken",
    "choose",
    "command_line",
    "elsewhere",
    "fits_status",
    "has_room",
    "heights",
    "network_of",
    "offered",
    "uses",
]

_GAP: Final = 2
"Columns between the QR code and the text beside it."
_NARROWEST: Final = 20
"Columns that text beside the QR code needs; with fewer it is omitted."
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;]*m")


def offered(event: CodeReady) -> list[str]:
    """Return a row with number and size of the files and texts to send, if they are known."""
    if event.files is None:
        return []
    kinds = ((event.files - event.texts, "file"), (event.texts, "text"))
    parts = [counted(number, word) for number, word in kinds if number]
    return [f"to send: {', '.join(parts) or '0 files'} ({format_size(event.bytes)})"]


def uses(event: CodeReady) -> str:
    """Return how often a dial code works.

    >>> when = __import__("datetime").datetime.now()
    >>> [uses(CodeReady("", "", when, "sender", times=times)) for times in (1, 3, None)]
    ['works once', 'works for 3 receivers', 'works for any number of receivers']
    """
    if event.times is None:
        who = "receivers" if event.role == "sender" else "senders"
        return f"works for any number of {who}"
    return "works once" if event.times == 1 else f"works for {event.times} receivers"


def broken(lines: Iterable[str], columns: int) -> list[str]:
    """Break lines between words, except commands, which are to be copied."""
    return [
        row
        for line in lines
        for row in ([line] if line.startswith("dcsend ") or not line else wrapped(line, columns))
    ]


def command_line(command: str, code: str, columns: int) -> str:
    """Return a command with a short code that a terminal breaks before the code if need be.

    The terminal breaks the line where the row ends, so that it is copied as one line. The row above
    the code is filled with spaces. A code that is longer than a row is broken between its words, by
    as few spaces as possible.

    >>> command_line("dcsend receive", "12-asparagus-wasp", 24)
    'dcsend receive          12-asparagus-wasp'
    >>> command_line("dcsend receive", "12-asparagus-wasp", 16)
    'dcsend receive     12-asparagus-wasp'
    """
    if len(command) + 1 + len(code) <= columns:
        return f"{command} {code}"
    ends = {0}
    if len(code) > columns:
        ends.update(at + 1 for at, sign in enumerate(code) if sign in "-.")
        ends.add(code.find("@"))
    for spaces in range(1, columns + 1):
        first = -(len(command) + spaces) % columns
        if ends.issuperset(range(first, len(code), columns)):
            return command + " " * spaces + code
    return f"{command} {code}"


def heights(lines: Iterable[str], columns: int) -> int:
    """Return the rows of the window that lines take."""
    return sum(max(1, -(-width(_ESCAPE.sub("", line)) // columns)) for line in lines)


def fits_status(text: str, columns: int) -> bool:
    """Return whether a status has room, and the `^C` behind it, which the terminal echoes.

    >>> fits_status("waiting", 9), fits_status("waiting", 8)
    (True, False)
    """
    return width(text) + 2 <= columns


def network_of(link: Link) -> str:
    """Return the network in which a further link works.

    >>> network_of(Link("http://10.8.0.2:4000/#1", "wg0"))
    'in the network of wg0'
    """
    return f"in the network of {printable(link.network)}" if link.network else "elsewhere"


def elsewhere(link: str) -> list[str]:
    """Return a line for phones in other networks, if only one network reaches the host of a link.

    >>> elsewhere("http://192.168.1.7:4000/#1"), elsewhere("https://dcsend.example/#1")
    (['a phone elsewhere needs a hosted page: --page-url'], [])
    """
    try:
        is_global = ipaddress.ip_address(urlsplit(link).hostname or "").is_global
    except ValueError:  # a name, or a link without a page
        is_global = True
    return [] if is_global else ["a phone elsewhere needs a hosted page: --page-url"]


def beside(drawn: list[str], advice: Sequence[str], columns: int) -> list[str]:
    """Put *advice* to the right of a QR code, as far as there is room."""
    room = _room_beside(drawn, columns)
    if room < _NARROWEST:
        return drawn
    text: list[str] = []
    for sentence in advice:
        rows = ["", *wrapped(sentence, room)]
        if len(text) + len(rows) <= len(drawn):
            text += rows
    return [
        line + (" " * _GAP + row if row else "")
        for line, row in zip_longest(drawn, text, fillvalue="")
    ]


def has_room(drawn: list[str], advice: Sequence[str], columns: int) -> bool:
    """Return whether `_beside` shows all of *advice*."""
    room = _room_beside(drawn, columns)
    if room < _NARROWEST:
        return False
    rows = [row for sentence in advice for row in ("", *wrapped(sentence, room))]
    # A long word, such as a path, is not broken and may be wider than the room.
    return len(rows) <= len(drawn) and all(width(row) <= room for row in rows)


def _room_beside(drawn: list[str], columns: int) -> int:
    """Return the columns to the right of a QR code."""
    return columns - len(_ESCAPE.sub("", drawn[0])) - 2 * _GAP


def choose(link: str, err: Stream, wanted: Request) -> Choice:
    """Decide whether and how the QR code is drawn."""
    columns, rows = err.window
    return choose_mode(
        link,
        wanted,
        columns=columns,
        rows=rows,
        encoding=err.encoding,
        is_tty=err.terminal,
        no_color=bool(os.environ.get("NO_COLOR")),  # an empty value has no effect
        term=os.environ.get("TERM", ""),
    )
