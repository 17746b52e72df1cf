"""Run all tests, in two stages.

    python -m scripts.tests

1. All tests that are not named below, with Vitest beside them.
2. The tests that drive browsers, and beside them the laboratory and the tests that wait for
   minutes: these use little processor time. Their time limits are stretched by the load of the
   machine (tests/support/load.py).

Most tests wait for other programs, so pytest-xdist runs several of them at the same time. The
output of a command that runs beside another one is printed when both have ended. Exits with 1 if
any of them failed. A run that is ended by a signal leaves no processes (tests/support/guard.py).
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, NoReturn

from tests.support.guard import watch

__all__ = ["main"]

ROOT: Final = Path(__file__).resolve().parent.parent
_PYTEST: Final = (sys.executable, "-m", "pytest")
_SEVERAL: Final = ("--numprocesses=4", "--dist=worksteal")
"Four on two processors: a test uses a third of one in the mean."
_WITH_BROWSERS: Final = ("--numprocesses=3", "--dist=worksteal")
"Each has browsers of its own."
_FILES: Final = ("--numprocesses=4", "--dist=loadfile", "--no-loadscope-reorder")
"""The tests of a file stay together, since some share a fixture; files begin in the order of the
arguments."""
_PAGES: Final = "tests/pages"
_WAITING: Final = (
    "tests/lab/test_patience.py",
    "tests/programs/test_slow_paste.py",
    "tests/lab/test_outages.py",
    "tests/lab/test_ways.py",
    "tests/programs/test_slow_wait.py",
    "tests/chat/test_endings.py",
    "tests/lab",  # the others
)
"The longest first: each begins when one before it has ended."


def main() -> int:
    """Run them all, whatever fails; return the exit status."""
    watch()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # under nohup the second is ignored
            signal.signal(number, _leave)
    others = [f"--ignore={path}" for path in (_PAGES, *_WAITING)]
    failed = _together(
        [
            [*_PYTEST, *_SEVERAL, "tests", "dcsend", *others],
            [sys.executable, "scripts/page.py", "test"],
        ]
    )
    failed += _together([[*_PYTEST, *_WITH_BROWSERS, _PAGES], [*_PYTEST, *_FILES, *_WAITING]])
    return 1 if failed else 0


def _leave(number: int, frame: object) -> NoReturn:
    """End in order, so that the programs that were started are ended, too."""
    raise SystemExit(128 + number)


def _together(commands: list[list[str]]) -> int:
    """Run commands at the same time; print the output of all but the first when they have ended.

    Returns:
        The sum of their exit statuses: 0 if all have passed.
    """
    first, *others = commands
    with ExitStack() as stack:
        beside = [_start(stack, *command) for command in others]
        failed = subprocess.call(first, cwd=ROOT)
        for process, output in beside:
            failed += abs(process.wait())
            output.seek(0)
            sys.stdout.buffer.write(output.read())
            sys.stdout.buffer.flush()
    return abs(failed)


def _start(stack: ExitStack, *command: str) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start a program; it ends with *stack* at the latest."""
    said = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process, said


if __name__ == "__main__":
    sys.exit(main())
