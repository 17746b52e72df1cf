"""The layout of a short code: the line to say or type, how long it works, the QR code, the links.

The number of the code arrives after its words, and where the code works is known only then. Until
then `...` is in the place of the number, and the rows that follow are blank: each layout has the
same rows before and after, so that only those that differ are written again.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dcsend.display.announcement import Announcement
from dcsend.display.layout import (
    beside,
    broken,
    choose,
    command_line,
    elsewhere,
    fits_status,
    has_room,
    heights,
    network_of,
    offered,
)
from dcsend.display.qr import Request, qr_lines
from dcsend.display.streams import Stream
from dcsend.display.wording import until, wrapped
from dcsend.printable import printable
from dcsend.session.events import CodeReady, ShortCodeReady, ShortCodeServer

__all__ = ["ShortAnnouncement", "announce_short", "lost_server"]

_PENDING: Final = "..."
"In place of a number that is awaited; ASCII, which every console can show."
_NO_PAGE: Final = "dcsend:"
"The scheme of a link without a page, which browsers can't open."
_STATUS: Final = 1
"Rows of the status below the code."
_HERE_ONLY: Final = "in this network only"
_SUGGESTED: Final = "for others, add --server public"
_SAME_SERVER: Final = "with the same --server on the other machine"
_USED: Final = (
    "(used up; if no device connects with it, a new code is shown here)",
    "(used up; a new code may follow here)",
)
"In place of a command whose code was used up; the shorter one in a narrow window."
_NEXT: Final = "(used up; the next code follows)"
"The same where each receiver of several has a code of its own."
_COPIED: Final = "copied to the clipboard, if your terminal supports it"


@dataclass(frozen=True, slots=True)
class ShortAnnouncement:
    """What is to be said or typed."""

    code: CodeReady
    short: ShortCodeReady | None
    "None while the number is awaited, and after a code was used up."
    long: bool = False
    "Whether the dial code is shown, too."
    copied: bool = False
    "Whether the code is in the clipboard."
    lost: ShortCodeServer | None = None
    "The server, while it can't be reached."
    suggests_server: bool = True
    "Whether a code that works in this network only has a hint how it works in others."

    @property
    def here_only(self) -> str:
        """Where a code without a server works."""
        return f"{_HERE_ONLY}; {_SUGGESTED}" if self.suggests_server else _HERE_ONLY

    @property
    def is_used(self) -> bool:
        """Whether a code was used up, and the next one is not there."""
        return self.short is None and not self.code.words

    @property
    def text(self) -> str:
        """The short code; with a mark in place of a number that is awaited."""
        if self.short is not None:
            return self.short.code
        host = f"@{self.code.host}" if self.code.host else ""
        return "-".join((_PENDING, *self.code.words)) + host

    @property
    def link(self) -> str:
        """The link for a browser; with both codes if the page is hosted and there is a server."""
        return (self.short.link if self.short is not None else "") or self.code.link

    @property
    def verb(self) -> str:
        """The command for another machine, without the code."""
        return f"dcsend {'receive' if self.code.role == 'sender' else 'send PATH --to'}"

    def command(self, columns: int) -> str:
        """Return the command with the code, or why there is none."""
        if self.is_used:
            texts = _USED if self.code.times == 1 else (_NEXT,)
            return next((text for text in texts if len(text) <= columns), texts[-1])
        return command_line(self.verb, self.text, columns)


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
    command = what.command(columns)
    paged = not what.link.startswith(_NO_PAGE)
    expiry = until(what.code.expires, now)
    status = _status(columns)
    choice = choose(what.link, err, wanted)
    offer = broken(offered(what.code), columns)
    title = "on the other machine, run" + (", or enter the code on the page:" if paged else ":")
    facts = _facts(what, expiry, columns)
    head = [*broken([title, "", command, ""], columns), *facts, "", *broken(_dial(what), columns)]
    links = broken(_links(what, hosted=hosted), columns) if paged else []
    if choice.mode is None or not paged:
        notes = [choice.reason] if choice.reason and paged else []
        return _without_qr(
            offer, head, links, notes, broken([*news, ""] if news else [], columns), err
        )
    phone = "scan this with a phone" + ("" if hosted else " in the same network")
    phone += "" if what.code.role == "sender" else " to send from it"
    drawn = qr_lines(what.link, mode=choice.mode, columns=columns, rows=rows)
    shown = [*head, *broken([f"or {phone}:"], columns), *drawn]
    below = ["", *links]
    if not news and heights([*shown, *below], columns) + _STATUS <= rows:
        return Announcement([*offer, *shown, *below], status, [], len(shown) + len(below))
    above = [*links, *offer]
    if not news and heights(shown, columns) + _STATUS <= rows:
        return Announcement([*above, *shown], status, [], len(shown))
    tail = _dial(what)[2:3]  # without its own header, for which there is no room
    room = rows - heights(tail, columns)
    longest = max(_variants(what, expiry), key=lambda sentences: len(sentences[0]))
    beside_it = [*_sentences(what, expiry), f"or {phone}", *elsewhere(what.link)]
    for top, needed, advice in (
        (broken([title, command], columns), [*news, *longest], [*news, *beside_it]),
        ([command, *_facts(what, expiry, columns, most=1)], news, [*news, f"or {phone}"]),
        ([command], news, news),
    ):
        left = room - heights(top, columns)
        drawn = qr_lines(what.link, mode=choice.mode, columns=columns, rows=left)
        if len(drawn) + _STATUS <= left and (not needed or has_room(drawn, needed, columns)):
            shown = [*top, *beside(drawn, advice, columns), *tail]
            if len(top) == 1:
                status = _lost_status(what.lost, columns) or _status(columns, expiry)
            return Announcement([*above, *shown], status, [], len(shown), bool(news))
    # Only the QR code fits into the window, and the code beside it.
    drawn = qr_lines(what.link, mode=choice.mode, columns=columns, rows=room)
    # A long server is on a row of its own; a code can also be entered with a space there.
    for text in (what.text, what.text.replace("@", " @")):
        needed = [f"run {what.verb}, or open the page, with:", text, *news]
        if what.is_used:
            needed = [_USED[0], *news]
        if len(drawn) + _STATUS <= room and has_room(drawn, needed, columns):
            break
    else:
        return announce_short(what, err, "none", now, hosted=hosted)
    shown = [*beside(drawn, [*needed, *beside_it], columns), *tail]
    status = _lost_status(what.lost, columns) or _status(columns, expiry)
    return Announcement([*above, *shown], status, [], len(shown), bool(news))


def _without_qr(
    offer: list[str],
    head: list[str],
    links: list[str],
    notes: list[str],
    news_rows: list[str],
    err: Stream,
) -> Announcement:
    """Lay out a short code without a QR code; with room above it for *news_rows*, if possible."""
    columns, rows = err.window
    status = _status(columns)
    if not news_rows and heights([*offer, *head, *links], columns) + _STATUS <= rows:
        lines = [*offer, *head, *links]
        return Announcement(lines, status, notes, len(lines))
    fits = heights([*news_rows, *head], columns) + _STATUS <= rows
    # Rows that scroll out would keep the mark in place of the number. The caller has written the
    # news above them.
    return Announcement([*links, *offer, *head], status, notes, len(head), fits and bool(news_rows))


def lost_server(event: ShortCodeServer | None) -> str:
    """Return a sentence about a server that can't be reached; empty if it can."""
    if event is None or event.connected:
        return ""
    effect = "works in this network only" if event.local else "does not work"
    return f"{printable(event.server)} can't be reached: the code {effect} until it is back"


