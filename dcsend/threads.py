"""Threads for work that blocks, such as a read from a terminal or a write to a dead network drive.

They are daemon threads, so the process can end while one of them is blocked. A leaf: imports only
the standard library.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Protocol, TypeVarTuple, Unpack

__all__ = ["begin", "call_in_loop"]

Args = TypeVarTuple("Args")


class _Loop(Protocol):
    """An asyncio event loop; `asyncio` is not imported by leaves."""

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Args]], object], *args: *Args
    ) -> object: ...


def call_in_loop(
    loop: _Loop,
    callback: Callable[[Unpack[Args]], object],
    *args: *Args,
) -> bool:
    """Call *callback* in *loop* from another thread; return False if the loop is closed."""
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        return False
    return True


def begin(work: Callable[[], None], name: str) -> None:
    """Run *work* in a daemon thread to which no signal is delivered.

    Python handles signals in the main thread only. A signal that is delivered to another thread
    does not interrupt a system call of the main thread, so its handler would run late or never.
    SIGTTIN and SIGTTOU are not blocked: the system sends them to the thread that uses the terminal
    from the background, and blocking them would permit that use.

    Args:
        work: called once, in the new thread.
        name: name of the thread, for debuggers.

    Raises:
        OSError: EAGAIN, the system starts no more threads (RLIMIT_NPROC, or the limit of a cgroup).
    """

    def run() -> None:
        _refuse_signals()
        work()

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error


if sys.platform == "win32":

    def _refuse_signals() -> None:
        """Windows delivers signals to the main thread."""

else:
    _OF_TERMINALS = {signal.SIGTTIN, signal.SIGTTOU}

    def _refuse_signals() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _OF_TERMINALS)
