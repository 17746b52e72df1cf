"""Output that does not block the event loop: a thread for each file writes its queue in order.

    loop ─ put ─► queue ─► thread ─ write ─► terminal, pipe or file

A `write` to a terminal that is stopped with Ctrl-S, or to a pipe that is not read, blocks its
thread. O_NONBLOCK does not help: it is a flag of the open file description, which the shell and
other programs share.

The queues are bounded because producers await `Outlets.room`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from dcsend.printable import system_reason
from dcsend.threads import begin, call_in_loop

__all__ = ["DRAIN_SECONDS", "MAX_QUEUED", "Outlet", "Outlets", "Write"]

MAX_QUEUED: Final = 64 << 20
"Bytes in the queue of one file above which `Outlets.room` waits."
DRAIN_SECONDS: Final = 0.5
"Seconds for which queued output is still written after a signal."

_UNREAD: Final = frozenset({errno.EPIPE, errno.ECONNRESET, errno.EIO})
"Errors of a file that has no reader any more; EIO is that of a closed terminal."

_NAMES: Final = {1: "standard output", 2: "standard error"}

Write = Callable[[bytes], None]
"Writes all bytes and may block; raises OSError or ValueError if the file has no reader any more."


@dataclass(slots=True, eq=False)
class _Item:
    """One entry of a queue."""

    write: Write
    pieces: Iterable[bytes]
    size: int
    "Bytes as far as known, at least 1."


class Outlet:
    """The queue of one file, and the thread that writes it."""

    def __init__(self, name: str, changed: Callable[[], None]) -> None:
        """Start the thread.

        Args:
            name: name of the thread.
            changed: called in the thread after each write.
        """
        self.size = 0
        "Bytes in the queue, including those that are being written."
        self.loss = ""
        "Why output was lost, such as a full disk; empty if none was lost, or there is no reader."
        self._changed = changed
        self._items: deque[_Item] = deque()
        self._passing: _Item | None = None
        "The item that the next *passing* one replaces."
        self._closed = False
        "Whether a write has failed."
        self._news = threading.Condition()
        begin(self._work, name)

    def put(self, write: Write, pieces: Iterable[bytes], size: int, *, passing: bool) -> None:
        """Queue output; the thread iterates over *pieces* and calls *write* with each.

        Args:
            write: see `Write`.
            pieces: the output.
            size: its bytes, as far as known.
            passing: whether it replaces a queued item that is *passing*, too.
        """
        item = _Item(write, pieces, max(1, size))
        with self._news:
            if self._closed:
                return
            if passing:
                if self._passing is not None:
                    self._items.remove(self._passing)
                    self.size -= self._passing.size
                self._passing = item
            self._items.append(item)
            self.size += item.size
            self._news.notify()

    def _work(self) -> None:
        while True:
            item = self._next()
            try:
                for piece in item.pieces:
                    item.write(piece)
            except (OSError, ValueError) as error:  # a closed pipe, a hung-up terminal, a full disk
                self._fail(error)
            else:
                with self._news:
                    self.size -= item.size
            self._changed()

    def _next(self) -> _Item:
        with self._news:
            while not self._items:
                self._news.wait()
            item = self._items.popleft()
            if item is self._passing:
                self._passing = None
            return item

    def _fail(self, error: OSError | ValueError) -> None:
        with self._news:
            if isinstance(error, OSError) and error.errno and error.errno not in _UNREAD:
                self.loss = system_reason(error)
            self._closed = True
            self._items.clear()
            self._passing = None
            self.size = 0


class Outlets:
    """The outlets of all files of a run; only `of` may be called in any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._outlets: dict[tuple[int, int], Outlet] = {}
        self._by_descriptor: dict[int, Outlet] = {}
        "The same outlets, by the first descriptor for which each was requested."
        self._written = asyncio.Event()
        "Set after a write, if `_watched`."
        self._watched = False
        "Whether a task waits for `_written`."

    def of(self, descriptor: int) -> Outlet:
        """Return the outlet of a file; descriptors of the same terminal or pipe share one.

        Thus output to standard output and to standard error appears in order.

        Raises:
            OSError: the descriptor is closed.
        """
        status = os.fstat(descriptor)
        key = (status.st_dev, status.st_ino)
        if not status.st_ino and not os.isatty(descriptor):
            key = (-1, descriptor)  # consoles and pipes have no inode number on Windows
        with self._lock:
            if key not in self._outlets:
                outlet = Outlet(f"dcsend-out-{descriptor}", self._notify)
                self._outlets[key] = self._by_descriptor[descriptor] = outlet
            return self._outlets[key]

    async def room(self, most: int = MAX_QUEUED) -> None:
        """Wait until no queue has more than *most* bytes."""
        while self._holds(most):
            # Set before the second check, so that a write after that check sets the event.
            self._watched = True
            self._written.clear()
            if self._holds(most):
                await self._written.wait()

    async def finish(
        self, interrupt: asyncio.Future[int], show: Callable[[str], None] | None = None
    ) -> None:
        """Wait until all queues are empty; after *interrupt* is set, at most DRAIN_SECONDS.

        Args:
            interrupt: set when a signal has come.
            show: called with a line about each file whose output is incomplete, such as one on a
                full disk.
        """
        await self._finish(interrupt)
        if show is not None and (losses := self._losses()):
            for loss in losses:
                show(f"dcsend: {loss}")
            await self._finish(interrupt)

    async def _finish(self, interrupt: asyncio.Future[int]) -> None:
        if not self._holds(0):
            return
        written = asyncio.create_task(self.room(0))
        either: set[asyncio.Future[Any]] = {written, interrupt}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not written.done():
            await asyncio.wait({written}, timeout=DRAIN_SECONDS)
            written.cancel()

    def _losses(self) -> list[str]:
        return [
            f"{_NAMES.get(descriptor, 'the output of --json-to')} is incomplete: {outlet.loss}"
            for descriptor, outlet in tuple(self._by_descriptor.items())
            if outlet.loss
        ]

    def _holds(self, more_than: int) -> bool:
        return any(outlet.size > more_than for outlet in tuple(self._outlets.values()))

    def _notify(self) -> None:
        if self._watched:
            self._watched = False
            call_in_loop(self._loop, self._written.set)
