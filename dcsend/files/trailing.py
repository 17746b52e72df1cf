"""SHA-256 of the beginning of a file, computed in a thread behind its writer or its reader.

A transfer that is continued sends its first new byte at once. The bytes before it are read and
hashed meanwhile, and then those that have followed, until the thread is so close to the writer or
reader that they continue with its hasher.

    follow ─> thread hashes ─> ... ─> catch_up returns the hasher, and the thread ends

The thread has a descriptor of its own. On Linux it has the lowest priority, because the network and
the disk thread need the processor, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final, NamedTuple

from dcsend.files.disk import close_quietly
from dcsend.files.holes import Holes
from dcsend.files.intake import zeros
from dcsend.files.journal import Point
from dcsend.threads import begin

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["Changed", "Checked", "Trailing"]

_BLOCK: Final = 1 << 20
"Bytes read at once."
_ZEROS: Final = 8 << 20
"Bytes of a hole that are hashed at once."
_NEAR: Final = 4 << 20
"Bytes that the writer or reader hashes itself: in 3 ms with SHA extensions, otherwise in 15 ms."
_NICE: Final = 19
"""Priority of the thread on Linux, the lowest. On two cores with a load of 20 to 27, a transfer of
200 MB over loopback ran at 98 to 128 MB/s beside it; at 16 to 111 with 10, and 8 to 53 with 0."""


class Changed(Exception):
    """The file differs from a digest, or is shorter than it was.

    Args:
        good: bytes before that are as they were.
        bad: the bytes [good, bad) have been changed.
    """

    def __init__(self, good: int, bad: int) -> None:
        super().__init__(f"bytes {good} to {bad} have been changed")
        self.good = good
        self.bad = bad


class Checked(NamedTuple):
    """How much of what was received earlier has been read and hashed."""

    path: str
    "Of the entry."
    done: int
    "Bytes that are hashed."
    total: int
    "Bytes that were received earlier."


class Trailing:
    """Hashes a file from its start to where it is written or read.

    Args:
        fd: of the file, at its start; owned by this object.
        size: bytes in which holes are looked for.
        points: digests to compare on the way, in ascending order; closed here.

    Raises:
        OSError: a system call failed.
    """

    def __init__(self, fd: int, size: int, points: Generator[Point, None, None] | None) -> None:
        self._fd = fd
        self._size = size
        self._points = points
        self._holes = Holes(fd, size, os.fstat(fd))
        self._hasher = hashlib.sha256()
        self._since = hashlib.sha256()
        "Hasher of the bytes since the last point, if the next one needs it."
        self._good = 0
        "Offset of the last point that agrees."
        self._before = self._hasher.copy()
        "Hasher of the bytes before that offset."
        self._next: Point | None = None
        self._position = 0
        self._limit = 0
        self._wake = threading.Condition()
        self._stopped = False
        self._closed = False
        self._nice = _NICE
        self._ended: threading.Event | None = None
        "Set when the thread has ended; None if none was begun."
        self._error: Exception | None = None
        self._advance_point()

    @property
    def position(self) -> int:
        """Bytes that are hashed."""
        return self._position

    @property
    def is_busy(self) -> bool:
        """Whether bytes that `follow` has allowed are not hashed yet."""
        return self._error is None and self._position < self._limit

    def follow(self, limit: int) -> None:
        """Allow the thread to read the first *limit* bytes.

        Raises:
            Changed: a digest differs.
            OSError: the file can't be read.
        """
        with self._wake:
            self._limit = limit
            self._wake.notify_all()
        self._raise()
        if self._ended is None:
            self._begin()

    def catch_up(self, limit: int) -> _Hash | None:
        """Return the hasher of the first *limit* bytes and end, if few are left; else `follow`.

        Raises:
            Changed: a digest differs.
            OSError: the file can't be read.
        """
        self._raise()
        if limit - self._position > _NEAR:
            self.follow(limit)
            return None
        return self.finish(limit)

    def resume(self) -> None:
        """Continue at the last point that agrees, after `Changed`; then `follow`."""
        if self._ended is not None:
            self._ended.wait()
        self._error = self._ended = None
        self._stopped = False
        self._hasher, self._since = self._before.copy(), hashlib.sha256()
        self._position = os.lseek(self._fd, self._good, os.SEEK_SET)
        self._holes = Holes(self._fd, self._size, os.fstat(self._fd))

    def hurry(self) -> None:
        """Continue in a thread with the usual priority: nothing else is left to do."""
        with self._wake:
            if self._nice and self._ended is not None:
                self._nice = 0
                with contextlib.suppress(OSError):  # the one that works goes on
                    self._begin(after=self._ended)
                self._wake.notify_all()

    def finish(self, limit: int, wanted: Callable[[], bool] = lambda: True) -> _Hash | None:
        """Hash the rest of the first *limit* bytes in this thread, and end, unless it raises.

        Args:
            limit: bytes of the file.
            wanted: asked after each MiB.

        Returns:
            The hasher; None if it was not wanted any more.

        Raises:
            Changed: a digest differs.
            OSError: the file can't be read.
        """
        self._stop()
        self._raise()
        while self._position < limit:
            if not wanted():
                self._release()
                return None
            try:
                self._step(limit)
            except (OSError, Changed) as error:
                self._error = error
                raise
        self._release()
        return self._hasher

    def close(self, *, wait: bool = False) -> None:
        """End the thread, and wait for it only if asked to; never raises."""
        if wait:
            self._stop()
        with self._wake:
            self._stopped = self._closed = True
            self._wake.notify_all()
            if self._ended is None or self._ended.is_set():
                self._release()

    # --- the thread

    def _begin(self, after: threading.Event | None = None) -> None:
        """Begin a thread that works when the one that sets *after* has ended.

        Only the creator of a thread can give it a priority that is not lower than its own.
        """
        ended = self._ended = threading.Event()
        nice = self._nice

        def work() -> None:
            if after is not None:
                after.wait()
            _lower_priority(nice)
            try:
                self._work(ended)
            finally:
                with self._wake:
                    ended.set()
                    if self._closed and self._ended is ended:
                        self._release()

        try:
            begin(work, "dcsend-check")
        except OSError:
            self._ended = after
            raise

    def _work(self, mine: threading.Event) -> None:
        """Hash until another thread takes over: the caller, or one that *mine* is not of."""
        while self._error is None:
            with self._wake:
                while self._position >= self._limit and not self._stopped and self._ended is mine:
                    self._wake.wait()
                if self._stopped or self._ended is not mine:
                    return
                limit = self._limit
            try:
                self._step(limit)
            except Exception as error:  # noqa: BLE001 - raised in the caller
                self._error = error

    def _stop(self) -> None:
        """End the thread, and wait for it."""
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        if self._ended is not None:
            self._ended.wait()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _release(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            close_quietly(fd)
        if self._points is not None:
            with contextlib.suppress(OSError):
                self._points.close()
            self._points = None

    # --- hashing

    def _step(self, limit: int) -> None:
        """Hash the next bytes, at most to *limit*."""
        point = self._next
        end = limit if point is None else min(limit, point.offset)
        position = self._position
        if self._holes.sparse and position < self._size:
            first, last = self._holes.at(position)
            if first <= position:
                length = min(last, end, position + _ZEROS) - position
                for block in zeros(length):
                    self._add(block)
                self._pass(position + length)
                return
            end = min(end, first)
        piece = os.read(self._fd, min(_BLOCK, end - position))
        if not piece:
            raise Changed(self._good, limit)
        self._add(piece)
        self._pass(position + len(piece))

    def _add(self, block: bytes | memoryview) -> None:
        self._hasher.update(block)
        if self._next is not None and self._next.start:
            self._since.update(block)

    def _pass(self, position: int) -> None:
        """Compare the digest, if there is one of the first *position* bytes."""
        point = self._next
        if point is not None and position == point.offset:
            hasher = self._since if point.start else self._hasher
            if hasher.digest() != point.sha256:
                raise Changed(self._good, point.offset)
            self._good = point.offset
            self._before = self._hasher.copy()
            self._advance_point()
        self._position = position

    def _advance_point(self) -> None:
        self._next = None if self._points is None else next(self._points, None)
        self._since = hashlib.sha256()


if sys.platform == "linux":

    def _lower_priority(nice: int) -> None:
        # On Linux the priority is that of one thread (setpriority(2), "C library/kernel
        # differences"), and new threads inherit that of the thread that begins them.
        if nice:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)

else:

    def _lower_priority(nice: int) -> None:
        """Elsewhere a priority is that of the process."""
