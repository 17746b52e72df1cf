"""What the simulation puts in the place of the system, of threads and of limits.

os, open, fcntl, random letters    in `dcsend.files`: the disk in memory
threads                            jobs of the event loop, at times that the seed chooses
limits                             smaller, so that a short transfer has as many steps
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeVar

from dcsend.files import (
    committing,
    directory_sink,  # noqa: F401 - loads all of them
    folder,
    folder_writer,
    interval_sync,
    journal,
    locking,
    planning,
    reading,
    resuming,
    room,
    source,
    trailing,
)
from dcsend.files.journal import Point
from dcsend.session import conversation, lasting
from dcsend.session.worker import Worker
from tests.simulation.process import CURRENT
from tests.simulation.system import FCNTL, SYSTEM, open_stream

__all__ = ["INTERVAL", "MIN_SIZE", "SimulatedWorker", "simulated"]

T = TypeVar("T")

INTERVAL: Final = 32 << 10
"Bytes between two lines of a journal: a 256th."
MIN_SIZE: Final = 32 << 10
_LIMITS: Final[Sequence[tuple[Any, str, object]]] = (
    (journal, "INTERVAL", INTERVAL),
    (journal, "MIN_SIZE", MIN_SIZE),
    (resuming, "MIN_SIZE", MIN_SIZE),
    (interval_sync, "INTERVAL", 48 << 10),
    (interval_sync, "MAX_UNSYNCED", 160 << 10),
    (folder_writer, "MAX_UNSYNCED", 160 << 10),
    (trailing, "_NEAR", 16 << 10),
    (trailing, "_BLOCK", 4 << 10),
    (lasting, "_RECEIPT_MESSAGES", 8),
)


class SimulatedWorker(Worker):
    """The disk thread: each function runs at once, at a time of its own."""

    def __init__(self, name: str) -> None:
        self._process = CURRENT.get()
        self._name = name
        self._waiting: list[Callable[[], None]] = []

    async def run(self, function: Callable[[], T]) -> T:
        """Return what *function* returns; cancelling this call does not stop the function."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        process = self._process

        def job() -> None:
            try:
                value = function()
            except BaseException as exc:  # noqa: BLE001 - raised in the caller
                loop.call_later(process.delay(), deliver, None, exc)
            else:
                loop.call_later(process.delay(), deliver, value, None)

        def deliver(value: T | None, error: BaseException | None) -> None:
            self._waiting.pop(0)
            process.working -= 1
            if self._waiting:
                loop.call_later(process.delay(), self._waiting[0])
            if process.dead or result.done():
                return
            if error is not None:
                result.set_exception(error)
            else:
                result.set_result(value)  # type: ignore[arg-type]  # None only where T is None

        process.working += 1
        self._waiting.append(job)
        if len(self._waiting) == 1:
            loop.call_later(process.delay(), job)
        return await result

    def close(self) -> None:
        """Do nothing."""


class _Event(threading.Event):
    """Waits by doing what other threads would do."""

    def wait(self, timeout: float | None = None) -> bool:
        CURRENT.get().wait(self.is_set)
        return True


class _Syncs:
    """As `syncing.PendingSyncs`."""

    def __init__(self, count: int) -> None:
        self.errors: list[OSError | None] = [None] * count
        self.left = count

    @property
    def is_done(self) -> bool:
        return not self.left

    def wait(self) -> list[OSError | None]:
        CURRENT.get().wait(lambda: self.is_done)
        return self.errors


class _SyncPool:
    """As `syncing.SyncPool`."""

    def submit(self, calls: Sequence[Callable[[], None]]) -> _Syncs:
        syncs = _Syncs(len(calls))
        for number, call in enumerate(calls):
            self._begin(syncs, number, call)
        return syncs

    @staticmethod
    def _begin(syncs: _Syncs, number: int, call: Callable[[], None]) -> None:
        def work() -> None:
            try:
                call()
            except OSError as error:
                syncs.errors[number] = error
            finally:
                syncs.left -= 1

        CURRENT.get().begin(work, "sync")

    def close(self) -> None:
        """Do nothing."""


class _Trailing(trailing.Trailing):
    """Hashes in jobs of the event loop, each of one step."""

    _idle = False

    def __init__(self, fd: int, size: int, points: Generator[Point, None, None] | None) -> None:
        self._process = CURRENT.get()
        super().__init__(fd, size, points)

    def follow(self, limit: int) -> None:
        super().follow(limit)
        self._kick()

    def resume(self) -> None:
        # A thread that `hurry` has begun after the error would end without a step.
        if self._error is not None and self._ended is not None:
            self._ended.set()
        super().resume()

    def close(self, *, wait: bool = False) -> None:
        super().close(wait=wait)
        self._kick()

    def _begin(self, after: threading.Event | None = None) -> None:
        self._ended = threading.Event()
        self._later(self._ended)

    def _stop(self) -> None:
        self._stopped = True
        if self._ended is not None:
            self._ended.set()

    def _kick(self) -> None:
        if self._idle and self._ended is not None:
            self._idle = False
            self._later(self._ended)

    def _later(self, mine: threading.Event) -> None:
        if not self._process.dead:
            loop = asyncio.get_running_loop()
            loop.call_later(self._process.delay(), self._tick, mine)

    def _tick(self, mine: threading.Event) -> None:
        if self._process.dead:
            return
        if self._stopped or self._ended is not mine or self._error is not None:
            mine.set()
            if self._closed and self._ended is mine:
                self._release()
            return
        if self._position >= self._limit:
            self._idle = True
            return
        try:
            self._step(self._limit)
        except (OSError, trailing.Changed) as error:
            self._error = error
            mine.set()
            return
        self._later(mine)


def _nearest_existing(path: Path) -> tuple[Path, Path | None]:
    missing = None
    while not SYSTEM.path.exists(str(path)):
        path, missing = path.parent, path
    return path, missing


def _seams() -> Iterator[tuple[Any, str, object]]:
    for name, module in list(sys.modules.items()):
        if name.startswith("dcsend.files.") and vars(module).get("os") is os:
            yield module, "os", SYSTEM
    yield journal, "open", open_stream
    yield locking, "fcntl", FCNTL
    yield folder, "rename_exclusive", SYSTEM.rename_exclusive
    yield planning, "check_root", lambda root, on_trial: None
    yield planning, "nearest_existing", _nearest_existing
    yield room, "nearest_existing", _nearest_existing
    yield room, "free_room", lambda path: None
    yield committing, "SyncPool", _SyncPool
    yield interval_sync, "threading", SimpleNamespace(Event=_Event)
    yield interval_sync, "begin", lambda work, name: CURRENT.get().begin(work, name)
    for module in (trailing, resuming, reading, source):
        yield module, "Trailing", _Trailing
    yield conversation, "random_letters", lambda: "simulatedletter"
    yield from _LIMITS


@contextlib.contextmanager
def simulated() -> Iterator[None]:
    """Let `dcsend.files` use the disk of the current process in place of the system."""
    missing = object()
    before: list[tuple[Any, str, object]] = []
    try:
        for module, name, value in _seams():
            before.append((module, name, vars(module).get(name, missing)))
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in reversed(before):
            if value is missing:
                delattr(module, name)
            else:
                setattr(module, name, value)
