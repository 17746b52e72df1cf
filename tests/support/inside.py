"""Event loops in network namespaces, several at a time."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final, TypeVar

import pytest

from dcsend.net.interfaces import own_addresses
from tests.support.netns import Host, Lan, MakeLan, enter
from tests.support.peers import until

__all__ = ["Inside", "has", "inside", "linked"]

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

    def cancel(self, work: Future[T]) -> None:
        """Cancel what `start` has started, and wait for its end.

        The end of the loop would cancel it once more, in the middle of closing its sockets.
        """
        work.cancel()
        self.run(_cancelled())

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


@pytest.fixture
def linked(lan: MakeLan) -> MakeLan:
    """Make networks as `lan` does, whose interfaces all have a link when they are returned."""

    def make(*arguments: Any, **options: Any) -> Lan:  # noqa: ANN401 - those of `lan`
        made = lan(*arguments, **options)
        for host in made.hosts:
            for address in filter(None, (host.ipv4, host.ipv6)):
                host.inside(functools.partial(has, address))
        return made

    return make


async def has(address: str) -> None:
    """Wait until this machine has an address whose interface has a link."""
    await until(lambda: address in own_addresses())


async def _cancelled() -> None:
    ending = [task for task in asyncio.all_tasks() if task.cancelling()]
    if ending:
        await asyncio.wait(ending)


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
