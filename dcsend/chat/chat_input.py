"""Lines typed in a chat: a queue of lines to send, and a request to quit that passes it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

__all__ = ["ChatInput", "until_quit"]


class ChatInput:
    """Sorts typed lines, so that `/quit` does not wait for the lines before it.

    Args:
        lines: typed lines; None in it ends the chat. If it is None itself, no lines are typed.
    """

    def __init__(self, lines: asyncio.Queue[str | None] | None) -> None:
        self._lines = lines
        self.to_send: asyncio.Queue[str] = asyncio.Queue()
        self.quit = asyncio.Event()
        self.has_session = False
        "Whether a connected session waits for `quit` and ends the chat in order."

    def session_begins(self) -> None:
        """Note that a connected session waits for `quit` from now on."""
        self.has_session = True

    async def sort(self) -> None:
        """Sort lines; return when `quit` is set."""
        if self._lines is None:
            await self.quit.wait()
            return
        while (line := await self._lines.get()) is not None and line.strip() != "/quit":
            self.to_send.put_nowait(line)
        self.quit.set()


async def until_quit(chat: Coroutine[None, None, None], typed: ChatInput) -> None:
    """Run *chat*; a request to quit before there is a connection ends it at once."""
    running, sorting = asyncio.create_task(chat), asyncio.create_task(typed.sort())
    try:
        await asyncio.wait({running, sorting}, return_when=asyncio.FIRST_COMPLETED)
        if running.done() or typed.has_session:
            await running
    finally:
        for task in (running, sorting):
            task.cancel()
        await asyncio.gather(running, sorting, return_exceptions=True)
