"""Make many files survive a crash: in one call where Linux can, else many calls at a time.

The threads are daemons: a `ThreadPoolExecutor` is waited for when Python ends, which
would keep the program alive as long as a disk that no longer answers. Must not import
the rest of `files`.
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

from dcsend.processor import apart

__all__ = ["MANY", "THREADS", "Calls", "Together", "can_sync_file_systems", "sync_file_systems"]

MANY: Final = 32
"""Files for which syncing all of their file system is the cheaper way: 16 to 40 us for each of 256
or more where eight threads of `fsync` took 80 to 110 (ext4, Linux 6.18), and a fraction of the
processor's time. It also writes what others have changed there."""
_TRUSTED: Final = (5, 8)
"The Linux from which on `syncfs` tells of errors that other writes have had (syncfs(2))."

THREADS: Final = 8
"Enough for the system to write them as one; more gained nothing on ext4 and NVMe."

_Call: TypeAlias = Callable[[], None]
_Done: TypeAlias = SimpleQueue[tuple[int, Exception | None]]
_Work: TypeAlias = SimpleQueue[tuple[int, _Call, _Done] | None]


def can_sync_file_systems() -> bool:
    """Tell whether `sync_file_systems` does anything here."""
    return _SYNCFS is not None


def sync_file_systems(descriptors: Iterable[int]) -> None:
    """Write all that these files' file systems have not written yet.

    Args:
        descriptors: the first of each file system is asked, and hears of errors since it was
            opened only: put what was opened first there.

    Raises:
        OSError: something could not be written, or this system can't.
    """
    if _SYNCFS is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    first: dict[int, int] = {}
    for descriptor in descriptors:
        first.setdefault(os.fstat(descriptor).st_dev, descriptor)
    for descriptor in first.values():
        if _SYNCFS(descriptor):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))


def _find_syncfs() -> Callable[[int], int] | None:
    """Return the system call that Python has no name for."""
    if sys.platform != "linux":
        return None
    version = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
    call: Callable[[int], int] | None = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    return call if version >= _TRUSTED else None


_SYNCFS: Final = _find_syncfs()


class Calls:
    """Calls that threads of a `Together` carry out; to be waited for before it is closed."""

    def __init__(self, count: int, done: _Done) -> None:
        self._done = done
        self._errors: list[OSError | None] = [None] * count
        self._left = count
        self._fault: Exception | None = None

    @property
    def are_done(self) -> bool:
        """Whether `wait` would not wait."""
        return self._done.qsize() >= self._left

    def wait(self) -> list[OSError | None]:
        """Return, in their order, what each raised.

        Raises:
            Exception: what a call raised that is no `OSError`, after all are done.
        """
        while self._left:
            index, outcome = self._done.get()
            self._left -= 1
            if outcome is None or isinstance(outcome, OSError):
                self._errors[index] = outcome
            else:
                self._fault = outcome
        if self._fault is not None:
            raise self._fault
        return self._errors


class Together:
    """A few threads, started when they are needed first."""

    def __init__(self) -> None:
        self._work: _Work = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def begin(self, calls: Sequence[_Call]) -> Calls:
        """Hand *calls* to the threads, behind what they have already."""
        self._start(min(THREADS, len(calls)))
        done: _Done = SimpleQueue()  # its own, so that no answer gets to somebody else
        for index, call in enumerate(calls):
            self._work.put((index, call, done))
        return Calls(len(calls), done)

    def close(self) -> None:
        """End the threads."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _start(self, count: int) -> None:
        while len(self._threads) < count:
            name = f"dcsend-sync-{len(self._threads)}"
            thread = threading.Thread(target=_serve, args=(self._work,), name=name, daemon=True)
            with apart():
                thread.start()
            self._threads.append(thread)


def _serve(work: _Work) -> None:
    while (item := work.get()) is not None:
        index, call, done = item
        try:
            call()
        except Exception as error:  # noqa: BLE001 - handed to the caller, whatever it is
            done.put((index, error))
        else:
            done.put((index, None))
