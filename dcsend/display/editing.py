r"""A terminal in cbreak mode, whose lines are edited by the program, while the event loop runs.

In cooked mode (ICANON) a terminal discards everything after 4096 characters of a line on Linux,
1024 on macOS, and output is mixed into the echo of an unfinished line. So cooked mode and echo are
switched off, and the program implements the keys that edit (`typed`). The event loop handles Ctrl-C
and other signals; Ctrl-Z restores the terminal first.

    bytes ─► Typed ─► a pasted code, while `paste` waits for one
                  └─► lines

Windows has no termios: there a thread reads lines, which the console edits.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from dcsend.display.keyboard import LOOK_AGAIN, read_lines
from dcsend.display.modes import is_foreground, restore
from dcsend.display.streams import echo, end_row
from dcsend.display.typed import LARGEST, Completed, Typed, none

__all__ = ["ENTER", "MORE", "PAUSE", "Complete", "Console", "Piped"]

MORE: Final = "not complete yet: paste the rest, or press Enter again to stop"
"Shown once, after a line that does not complete the code."

PAUSE: Final = 0.1
"""Seconds without input after which a paste is complete. Terminals deliver a paste in several
parts; if reading ended between them, the shell would receive the rest of the secret."""

ENTER: Final = (b"\r", b"\n")
"""What the Enter key alone delivers. After it there is no pause if the code is complete: the end of
a paste arrives with the text before it."""

_CHUNK: Final = 4096
Complete = Callable[[str], bool]
"Returns whether a text is a complete code."


class _TypedInput:
    """What both kinds of input have: lines, and a pasted code."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str | None] = asyncio.Queue()
        "Lines that were typed outside `paste`; None when the user has ended the input."
        self._loop = asyncio.get_running_loop()
        self._asked: asyncio.Future[str | None] | None = None
        self._released = False
        self._complete: Complete = lambda text: True
        self._certain: Complete = self._complete

    async def paste(
        self, complete: Complete, more: Callable[[], None], certain: Complete | None = None
    ) -> str | None:
        """Return the pasted text, or None at the end of input.

        Args:
            complete: returns whether a text is a complete code.
            more: called once, when a line has ended and the code is not complete.
            certain: returns whether nothing can follow a text to which Enter was added; None for
                *complete*.
        """
        self._complete = complete
        self._certain = certain or complete
        self._more: Callable[[], None] | None = more
        self._asked = self._loop.create_future()
        try:
            self._look()
            return await self._asked
        finally:
            self._asked = None

    def release(self) -> None:
        """Put lines into `lines` from now on; before, a line may be a code for `paste`."""
        self._released = True
        self._look()

    def keep(self, line: str) -> None:
        """Begin the next line with one that was refused, unless something is typed."""

    def drop(self) -> None:
        """Remove the line of `keep`, unless it was edited."""

    def _look(self) -> None:
        """Return the text from `paste` if it is complete, or put its lines into `lines`."""

    def _answer(self, text: str | None) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(text)


class Piped(_TypedInput):
    """Standard input that is not a terminal: first a code, then lines.

    Its end does not end a chat: `echo CODE | dcsend chat` continues, like the Pion demo.
    """

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self._ended = False
        # In a thread, because an event loop can't wait for a file.
        read_lines(self._take, "dcsend-input", LARGEST)

    def pending(self, columns: int = LARGEST) -> str:
        """Return an empty text, since nothing is echoed."""
        return ""

    def behind(self, columns: int) -> str:
        """Return an empty text, since nothing is echoed."""
        return ""

    def close(self) -> None:
        """Do nothing: no terminal mode was changed."""

    def _take(self, line: str) -> None:
        self._ended = not line
        self._text += line
        self._look()

    def _look(self) -> None:
        if self._asked is None or self._asked.done():
            if self._released:
                self._take_lines()
            return
        text = self._text
        # An empty line ends an incomplete code.
        over = self._ended or len(text) > LARGEST or text.endswith("\n\n")
        if text.strip() and (self._complete(text) or over):
            self._text = ""
            self._answer(text)
        elif self._ended:
            self._answer(None)

    def _take_lines(self) -> None:
        *lines, self._text = self._text.split("\n")
        if self._ended:
            lines, self._text = [*lines, self._text], ""
        for line in lines:
            if line:
                self.lines.put_nowait(line.removesuffix("\r"))


if sys.platform == "win32":

    class Console(Piped):
        """A Windows console, which edits its lines itself."""

        def __init__(
            self,
            completed: Completed = none,
            changed: Callable[[], None] | None = None,
            returned: Callable[[], None] = lambda: None,
            *,
            pause: float = PAUSE,
        ) -> None:
            """Begin to read; the arguments, for keys and rows, have no effect here."""
            super().__init__()

