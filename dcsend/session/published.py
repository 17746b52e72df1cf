"""A run that publishes a code, for programs that import dcsend: the code first, the outcome later.

starting ─► code published ─► body runs ─► body has ended ─► run has ended
    └ the run fails: raised on entering
                                 └ the run fails: the body is cancelled, the error is raised
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from dcsend.errors import LocalProtocolError
from dcsend.session.events import (
    CodeReady,
    Emit,
    Event,
    Finished,
    Link,
    ShortCodeOver,
    ShortCodeReady,
    ShortCodeUsed,
)

__all__ = ["Published", "published"]


class Published:
    """A run whose code is published; `offer` and `invite` yield it."""

    def __init__(self, run: asyncio.Task[Finished], ready: CodeReady) -> None:
        self._run = run
        self._ready = ready
        self._short: ShortCodeReady | None = None

    @property
    def code(self) -> str:
        """The newest code, for `receive` or for `send` on the other side."""
        return self._ready.code

    @property
    def short_code(self) -> str:
        """The short code that works now; empty if there is none, or none yet."""
        return self._short.code if self._short is not None else ""

    @property
    def link(self) -> str:
        """The link with the code in its fragment; with both codes, for a hosted page."""
        return (self._short.link if self._short is not None else "") or self._ready.link

    @property
    def links(self) -> Sequence[Link]:
        """One link with the dial code for each network of this machine."""
        return self._ready.links

    async def finished(self) -> Finished:
        """Wait for the end of the run, and return its outcome.

        Raises:
            DcsendError: the transfer was not carried to its end.
        """
        return await asyncio.shield(self._run)

    def renew(self, event: CodeReady | ShortCodeReady | ShortCodeUsed | ShortCodeOver) -> None:
        """Note a newer code, or the end of a short one."""
        match event:
            case CodeReady():
                self._ready = event
            case ShortCodeReady():
                self._short = event
            case ShortCodeUsed() | ShortCodeOver():
                self._short = None


@asynccontextmanager
async def published(
    run: Callable[[Emit], Coroutine[Any, Any, Finished]], on_event: Emit
) -> AsyncIterator[Published]:
    """Run *run* beside the body of an `async with`; see the diagram above.

    Args:
        run: emits `CodeReady`, later again with a newer code.
        on_event: called with each event.

    Raises:
        DcsendError: the run has failed; on entering if there was no code, else out of the body.
    """
    loop = asyncio.get_running_loop()
    first: asyncio.Future[CodeReady] = loop.create_future()
    value: Published | None = None
    later: list[CodeReady | ShortCodeReady | ShortCodeUsed | ShortCodeOver] = []

    def emit(event: Event) -> None:
        if isinstance(event, CodeReady) and not first.done():
            first.set_result(event)
        elif isinstance(event, CodeReady | ShortCodeReady | ShortCodeUsed | ShortCodeOver):
            later.append(event)
            if value is not None:
                value.renew(event)
        on_event(event)

    task = asyncio.create_task(run(emit))
    try:
        either: set[asyncio.Future[Any]] = {task, first}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            await task
            raise LocalProtocolError("the run has published no code")
        value = Published(task, first.result())
        for event in later:
            value.renew(event)
        async with _ended_by(task):
            yield value
        await value.finished()
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # raised above, or less important than the error of the body


@asynccontextmanager
async def _ended_by(task: asyncio.Task[Finished]) -> AsyncIterator[None]:
    """Cancel the body when *task* fails, and raise the error of *task* in its place."""
    body = asyncio.current_task()
    assert body is not None
    cancelled = False

    def end(task: asyncio.Task[Finished]) -> None:
        nonlocal cancelled
        if not task.cancelled() and task.exception() is not None:
            cancelled = True
            body.cancel()

    task.add_done_callback(end)
    try:
        yield
    except asyncio.CancelledError:
        # If it was cancelled for another reason as well, the body stays cancelled.
        if cancelled and not body.uncancel():
            error = task.exception()
            assert error is not None
            raise error from None
        raise
    except BaseException:
        if cancelled:
            body.uncancel()
        raise
    finally:
        task.remove_done_callback(end)
