"""Lines typed at the terminal, without a thread that would keep the program from ending."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading

__all__ = ["Keyboard"]

_CHUNK = 4096
"Bytes read at once: the longest line that a terminal in cooked mode hands over."


class Keyboard:
    """Splits what is typed into lines: to a question if one is open, else to `lines`."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        "What was typed while nothing was asked."
        self._question: asyncio.Future[str | None] | None = None
        self._ended = False
        "Whether input has come to its end, so that no answer will ever come."
        self._rest = b""
        self._fd = -1
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Begin to read standard input, which must be a terminal."""
        self._fd = sys.stdin.fileno()
        try:
            self._loop.add_reader(self._fd, self._readable)
            self._loop.add_signal_handler(signal.SIGCONT, self._resume)
        except (NotImplementedError, AttributeError):
            # Windows: the loop can't wait for a console, and there is no SIGCONT.
            threading.Thread(target=self._read_forever, name="dcsend-keys", daemon=True).start()

    def close(self) -> None:
        """Stop reading; idempotent."""
        self._ended = True
        with contextlib.suppress(NotImplementedError, AttributeError, ValueError):
            self._loop.remove_reader(self._fd)
            self._loop.remove_signal_handler(signal.SIGCONT)

    def pause(self) -> None:
        """Leave the terminal to somebody else for a while."""
        with contextlib.suppress(NotImplementedError, AttributeError, ValueError):
            self._loop.remove_reader(self._fd)
            self._loop.remove_signal_handler(signal.SIGCONT)

    def resume(self) -> None:
        """Read again."""
        if not self._ended:
            with contextlib.suppress(NotImplementedError, AttributeError, ValueError):
                self._loop.add_reader(self._fd, self._readable)
                self._loop.add_signal_handler(signal.SIGCONT, self._resume)

    async def ask(self) -> str | None:
        """Return the next line; None at the end of input, which is no answer."""
        if self._ended:
            return None
        self._question = self._loop.create_future()
        try:
            return await self._question
        finally:
            self._question = None

    def forget(self) -> None:
        """Drop what was typed and not ended by Enter: it was meant for a question that is gone."""
        self._rest = b""
        with contextlib.suppress(ImportError, OSError):
            import termios

            with contextlib.suppress(termios.error):
                termios.tcflush(self._fd, termios.TCIFLUSH)

    def _readable(self) -> None:
        try:
            # A background job that reads its terminal is stopped by SIGTTIN.
            if os.getpgrp() != os.tcgetpgrp(self._fd):
                self._loop.remove_reader(self._fd)
                return
            self._feed(os.read(self._fd, _CHUNK))
        except OSError:
            self._feed(b"")  # the terminal has been closed

    def _resume(self) -> None:
        """Read again: the shell's `fg` has given us the terminal."""
        if not self._ended:
            self._loop.add_reader(self._fd, self._readable)

    def _read_forever(self) -> None:
        line = "\n"
        while line:
            try:
                # As text: Python asks a Windows console for Unicode.
                line = sys.stdin.readline()
            except (OSError, ValueError):
                line = ""
            try:
                self._loop.call_soon_threadsafe(self._take, line)
            except RuntimeError:
                return  # the loop has ended

    def _feed(self, data: bytes) -> None:
        if not data:
            self._take("")
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line.decode(sys.stdin.encoding or "utf-8", "replace") + "\n")

    def _take(self, line: str) -> None:
        """Hand a line with its end over; an empty one is the end of input."""
        text = line.rstrip("\r\n")
        if not line:
            self.close()
        if self._question is not None and not self._question.done():
            self._question.set_result(text if line else None)
        elif text:
            self.lines.put_nowait(text)
