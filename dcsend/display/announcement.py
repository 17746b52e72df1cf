"""The layout of a code: the link, the QR code of the link, and the command for another machine.

The link may scroll out of the window, because the QR code contains it. The command is last, because
it works on every machine. If the window has room for the QR code only, the QR code is last, and the
status refers to the command above.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dcsend.display.layout import (
    beside,
    broken,
    choose,
    elsewhere,
    fits_status,
    has_room,
    heights,
    network_of,
    offered,
    uses,
)
from dcsend.display.qr import Request, qr_lines
from dcsend.display.streams import Stream
from dcsend.display.wording import until, width
from dcsend.session.events import CodeReady

__all__ = ["Announcement", "announce"]

_NO_PAGE: Final = "dcsend:"
"The scheme of a link without a page, which browsers can't open."
_STATUS: Final = 1
"Rows of the status below the code."
_ABOVE: Final = "the link above (scroll up)"
_OTHER: Final = "or run the command below on another machine"


@dataclass(frozen=True, slots=True)
class Announcement:
    """A code as lines, and the status while a peer is awaited."""

    lines: list[str]
    status: str
    notes: list[str]
    "Why no QR code is shown; to be written first."
    kept: int = 0
    "How many lines, from the last, are to stay visible: the QR code and the command."
    has_news: bool = False
    "Whether *news* is beside the QR code, or stays visible above the lines that are kept."

    @property
    def shown(self) -> list[str]:
        """The lines that are to stay visible."""
        return self.lines[len(self.lines) - self.kept :]


def announce(
    event: CodeReady,
    err: Stream,
    wanted: Request,
    now: datetime.datetime,
    *,
    hosted: bool,
    news: Sequence[str] = (),
) -> Announcement:
    """Lay out a code for standard error, which may be a terminal.

    Args:
        event: the code.
        err: standard error.
        wanted: the value of `--qr`.
        now: the local time.
        hosted: whether the page is on a server, so that the browser can be in any network.
        news: sentences to show beside a QR code that fills the window. If there is no room for
            them, the result has no QR code, and the caller writes them above its lines.

    Raises:
        UsageError: the link is too long for a QR code.
    """
    verb = "receive" if event.role == "sender" else "send PATH --to"
    command = f"dcsend {verb} {event.code}"
    expiry = until(event.expires, now)
    paged = not event.link.startswith(_NO_PAGE)
    where = "in a browser" if hosted else "in a browser in the same network"
    if not err.terminal or event.is_hidden:
        return _off_terminal(event, command, where if paged else "", expiry)
    offer = offered(event)
    columns, rows = err.window
    status = _status(uses(event), expiry, columns)
    header = "or on another machine, run:" if paged else "on the other machine, run:"
    choice = choose(event.link, err, wanted)
    if choice.mode is None:
        page = _in_words(event, where if paged else "")
        lines = broken([*offer, *page, header, "", command, ""], columns)
        return Announcement(lines, status, [choice.reason] if choice.reason else [], len(lines))
    phone = "scan this with a phone" + ("" if hosted else " in the same network")
    phone += "" if event.role == "sender" else " to send from it"
    page = [*offer, f"{phone}, or open:", event.link] if paged else [*offer]
    # Above the QR code, because they may scroll out of the window.
    others = [row for one in event.links[1:] for row in (f"or open {network_of(one)}:", one.url)]
    page = broken([*page, *others, *elsewhere(event.link)], columns)
    below = -(-width(command) // columns)
    spacious = qr_lines(event.link, mode=choice.mode, columns=columns, rows=rows - below - 4)
    if not news and len(spacious) + 4 + below + _STATUS <= rows:
        shown = [*spacious, "", header, "", command, ""]
        if paged and heights([*page, *shown], columns) + _STATUS > rows:
            wordy = broken([f"or open {_ABOVE}, {header}"], columns)
            room = len(wordy) < 2 or len(spacious) + 3 + len(wordy) + below + _STATUS <= rows
            shown[len(spacious) + 1 : len(spacious) + 2] = wordy if room else [header]
        return Announcement([*page, *shown], status, [], len(shown))
    fits = len(spacious) + below + _STATUS <= rows
    alone = qr_lines(event.link, mode=choice.mode, columns=columns, rows=rows)
    if news and not has_room(spacious if fits else alone, news, columns):
        return announce(event, err, "none", now, hosted=hosted)
    if fits:
        ways = [phone, _OTHER, f"or open {_ABOVE}", *elsewhere(event.link)]
        advice = [*news, *offer, *(ways if paged else [])]
        shown = [*beside(spacious, advice, columns), command]
        return Announcement([*page, header, *shown], status, [], len(shown), bool(news))
    status = f"waiting; scroll up for {'the command and the link' if paged else 'the command'}"
    if fits_status(longer := f"{status}; {uses(event)}, until {expiry}", columns):
        status = longer
    shown = beside(
        alone, [*news, *offer, *([phone, *elsewhere(event.link)] if paged else [])], columns
    )
    page += [header, "", command, ""]
    return Announcement([*page, *shown], status, [], len(shown), bool(news))


def _in_words(event: CodeReady, where: str) -> list[str]:
    """Return the lines of the links without a QR code; *where* is empty if there is no page."""
    first = [f"open {where}:", "", event.link, ""] if where else []
    others = [row for one in event.links[1:] for row in (f"or {network_of(one)}:", "", one.url, "")]
    return [*first, *others]


def _off_terminal(event: CodeReady, command: str, where: str, expiry: str) -> Announcement:
    """Return one line for each way to use the code; *where* is empty if there is no page."""
    lines = [*offered(event)]
    if not event.is_hidden:  # the short code follows
        lines += [f"on the other machine, run: {command}"]
    lines += [f"or open {where}: {event.link}"] if where else []
    others = [f"or open {network_of(link)}: {link.url}" for link in event.links[1:]]
    status = f"waiting for the other side; the code {uses(event)}, until {expiry}"
    return Announcement([*lines, *others], status, [])


def _status(use: str, expiry: str, columns: int) -> str:
    """Return the status, as detailed as one row allows."""
    full = f"waiting for the other side; the code {use}, until {expiry}"
    texts = (f"{full}; Ctrl-C ends", full, f"waiting; {use}, until {expiry}")
    fitting = (text for text in texts if fits_status(text, columns))
    return next(fitting, f"waiting until {expiry}")
