"""How every run ends: with one `Finished`, and before it the error, if there is one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from dcsend.errors import DcsendError, Interrupted
from dcsend.session.events import Emit, Event, Failed, Finished
from dcsend.session.outcome import Tally, exit_status, failure

__all__ = ["conclude", "reported_first", "unexpected"]

_ORDERLY: Final = 0.7
"""Seconds for a story to end in order once it is interrupted; then it is abandoned. A run ends
within a second of its signal, and the last lines have to be written in that time, too."""


@contextlib.contextmanager
def reported_first(emit: Emit) -> Iterator[None]:
    """Report an error before the connection is closed because of it: that may take a second."""
    try:
        yield
    except DcsendError as exc:
        emit(Failed(exc))
        raise


async def conclude(
    story: Callable[[Tally], Coroutine[None, None, None]],
    emit: Emit,
    role: str,
    interrupt: asyncio.Future[int] | None,
    *,
    advise: Callable[[Tally, DcsendError], str] = lambda tally, error: "",
) -> Finished:
    """Run *story*; emit exactly one `Finished`, whatever happens, and return it.

    Args:
        story: what is to be done; counts in the tally what it achieves, and emits through it. It
            may report its error itself, before it has ended.
        emit: gets all events.
        role: `sender`, `receiver` or `chat`.
        interrupt: set to a signal's number to end the story as that signal does; or to an error
            that ends it.
        advise: returns what to do next after an error; empty to leave that to the error.

    Raises:
        DcsendError: the story was not carried to its end; `Failed` was emitted.
    """
    report = _RunReport(emit, role, interrupt, advise)
    try:
        await _until_interrupted(story(report.tally), interrupt, report.tally)
    except DcsendError as exc:
        first = report.fail(exc)
        report.finish(first.exit_status)
        if first is exc:
            raise
        raise first from exc
    except asyncio.CancelledError:
        report.finish(130)
        raise
    except Exception as exc:
        # A program that reads the events gets the last one all the same.
        error = report.fail(unexpected(exc))
        report.finish(error.exit_status)
        raise error from exc
    if (summary := failure(report.tally.files)) is not None:
        report.fail(summary)
    return report.finish(exit_status(report.tally.files))


class _RunReport:
    """Reports the end of a run: one error at most, and one `Finished`."""

    def __init__(
        self,
        emit: Emit,
        role: str,
        interrupt: asyncio.Future[int] | None,
        advise: Callable[[Tally, DcsendError], str],
    ) -> None:
        self.tally = Tally(self.emit)
        self._emit = emit
        self._role = role
        self._interrupt = interrupt
        self._advise = advise
        self._clock = asyncio.get_running_loop().time
        self._failed: DcsendError | None = None
        self._over = False

    def emit(self, event: Event) -> None:
        """Emit an event of the story; its error is ignored once it is interrupted."""
        if self._over:
            return  # the story was abandoned
        if not isinstance(event, Failed):
            self._emit(event)
        elif self._interrupt is None or not self._interrupt.done():
            self.fail(event.error)

    def fail(self, error: DcsendError) -> DcsendError:
        """Report an error with its hint, unless one was before; return the reported one."""
        if self._failed is not None:
            return self._failed
        self._failed = error
        error.amend(hint=self._advise(self.tally, error))
        self._emit(Failed(error, tuple(self.tally.kept)))
        return error

    def finish(self, status: int) -> Finished:
        """Emit, and return, the last event."""
        tally = self.tally
        seconds = self._clock() - tally.started if tally.started is not None else 0.0
        done = Finished(
            not status,
            status,
            tally.bytes,
            seconds,
            tally.files,
            self._role,
            tally.left_out,
            tally.peers if self._role == "sender" else None,
            tally.peers if self._role == "receiver" else None,
        )
        self._over = True
        self._emit(done)
        return done


def unexpected(error: BaseException) -> DcsendError:
    """Return the error that reports an exception that should not occur."""
    return DcsendError(f"unexpected: {error!r}", "this is a bug in dcsend; please report it")


async def _until_interrupted(
    story: Coroutine[None, None, None], interrupt: asyncio.Future[int] | None, tally: Tally
) -> None:
    """Await *story*, or end it when *interrupt* is set; it cleans up in either case.

    A transfer that is complete is no interrupted one.
    """
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
                task.exception()  # marks it as retrieved
    if interrupted and interrupt is not None:
        number = interrupt.result()
        if not tally.complete:
            raise Interrupted(number)
        return
    await task
