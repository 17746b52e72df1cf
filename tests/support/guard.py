"""Ends the processes of a test run, however the run itself ends.

A run marks itself in its environment, which every program that it starts inherits. A guard, a
process in a session of its own, waits for the end of the run: it reads a pipe whose other end only
the run holds. Then it kills the marked processes that are left, and removes the network namespaces
and the browser profiles of ended test processes. So this also happens after SIGKILL.

    python -m tests.support.guard MARK      # started by `watch`
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import psutil

__all__ = ["unmarked", "wait_until_ended", "watch"]

_ROOT: Final = Path(__file__).resolve().parents[2]
_VARIABLE: Final = "TEST_RUN_OF_DCSEND"
"Not DCSEND_…: the tests remove those."
_SECONDS: Final = 10.0
"For killed processes to be gone; a process that waits for a dead disk may stay longer."


def watch() -> None:
    """Mark this process, and start a guard; do nothing if the run is marked already.

    A run of several processes (pytest-xdist, `scripts/tests.py`) has the mark of its first process.
    """
    if _VARIABLE in os.environ:
        return
    # With the time: process ids are used again.
    mark = f"{os.getpid()}-{psutil.Process().create_time()}"
    guard = subprocess.Popen(
        [sys.executable, "-m", "tests.support.guard", mark],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C is not for the guard
    )
    # After the start: the guard has no mark, and outlives whatever has one.
    os.environ[_VARIABLE] = mark
    atexit.register(guard.communicate)


def unmarked() -> dict[str, str]:
    """Return the environment without the mark, for a process that is a run of its own."""
    return {name: value for name, value in os.environ.items() if name != _VARIABLE}


def wait_until_ended(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait for the end of all *processes*, *timeout* seconds at most; return those that still run.

    `psutil.wait_procs` of psutil 7.2 raises FileNotFoundError on Linux 6.18: `pidfd_open` fails
    with ENOENT if the process ends at that moment.
    """
    end = time.monotonic() + timeout
    processes = list(processes)
    for process in processes:
        while process.is_running() and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(psutil.TimeoutExpired, FileNotFoundError):
                process.wait(left)
    return [process for process in processes if process.is_running()]


def main(mark: str) -> None:
    """Wait for the end of the run with *mark*; then end its processes and remove its files."""
    sys.stdin.buffer.read()
    while left := _marked(mark):
        for process in left:
            with contextlib.suppress(psutil.Error):
                sys.stderr.write(f"left by the tests, killed: {' '.join(process.cmdline())}\n")
                process.kill()
        if wait_until_ended(left, _SECONDS):
            break
    from tests.support import launching, netns

    run = int(mark.partition("-")[0])
    launching.remove_abandoned(run)
    netns.remove_abandoned(run)


def _marked(mark: str) -> list[psutil.Process]:
    """Return the processes that carry *mark*, but for those that only wait to be reaped."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(_VARIABLE) == mark:
                found.append(process)
    return [process for process in found if _runs(process)]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


if __name__ == "__main__":
    main(sys.argv[1])
