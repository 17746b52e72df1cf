r"""A terminal whose lines are edited here, while the event loop runs.

The terminal's own line editing ("cooked", ICANON) drops what is behind 4096 characters of a
line on Linux, 1024 on macOS, and its echo is torn apart by what is printed meanwhile. So line
collection and echo are off and done here, as far as people use them: backspace, Ctrl-U, Ctrl-D.
Ctrl-C and the other signals are left to the loop; Ctrl-Z puts the terminal back first.

    bytes ─► Typed ─► a pasted code, while one is asked for
                  └─► lines

Windows has no termios: there a thread reads lines, and the console edits them.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

from dcsend.display.modes import borrow, put_back
from dcsend.display.streams import put
from dcsend.display.wording import width

__all__ = ["MORE", "PAUSE", "Complete", "Console", "Piped", "Typed"]

MORE: Final = "not complete yet: paste the rest, or press Enter again to stop"
"Said once, after a line that does not complete the code."

PAUSE: Final = 0.1
"""Seconds without input after which a paste is taken to be over. Terminals deliver pastes in
bursts; stopping in the middle of one would leave the rest of the secret to the shell."""

_END_OF_INPUT: Final = "\x04"
_KILL_LINE: Final = "\x15"
_ERASE: Final = "\x08\x7f"
_CHUNK: Final = 4096
_LARGEST: Final = 65_536
"Characters of one paste: many times a code, so that a wrong file is noticed at once."

Complete = Callable[[str], bool]
"Tells whether a text is a whole code."


class Typed:
    """The text typed so far, edited as a terminal would, and what to echo of it."""

    def __init__(self) -> None:
        self.text = ""
        self.ended = False
        "Whether Ctrl-D was typed."

    def type(self, arrived: str) -> str:
        """Take *arrived* and return the echo; nothing counts after Ctrl-D."""
        return "".join(self._type_one(char) for char in arrived)

    def _type_one(self, char: str) -> str:
        if self.ended:
            return ""
        if char == _END_OF_INPUT:
            self.ended = True
            return ""
        if char in _ERASE:
            return self._erase(self.text[-1:])
        if char == _KILL_LINE:
            return self._erase(self.text.rpartition("\n")[2])
        char = "\n" if char == "\r" else char
        self.text += char
        return char if char == "\n" or char.isprintable() else ""

    def _erase(self, tail: str) -> str:
        """Take *tail* off the end; a line end can be taken off, but not off the screen."""
        self.text = self.text[: len(self.text) - len(tail)]
        return "\b \b" * sum(width(char) for char in tail if char.isprintable())

    @property
    def stopped(self) -> bool:
        """Whether the user said that this is all: Ctrl-D, or Enter on an empty line."""
        line = self.text.removesuffix("\n").rpartition("\n")[2]
        return self.ended or (self.text.endswith("\n") and not line.strip())

    def lines(self) -> list[str]:
        """Take the whole lines out, without their ends."""
        *lines, self.text = self.text.split("\n")
        return lines


class _Source:
    """Where lines come from, and a code that is asked for."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str | None] = asyncio.Queue()
        "What was typed while no code was asked for; None when the person has ended the input."
        self._loop = asyncio.get_running_loop()
        self._asked: asyncio.Future[str | None] | None = None
        self._released = False
        self._complete: Complete = lambda text: True

    async def paste(self, complete: Complete, more: Callable[[], None]) -> str | None:
        """Return what is pasted; None where the input has ended.

        Args:
            complete: says whether this is all.
            more: called once, when a line has ended and it is not.
        """
        self._complete = complete
        self._more: Callable[[], None] | None = more
        self._asked = self._loop.create_future()
        try:
            self._look()
            return await self._asked
        finally:
            self._asked = None

    def release(self) -> None:
        """Let lines go to `lines` from now on: a code that was pasted early is none of them."""
        self._released = True
        self._look()

    def _look(self) -> None:
        """See what can be done with what is there."""

    def _answer(self, text: str | None) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(text)


class Piped(_Source):
    """Standard input that is no terminal: a code first, then lines.

    Its end is not the end of a chat: `echo CODE | dcsend chat` goes on, as the demo does.
    """

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self._ended = False
        # A daemon, since a file or a pipe may block for ever, and no loop can wait for a file.
        threading.Thread(target=self._read_forever, name="dcsend-input", daemon=True).start()

    @property
    def pending(self) -> str:
        """Nothing is echoed."""
        return ""

    def close(self) -> None:
        """Nothing to put back."""

    def _read_forever(self) -> None:
        line = "\n"
        while line:
            try:
                line = sys.stdin.readline(_LARGEST)
            except (OSError, ValueError):  # not UTF-8, or closed
                line = ""
            try:
                self._loop.call_soon_threadsafe(self._take, line)
            except RuntimeError:
                return  # the loop has ended

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
        # An empty line ends a code that is not complete.
        over = self._ended or len(text) > _LARGEST or text.endswith("\n\n")
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


