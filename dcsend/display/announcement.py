"""How a code is shown: the command to type elsewhere, the link, and the QR code of the link.

The QR code says what the link says, so the link may scroll away. The command is what everybody can
use, so it stands last; only in a window with room for the QR code alone does that stand last,
whole, with a word on where to look.
"""

from __future__ import annotations

import datetime
import os
import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from dcsend.display.qr import Choice, Request, choose_mode, qr_lines
from dcsend.display.streams import Stream
from dcsend.display.wording import until, width, wrapped
from dcsend.printable import printable
from dcsend.session.events import CodeReady, Link

__all__ = ["Announcement", "announce"]

_NO_PAGE: Final = "dcsend:"
"What a link begins with that no browser can open."
_STATUS: Final = 1
"Rows of the line below that says what is awaited."
_GAP: Final = 2
"Columns between the QR code and what stands beside it."
_NARROWEST: Final = 20
"Columns that words beside the QR code need; with less they are left out."
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Announcement:
    """What to write, and what to say below it while nobody has come."""

    lines: list[str]
    status: str
    notes: list[str]
    "What could not be shown, and why; comes first."
    kept: int = 0
    "How many of the lines, from the last, are to stay in sight: the QR code and the command."


def announce(
    event: CodeReady, err: Stream, wanted: Request, now: datetime.datetime, *, hosted: bool
) -> Announcement:
    """Lay a code out for standard error as it is.

    Args:
        event: the code.
        err: standard error.
        wanted: how the QR code is to be drawn.
        now: in local time, as in the event.
        hosted: the page is somewhere else, so the browser need not be in this network.

    Raises:
        UsageError: the link is too long for a QR code.
    """
    verb = "receive" if event.role == "sender" else "send PATH --to"
    command = f"dcsend {verb} {event.code}"
    expiry = until(event.expires, now)
    paged = not event.link.startswith(_NO_PAGE)
    where = "in a browser" if hosted else "in a browser in the same network"
    if not err.terminal:
        lines = [f"on the other machine, run: {command}"]
        lines += [f"or open {where}: {event.link}"] if paged else []
        lines += [f"or open {_where(link)}: {link.url}" for link in event.links[1:]]
        status = f"waiting for the other side; the code works once, until {expiry}"
        return Announcement(lines, status, [])
    columns, rows = err.window
    status = _status(expiry, columns)
    header = "or on another machine, run:" if paged else "on the other machine, run:"
    choice = _choose(event.link, err, wanted)
    mode = choice.mode
    others = event.links[1:]
    if mode is None:
        notes = [choice.reason] if choice.reason else []
        page = [f"open {where}:", "", event.link, ""] if paged else []
        page += [row for link in others for row in (f"or {_where(link)}:", "", link.url, "")]
        return Announcement([*page, header, "", command, ""], status, notes)
    phone = "scan this with a phone" + ("" if hosted else " in the same network")
    phone += "" if event.role == "sender" else " to send from it"
    page = [f"{phone}, or open:", event.link] if paged else []
    # Above the QR code, where they may scroll away: it and the command stay in the window.
    page += [row for link in others for row in (f"or open {_where(link)}:", link.url)]
    below = -(-width(command) // columns)
    spacious = qr_lines(event.link, mode=mode, columns=columns, rows=rows - below - 4)
    if len(spacious) + 4 + below + _STATUS <= rows:
        shown = [*spacious, "", header, "", command, ""]
        return Announcement([*page, *shown], status, [], len(shown))
    if len(spacious) + below + _STATUS <= rows:
        advice = [phone, "or run the command below on another machine"] if paged else []
        shown = [*_beside(spacious, advice, columns), command]
        return Announcement([*page, header, *shown], status, [], len(shown))
    alone = qr_lines(event.link, mode=mode, columns=columns, rows=rows)
    status = f"waiting; scroll up for the command; works once, until {expiry}"
    if len(status) >= columns:
        status = "waiting; scroll up for the command"
    shown = _beside(alone, [phone] if paged else [], columns)
    return Announcement([*page, header, "", command, "", *shown], status, [], len(shown))


def _status(expiry: str, columns: int) -> str:
    """Say what is awaited and until when, in one row."""
    long = f"waiting for the other side; the code works once, until {expiry}; Ctrl-C ends"
    shorter = f"waiting; works once, until {expiry}"
    fitting = (text for text in (long, shorter) if len(text) < columns)
    return next(fitting, f"waiting until {expiry}")  # tomorrow, in a narrow window


def _where(link: Link) -> str:
    """Say which network a further link is for.

    >>> _where(Link("http://10.8.0.2:4000/#1", "wg0"))
    'in the network of wg0'
    """
    return f"in the network of {printable(link.network)}" if link.network else "elsewhere"


def _beside(drawn: list[str], advice: list[str], columns: int) -> list[str]:
    """Put *advice* right of a QR code that fills the window's height, if that has the room."""
    room = columns - len(_ESCAPE.sub("", drawn[0])) - 2 * _GAP
    if room < _NARROWEST:
        return drawn
    text = ["", *(row for sentence in advice for row in (*wrapped(sentence, room), ""))]
    return [
        line + (" " * _GAP + said if said else "")
        for line, said in zip_longest(drawn, text[: len(drawn)], fillvalue="")
    ]


def _choose(link: str, err: Stream, wanted: Request) -> Choice:
    """Decide whether and how the QR code is drawn."""
    columns, rows = err.window
    return choose_mode(
        link,
        wanted,
        columns=columns,
        rows=rows,
        encoding=err.encoding,
        is_tty=err.terminal,
        no_color=bool(os.environ.get("NO_COLOR")),  # set but empty means nothing
        term=os.environ.get("TERM", ""),
    )
