"""Lines typed at the terminal in cooked mode, read while the event loop runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from dcsend.display.modes import is_foreground
from dcsend.threads import begin, call_in_loop

__all__ = ["LOOK_AGAIN", "Keyboard", "read_lines"]

_CHUNK = 4096
"Bytes read at once: the longest line that a terminal in cooked mode returns on Linux."
LOOK_AGAIN: Final = 0.25
"""Seconds between the checks of a background job whether it is in the foreground again. After `fg`
the shell sends SIGCONT to a job that was stopped, but nothing to one that was running."""
_SIGCONT: Final[int] = getattr(signal, "SIGCONT", 0)
"Windows has none."


def read_lines(take: Callable[[str], None], name: str, limit: int = -1) -> None:
    """Read lines of standard input in a thread, for input on which the event loop can't wait.

    Args:
        take: called in the running event loop with each line; with an empty one at the end of
            input.
        name: name of the thread.
        limit: characters after which a longer line is divided; -1 for no limit.
    """
    loop = asyncio.get_running_loop()

    def read() -> None:
        line = "\n"
        while line:
            try:
                # As text: for a Windows console, Python then reads Unicode.
                line = sys.stdin.readline(limit)
            except (OSError, ValueError):  # closed, or not UTF-8
                line = ""
            if not call_in_loop(loop, take, line):
                return

    begin(read, name)


class Keyboard:
    """Divides typed text into lines: the answer to a question if one is open, or `lines`."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        "Lines that were typed while no question was open, except commands."
        self._obey: Callable[[str], str] = str
        self._entered: Callable[[], None] = lambda: None
        self._returned: Callable[[], None] = lambda: None
        self._question: asyncio.Future[str | None] | None = None
        self._ended = False
        "Whether the input has ended."
        self._paused = False
        self._rest = b""
        self._fd = -1
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Start reading standard input, which must be a terminal."""
        self._fd = sys.stdin.fileno()
        try:
            self._loop.add_reader(self._fd, self._readable)
            self._loop.add_signal_handler(_SIGCONT, self._resume)
        except (NotImplementedError, AttributeError):
            # Windows: the loop can't wait for a console, and there is no SIGCONT.
            read_lines(self._take, "dcsend-keys")

    def on_return(self, returned: Callable[[], None]) -> None:
        """Call *returned* when the program is in the foreground again after it was stopped."""
        self._returned = returned

    def on_line(self, obey: Callable[[str], str], entered: Callable[[], None]) -> None:
        """Have *obey* carry out typed commands: it returns the message of a line, if it is one.

        *entered* is called after an empty line.
        """
        self._obey, self._entered = obey, entered

    def close(self) -> None:
        """Stop reading; idempotent."""
        self._ended = True
        self._stop_reading()

    def pause(self) -> None:
        """Stop reading until `resume`, so that another part of the program can read."""
        self._paused = True
        self._stop_reading()

    def _stop_reading(self) -> None:
        with contextlib.suppress(NotImplementedError, AttributeError, ValueError):
            self._loop.remove_reader(self._fd)
            self._loop.remove_signal_handler(_SIGCONT)

    def resume(self) -> None:
        """Read again after `pause`."""
        self._paused = False
        if not self._ended:
            with contextlib.suppress(NotImplementedError, AttributeError, ValueError):
                self._loop.add_reader(self._fd, self._readable)
                self._loop.add_signal_handler(_SIGCONT, self._resume)

    async def ask(self) -> str | None:
        """Return the next line, or None at the end of input."""
        if self._ended:
            return None
        self._question = self._loop.create_future()
        try:
            return await self._question
        finally:
            self._question = None

    def forget(self) -> None:
        """Discard an unfinished line: it was typed for a question that has been withdrawn."""
        self._rest = b""
        if sys.platform != "win32":
            import termios

            with contextlib.suppress(OSError, termios.error):
                termios.tcflush(self._fd, termios.TCIFLUSH)

    def _readable(self) -> None:
        try:
            # SIGTTIN stops a background job that reads its terminal.
            if not is_foreground(self._fd, closed=True):
                self._loop.remove_reader(self._fd)
                self._loop.call_later(LOOK_AGAIN, self._look_again)
                return
            self._feed(os.read(self._fd, _CHUNK))
        except OSError:
            self._feed(b"")  # the terminal has been closed

    def _look_again(self) -> None:
        """Read again: after the shell's `fg` the job may be in the foreground."""
        if not (self._ended or self._paused):
            self._loop.add_reader(self._fd, self._readable)

    def _resume(self) -> None:
        """Continue after SIGCONT, which the shell sends for `fg` and for `bg`."""
        if not (self._ended or self._paused):
            self._loop.add_reader(self._fd, self._readable)
            if is_foreground(self._fd, closed=False):
                self._returned()

    def _feed(self, data: bytes) -> None:
        if not data:
            self._take("")
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line.decode(sys.stdin.encoding or "utf-8", "replace") + "\n")

    def _take(self, line: str) -> None:
        """Take a line with its line end; an empty one is the end of input."""
        text = line.rstrip("\r\n")
        if not line:
            self.close()
        if self._question is not None and not self._question.done():
            self._question.set_result(text if line else None)
        elif text and (message := self._obey(text)):
            self.lines.put_nowait(message)
        elif line and not text:
            self._entered()