if sys.platform == "win32":  # mypy looks at one branch only, as does the computer

    class Console(Piped):
        """A Windows console, whose lines the console edits."""

else:
    import termios

    class Console(_Source):
        """A terminal in "cbreak" mode; put back by `close`, whatever happens."""

        def __init__(self) -> None:
            super().__init__()
            self._fd = sys.stdin.fileno()
            self._typed = Typed()
            self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
            self._pause: asyncio.TimerHandle | None = None
            self._saved = termios.tcgetattr(self._fd)
            self._closed = False
            self._loop.add_signal_handler(signal.SIGTSTP, self._stop)
            self._loop.add_signal_handler(signal.SIGCONT, self._resume)
            self._loop.add_signal_handler(signal.SIGQUIT, self._quit)
            # Who changes a terminal from the background is stopped (SIGTTOU); `fg` resumes.
            if self._is_in_front():
                self._begin()

        @property
        def pending(self) -> str:
            """What has been typed of a line that is not finished, as it was echoed."""
            return "".join(char for char in self._typed.text if char.isprintable())

        def close(self) -> None:
            """Put the terminal back; idempotent."""
            if self._closed:
                return
            self._closed = True
            if self._pause is not None:
                self._pause.cancel()
            self._loop.remove_reader(self._fd)
            for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGQUIT):
                self._loop.remove_signal_handler(number)
            if self.pending:
                self._echo("\n")
            put_back(self._fd)
            self._answer(None)

        def _begin(self) -> None:
            borrow(self._fd, self._saved)
            mode = termios.tcgetattr(self._fd)
            mode[3] &= ~(termios.ICANON | termios.ECHO)
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._fd, termios.TCSADRAIN, mode)
            self._loop.add_reader(self._fd, self._readable)

        def _is_in_front(self) -> bool:
            try:
                return os.getpgrp() == os.tcgetpgrp(self._fd)
            except OSError:  # the terminal has been closed, or is not the one that controls us
                return True

        def _stop(self) -> None:
            """Ctrl-Z: leave the terminal to the shell as we found it."""
            put_back(self._fd)
            os.kill(os.getpid(), signal.SIGSTOP)

        def _resume(self) -> None:
            """The shell's `fg`, or `bg`: then somebody else has the terminal."""
            if not self._closed and self._is_in_front():
                self._begin()

        def _quit(self) -> None:
            r"""Ctrl-\: end as without us, with the terminal as we found it."""
            put_back(self._fd)
            self._loop.remove_signal_handler(signal.SIGQUIT)
            os.kill(os.getpid(), signal.SIGQUIT)

        def _readable(self) -> None:
            try:
                # A background job that reads its terminal is stopped by SIGTTIN.
                if not self._is_in_front():
                    self._loop.remove_reader(self._fd)
                    return
                arrived = os.read(self._fd, _CHUNK)
            except OSError:
                arrived = b""
            if not arrived:  # the terminal has been closed
                self._loop.remove_reader(self._fd)
                self._end()
                return
            self._echo(self._typed.type(self._decoder.decode(arrived)))
            if self._pause is not None:
                self._pause.cancel()
            if self._asked is not None:
                self._pause = self._loop.call_later(PAUSE, self._look)
            elif self._released:
                self._take_lines()

        def _look(self) -> None:
            typed = self._typed
            if self._asked is None or self._asked.done():
                if self._released:
                    self._take_lines()
                return
            text = typed.text
            if not (self._complete(text) or typed.stopped or len(text) > _LARGEST):
                if text.endswith("\n") and self._more is not None:
                    self._more()
                    self._more = None
            else:
                self._typed = Typed()
                if not text.endswith("\n"):
                    self._echo("\n")
                self._answer(text if text.strip() or not typed.ended else None)

        def _take_lines(self) -> None:
            for line in self._typed.lines():
                if line:
                    self.lines.put_nowait(line)
            if self._typed.ended:
                self._end()

        def _end(self) -> None:
            self._typed = Typed()
            self.lines.put_nowait(None)
            self._answer(None)

        def _echo(self, text: str) -> None:
            """Show *text* on the terminal itself: stderr may be a file that keeps the secret."""
            with contextlib.suppress(OSError):  # opened for reading only, or gone
                put(self._fd, text.encode("utf-8", "replace"))
