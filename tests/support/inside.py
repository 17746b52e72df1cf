"""Event loops in network namespaces, several at a time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final, TypeVar

from tests.support.netns import Host, enter

__all__ = ["Inside", "inside"]

T = TypeVar("T")

_SECONDS: Final = 60.0
"What a coroutine is granted."


class Inside:
    """An event loop in a thread whose sockets are those of one host."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on this host and return its result."""
        return self.start(work).result(_SECONDS)

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on this host."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    @contextmanager
    def within(self, manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Enter an asynchronous context on this host, in one task."""
        leave = asyncio.Event()
        entered: asyncio.Future[T] = self.run(_future())

        async def main() -> None:
            try:
                async with manager as value:
                    entered.set_result(value)
                    await leave.wait()
            except BaseException as exc:
                if not entered.done():
                    entered.set_exception(exc)
                raise

        async def enter() -> T:
            return await entered

        result = self.start(main())
        try:
            yield self.run(enter())
        finally:
            self._loop.call_soon_threadsafe(leave.set)
            result.result(_SECONDS)


async def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


@contextmanager
def inside(*hosts: Host) -> Iterator[list[Inside]]:
    """Run an event loop on each host."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_inside(host)) for host in hosts]


@contextmanager
def _inside(host: Host) -> Iterator[Inside]:
    ready: list[asyncio.AbstractEventLoop] = []
    is_ready, end = threading.Event(), asyncio.Event()

    async def main() -> None:
        ready.append(asyncio.get_running_loop())
        is_ready.set()
        await end.wait()

    def run() -> None:
        try:
            enter(host.namespace)
            asyncio.run(main())
        finally:
            is_ready.set()

    thread = threading.Thread(target=run, name=f"inside {host.namespace}")
    thread.start()
    is_ready.wait()
    assert ready, f"cannot enter {host.namespace}"
    try:
        yield Inside(ready[0])
    finally:
        ready[0].call_soon_threadsafe(end.set)
        thread.join()
