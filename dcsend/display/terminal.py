"""What a person sees: on standard error, so that standard output stays for programs.

On a terminal: the code with its QR code, bars, a verdict per file. Off a terminal: one
plain line per state. Names, texts and agents of the peer are escaped before they are shown.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dcsend.display import wording
from dcsend.display.announcement import announce
from dcsend.display.bars import BLOCKS, bar_rows
from dcsend.display.clipboard import copy
from dcsend.display.keyboard import Keyboard
from dcsend.display.qr import Request
from dcsend.display.quiet import complain, show_snippet
from dcsend.display.screen import Screen
from dcsend.display.streams import Stream
from dcsend.entry import Kind
from dcsend.errors import UsageError
from dcsend.printable import printable
from dcsend.session.events import (
    Arrived,
    CodeReady,
    Connected,
    DescriptionReady,
    Event,
    Failed,
    FileFinished,
    Finished,
    Left,
    ManifestKnown,
    Progressed,
    TextExchanged,
    Warned,
)

__all__ = ["TerminalDisplay", "TerminalOptions"]

_FEW: Final = 20
"Files up to which each gets a line; above, only those that are not ok."
_MAX_BAD: Final = 20
"Files that are not ok up to which each gets a line, of a million that a peer may offer."
_MAX_LIST: Final = 1000
"Entries that `l` lists at once; more would scroll for minutes."


@dataclass(frozen=True, slots=True)
class TerminalOptions:
    """What the person chose, as far as it changes what is said."""

    qr: Request = "auto"
    "`auto`, `half`, `full` or `none`."
    verbose: bool = False
    "Show the signs of life, and every file."
    sends: bool = False
    "Whether this side sends."
    dials: bool = False
    "Whether this side was given a code."
    hosted: bool = False
    "Whether the page is somewhere else; served from here, it is for this network only."
    output: str = "."
    "Where this side saves; `-` for standard output, which then carries nothing else."


def _local_time() -> datetime.datetime:
    return datetime.datetime.now().astimezone()


class TerminalDisplay:
    """Shows everything that a person wants to know, and asks."""

    def __init__(
        self,
        out: Stream,
        err: Stream,
        options: TerminalOptions,
        keyboard: Keyboard | None,
        clock: Callable[[], datetime.datetime] = _local_time,
    ) -> None:
        """Prepare, and say so where it takes a while.

        Args:
            out: standard output, for the code and for texts.
            err: standard error, for everything else.
            options: what the person chose.
            keyboard: to ask questions; None where nobody types.
            clock: tells the local time.
        """
        self._out = out
        self._err = err
        self._options = options
        self._keyboard = keyboard
        self._clock = clock
        self._screen = Screen(err)
        self._smooth = err.can_show(BLOCKS)
        self._files = 0
        self._bad = 0
        "Files that are not ok, so far."
        self._texts: frozenset[int] = frozenset()
        "Hashes of the paths of what is a text: there may be a million."
        self._progressed: Progressed | None = None
        "How far it was when that was last known; None before it began."
        self._code: CodeReady | None = None
        "The last one."
        self._departed = False
        "Whether a peer has left that was not accepted."
        if options.dials:
            self._screen.status("connecting ...")

    def show(self, event: Event) -> None:
        """Show one event."""
        match event:
            case CodeReady():
                self._show_code(event)
            case DescriptionReady():
                self._show_description(event)
            case Arrived() | Left():
                self._show_visitor(event)
            case Connected():
                self._screen.clear()
                self._screen.line(wording.describe_connection(event, address=self._options.verbose))
            case ManifestKnown():
                self._show_manifest(event)
            case Progressed():
                self._progress(event)
            case FileFinished():
                self._show_file(event)
            case TextExchanged():
                self._show_text(event)
            case Warned() | Failed() | Finished():
                self._conclude(event)

    async def decide(self, manifest: ManifestKnown) -> bool:
        """Ask; Enter accepts, `l` lists everything first; the end of input is a no."""
        if self._keyboard is None:
            raise UsageError(
                "nobody can be asked: standard input is not a terminal",
                "add -y to accept what comes",
            )
        while True:
            # After a departure: an Enter that was meant for that peer must not accept this one.
            choices = "y/n" if self._departed else "Y/n"
            self._screen.ask(f"{self._question()} [{choices}, l lists all] ")
            answer = await self._keyboard.ask()
            if answer is None:
                self._screen.clear()
                return False
            self._screen.answered()
            match answer.strip().lower():
                case "" if self._departed:
                    continue
                case "" | "y" | "yes":
                    return True
                case "n" | "no":
                    return False
                case "l" | "list":
                    self._list(manifest)

    def close(self) -> None:
        """Take away what does not stay; idempotent."""
        self._screen.clear()

    def _show_code(self, event: CodeReady) -> None:
        # Once where both are the same terminal; dumb terminals included.
        if self._stdout_free and not (self._out.terminal and self._err.terminal):
            self._out.line(event.code)
        self._code = event
        self._announce(event)

    def _announce(self, event: CodeReady, *, again: bool = False) -> None:
        announcement = announce(
            event, self._err, self._options.qr, self._clock(), hosted=self._options.hosted
        )
        if again and not self._err.movable:  # the lines before are still there
            self._screen.status(announcement.status)
            return
        self._screen.withdraw()  # of a code before this one
        for note in announcement.notes:
            self._say(f"note: {note}")
        above = len(announcement.lines) - announcement.kept
        self._screen.lines(announcement.lines[:above])
        self._screen.block(announcement.lines[above:], announcement.status)

    def _show_visitor(self, event: Arrived | Left) -> None:
        """Show a peer that comes, or one that goes, whose question goes with it."""
        if isinstance(event, Arrived):
            self._screen.notice(f"a device has connected with the code: {event.address}")
            return
        self._screen.take_back()
        if self._keyboard is not None:
            self._keyboard.forget()
        if event.again:
            reason = wording.short(event.error.message, wording.LONGEST_MESSAGE)
            self._say(f"{event.address} has left, and the code works again: {reason}")
            self._departed = True
            if self._code is not None:
                self._announce(self._code, again=True)  # what was shown has scrolled up

    def _show_description(self, event: DescriptionReady) -> None:
        """Show our half of two codes; who has shown an offer asks for the answer next."""
        self._screen.clear()
        offers = event.type == "offer"
        self._say(
            "on the other machine, run dcsend receive with this code, or paste it where it asks"
            if offers
            else "give this code to the other side:"
        )
        both = self._out.terminal and self._err.terminal
        if self._stdout_free and not both:
            self._out.line(event.text)
        self._screen.line("")
        self._screen.line(event.text)
        self._screen.line("")
        if copy(event.text, self._err):
            self._screen.line("it is in the clipboard, too, if this terminal allows it")
        if not offers:
            self._screen.status("waiting for the other side to connect")

    @property
    def _stdout_free(self) -> bool:
        return self._options.output != "-"

    def _show_manifest(self, event: ManifestKnown) -> None:
        self._files = event.files
        self._texts = frozenset(hash(e.path) for e in event.entries if e.kind is Kind.TEXT)
        verb = "sending" if self._options.sends else "offered:"
        self._screen.line(f"{verb} {wording.describe_manifest(event)}")
        if not self._options.sends and (hidden := wording.hidden_names(event.entries)):
            self._screen.line(hidden)
        if self._options.sends:
            typing = "; what you type is sent as a message" if self._keyboard else ""
            self._screen.status(f"waiting for the other side to accept{typing}")

    def _question(self) -> str:
        if not self._stdout_free:
            return "accept and write it to standard output?"
        if self._files and self._files == len(self._texts):
            return "accept and show it?"
        return f"accept and save in {self._folder()}?"

    def _folder(self) -> str:
        return printable(os.path.abspath(os.path.expanduser(self._options.output)))

    def _list(self, manifest: ManifestKnown) -> None:
        for count, line in enumerate(wording.list_entries(manifest)):
            if count == _MAX_LIST:
                self._screen.line(f"and {len(manifest.entries) - count} more")
                return
            self._screen.line(line)

    def _show_file(self, event: FileFinished) -> None:
        dull = self._files > _FEW or hash(event.path) in self._texts
        if dull and event.status == "ok" and not self._options.verbose:
            return
        self._bad += event.status != "ok"
        if self._bad > _MAX_BAD and event.status != "ok" and not self._options.verbose:
            return
        self._screen.line(wording.describe_file(event))

    def _progress(self, event: Progressed) -> None:
        self._progressed = event
        if event.total == 0:
            self._screen.clear()
            return
        columns, _ = self._err.window
        rows = bar_rows(event, several=self._files > 1, columns=columns, smooth=self._smooth)
        self._screen.bars(rows)

    def _show_text(self, event: TextExchanged) -> None:
        text = printable(event.text)
        match event:
            case TextExchanged(kind="snippet", sent=False) if self._stdout_free:
                self.close()
                if self._out.terminal:
                    self._screen.line("the other side sends a text:")
                show_snippet(self._out, event.text)
            case TextExchanged(kind="line", sent=True):
                self._screen.typed(f"you: {text}")
            case TextExchanged(kind="line"):
                self._screen.line(f"other side: {text}")
            case TextExchanged(kind="random", sent=sent) if self._options.verbose:
                # The demo's own words.
                words = "Sending" if sent else "Message from DataChannel 'text':"
                self._screen.line(f"{words} '{text}'")
            case _:
                pass

    def _conclude(self, event: Warned | Failed | Finished) -> None:
        """Say what went wrong, or how well it went."""
        match event:
            case Warned():
                note = f"note: {wording.short(event.message, wording.LONGEST_MESSAGE)}"
                hint = f"hint: {wording.short(event.hint, wording.LONGEST_MESSAGE)}"
                said = [note, hint] if event.hint else [note]
                self._screen.notice(note, [row for one in said for row in self._broken(one)])
            case Failed():
                self.close()
                self._show_more()
                last = self._progressed
                if last is not None and last.bytes != last.total:
                    done = f"{wording.size(last.bytes)} of {wording.size(last.total)}"
                    keeps = self._stdout_free and not self._options.sends
                    kept = "; the unfinished file stays as .dcsend-part" if keeps else ""
                    self._screen.line(f"stopped at {done}{kept}")
                complain(self._err, event.error.message, event.error.hint)
            case Finished():
                self.close()
                self._show_more()
                self._show_result(event)

    def _say(self, text: str) -> None:
        """Write prose."""
        self._screen.lines(self._broken(text))

    def _broken(self, text: str) -> list[str]:
        """Break prose between words, on a terminal."""
        columns = self._err.window[0]
        return wording.wrapped(text, columns) if self._err.terminal else [text]

    def _show_more(self) -> None:
        """Count what got no line."""
        if self._bad > _MAX_BAD and not self._options.verbose:
            self._screen.line(f"and {self._bad - _MAX_BAD} more that are not ok (-v shows all)")
        self._bad = 0

    def _show_result(self, event: Finished) -> None:
        if not event.ok and not event.good:
            return
        self._screen.line(wording.describe_result(event, self._texts))
        if event.saved:
            self._screen.line(f"saved in {self._folder()}")
