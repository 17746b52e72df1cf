"""The codes of a run in the terminal display, and the notes above them while a peer is awaited."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dcsend.display import wording
from dcsend.display.announcement import Announcement, announce
from dcsend.display.clipboard import copy
from dcsend.display.qr import Request
from dcsend.display.screen import Screen
from dcsend.display.streams import Stream
from dcsend.printable import printable
from dcsend.session.events import (
    CodeReady,
    ShortCodeOver,
    ShortCodeReady,
    ShortCodeServer,
    ShortCodeUsed,
)

__all__ = ["CodeDisplay", "CodeOptions"]


@dataclass(frozen=True, slots=True)
class CodeOptions:
    """How codes are shown."""

    qr: Request = "auto"
    "`auto`, `half`, `full` or `none`."
    hosted: bool = False
    "Whether the page is on a server."
    long: bool = False
    "Whether the dial code is shown beside a short code."
    suggests_server: bool = True
    "Whether a short code that works in this network only has a hint how it works in others."


class CodeDisplay:
    """Shows the last code of each kind."""

    def __init__(
        self,
        screen: Screen,
        err: Stream,
        out: Stream | None,
        options: CodeOptions,
        clock: Callable[[], datetime.datetime],
    ) -> None:
        """Prepare.

        Args:
            screen: of the display.
            err: standard error.
            out: where the dial code is written by itself; None for nowhere.
            options: see `CodeOptions`.
            clock: returns the local time.
        """
        self._screen = screen
        self._err = err
        self._out = out
        self._options = options
        self._clock = clock
        self._dial: CodeReady | None = None
        self._short: ShortCodeReady | None = None
        self._has_short = False
        "Whether there is a short code, or one whose number is awaited."
        self._lost: ShortCodeServer | None = None
        "The server of the short code, while it can't be reached."
        self._is_suspended = False
        "Whether there is no short code until a question is answered."
        self._copied = False
        "Whether the short code is in the clipboard."
        self._noted: set[str] = set()
        "The notes of layouts that were written."
        self._news: Sequence[str] = ()
        "The sentences beside the QR code."
        self._is_whole = False
        "Whether the block has all lines of the layout, the links, too."
        self._pinned = ""
        "A note in the place of the status, because there is no room for it elsewhere."
        self._errors: Sequence[str] = ()
        "The rows of an error between the block and the prompt."
        self._complaint: tuple[Sequence[str], str] | None = None
        "`_news` and `_pinned` if the error is there, because there is no room above the prompt."
        self._status = ""
        "The status of the last layout."
        self._row: Callable[[str], str] | None = None
        "Returns what is shown in place of a status; None for the status."
        self._redraw: Callable[[], None] | None = None
        "Shows the result of `brief`, in place of a block; None while the block is shown."

    def show(
        self,
        event: CodeReady | ShortCodeReady | ShortCodeServer | ShortCodeUsed | ShortCodeOver,
    ) -> None:
        """Show a code, whether it works, or that there is no short code any more."""
        if isinstance(event, CodeReady):
            self._show_dial(event)
            return
        self._lost = None
        match event:
            case ShortCodeReady():
                self._short, self._has_short = event, True
                self._show_short(event)
            case ShortCodeServer():
                if self._short is not None:
                    self._show_server(event)
            case ShortCodeUsed():
                self._news, self._pinned = (), ""  # about a code before it
                self._copied = False
                if self._dial is not None:
                    self._short, self._dial = None, replace(self._dial, words=())
                    if self._err.movable:
                        self._show_again()
            case ShortCodeOver():
                self._short, self._has_short = None, False
                self.warn([event.error.message, *filter(None, [event.error.hint])])
                if self._err.movable:
                    self._show_again()

    def _show_dial(self, event: CodeReady) -> None:
        """Show a dial code, and the short code that is already known."""
        if self._dial is None:
            self._has_short = self._has_short or bool(event.words)
        else:  # its words are those of the first short code, which may be used up
            event = replace(event, words=self._dial.words)
        self._dial = event
        if self._out is not None and not event.is_hidden:
            self._out.line(event.code)
        self._show_all()

    def prompt(self, row: Callable[[str], str] | None) -> None:
        """Show the result of *row*, called with the status, in its place; None: the status."""
        self._row = row
        if self._redraw is not None:
            self._redraw()
        elif self._dial is not None:
            self._screen.restatus(self._bottom())

    def resized(self) -> None:
        """Show the codes, if they can be replaced, and the prompt in a window of another size."""
        if self._redraw is not None:
            self._redraw()
        elif self._dial is not None and self._screen.has_block:
            news = self._news
            self._show_again()
            self._news = news  # there may be room for them in the next size
        elif self._row is not None:
            self._screen.status(self._bottom())

    def returned(self) -> None:
        """Show the codes again, and the row below them, after another program used the terminal."""
        if self._dial is not None and self._screen.has_block:
            self._screen.forget()
            self._show_again()
        else:
            self._screen.redraw()

    @property
    def is_for_several(self) -> bool:
        """Whether several peers can use the dial code."""
        return self._dial is not None and self._dial.times != 1

    def stand_aside(self, redraw: Callable[[], None]) -> None:
        """Draw no block until `return_with`: the rows of peers are in its place.

        Args:
            redraw: draws them, and `brief`, when a code has changed.
        """
        self._redraw = redraw

    def return_with(self, news: Sequence[str]) -> None:
        """Write *news*, and draw the block again, if there still is a code."""
        self._redraw = None
        if self._dial is None:
            self._screen.clear()
            self._screen.lines(self._broken(news))
        else:
            self.announce_again(news)

    def brief(self, columns: int, served: int = 0) -> list[str]:
        """Return the rows by which another peer can connect, or a question about codes.

        Args:
            columns: the width of the window.
            served: number of peers that are connected or have everything.
        """
        if self._row is not None and (row := self._row("")):
            return [row]
        if self._dial is None or not self._has_short or self._is_suspended:
            return []
        if self._dial.times is not None and served >= self._dial.times:
            return []  # others are refused for now
        if self._short is None:
            return [wording.clipped("for others: the next code follows", columns - 1)]
        verb = "receive" if self._dial.role == "sender" else "send PATH --to"
        command = f"dcsend {verb} {self._short.code}"
        full = f"for others: {command}"
        return [full if len(full) < columns else wording.clipped(command, columns - 1)]

    def suspend(self, *, is_suspended: bool) -> None:
        """Show the dial code in place of short codes, until a question about these is answered.

        Args:
            is_suspended: whether the question is open. After it, the next event shows the codes.
        """
        self._is_suspended = is_suspended
        if not is_suspended:
            self._news, self._pinned = (), ""  # about the codes before the question
        if is_suspended and self._dial is not None and self._err.movable:
            self._show_again()

    def contains(self, text: str) -> bool:
        """Return whether *text* has one of the codes that are shown."""
        shown = [event.code for event in (self._dial, self._short) if event is not None]
        return any(code in text.lower() for code in shown)

    def has_number_of(self, short_code: str) -> bool:
        """Return whether a short code has the number, and no other server, of the one shown."""
        if self._short is None:
            return False
        (number, host), (own_number, own_host) = _place(short_code), _place(self._short.code)
        return number == own_number and host in ("", own_host)

    def complain(self, sentences: Sequence[str]) -> None:
        """Show an error above the prompt, in place of the last one; none if *sentences* is empty.

        Where there is no room for it, it is shown as `warn` does.
        """
        if self._dial is None:
            return
        is_shown = bool(self._errors or self._complaint)
        if (self._news, self._pinned) == self._complaint:
            self._news, self._pinned = (), ""
        self._errors, self._complaint = self._broken(sentences), None
        if sentences and self._screen.overflows(self._errors, self._laid_out(self._news).shown):
            self._errors = ()
            self.warn(sentences)
            place = self._news, self._pinned
            self._complaint = place if any(place) else None
        elif sentences or is_shown:
            self._show_again()

    def forget(self) -> None:
        """Remove the codes: they are not valid any more."""
        self._screen.withdraw()
        self._dial, self._short, self._has_short = None, None, False

    @property
    def remaining(self) -> str:
        """Which code works after a device has left.

        A short code with which it connected is used up, and another one may follow.
        """
        if self._short is not None:
            return "the code that is shown works"
        if self._dial is not None and self._dial.is_hidden:
            return "a new code is shown here"
        return "the dial code works again" if self._has_short else "the code works again"

    def announce_again(self, news: Sequence[str]) -> None:
        """Write *news*, and the codes again unless they are still visible."""
        if self._dial is None:
            return
        self._pinned = ""
        rows = self._broken(news)
        self._screen.lines(rows)
        announcement = self._laid_out()
        if not self._err.movable or self._screen.is_block_visible:
            self._screen.status(self._bottom())
            return
        self._news = news if self._screen.overflows(rows, announcement.shown) else ()
        if self._news:
            announcement = self._laid_out(news)
        self._errors = ()
        # Only the block: the lines before it would scroll out of the window at once.
        self._screen.block(announcement.shown, self._bottom())

    def warn(self, sentences: Sequence[str]) -> None:
        """Show a note; also beside the QR code if it would scroll out of the window."""
        rows = self._broken(sentences)
        is_block = self._dial is not None and self._redraw is None
        if is_block and self._screen.overflows(rows):
            news = sentences
            announcement = self._laid_out(news)
            if not announcement.has_news:
                news = [f"{sentences[0]} (more above)"]
                announcement = self._laid_out(news)
            if announcement.has_news:
                self._news, self._pinned, self._errors = news, "", ()
                self._screen.withdraw()
                if self._is_whole:  # the lines that are not in the block any more
                    self._screen.lines(announcement.lines[: -announcement.kept])
                self._screen.lines(rows)
                self._screen.block(announcement.shown, self._bottom())
                self._is_whole = False
                return
        self._pinned = self._screen.notice(sentences[0], rows)

    def _show_all(self) -> None:
        if self._redraw is not None:
            self._redraw()
            return
        self._news, self._pinned, self._errors = (), "", ()
        announcement = self._laid_out()
        above = len(announcement.lines) - announcement.kept
        self._screen.withdraw()  # the block of an earlier code
        notes = [note for note in announcement.notes if note not in self._noted]
        self._noted.update(notes)
        self._screen.lines(self._broken([f"note: {note}" for note in notes]))
        self._screen.lines(announcement.lines[:above])
        self._screen.block(announcement.lines[above:], self._bottom())
        self._is_whole = not above

    def _show_short(self, event: ShortCodeReady) -> None:
        """Show a short code in the place of the mark for its number, or of the one before."""
        if self._err.movable:
            self._copied = copy(event.code, self._err)
            self._show_again()
        else:
            assert self._dial is not None  # it is emitted first
            verb = "receive" if self._dial.role == "sender" else "send PATH --to"
            where = "" if event.server else ", in this network only"
            command = f"dcsend {verb} {event.code}"
            if event.server and "@" not in event.code:  # no code can name it
                command += f" --server {shlex.quote(printable(event.server))}"
            how = "on the other machine, run" if self._dial.is_hidden else "or with the short code"
            self._screen.line(f"{how}{where}: {command}")
            if event.link:
                self._screen.line(f"or open in a browser in any network: {event.link}")

    def _show_server(self, event: ShortCodeServer) -> None:
        """Show that the server of the short code can't be reached, or can be again."""
        self._lost = None if event.connected else event
        self._pinned = ""
        if self._err.movable:
            self._show_again()
            return
        from dcsend.display.short_announcement import lost_server

        back = f"{printable(event.server)} is back: the code works again"
        self._screen.line(f"note: {lost_server(event) or back}")

    def _show_again(self) -> None:
        """Show the block in the place of the present one, with the news that it has."""
        if self._redraw is not None:
            self._redraw()
            return
        announcement = self._laid_out(self._news)
        if self._news and not announcement.has_news:
            self._news = ()
            announcement = self._laid_out()
        if self._screen.overflows(self._errors, announcement.shown):
            self._errors = ()
        self._screen.block([*announcement.shown, *self._errors], self._bottom())
        self._is_whole = announcement.kept == len(announcement.lines)

    def _bottom(self) -> str:
        """Return the row below the block."""
        return self._status if self._row is None else self._row(self._status)

    def _laid_out(self, news: Sequence[str] = ()) -> Announcement:
        announcement = self._layout(news)
        self._status = self._pinned or announcement.status
        return announcement

    def _layout(self, news: Sequence[str]) -> Announcement:
        assert self._dial is not None
        now, chosen = self._clock(), self._options
        has_short = (self._has_short and not self._is_suspended) or self._dial.is_hidden
        if not (has_short and self._err.movable):
            return announce(self._dial, self._err, chosen.qr, now, hosted=chosen.hosted, news=news)
        from dcsend.display.short_announcement import ShortAnnouncement, announce_short

        what = ShortAnnouncement(
            self._dial,
            self._short,
            long=chosen.long,
            copied=self._copied,
            lost=self._lost,
            suggests_server=chosen.suggests_server,
        )
        return announce_short(what, self._err, chosen.qr, now, hosted=chosen.hosted, news=news)

    def _broken(self, sentences: Sequence[str]) -> list[str]:
        """Break sentences between words, on a terminal."""
        if not self._err.terminal:
            return list(sentences)
        return [row for one in sentences for row in wording.wrapped(one, self._err.window[0])]


def _place(short_code: str) -> tuple[str, str]:
    """Return the number and the server of a short code in its canonical form."""
    head, _, host = short_code.partition("@")
    return head.partition("-")[0], host
