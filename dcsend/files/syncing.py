"""Make many files survive a crash: in one call where Linux can, else many calls at a time.

The threads are daemons: a `ThreadPoolExecutor` is waited for when Python ends, which
would keep the program alive as long as a disk that no longer answers. Must not import
the rest of `files`.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from typing import Final, TypeAlias

__all__ = ["MANY", "THREADS", "Together", "can_sync_file_systems", "sync_file_systems"]

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


def sync_file_systems(descriptors: Iterable[int]) -> bool:
    """Write all that these files' file systems have not written yet.

    Returns:
        False if this system can't, or does not tell whether it could; nothing is done then.

    Raises:
        OSError: something could not be written.
    """
    if _SYNCFS is None:
        return False
    for descriptor in {os.fstat(one).st_dev: one for one in descriptors}.values():
        if _SYNCFS(descriptor):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    return True


def _find_syncfs() -> Callable[[int], int] | None:
    """Return the system call that Python has no name for."""
    if sys.platform != "linux":
        return None
    version = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
    call: Callable[[int], int] | None = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    return call if version >= _TRUSTED else None


_SYNCFS: Final = _find_syncfs()


class Together:
    """A few threads, started when they are needed first."""

    def __init__(self) -> None:
        self._work: _Work = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._under_way = 0
        "Calls handed to the threads and not yet heard of."

    def run(self, calls: Sequence[_Call]) -> list[OSError | None]:
        """Call all of *calls* and return, in their order, what each raised.

        Raises:
            Exception: what a call raised that is no `OSError`, after all are done.
        """
        errors: list[OSError | None] = [None] * len(calls)
        if len(calls) == 1:
            try:
                calls[0]()
            except OSError as error:
                errors[0] = error
            return errors
        self._start(min(THREADS, len(calls)))
        done: _Done = SimpleQueue()  # its own, so that no late answer gets into the next run
        for index, call in enumerate(calls):
            self._work.put((index, call, done))
        self._under_way += len(calls)
        fault: Exception | None = None
        for _ in calls:
            index, outcome = done.get()
            self._under_way -= 1
            if outcome is None or isinstance(outcome, OSError):
                errors[index] = outcome
            else:
                fault = outcome
        if fault is not None:
            raise fault
        return errors

    def close(self) -> None:
        """End the threads; those that are stuck end with their call, or with Python."""
        for _ in self._threads:
            self._work.put(None)
        if not self._under_way:
            for thread in self._threads:
                thread.join()
        self._threads.clear()

    def _start(self, count: int) -> None:
        while len(self._threads) < count:
            name = f"dcsend-sync-{len(self._threads)}"
            thread = threading.Thread(target=_serve, args=(self._work,), name=name, daemon=True)
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
