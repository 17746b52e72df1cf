"""How every run ends: one `Finished`, and before it the reason, if there is one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from dcsend.errors import ConnectionFailed, DcsendError, Interrupted
from dcsend.session.events import Emit, Event, Failed, Finished
from dcsend.session.outcome import Tally, exit_status, failure

__all__ = ["conclude", "reported_first", "unexpected"]

_ORDERLY: Final = 0.7
"""Seconds for a story to end in order once it is interrupted; then it is over, whatever it waits
for. A run ends within a second of its signal, and that has to do for the last lines, too."""


@contextlib.contextmanager
def reported_first(emit: Emit) -> Iterator[None]:
    """Report an error before the connection is closed because of it: that may take a second."""
    try:
        yield
    except DcsendError as exc:
        emit(Failed(exc))
        raise


async def conclude(
    story: Callable[[Tally, Emit], Coroutine[None, None, None]],
    emit: Emit,
    role: str,
    interrupt: asyncio.Future[int] | None,
    *,
    advise: Callable[[Tally], str] = lambda tally: "",
) -> Finished:
    """Run *story*; emit exactly one `Finished`, whatever happens, and return it.

    Args:
        story: what is to be done; counts in the tally what came of it, and emits by the function
            that it is given. It may report its error itself, before it has ended.
        emit: told how it ended.
        role: `sender`, `receiver` or `chat`.
        interrupt: set to a signal's number to end the story as that signal does; or to an error
            that ends it.
        advise: returns what to do next after an interruption or a lost connection; empty to leave
            that to the error.

    Raises:
        DcsendError: the story was not carried to its end; `Failed` has told it.
    """
    ending = _Ending(emit, role, interrupt, advise)
    try:
        await _until_interrupted(story(ending.tally, ending.tell), interrupt)
    except DcsendError as exc:
        first = ending.fail(exc)
        ending.finish(first.exit_status)
        if first is exc:
            raise
        raise first from exc
    except asyncio.CancelledError:
        ending.finish(130)
        raise
    except Exception as exc:
        # Nobody foresaw it; a program that reads our events must hear of it all the same.
        error = ending.fail(unexpected(exc))
        ending.finish(error.exit_status)
        raise error from exc
    if (summary := failure(ending.tally.files)) is not None:
        emit(Failed(summary))
    return ending.finish(exit_status(ending.tally.files))


class _Ending:
    """What a run reports of its end: one error at most, and one `Finished`."""

    def __init__(
        self,
        emit: Emit,
        role: str,
        interrupt: asyncio.Future[int] | None,
        advise: Callable[[Tally], str],
    ) -> None:
        self.tally = Tally()
        self._emit = emit
        self._role = role
        self._interrupt = interrupt
        self._advise = advise
        self._clock = asyncio.get_running_loop().time
        self._failed: DcsendError | None = None
        self._over = False

    def tell(self, event: Event) -> None:
        """Emit an event of the story, whose error counts for nothing once it is interrupted."""
        if self._over:
            return  # it has not ended in time
        if not isinstance(event, Failed):
            self._emit(event)
        elif self._interrupt is None or not self._interrupt.done():
            self.fail(event.error)

    def fail(self, error: DcsendError) -> DcsendError:
        """Report an error, with what to do next, unless one was reported; return that one."""
        if self._failed is not None:
            return self._failed
        self._failed = error
        if isinstance(error, Interrupted | ConnectionFailed):
            error.hint = self._advise(self.tally) or error.hint
        self._emit(Failed(error))
        return error

    def finish(self, status: int) -> Finished:
        """Emit, and return, the last event."""
        tally = self.tally
        seconds = self._clock() - tally.started if tally.started is not None else 0.0
        done = Finished(not status, status, tally.bytes, seconds, tally.files, self._role)
        self._over = True
        self._emit(done)
        return done


def unexpected(error: BaseException) -> DcsendError:
    """Return what to tell of an error that nobody foresaw."""
    return DcsendError(f"unexpected: {error!r}", "this is a bug in dcsend; please report it")


async def _until_interrupted(
    story: Coroutine[None, None, None], interrupt: asyncio.Future[int] | None
) -> None:
    """Await *story*, or end it when *interrupt* is set; it cleans up in either case."""
    task = asyncio.create_task(story)
    try:
        either: set[asyncio.Future[Any]] = {task}
        if interrupt is not None:
            either.add(interrupt)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        interrupted = not task.done()
        if interrupted:
            task.cancel()
            if interrupt is None:
                with contextlib.suppress(asyncio.CancelledError, DcsendError):
                    await task
            elif (await asyncio.wait({task}, timeout=_ORDERLY))[0] and not task.cancelled():
                task.exception()  # what becomes of it now is of no interest
    if interrupted and interrupt is not None:
        raise Interrupted(interrupt.result())
    await task
