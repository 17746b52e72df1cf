"""Ends a run after a signal, or after an error in a callback of the event loop.

    first signal ─► the session is cancelled, Cancel is sent, queued output is written ─► exit
          └─ LIMIT seconds later, even if the loop is blocked ─► exit
    second signal ─► exit at once

The handlers are installed with `signal.signal`, so that they run while the loop is busy.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

from dcsend.display.modes import restore_all
from dcsend.display.streams import hurry, write_now
from dcsend.errors import Interrupted
from dcsend.threads import begin, call_in_loop

__all__ = ["LIMIT", "guard", "interrupted", "settle", "watch_for_the_end"]

LIMIT: Final = 0.9
"Seconds from the first signal to the end of the process; one second is promised."

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP")

_Handler = Callable[[int, FrameType | None], Any] | int | None


class _Signals:
    """The signal handlers of this process; a singleton."""

    def __init__(self) -> None:
        self.number = 0
        "Number of the first signal; 0 before it."
        self.status: int | None = None
        "The exit status, once it is final; see `settle`."
        self._end_run: Callable[[int], object] | None = None
        "Ends the current run in order; None if there is none."
        self._first: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._watched = False

    def install(self) -> dict[int, _Handler]:
        """Install the handlers; return the previous ones of all signals that were not ignored."""
        if threading.current_thread() is not threading.main_thread():
            return {}  # Python allows handlers in the main thread only
        if not self._watched:
            # Not in the handler: starting a thread there may deadlock with the interrupted code.
            begin(self._enforce_limit, "dcsend-end")
            self._watched = True
        previous: dict[int, _Handler] = {}
        for name in _NAMES:
            number = getattr(signal, name, None)
            # nohup ignores SIGHUP, and `&` in a script ignores SIGINT: they stay ignored.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, self._caught)
        return previous

    @contextlib.contextmanager
    def ending(self, end_run: Callable[[int], object]) -> Iterator[None]:
        """Install the handlers, and call *end_run* with the number of the first signal."""
        self.number, self._end_run = 0, end_run
        previous = self.install()
        try:
            yield
        finally:
            self._end_run = None
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self.status is not None:
            os._exit(self.status)
        if self.number:
            write_now("dcsend: ended at once; the other side may still be waiting")
            leave_at_once(number)
        self.number = number
        self._first.put(number)
        hurry()
        if self._end_run is not None:
            self._end_run(number)
            return
        raise KeyboardInterrupt if number == signal.SIGINT else Interrupted(number)

    def _enforce_limit(self) -> None:
        number = self._first.get()
        time.sleep(LIMIT)
        leave_at_once(number)


_signals: Final = _Signals()


def guard() -> None:
    """Handle signals from now on; outside a run they raise KeyboardInterrupt or Interrupted."""
    _signals.install()


def settle(status: int) -> None:
    """Make *status* final: a signal from now on ends the process at once with it."""
    _signals.status = status


def interrupted() -> bool:
    """Return whether a signal has come, so that the process must not block any more."""
    return bool(_signals.number)


def leave_at_once(number: int) -> None:
    """Restore the terminals and end the process with the exit status of signal *number*."""
    restore_all()
    os._exit(128 + number)


@contextlib.contextmanager
def watch_for_the_end(interrupt: asyncio.Future[int]) -> Iterator[None]:
    """Set *interrupt* to the number of the first signal, or to the exception of a callback.

    SIGINT, SIGTERM and SIGHUP end a run in order, within LIMIT seconds; a second one ends it at
    once. An exception in a callback ends the run, because its unfinished work would otherwise make
    the run hang or report a false result.
    """
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        if not interrupt.done():
            interrupt.set_result(number)

    _catch_errors(loop, interrupt)
    with _signals.ending(lambda number: call_in_loop(loop, end, number)):
        yield


def _catch_errors(loop: asyncio.AbstractEventLoop, interrupt: asyncio.Future[int]) -> None:
    def caught(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        # Without a handle: exceptions of tasks for peers that aiortc has given up.
        if error is not None and "handle" in context and not interrupt.done():
            from dcsend.session.conclusion import unexpected

            interrupt.set_exception(unexpected(error))
            interrupt.exception()  # retrieved: no warning if the run has ended meanwhile

    loop.set_exception_handler(caught)
