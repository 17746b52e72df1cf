"""One thread for the blocking work of one transfer.

asyncio joins the threads of its own executor when the loop ends, so a blocked read from a terminal
or a dead network drive would keep the program from ending. This thread is a daemon.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from typing import TypeVar

from dcsend.threads import begin

__all__ = ["Worker"]

T = TypeVar("T")


class Worker:
    """Run functions one after the other, in the order of the calls of `run`."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        begin(self._work, name)

    async def run(self, function: Callable[[], T]) -> T:
        """Return what *function* returns; cancelling this call does not stop the function."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                value = function()
            except BaseException as exc:  # noqa: BLE001 - raised in the caller
                self._settle(loop, result, None, exc)
            else:
                self._settle(loop, result, value, None)

        self._jobs.put(job)
        return await result

    def close(self) -> None:
        """End the thread after the jobs it already has; does not wait."""
        self._jobs.put(None)

    def _work(self) -> None:
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