def _lost_status(event: ShortCodeServer | None, columns: int) -> str:
    """Return that sentence as a status, as detailed as one row allows."""
    if not (full := lost_server(event)):
        return ""
    assert event is not None
    effect = "works in this network" if event.local else "does not work now"
    brief = "the server can't be reached"
    texts = (full, f"{brief}: the code {effect}", f"{brief}: {effect}")
    fitting = (one for one in texts if fits_status(one, columns))
    return next(fitting, brief)


def _facts(what: ShortAnnouncement, expiry: str, columns: int, most: int = 2) -> list[str]:
    """Return the rows below the command: as many before the number is known as afterwards.

    Args:
        what: the codes.
        expiry: when they expire.
        columns: of the window.
        most: sentences.
    """

    def rows(sentences: Sequence[str]) -> list[str]:
        return [row for one in sentences[:most] for row in wrapped(one, columns)]

    needed = max(len(rows(sentences)) for sentences in _variants(what, expiry))
    shown = rows(_sentences(what, expiry))
    return shown + [""] * (needed - len(shown))


def _sentences(what: ShortAnnouncement, expiry: str) -> list[str]:
    """Return how long and where the code works, and whether it was copied."""
    life = _life(what, expiry)
    if what.is_used:
        return []
    if lost := lost_server(what.lost):
        life = lost
    elif what.short is not None and not what.short.server:
        life += f", {what.here_only}"
    elif what.short is not None and "@" not in what.short.code:
        life += f", {_SAME_SERVER}"
    return [life, _COPIED] if what.copied else [life]


def _life(what: ShortAnnouncement, expiry: str) -> str:
    follows = "" if what.code.times == 1 else ", then the next one is shown"
    return f"works once{follows}, until {expiry}"


def _variants(what: ShortAnnouncement, expiry: str) -> list[list[str]]:
    """Return what `_sentences` may return after the number has arrived."""
    life = _life(what, expiry)
    variants = [[f"{life}, {where}", _COPIED] for where in (_SAME_SERVER, what.here_only)]
    return [*variants, [lost, _COPIED]] if (lost := lost_server(what.lost)) else variants


def _dial(what: ShortAnnouncement) -> list[str]:
    """Return the command with the dial code, if it is to be shown."""
    if not what.long or what.code.is_hidden:
        return []
    return [
        "or, from a network that reaches this machine:",
        "",
        f"{what.verb} {what.code.code}",
        "",
    ]


def _links(what: ShortAnnouncement, *, hosted: bool) -> list[str]:
    """Return the links, each below a line that says where it works."""
    where = "in a browser" if hosted else "in a browser in the same network"
    others = [row for one in what.code.links[1:] for row in (f"or {network_of(one)}:", one.url)]
    return [f"or open {where}:", what.link, *others, *elsewhere(what.link)]


def _status(columns: int, expiry: str = "") -> str:
    """Return the status, as detailed as one row allows; *expiry*: unless it is shown elsewhere."""
    if not expiry:
        full = "waiting for the other side; Ctrl-C ends"
        return full if fits_status(full, columns) else "waiting; Ctrl-C ends"
    full = f"waiting for the other side; the code works once, until {expiry}"
    texts = (f"{full}; Ctrl-C ends", full, f"waiting; works once, until {expiry}")
    fitting = (text for text in texts if fits_status(text, columns))
    return next(fitting, f"waiting until {expiry}")
