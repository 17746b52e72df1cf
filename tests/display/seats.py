"""A `TerminalDisplay` on a pseudo-terminal, and the events that it shows."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable, Sequence

from dcsend.display.keyboard import Keyboard
from dcsend.display.streams import Stream
from dcsend.display.terminal import TerminalDisplay, TerminalOptions
from dcsend.entry import Entry
from dcsend.session.events import (
    CodeReady,
    Connected,
    Event,
    FileFinished,
    Finished,
    ManifestKnown,
    Progressed,
)
from dcsend.signaling.dialcode import Address, DialCode
from tests.support.screens import Pty

NOW = datetime.datetime(2026, 5, 1, 14, 30, tzinfo=datetime.UTC)
DIAL = DialCode(bytes(16), bytes(32), 4000, (Address("192.0.2.7", 4000),), 2_000_000_000)
LOCAL_PAGE = "http://192.168.178.123:54321/"
"As long as most are."
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e"
MANIFEST = ManifestKnown([Entry("a.txt", size=5), Entry("b.txt", size=10**8)])
CONNECTED = Connected("direct", "IPv4", "192.0.2.1", "dcsend/1 (Linux)", 4, "anna")


def code(page: str = "dcsend:", role: str = "sender", hours: int = 0) -> CodeReady:
    """Return the event of a code that expires *hours* after NOW."""
    expires = NOW + datetime.timedelta(hours=hours)
    return CodeReady(DIAL.text(), DIAL.link(page), expires, role)


def moved(count: int) -> Progressed:
    """Return a progress event."""
    return Progressed(count, 10**8 + 5, 1e6, "b.txt", count - 5, 10**8)


def done(*files: FileFinished, status: int = 0, role: str = "receiver") -> Finished:
    """Return the last event."""
    total = sum(file.bytes for file in files)
    return Finished(not status, status, total, 2.0, files, role)


class Seat:
    """A terminal for standard error, and another file for standard output."""

    def __init__(self, pty: Pty) -> None:
        self.pty = pty
        self.out = io.StringIO()

    def display(
        self, *, keyboard: Keyboard | None = None, shared: bool = False, **chosen: object
    ) -> TerminalDisplay:
        """Return a display; *shared*: standard output is the terminal, too."""
        out = self.pty.file if shared else self.out
        options = TerminalOptions(**chosen)  # type: ignore[arg-type]
        return TerminalDisplay(Stream(out), Stream(self.pty.file), options, keyboard, lambda: NOW)

    def after(self, *events: Event, **chosen: object) -> list[str]:
        """Return the rows shown after *events*."""
        display = self.display(**chosen)  # type: ignore[arg-type]

        def show() -> None:
            for event in events:
                display.show(event)

        return self.pty.during(show)


def plainly(*events: Event, **chosen: object) -> tuple[list[str], str]:
    """Return the output off a terminal: lines on standard error, and standard output."""
    out, err = io.StringIO(), io.StringIO()
    options = TerminalOptions(**chosen)  # type: ignore[arg-type]
    display = TerminalDisplay(Stream(out), Stream(err), options, None, lambda: NOW)
    for event in events:
        display.show(event)
    display.close()
    assert err.getvalue().replace("\n", "").isprintable()
    return err.getvalue().splitlines(), out.getvalue()


class Typist:
    """Answers questions in order; stands in for fingers, not for the terminal."""

    def __init__(self, pty: Pty, answers: Sequence[str | None]) -> None:
        self._pty = pty
        self._answers = list(answers)
        self.questions: list[str] = []

    def on_return(self, returned: Callable[[], None]) -> None:
        """Do nothing: the program is never stopped."""

    async def ask(self) -> str | None:
        """Look at the screen, and type."""
        self.questions.append(self._pty.look()[-1])
        answer = self._answers.pop(0)
        if answer is not None:
            self._pty.type_and_see(answer + "\n")
        return answer
