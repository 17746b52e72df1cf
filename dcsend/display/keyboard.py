"""Lines typed at the terminal, without a thread that would keep the program from ending."""

from __future__ import annotations

import asyncio
import contextlib
import os
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
        self._rest = b""
        self._fd = -1
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Begin to read standard input, which must be a terminal."""
        self._fd = sys.stdin.fileno()
        try:
            self._loop.add_reader(self._fd, self._readable)
        except NotImplementedError:
            # Windows: the loop can't wait for a console.
            threading.Thread(target=self._read_forever, name="dcsend-keys", daemon=True).start()

    def close(self) -> None:
        """Stop reading; idempotent."""
        with contextlib.suppress(NotImplementedError, ValueError):
            self._loop.remove_reader(self._fd)

    async def ask(self) -> str | None:
        """Return the next line, or None at the end of input."""
        if self._ended:
            return None
        self._question = self._loop.create_future()
        try:
            return await self._question
        finally:
            self._question = None

    def _readable(self) -> None:
        try:
            # A background job that reads its terminal is stopped by SIGTTIN.
            if os.getpgrp() != os.tcgetpgrp(self._fd):
                self.close()
                return
            self._feed(os.read(self._fd, _CHUNK))
        except OSError:
            self._feed(b"")  # the terminal has been closed

    def _read_forever(self) -> None:
        while True:
            try:
                data = os.read(self._fd, _CHUNK)
            except OSError:
                data = b""
            try:
                self._loop.call_soon_threadsafe(self._feed, data)
            except RuntimeError:
                return  # the loop has ended
            if not data:
                return

    def _feed(self, data: bytes) -> None:
        if not data:
            self.close()
            self._ended = True
            self._line(None)
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.rstrip(b"\r").decode(sys.stdin.encoding or "utf-8", "replace"))

    def _line(self, line: str | None) -> None:
        if self._question is not None and not self._question.done():
            self._question.set_result(line)
        elif line:
            self.lines.put_nowait(line)
