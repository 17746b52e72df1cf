"""The layout of a short code: the line to say or type, how long it works, the QR code, the links.

The number of the code arrives after its words: until then the line has `...` in its place, and the
number replaces it, and no other row changes.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dcsend.display.announcement import Announcement
from dcsend.display.layout import beside, broken, choose, has_room, heights, network_of, offered
from dcsend.display.qr import Request, qr_lines
from dcsend.display.streams import Stream
from dcsend.display.wording import until
from dcsend.session.events import CodeReady, ShortCodeReady

__all__ = ["ShortAnnouncement", "announce_short"]

_PENDING: Final = "..."
"In place of a number that is awaited; ASCII, which every console can show."
_NO_PAGE: Final = "dcsend:"
"The scheme of a link without a page, which browsers can't open."
_STATUS: Final = 1
"Rows of the status below the code."
_EVERYWHERE: Final = "--server makes a code that works everywhere"


@dataclass(frozen=True, slots=True)
class ShortAnnouncement:
    """What is to be said or typed."""

    code: CodeReady
    short: ShortCodeReady | None
    "None while the number is awaited."
    long: bool = False
    "Whether the dial code is shown, too."
    copied: bool = False
    "Whether the code is in the clipboard."

    @property
    def text(self) -> str:
        """The short code; with a mark in place of a number that is awaited."""
        if self.short is not None:
            return self.short.code
        return f"{_PENDING}-{'-'.join(self.code.words)}"

    @property
    def command(self) -> str:
        """The command for another machine."""
        verb = "receive" if self.code.role == "sender" else "send PATH --to"
        return f"dcsend {verb} {self.text}"


def announce_short(
    what: ShortAnnouncement,
    err: Stream,
    wanted: Request,
    now: datetime.datetime,
    *,
    hosted: bool,
    news: Sequence[str] = (),
) -> Announcement:
    """Lay out a short code for standard error, which is a terminal.

    Args:
        what: the codes.
        err: standard error.
        wanted: the value of `--qr`.
        now: the local time.
        hosted: whether the page is on a server, so that the browser can be in any network.
        news: sentences to show beside a QR code that fills the window. If there is no room for
            them, the result has no QR code, and the caller writes them above its lines.

    Raises:
        UsageError: the link is too long for a QR code.
    """
    columns, rows = err.window
    paged = not what.code.link.startswith(_NO_PAGE)
    status = _status(until(what.code.expires, now), columns)
    choice = choose(what.code.link, err, wanted)
    head = _head(what)
    phone = "scan this with a phone" + ("" if hosted else " in the same network")
    phone += "" if what.code.role == "sender" else " to send from it"
    links = _links(what.code, hosted=hosted) if paged else []
    if choice.mode is None or not paged:
        lines = broken([*offered(what.code), *head, *links], columns)
        notes = [choice.reason] if choice.reason and paged else []
        return Announcement(lines, status, notes, len(lines))
    above = broken([*offered(what.code)], columns)
    head = broken(head, columns)
    drawn = qr_lines(what.code.link, mode=choice.mode, columns=columns, rows=rows)
    shown = [*head, *broken([f"or {phone}:"], columns), *drawn]
    below = broken(["", *links], columns)
    if not news and heights([*shown, *below], columns) + _STATUS <= rows:
        return Announcement([*above, *shown, *below], status, [], len(shown) + len(below))
    if not news and heights(shown, columns) + _STATUS <= rows:
        return Announcement([*below[1:], *above, *shown], status, [], len(shown))
    # Only the QR code fits into the window, and the code beside it. Rows above would keep the mark
    # in place of the number.
    command = what.command.removesuffix(what.text).strip()
    told = [f"run {command}, or open the page, with:", what.text, *news]
    told += [f"works once, until {until(what.code.expires, now)}", f"or {phone}"]
    if not has_room(drawn, told[: 2 + len(news)], columns):
        return announce_short(what, err, "none", now, hosted=hosted)
    shown = beside(drawn, told, columns)
    lines = [*below[1:], *above, *_dial(what), *shown]
    return Announcement(lines, status, [], len(shown), bool(news))


def _head(what: ShortAnnouncement) -> list[str]:
    """Return the command, and below it where the code works and whether it was copied."""
    local = what.short is not None and not what.short.server
    where = f"it works in this network only; {_EVERYWHERE}" if local else ""
    copied = "copied to the clipboard, if your terminal supports it" if what.copied else ""
    rows = ["on the other machine, run, or enter the code on the page:", "", what.command, ""]
    rows += [row for row in (where, copied) if row]
    return [*rows, *_dial(what)]


def _dial(what: ShortAnnouncement) -> list[str]:
    """Return the command with the dial code, if it is to be shown."""
    if not what.long:
        return []
    verb = "receive" if what.code.role == "sender" else "send PATH --to"
    command = f"dcsend {verb} {what.code.code}"
    return ["or, from a network that reaches this machine:", "", command, ""]


def _links(code: CodeReady, *, hosted: bool) -> list[str]:
    """Return the links, each below a line that says where it works."""
    where = "in a browser" if hosted else "in a browser in the same network"
    others = [row for one in code.links[1:] for row in (f"or {network_of(one)}:", one.url)]
    return [f"or open {where}:", code.link, *others]


def _status(expiry: str, columns: int) -> str:
    """Return the status, as detailed as one row allows."""
    full = f"waiting for the other side; the code works once, until {expiry}"
    texts = (f"{full}; Ctrl-C ends", full, f"waiting; works once, until {expiry}")
    fitting = (text for text in texts if len(text) < columns)
    return next(fitting, f"waiting until {expiry}")
