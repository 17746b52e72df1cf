"""How a code is shown: the command to type elsewhere, and the QR code of the link.

The command is what everybody can use, so it stands last, where it can't scroll away; only in a
window with room for the QR code alone does that stand last, whole, with a word on where to look.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from typing import Final

from dcsend.display.qr import Choice, Request, choose_mode, qr_lines
from dcsend.display.streams import Stream
from dcsend.display.wording import until, width
from dcsend.session.events import CodeReady

__all__ = ["Announcement", "announce"]

_NO_PAGE: Final = "dcsend:"
"What a link begins with that no browser can open."
_STATUS: Final = 1
"Rows of the line below that says what is awaited."


@dataclass(frozen=True, slots=True)
class Announcement:
    """What to write, and what to say below it while nobody has come."""

    lines: list[str]
    status: str
    notes: list[str]
    "What could not be shown, and why; comes first."


def announce(event: CodeReady, err: Stream, wanted: Request) -> Announcement:
    """Lay a code out for standard error as it is.

    Raises:
        UsageError: the link is too long for a QR code.
    """
    verb = "receive" if event.role == "sender" else "send PATH --to"
    command = f"dcsend {verb} {event.code}"
    expiry = until(event.expires, datetime.datetime.now().astimezone())
    works = f"the code works once, until {expiry}"
    page = [] if event.link.startswith(_NO_PAGE) else [f"or open: {event.link}"]
    if not err.terminal:
        lines = [f"on the other machine, run: {command}", *page]
        return Announcement(lines, f"waiting for the other side; {works}", [])
    columns, rows = err.window
    status = f"waiting for the other side; {works}; Ctrl-C ends"
    if len(status) >= columns:
        status = f"waiting; works once, until {expiry}"
    header = "on the other machine, run:"
    choice = _choose(event.link, err, wanted)
    mode = choice.mode
    if mode is None:
        notes = [choice.reason] if choice.reason else []
        return Announcement([*page, header, "", command, ""], status, notes)
    below = -(-width(command) // columns)
    spacious = qr_lines(event.link, mode=mode, columns=columns, rows=rows - below - 4)
    if len(spacious) + 4 + below + _STATUS <= rows:
        return Announcement([*page, *spacious, "", header, "", command, ""], status, [])
    if len(spacious) + below + _STATUS <= rows:
        return Announcement([*page, header, *spacious, command], status, [])
    alone = qr_lines(event.link, mode=mode, columns=columns, rows=rows)
    status = f"waiting; scroll up for the command; works once, until {expiry}"
    if len(status) >= columns:
        status = "waiting; scroll up for the command"
    return Announcement([*page, header, "", command, "", *alone], status, [])


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
