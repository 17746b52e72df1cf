"""The display for a user, on standard error; standard output has only the code and received texts.

On a terminal it shows the code with its QR code, progress bars and a verdict for each file; off a
terminal, a plain line for each state. All text from the peer is escaped.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from dcsend.display import wording
from dcsend.display.base import Display
from dcsend.display.clipboard import COPIED, copy
from dcsend.display.codes import CodeDisplay, CodeOptions
from dcsend.display.deciding import Deciding, TerminalOptions
from dcsend.display.file_lines import FileLines
from dcsend.display.keyboard import Keyboard
from dcsend.display.peer_rows import PeerRows, describe_counts, describe_senders
from dcsend.display.plan import describe_plan, list_offer
from dcsend.display.quiet import show_error, show_snippet
from dcsend.display.screen import Screen
from dcsend.display.streams import Stream
from dcsend.display.transfer_rows import TransferRows
from dcsend.entry import Chosen, Existing
from dcsend.errors import DestinationError
from dcsend.printable import format_size, printable
from dcsend.session.events import (
    Arrived,
    Checking,
    CodeReady,
    Connected,
    Damaged,
    DescriptionReady,
    Disconnected,
    Event,
    Failed,
    FileFinished,
    Finished,
    Left,
    Limited,
    ManifestKnown,
    OfPeer,
    Planned,
    Progressed,
    Reconnected,
    ShortCodeOver,
    ShortCodeReady,
    ShortCodeServer,
    ShortCodeUsed,
    TextExchanged,
    Warned,
)

if TYPE_CHECKING:
    from dcsend.display.prompt import CodePrompt

__all__ = ["TerminalDisplay", "TerminalOptions"]

_FEW: Final = 20
"Number of files up to which each has a line; above, only files that are not ok have one."


def _local_time() -> datetime.datetime:
    return datetime.datetime.now().astimezone()


class TerminalDisplay(Display):
    """Shows events to the user, and asks whether to accept."""

    def __init__(
        self,
        out: Stream,
        err: Stream,
        options: TerminalOptions,
        keyboard: Keyboard | None,
        clock: Callable[[], datetime.datetime] = _local_time,
    ) -> None:
        """Prepare; show "connecting" if this side dials.

        Args:
            out: standard output, for the code and for received texts.
            err: standard error, for everything else.
            options: see `TerminalOptions`.
            keyboard: for answers; None if standard input is not a terminal.
            clock: returns the local time.
        """
        self._out = out
        self._err = err
        self._options = options
        self._keyboard = keyboard
        self._screen = Screen(err)
        self._offer = Deciding(self._screen, err, keyboard, options, self._write)
        self._rows = TransferRows(
            self._screen, err, self._write, sends=options.sends, limit=options.limit
        )
        self._codes = CodeDisplay(
            self._screen,
            err,
            # On a terminal the command has the code.
            out if self._offer.saves and not (out.terminal and err.terminal) else None,
            CodeOptions(options.qr, options.hosted, options.long, options.suggests_server),
            clock,
        )
        self._peers = PeerRows(
            self._screen, err, self._codes, self._write, show_text=self._show_text_of
        )
        self._instead = ""
        "What precedes the prompt for an answer that replaces an offer."
        self._lines = FileLines(verbose=options.verbose)
        if keyboard is not None:
            keyboard.on_return(self._codes.returned)
        if options.dials:
            self._screen.status("connecting ...")
        self._prompt: CodePrompt | None = None

    def show(self, event: Event) -> None:
        """Show one event."""
        match event:
            case (
                CodeReady()
                | ShortCodeReady()
                | ShortCodeServer()
                | ShortCodeUsed()
                | ShortCodeOver()
            ):
                self._codes.show(event)
            case DescriptionReady():
                self._show_description(event)
            case Arrived() | Left() | OfPeer():
                self._show_visitor(event)
            case Connected():
                self._show_connection(event)
            case ManifestKnown() | Planned():
                self._show_manifest(event)
            case Progressed() | Checking() | Damaged() | Disconnected() | Reconnected():
                self._rows.show(event)
            case FileFinished():
                self._show_file(event)
            case TextExchanged() | Limited():
                self._show_text(event)
            case Warned() | Failed() | Finished():
                self._conclude(event)

    async def decide(self, manifest: ManifestKnown) -> bool | Existing | Chosen:
        """As `Deciding.decide`; the question is in the place of the rows of several senders."""
        if not manifest.sender:
            return await self._offer.decide(manifest)
        with self._peers.asking():
            return await self._offer.decide_about(manifest, self._peers.describe(manifest.sender))

    @property
    def prompt(self) -> CodePrompt | None:
        """As `Display.prompt`: on a terminal, unless the console edits its lines itself."""
        if self._keyboard is None or not self._err.movable or sys.platform == "win32":
            return None
        if self._prompt is None:
            from dcsend.display.prompt import CodePrompt

            self._prompt = CodePrompt(
                self._codes,
                self._screen,
                self._err,
                self._keyboard,
                takes_codes=not (self._options.sends or self._options.keeps),
            )
        return self._prompt

    def resized(self) -> None:
        """As in the base class."""
        self._codes.resized()

    def entered(self) -> None:
        """As in the base class."""
        self._screen.entered()

    def code_entered(self) -> None:
        """Show that the connection is being made."""
        self._codes.forget()
        self._screen.status("connecting ...")

    def close(self) -> None:
        """Remove bars and status; idempotent."""
        self._rows.end()
        self._peers.end()
        self._screen.clear()

    def _show_visitor(self, event: Arrived | Left | OfPeer) -> None:
        """Show a peer that connects, or one that leaves, whose question is withdrawn."""
        if isinstance(event, OfPeer):
            self._peers.show(event)
            return
        if isinstance(event, Arrived):
            note = f"a device has connected with the code: {event.address}"
            self._screen.notice(note, self._broken(note))
            return
        self._screen.cancel_question()
        if self._keyboard is not None:
            self._keyboard.forget()
        if event.again:
            reason = wording.sentence(event.error.message)
            outcome = "was refused" if isinstance(event.error, DestinationError) else "has left"
            news = [f"{event.address} {outcome}, and {self._codes.remaining}: {reason}"]
            if isinstance(event.error, DestinationError):
                news.append(f"hint: {wording.sentence(event.error.hint)}")
            self._offer.depart()
            self._codes.announce_again(news)

    def _show_connection(self, event: Connected) -> None:
        """Show a connection; a browser chooses its files only now."""
        self._screen.clear()
        self._write(wording.describe_connection(event, program=self._options.verbose))
        if not self._options.sends and event.is_browser and self._err.movable:
            self._screen.status("waiting for the other side to choose files")

    def _show_description(self, event: DescriptionReady) -> None:
        """Show the local description; after an offer, `Asker` asks for the answer."""
        self._screen.clear()
        offers = event.type == "offer"
        if offers:
            self._write("on the other machine, run this, or paste it at the prompt there:")
        else:
            self._write(f"{self._instead}give this code to the other side:")
        both = self._out.terminal and self._err.terminal
        if self._offer.saves and not both:
            self._out.line(event.text)
        self._screen.line("")
        self._screen.line(f"dcsend receive {event.text}" if offers else event.text)
        self._screen.line("")
        if copy(event.text, self._err):
            self._write(COPIED)
        if offers:
            self._instead = "the code above is not needed any more; "
        else:
            self._screen.status("waiting for the other side to connect")

    @property
    def _stdout_free(self) -> bool:
        return self._options.output != "-"

    def _show_manifest(self, event: ManifestKnown | Planned) -> None:
        if isinstance(event, Planned):
            for line in describe_plan(event, sends=self._options.sends, place=self._offer.where):
                self._write(line)
            return
        if self._codes.is_for_several:
            return  # it is shown with the code
        self._offer.note(event)
        self._rows.expect(event.files)
        if self._options.dry_run and self._options.sends:
            self._screen.lines(list_offer(event, verbose=self._options.verbose))
            return
        self._offer.write(event, "sending" if self._options.sends else "offered:")
        if self._options.sends:
            waiting = "waiting for the other side to accept"
            if self._keyboard is None:
                self._screen.status(waiting)
            else:
                self._screen.status(f"{waiting}; what you type is sent as a message", typing=True)

    def _show_file(self, event: FileFinished) -> None:
        self._rows.end_file(event.path)
        brief = self._offer.files > _FEW or hash(event.path) in self._offer.texts
        if self._lines.shows(event, brief=brief):
            self._write(wording.describe_file(event))

    def _show_text(self, event: TextExchanged | Limited) -> None:
        if isinstance(event, Limited):
            self._reply(f"limit of the rate: {wording.rate(event.rate)}")
            self._rows.change_limit(event.rate)
            return
        text = printable(event.text)
        match event:
            case TextExchanged(kind="snippet", sent=False) if self._offer.saves:
                self.close()
                if self._out.terminal:
                    self._screen.line("the other side sends a text:")
                show_snippet(self._out, event.text)
            case TextExchanged(kind="line", sent=True):
                self._screen.typed("\n".join(self._broken(f"you: {text}")))
            case TextExchanged(kind="line"):
                self._write(f"other side: {text}")
            case TextExchanged(kind="random", sent=sent) if self._options.verbose:
                self._screen.line(f"keep-alive {'sent' if sent else 'received'}: {text}")
            case _:
                pass

    def _show_text_of(self, head: str, text: str) -> None:
        """Show a text that one of several senders has sent."""
        if self._out.terminal and self._err.terminal:
            self._screen.lines([head, *(printable(line) for line in text.splitlines())])
        else:
            show_snippet(self._out, text)

    def _conclude(self, event: Warned | Failed | Finished) -> None:
        """Show a warning, an error, or the result."""
        match event:
            case Warned(kind="command"):
                self._reply(f"note: {event.message}; {event.hint}")
            case Warned():
                note = f"note: {wording.sentence(event.message)}"
                hint = f"hint: {wording.sentence(event.hint)}"
                self._codes.warn([note, hint] if event.hint else [note])
            case Failed():
                self.close()
                self._show_more()
                last = self._rows.progressed
                if last is not None and last.bytes != last.total:
                    done = f"{format_size(last.bytes)} of {format_size(last.total)}"
                    if event.kept:
                        name = wording.short(os.path.basename(event.kept[0]))
                        done += f"; {name}{' and others stay' if len(event.kept) > 1 else ' stays'}"
                    self._write(f"stopped at {done}")
                show_error(self._err, event.error.message, event.error.hint)
            case Finished():
                self.close()
                self._show_more()
                self._show_result(event)

    def _reply(self, text: str) -> None:
        """Show what a typed command has done."""
        if self._err.movable:
            self._screen.typed("\n".join(self._broken(text)))
        else:
            self._write(text)

    def _write(self, text: str) -> None:
        """Write a sentence, broken between words on a terminal."""
        self._screen.lines(self._broken(text))

    def _broken(self, text: str) -> list[str]:
        """Break a sentence between words, on a terminal."""
        return wording.wrapped(text, self._err.window[0]) if self._err.terminal else [text]

    def _show_more(self) -> None:
        """Write how many files had no line."""
        for line in self._lines.rest():
            self._write(line)

    def _show_result(self, event: Finished) -> None:
        if event.receivers is not None and any(event.receivers):
            self._write(describe_counts(event.receivers))
            return
        if event.senders is not None:
            self._write(describe_senders(event.senders))
            return
        if not event.ok and not event.good:
            return
        lost = wording.describe_left_out(event.left_out)
        if self._options.dry_run:
            if lost and self._options.sends:  # a receiver has shown it below the offer
                self._write(lost)
            return
        self._write(wording.describe_result(event, self._offer.texts))
        if lost:
            self._write(lost)
        if event.saved or (event.role == "receiver" and wording.made(event)):
            # A renamed file has another path than `output`.
            names = (file.where for file in event.files if file.where)
            place = f"as {printable(next(names))}" if self._offer.saves_as else self._offer.where
            self._screen.line(f"saved {place}")
