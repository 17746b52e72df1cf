"""Making a part durable while it is written, so that a power cut costs at most 128 MiB of it.

note ─ INTERVAL since the last ─► thread: sync of the part, of its journal, at first of its folder
  └─── MAX_UNSYNCED are not durable ─► waits for that thread

The journal follows the part, so its durable lines are of bytes that are durable. Without this a
power cut costs what the system has not written by itself: on Linux, up to a fifth of the memory.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Final

from dcsend.files.disk import close_quietly, sync
from dcsend.files.folder import Folder
from dcsend.threads import begin

__all__ = ["INTERVAL", "MAX_UNSYNCED", "IntervalSync"]

INTERVAL: Final = 32 << 20
"Bytes from the beginning of one sync to that of the next, where the disk keeps up."
MAX_UNSYNCED: Final = 112 << 20
"""Bytes that are written and not durable, at most, of all files of a run; see
`FolderWriter.apply`. With those after the last line of the journal, and those of one portion, they
are less than 128 MiB."""


class IntervalSync:
    """The syncs of one part.

    Args:
        folder: of the part.
        part: descriptor of the part.
        journal: descriptor of its journal.
        position: bytes of the part that are durable, or that another run has written.
    """

    def __init__(self, folder: Folder, part: int, journal: int, position: int) -> None:
        self._files = (part, journal)
        self._folder: Folder | None = folder
        "The folder of the part, until it was synced once; then None."
        self._begun = self._durable = position
        self._ended: threading.Event | None = None
        "Set when the present sync has ended; None if there is none."
        self._error: OSError | None = None

    @property
    def durable(self) -> int:
        """Bytes of the part that are durable."""
        return self._durable if self._is_running else self._begun

    @property
    def _is_running(self) -> bool:
        return self._ended is not None and not self._ended.is_set()

    def note(self, position: int) -> None:
        """Begin a sync if it is time for one.

        Args:
            position: bytes of the part that are written.

        Raises:
            OSError: the sync before has failed.
        """
        if self._is_running and position - self._durable < MAX_UNSYNCED:
            return
        self.settle()
        if position - self._begun >= INTERVAL:
            self._begin(position)

    def settle(self) -> None:
        """Wait for the sync that is running.

        The system reports an error of a write once, so a sync that follows would not raise it.

        Raises:
            OSError: it, or one before it, has failed.
        """
        if self._ended is not None:
            self._ended.wait()
            self._ended = None
            self._durable = self._begun
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Wait where an open file can't be renamed or removed; elsewhere the sync goes on."""
        if os.name == "nt" and self._ended is not None:
            self._ended.wait()

    def _begin(self, position: int) -> None:
        """Sync what is written, in a thread with descriptors of its own."""
        wanted = [*self._files]
        if self._folder is not None and self._folder.fd is not None:
            wanted.append(self._folder.fd)
        copies: list[int] = []
        ended = threading.Event()

        def work() -> None:
            try:
                self._sync(copies)
            finally:
                ended.set()

        try:
            for fd in wanted:
                copies.append(os.dup(fd))  # noqa: PERF401 - those before an error are closed
            begin(work, "dcsend-interval-sync")
        except OSError:
            self._close(copies)
            return  # too many descriptors or threads; the next call tries again
        self._begun, self._folder, self._ended = position, None, ended

    def _sync(self, copies: Sequence[int]) -> None:
        try:
            for fd in copies:
                sync(fd)
        except OSError as error:
            self._error = error
        finally:
            self._close(copies)

    @staticmethod
    def _close(copies: Sequence[int]) -> None:
        for fd in copies:
            close_quietly(fd)