else:
    import termios

    from dcsend.display.modes import switch_to_cbreak

    class Console(_TypedInput):
        """A terminal in cbreak mode, until `close` restores it."""

        def __init__(
            self,
            completed: Completed = none,
            changed: Callable[[], None] | None = None,
            returned: Callable[[], None] = lambda: None,
            *,
            pause: float = PAUSE,
        ) -> None:
            """Begin to read.

            Args:
                completed: for the Tab key.
                changed: called when `pending` has changed, to show it; None for the usual echo.
                returned: called when the program is in the foreground again after it was stopped.
                pause: seconds without a key after which a paste has ended.
            """
            super().__init__()
            self._patience = pause
            self._fd = sys.stdin.fileno()
            self._completed = completed
            self._changed = changed
            self._returned = returned
            self._typed = self._empty()
            self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
            self._pause: asyncio.TimerHandle | None = None
            self._saved = termios.tcgetattr(self._fd)
            self._closed = False
            self._loop.add_signal_handler(signal.SIGTSTP, self._stop)
            self._loop.add_signal_handler(signal.SIGCONT, self._continue)
            self._loop.add_signal_handler(signal.SIGQUIT, self._quit)
            # SIGTTOU stops a background job that changes the terminal, so this may wait for `fg`.
            self._resume()

        def keep(self, line: str) -> None:
            """As in the base class."""
            if not self._typed.text:
                self._typed.keep(line)

        def drop(self) -> None:
            """As in the base class."""
            self._typed.drop()

        def pending(self, columns: int = LARGEST) -> str:
            """Return the end of what was typed, as it was echoed; it may need more cells."""
            return self._typed.before(columns)

        def behind(self, columns: int) -> str:
            """Return the beginning of what is typed behind the cursor; it may need more cells."""
            return self._typed.behind(columns)

        def _empty(self) -> Typed:
            # Only `changed` can show text behind the cursor.
            return Typed(self._completed, moves=self._changed is not None)

        def close(self) -> None:
            """Restore the terminal; idempotent."""
            if self._closed:
                return
            self._closed = True
            if self._pause is not None:
                self._pause.cancel()
            self._loop.remove_reader(self._fd)
            for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGQUIT):
                self._loop.remove_signal_handler(number)
            if self.pending(1) and self._changed is None:
                echo(self._fd, "\n")
            restore(self._fd)
            self._answer(None)

        def _begin(self) -> None:
            # TCSADRAIN would wait for ever for a terminal that is stopped with Ctrl-S.
            switch_to_cbreak(self._fd, self._saved, termios.TCSANOW)
            self._loop.add_reader(self._fd, self._readable)

        def _stop(self) -> None:
            """Handle Ctrl-Z: end the row and restore the terminal for the shell, then stop."""
            if self._changed is not None or self.pending(1):
                end_row(self._fd)
            restore(self._fd)
            os.kill(os.getpid(), signal.SIGSTOP)

        def _resume(self) -> None:
            """Continue in the foreground; in the background, check again until `fg`."""
            if self._closed:
                return
            if is_foreground(self._fd, closed=True):
                self._begin()
            else:
                self._loop.call_later(LOOK_AGAIN, self._resume)

        def _continue(self) -> None:
            """Handle SIGCONT."""
            self._resume()
            if not self._closed and is_foreground(self._fd, closed=False):
                self._returned()

        def _quit(self) -> None:
            r"""Handle Ctrl-\: restore the terminal, then end by SIGQUIT."""
            restore(self._fd)
            self._loop.remove_signal_handler(signal.SIGQUIT)
            os.kill(os.getpid(), signal.SIGQUIT)

        def _readable(self) -> None:
            try:
                # SIGTTIN stops a background job that reads its terminal.
                if not is_foreground(self._fd, closed=True):
                    self._loop.remove_reader(self._fd)
                    self._loop.call_later(LOOK_AGAIN, self._resume)
                    return
                arrived = os.read(self._fd, _CHUNK)
            except OSError:
                arrived = b""
            if not arrived:  # the terminal is closed
                self._loop.remove_reader(self._fd)
                self._end()
                return
            typed = self._typed.type(self._decoder.decode(arrived))
            if self._changed is None:
                echo(self._fd, typed)
            else:
                self._changed()
            if self._pause is not None:
                self._pause.cancel()
            if self._asked is not None:
                pressed = arrived in ENTER and self._certain(self._typed.text)
                self._pause = self._loop.call_later(0 if pressed else self._patience, self._look)
            elif self._released:
                self._take_lines()

        def _look(self) -> None:
            typed = self._typed
            if self._asked is None or self._asked.done():
                if self._released:
                    self._take_lines()
                return
            text = typed.text
            if not (self._complete(text) or typed.stopped or len(text) > LARGEST):
                if text.endswith("\n") and self._more is not None:
                    self._more()
                    self._more = None
            else:
                self._typed = self._empty()
                if self._changed is not None:
                    self._changed()
                elif not text.endswith("\n"):
                    echo(self._fd, "\n")
                self._answer(text if text.strip() or not typed.ended else None)

        def _take_lines(self) -> None:
            for line in self._typed.lines():
                if line:
                    self.lines.put_nowait(line)
            if self._typed.ended:
                self._end()

        def _end(self) -> None:
            self._typed = self._empty()
            self.lines.put_nowait(None)
            self._answer(None)
