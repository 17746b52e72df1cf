"""What ends a run from outside its story: a signal, or an error in a callback of the loop.

    first signal ─► the story is cancelled, the peer is told, the last lines are written ─► exit
          └─ LIMIT later, whatever the loop waits for ─► exit
    second signal ─► exit at once

The handlers are Python's own, not the loop's: they run while the loop is busy, and in a write that
waits for a reader. (Those of asyncio run in the loop, and let the system restart such a write.)
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

from dcsend.display.modes import put_back_all
from dcsend.display.streams import hurry
from dcsend.errors import Interrupted
from dcsend.session.worker import refuse_signals

__all__ = ["LIMIT", "guard", "interrupted", "watch_for_the_end"]

LIMIT: Final = 0.9
"Seconds from the first signal to the end of the process, of the one second that is promised."

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP")

_Handler = Callable[[int, FrameType | None], Any] | int | None


class _Ending:
    """The signals of this process; there is one."""

    def __init__(self) -> None:
        self.number = 0
        "Of the signal that ends the process; 0 until one comes."
        self._tell: Callable[[int], None] | None = None
        "Ends the run in order, while there is one."
        self._alarm: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._watched = False

    def install(self) -> dict[int, _Handler]:
        """Catch the signals; return what was there, of those that were not ignored."""
        if threading.current_thread() is not threading.main_thread():
            return {}  # Python allows handlers in the main thread only
        if not self._watched:
            # Started now: a handler that starts a thread may wait for a lock of its own thread.
            threading.Thread(target=self._watch, name="dcsend-end", daemon=True).start()
            self._watched = True
        previous: dict[int, _Handler] = {}
        for name in _NAMES:
            number = getattr(signal, name, None)
            # nohup ignores SIGHUP, and a script's `&` SIGINT: they shall stay ignored.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, self._caught)
        return previous

    @contextlib.contextmanager
    def telling(self, tell: Callable[[int], None]) -> Iterator[None]:
        """Catch the signals, and call *tell* with the number of the first one that comes."""
        self.number, self._tell = 0, tell
        previous = self.install()
        try:
            yield
        finally:
            self._tell = None
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            leave_at_once(number)
        self.number = number
        self._alarm.put(number)
        if self._tell is not None:
            self._tell(number)
            hurry()  # last: it may raise, in a write that the signal has interrupted
            return
        hurry(gives_up=False)
        raise KeyboardInterrupt if number == signal.SIGINT else Interrupted(number)

    def _watch(self) -> None:
        refuse_signals()
        number = self._alarm.get()
        time.sleep(LIMIT)
        leave_at_once(number)


_ending: Final = _Ending()


def guard() -> None:
    """Catch signals from now on; without a run they raise KeyboardInterrupt, or Interrupted."""
    _ending.install()


def interrupted() -> bool:
    """Tell whether a signal has come: then nothing may be waited for."""
    return bool(_ending.number)


def leave_at_once(number: int) -> None:
    """End the process as the signal *number* does, with the terminal as it was found."""
    put_back_all()
    os._exit(128 + number)


@contextlib.contextmanager
def watch_for_the_end(interrupt: asyncio.Future[int]) -> Iterator[None]:
    """Set *interrupt* to the number of a signal that comes, or to the error of a callback.

    Ctrl-C, kill and a closed terminal end a run in order, within LIMIT; a second one ends it at
    once. A callback that failed has left something undone that nobody would miss: the run would
    hang, or lie.
    """
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        if not interrupt.done():
            interrupt.set_result(number)

    def tell(number: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(end, number)

    _catch_errors(loop, interrupt)
    with _ending.telling(tell):
        yield


def _catch_errors(loop: asyncio.AbstractEventLoop, interrupt: asyncio.Future[int]) -> None:
    def caught(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        # Those of tasks that nobody waits for are of peers that aiortc has given up.
        if error is not None and "handle" in context and not interrupt.done():
            from dcsend.session.conclusion import unexpected

            interrupt.set_exception(unexpected(error))
            interrupt.exception()  # it is no fault if the run has ended meanwhile

    loop.set_exception_handler(caught)
