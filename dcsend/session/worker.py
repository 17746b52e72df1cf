"""One thread for the blocking work of one transfer.

asyncio's own executor is joined when the loop ends: a read from a terminal or a dead
network drive would then keep the program from ending. This thread is a daemon.
"""

from __future__ import annotations

import asyncio
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from dcsend.processor import Place, go, stay

__all__ = ["NEAR", "Worker", "refuse_signals"]

T = TypeVar("T")

NEAR: Final = 32 << 10
"Bytes: files of this size, or smaller, are read and written sooner `near` the loop."


def refuse_signals() -> None:
    """Let no signal be delivered to this thread.

    Python handles signals in the main thread only. One that another thread is given does not wake
    the main thread from a system call, so it is noticed when that call ends, perhaps never.
    """
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


class Worker:
    """Runs functions one after the other, in the order of `run`."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, function: Callable[[], T], *, near: bool = False) -> T:
        """Return what *function* returns; a cancelled call does not stop it.

        Args:
            function: called by the thread.
            near: on the processor of this one, which stays there meanwhile; see `processor`.
        """
        if not near:
            return await self._run(function, None)
        with stay() as place:
            return await self._run(function, place)

    async def _run(self, function: Callable[[], T], place: Place | None) -> T:
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            go(place)
            try:
                value = function()
            except BaseException as exc:  # noqa: BLE001 - handed to the caller, whatever it is
                self._settle(loop, result, None, exc)
            else:
                self._settle(loop, result, value, None)

        self._jobs.put(job)
        return await result

    def close(self) -> None:
        """End the thread once it has done what it was given; does not wait."""
        self._jobs.put(None)

    def _work(self) -> None:
        refuse_signals()
        while (job := self._jobs.get()) is not None:
            job()

    @staticmethod
    def _settle(
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[T],
        value: T | None,
        error: BaseException | None,
    ) -> None:
        def deliver() -> None:
            if future.done():
                return  # cancelled meanwhile
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)  # type: ignore[arg-type]  # None only where T is None

        try:
            loop.call_soon_threadsafe(deliver)
        except RuntimeError:
            return  # the loop has ended
