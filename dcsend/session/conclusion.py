"""How every run ends: one `Finished`, and before it the reason, if there is one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final

from dcsend.errors import ConnectionFailed, DcsendError, Interrupted
from dcsend.session.events import Emit, Failed, Finished
from dcsend.session.outcome import Tally, exit_status, failure

__all__ = ["conclude", "unexpected"]

_ORDERLY: Final = 0.7
"""Seconds for a story to end in order once it is interrupted; then it is over, whatever it waits
for. A run ends within a second of its signal, and that has to do for the last lines, too."""


async def conclude(
    story: Callable[[Tally], Coroutine[None, None, None]],
    emit: Emit,
    role: str,
    interrupt: asyncio.Future[int] | None,
    *,
    advise: Callable[[Tally], str] = lambda tally: "",
) -> Finished:
    """Run *story*; emit exactly one `Finished`, whatever happens, and return it.

    Args:
        story: what is to be done; counts in the tally what came of it.
        emit: told how it ended.
        role: `sender`, `receiver` or `chat`.
        interrupt: set to a signal's number to end the story as that signal does; or to an error
            that ends it.
        advise: returns what to do next after an interruption or a lost connection; empty to leave
            that to the error.

    Raises:
        DcsendError: the story was not carried to its end; `Failed` has told it.
    """
    tally = Tally()
    clock = asyncio.get_running_loop().time

    def finished(status: int) -> Finished:
        seconds = clock() - tally.started if tally.started is not None else 0.0
        return Finished(not status, status, tally.bytes, seconds, tuple(tally.files), role)

    try:
        await _until_interrupted(story(tally), interrupt)
    except DcsendError as exc:
        if isinstance(exc, Interrupted | ConnectionFailed):
            exc.hint = advise(tally) or exc.hint
        emit(Failed(exc))
        emit(finished(exc.exit_status))
        raise
    except asyncio.CancelledError:
        emit(finished(130))
        raise
    except Exception as exc:
        # Nobody foresaw it; a program that reads our events must hear of it all the same.
        error = unexpected(exc)
        emit(Failed(error))
        emit(finished(error.exit_status))
        raise error from exc
    if (summary := failure(tally.files)) is not None:
        emit(Failed(summary))
    done = finished(exit_status(tally.files))
    emit(done)
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
