"""Two threads on one processor, where they would only wake each other on two; Linux only.

Python lets one thread run at a time. Two that hand it to each other at every system call,
as the loop and the disk do with small files, gain nothing from a second processor, and lose
the time that it takes to wake it: 10 000 files of 4 KiB were there in 1.75 s, not 1.89, on
one (Linux 6.18, two processors for both ends, 2026-11). To bring the disk's thread to the
loop's processor alone gains nothing: the system takes the loop's away.

Threads and programs that are begun by a thread that is kept are kept, too. So nothing
happens until `settle_in`, which is for a program that knows all of its threads.
A leaf: imports only the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator, Set
from typing import Final, NamedTuple

__all__ = ["Place", "apart", "go", "settle_in", "stay"]


class Place(NamedTuple):
    """Where a thread is kept, and where it may be otherwise."""

    processor: int
    "As the system numbers them."
    anywhere: Set[int]
    "Those that it was allowed before."


class _Program:
    """What is known of the whole program."""

    ours = False
    "It begins no threads that we don't know of."


_program: Final = _Program()


def settle_in() -> None:
    """Let `stay` keep threads from now on: this program is dcsend and nothing else."""
    _program.ours = True


class _Thread(threading.local):
    """What is known of each thread."""

    stays = 0
    "Blocks of `stay` that it is in."
    place: Place | None = None
    "Where it is kept."


_thread: Final = _Thread()


@contextlib.contextmanager
def stay() -> Iterator[Place | None]:
    """Keep this thread on the processor that it is on; blocks may overlap, as coroutines do.

    For moments only: the system can't move the thread away from a processor that gets busy.
    Threads that are begun in the block stay there, too, unless they are begun `apart`.

    Yields:
        Where another thread may `go`; None where there is no choice, or the system offers none.
    """
    if not _thread.stays:
        go(_here())
    _thread.stays += 1
    try:
        yield _thread.place
    finally:
        _thread.stays -= 1
        if not _thread.stays:
            go(None)


def go(place: Place | None) -> None:
    """Bring this thread to *place*, or let it be anywhere again."""
    if place == _thread.place:
        return
    if place is not None:
        _allow({place.processor})
    elif _thread.place is not None and _allowed() == {_thread.place.processor}:
        # Otherwise somebody else has decided meanwhile where it shall be.
        _allow(_thread.place.anywhere)
    _thread.place = place


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Let threads that are begun in the block be anywhere; they would stay where this one is."""
    place = _thread.place
    go(None)
    try:
        yield
    finally:
        go(place)


def _here() -> Place | None:
    if not _program.ours or _CURRENT is None:
        return None
    allowed, processor = _allowed(), _CURRENT()
    return Place(processor, allowed) if len(allowed) > 1 and processor in allowed else None


# A sandbox may forbid both, and a processor may be gone: then the thread is where it is.


def _allowed() -> Set[int]:
    with contextlib.suppress(OSError):
        return os.sched_getaffinity(0)
    return frozenset()


def _allow(processors: Set[int]) -> None:
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, processors)


def _find_call() -> Callable[[], int] | None:
    """Return the call that tells where a thread is, for which Python has no name."""
    if sys.platform != "linux" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None  # no such wish, or no need for it
    call: Callable[[], int] | None = getattr(ctypes.CDLL(None), "sched_getcpu", None)
    return call


_CURRENT: Final = _find_call()
