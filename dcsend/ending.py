"""What ends a run from outside its story: a signal, or an error in a callback of the loop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any

from dcsend.session.conclusion import unexpected

__all__ = ["watch_for_the_end"]


def watch_for_the_end(interrupt: asyncio.Future[int]) -> None:
    """Set *interrupt* to the number of a signal that comes, or to the error of a callback.

    Ctrl-C, kill and a closed terminal end a run in order; a second one ends it at once. A callback
    that failed has left something undone that nobody would miss: the run would hang, or lie.
    """
    _catch_signals(interrupt)
    _catch_errors(interrupt)


def _catch_signals(interrupt: asyncio.Future[int]) -> None:
    loop = asyncio.get_running_loop()

    def caught(number: int) -> None:
        if not interrupt.done():
            interrupt.set_result(number)
        # From now on the default: whoever presses Ctrl-C twice means it.
        loop.remove_signal_handler(number)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Windows: asyncio itself turns Ctrl-C into a cancelled main task.
        with contextlib.suppress(NotImplementedError):
            # nohup ignores SIGHUP, and a script's `&` SIGINT: they shall stay ignored.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, caught, number)


def _catch_errors(interrupt: asyncio.Future[int]) -> None:
    def caught(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        # Those of tasks that nobody waits for are of peers that aiortc has given up.
        if error is not None and "handle" in context and not interrupt.done():
            interrupt.set_exception(unexpected(error))
            interrupt.exception()  # it is no fault if the run has ended meanwhile

    asyncio.get_running_loop().set_exception_handler(caught)
