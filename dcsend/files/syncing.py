"""Call slow system calls, such as syncing a file to disk, many at a time.

The threads are daemons: a `ThreadPoolExecutor` is waited for when Python ends, which
would keep the program alive as long as a disk that no longer answers. Must not import
the rest of `files`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Final, TypeAlias

__all__ = ["THREADS", "Together"]

THREADS: Final = 8
"Enough for the system to write them as one; more gained nothing on ext4 and NVMe."

_Call: TypeAlias = Callable[[], None]
_Done: TypeAlias = SimpleQueue[tuple[int, Exception | None]]
_Work: TypeAlias = SimpleQueue[tuple[int, _Call, _Done] | None]


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
