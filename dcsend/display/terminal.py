"""What a person sees: on standard error, so that standard output stays for programs.

On a terminal: the code with its QR code, bars, a verdict per file. Off a terminal: one
plain line per state. Names, texts and agents of the peer are escaped before they are shown.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dcsend.display import wording
from dcsend.display.bars import Bars
from dcsend.display.keyboard import Keyboard
from dcsend.display.qr import Request, choose_mode, qr_lines
from dcsend.display.quiet import complain
from dcsend.display.streams import Stream
from dcsend.errors import UsageError
from dcsend.printable import printable
from dcsend.session.events import (
    CodeReady,
    Connected,
    Event,
    Failed,
    FileFinished,
    Finished,
    ManifestKnown,
    Progressed,
    TextExchanged,
    Warned,
)

__all__ = ["TerminalDisplay", "TerminalOptions"]

_FEW: Final = 20
"Files up to which each gets a line; above, only those that are not ok."
_FALLBACK_SIZE: Final = (80, 24)


@dataclass(frozen=True, slots=True)
class TerminalOptions:
    """What the person chose about the display."""

    qr: Request = "auto"
    "`auto`, `half`, `full` or `none`."
    verbose: bool = False
    "Show the signs of life, and every file."
    stdout_free: bool = True
    "Whether standard output may carry the code; not while it carries received bytes."


class TerminalDisplay:
    """Shows everything that a person wants to know, and asks."""

    def __init__(
        self, out: Stream, err: Stream, options: TerminalOptions, keyboard: Keyboard | None
    ) -> None:
        """Prepare.

        Args:
            out: standard output, for the code and for texts.
            err: standard error, for everything else.
            options: what the person chose.
            keyboard: to ask questions; None where nobody types.
        """
        self._out = out
        self._err = err
        self._options = options
        self._keyboard = keyboard
        self._bars: Bars | None = None
        self._several = False
        self._many = False
        self._status = False
        "Whether the cursor stands behind an unfinished status line."

    def show(self, event: Event) -> None:
        """Show one event."""
        match event:
            case CodeReady():
                self._show_code(event)
            case Connected():
                self._line(wording.describe_connection(event))
            case ManifestKnown():
                self._several = event.files > 1
                self._many = event.files > _FEW
                self._line(f"offered: {wording.describe_manifest(event)}")
            case Progressed():
                self._progress(event)
            case FileFinished():
                if event.status != "ok" or not self._many or self._options.verbose:
                    self._line(wording.describe_file(event))
            case TextExchanged():
                self._text(event)
            case Warned() | Failed() | Finished():
                self._conclude(event)

    def _conclude(self, event: Warned | Failed | Finished) -> None:
        """Say what went wrong, or how well it went."""
        match event:
            case Warned():
                self._line(f"note: {printable(event.message)}")
                if event.hint:
                    self._line(f"hint: {printable(event.hint)}")
            case Failed():
                self.close()
                complain(self._err, event.error.message, event.error.hint)
            case Finished():
                self.close()
                if event.ok:
                    self._line(wording.describe_result(event))

    async def decide(self, manifest: ManifestKnown) -> bool:
        """Ask; Enter accepts, `l` lists everything first."""
        if self._keyboard is None:
            raise UsageError(
                "nobody can be asked: standard input is not a terminal",
                "add -y to accept what comes",
            )
        while True:
            self._line("accept? [Y/n/l: list]", end=" ")
            self._status = False
            line = await self._keyboard.ask()
            if line is None:
                return False  # nobody is there any more, and nobody has said yes
            answer = line.strip().lower()
            if answer in ("l", "list"):
                for line in wording.list_entries(manifest):
                    self._line(line)
            elif answer in ("", "y", "yes"):
                return True
            elif answer in ("n", "no"):
                return False

    def close(self) -> None:
        """Take the bars away and end the status line."""
        if self._bars is not None:
            self._bars.close()
            self._bars = None
        self._end_status()

    def _line(self, text: str, end: str = "\n") -> None:
        self._end_status()
        if self._bars is not None:
            self._bars.write(text)
        else:
            self._err.line(text, end)

    def _end_status(self) -> None:
        if self._status:
            self._status = False
            self._err.line()

    def _show_code(self, event: CodeReady) -> None:
        verb = "receive" if event.role == "sender" else "send PATH --to"
        until = event.expires.strftime("%H:%M")
        if self._options.stdout_free and not self._out.terminal:
            self._out.line(event.code)
        self._line("on the other machine, run:")
        self._line(f"\ndcsend {verb} {event.code}\n")
        if not event.link.startswith("dcsend:"):
            self._line(f"or open: {event.link}\n")
        for line in self._qr(event.link):
            self._line(line)
        self._err.line(
            f"waiting; the code works once, until {until}",
            end="" if self._err.terminal else "\n",
        )
        self._status = self._err.terminal

    def _qr(self, link: str) -> Iterator[str]:
        columns, rows = shutil.get_terminal_size(_FALLBACK_SIZE)
        choice = choose_mode(
            link,
            self._options.qr,
            columns=columns,
            rows=rows,
            encoding=self._err.encoding,
            is_tty=self._err.terminal,
            no_color="NO_COLOR" in os.environ,
            term=os.environ.get("TERM", ""),
        )
        if choice.mode is None:
            if choice.reason and self._err.terminal:
                yield f"note: {choice.reason}"
            return
        yield from qr_lines(link, mode=choice.mode, columns=columns, rows=rows)

    def _progress(self, event: Progressed) -> None:
        if not self._err.terminal or self._err.raw is None:
            return
        if self._bars is None:
            self._end_status()
            self._bars = Bars(
                self._err.raw,
                several=self._several,
                columns=shutil.get_terminal_size(_FALLBACK_SIZE).columns,
                unicode=self._err.encoding.lower().replace("-", "") == "utf8",
            )
        self._bars.update(event)

    def _text(self, event: TextExchanged) -> None:
        text = printable(event.text)
        if event.kind == "snippet":
            if not event.sent:
                self._snippet(event.text)
        elif event.kind == "line":
            if not event.sent:
                self._line(f"> {text}")
        elif self._options.verbose:
            # The demo's own words.
            self._line(
                f"Sending '{text}'" if event.sent else f"Message from DataChannel 'text': '{text}'"
            )

    def _snippet(self, text: str) -> None:
        """Show a received text: escaped to a person, as it is to a program."""
        if not self._options.stdout_free:
            return
        self.close()
        lines = text.splitlines() if self._out.terminal else []
        for line in lines:
            self._out.line(printable(line))
        if not self._out.terminal:
            self._out.line(text, end="" if text.endswith("\n") else "\n")
