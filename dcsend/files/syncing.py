"""Making files durable: one `syncfs` call where Linux has it, otherwise `fsync` on several threads.

The threads are daemons. Python waits for those of a `ThreadPoolExecutor` when it exits, which would
keep the program alive for as long as a disk does not respond. Imports nothing else of `files` but
`disk`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from typing import Final, TypeAlias

from dcsend.files.disk import NO_SYNC

__all__ = [
    "FILE_SYSTEM_SYNC",
    "MANY",
    "SYNCFS",
    "THREADS",
    "FileSystemSync",
    "PendingSyncs",
    "SyncPool",
    "sync_file_systems",
]

MANY: Final = 32
"""Files of one sync for which `syncfs` is used. With 256 or more it took 16 to 40 us for each file;
eight threads of `fsync` took 80 to 110 us (ext4, Linux 6.18) and many times the processor time.
`syncfs` also writes the changes of other programs."""
_MIN_LINUX: Final = (5, 8)
"First Linux release whose `syncfs` returns errors of earlier writes (syncfs(2))."

THREADS: Final = 8
"Threads of `fsync`; with more, no gain was measured on ext4 and NVMe."

_Call: TypeAlias = Callable[[], None]
_Results: TypeAlias = SimpleQueue[tuple[int, Exception | None]]
_Work: TypeAlias = SimpleQueue[tuple[int, _Call, _Results] | None]


def _find_syncfs() -> Callable[[int], int] | None:
    """Return the system call, which the standard library does not have."""
    if sys.platform != "linux":
        return None
    release = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
    call: Callable[[int], int] | None = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    return call if release >= _MIN_LINUX else None


SYNCFS: Final = _find_syncfs()
"The system call `syncfs`; None on systems without a usable one."


def sync_file_systems(
    descriptors: Iterable[int], syncfs: Callable[[int], int] | None = SYNCFS
) -> None:
    """Write all unwritten data of the file systems of these open files.

    Args:
        descriptors: open files. The first one of each file system is used; the system reports
            errors since that file was opened, so the one that was opened first comes first.
        syncfs: the system call.

    Raises:
        OSError: data could not be written, or this system has no `syncfs`.
    """
    if syncfs is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    first: dict[int, int] = {}
    for descriptor in descriptors:
        first.setdefault(os.fstat(descriptor).st_dev, descriptor)
    for descriptor in first.values():
        if syncfs(descriptor):
            error = ctypes.get_errno()
            if error in NO_SYNC:
                continue  # as in `disk.sync`
            raise OSError(error, os.strerror(error))


FileSystemSync: TypeAlias = Callable[[Sequence[int]], None]
"As `sync_file_systems`, with the descriptors."

FILE_SYSTEM_SYNC: Final[FileSystemSync | None] = None if SYNCFS is None else sync_file_systems
"`sync_file_systems`; None on systems without `syncfs`."


class PendingSyncs:
    """Calls that the threads of a `SyncPool` carry out; wait for them before closing the pool."""

    def __init__(self, count: int, results: _Results) -> None:
        self._results = results
        self._errors: list[OSError | None] = [None] * count
        self._left = count
        self._unexpected: Exception | None = None

    @property
    def is_done(self) -> bool:
        """Whether `wait` returns at once."""
        return self._results.qsize() >= self._left

    def wait(self) -> list[OSError | None]:
        """Wait for all calls and return the error of each, in their order.

        Raises:
            Exception: an exception of a call that is not an `OSError`, after all calls have ended.
        """
        while self._left:
            index, error = self._results.get()
            self._left -= 1
            if error is None or isinstance(error, OSError):
                self._errors[index] = error
            else:
                self._unexpected = error
        if self._unexpected is not None:
            raise self._unexpected
        return self._errors


class SyncPool:
    """At most `THREADS` threads, each started when it is first needed."""

    def __init__(self) -> None:
        self._work: _Work = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, calls: Sequence[_Call]) -> PendingSyncs:
        """Queue *calls* for the threads."""
        self._start(min(THREADS, len(calls)))
        results: _Results = SimpleQueue()
        for index, call in enumerate(calls):
            self._work.put((index, call, results))
        return PendingSyncs(len(calls), results)

    def close(self) -> None:
        """Carry out the queued calls, then end the threads."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _start(self, count: int) -> None:
        while len(self._threads) < count:
            name = f"dcsend-sync-{len(self._threads)}"
            thread = threading.Thread(target=_run, args=(self._work,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)


def _run(work: _Work) -> None:
    while (item := work.get()) is not None:
        index, call, results = item
        try:
            call()
        except Exception as error:  # noqa: BLE001 - raised or returned by `PendingSyncs.wait`
            results.put((index, error))
        else:
            results.put((index, None))
