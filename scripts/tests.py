"""Run all tests, or the quick ones.

    python -m scripts.tests [quick]

First all tests that are not named below, and beside them Vitest, and the laboratory with the tests
that wait for minutes: these use little processor time. Their time limits are stretched by the load
of the machine (tests/support/load.py). Then the tests that drive browsers, and with CI=true beside
them the quick tests on the other versions of CPython (scripts/pythons.sh), each of which must be
installed.

Most tests wait for other programs, so pytest-xdist runs several of them at the same time. The
output of a command that runs beside another one is printed when all have ended. Exits with 1 if
any of them failed. A run that is ended by a signal leaves no processes (tests/support/guard.py).

The quick tests run in two processes, each with files of its own: they hardly wait, and with
pytest-xdist each process would collect all of them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, NoReturn

from tests.support.guard import watch

__all__ = ["main"]

ROOT: Final = Path(__file__).resolve().parent.parent
_PYTEST: Final = (sys.executable, "-m", "pytest")
_SEVERAL: Final = ("--numprocesses=5", "--dist=worksteal")
"Five on two processors: a test uses a third of one in the mean."
_WITH_BROWSERS: Final = ("--numprocesses=4", "--dist=worksteal")
"""Each has browsers of its own. Three leave half of two processors unused. With five, the tests are
slower: an open page always uses the processor."""
_FILES: Final = ("--numprocesses=3", "--dist=loadfile", "--no-loadscope-reorder")
"""The tests of a file stay together, since some share a fixture; files begin in the order of the
arguments."""
_PAGES: Final = "tests/pages"
_LAB: Final = "tests/lab"
_CALCULATING: Final = ("tests/simulation", "tests/powercuts", "tests/sctp")
"They begin first: a test that takes a minute and begins last keeps one processor unused."
_WAITING: Final = (
    "tests/lab/test_patience.py",
    "tests/programs/test_slow_paste.py",
    "tests/lab/test_outages.py",
    "tests/lab/test_ways.py",
    "tests/lab/test_short_codes.py",
    "tests/programs/test_slow_wait.py",
    "tests/chat/test_endings.py",
)
"The longest first: each begins when one before it has ended. The rest of the laboratory follows."
_QUICK: Final = (*_PYTEST, "-q", "-m", "not full and not slow")
_HALF: Final = (
    *("tests/display", "tests/files", "tests/ice"),
    *("tests/protocol", "tests/sctp", "tests/signaling"),
)
"They take half of the time of the quick tests."
_LOW: Final = ("nice", "-n", "5") if shutil.which("nice") else ()
"A lower priority than that of the laboratory, which measures times."
_LOWEST: Final = ("nice", "-n", "10")
"For what only calculates."
_PYTHONS: Final = ("3.11", "3.12", "3.13")
"The versions of CPython on which the tests must pass."


def main() -> int:
    """Run them all, or the quick ones, whatever fails; return the exit status."""
    watch()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # under nohup the second is ignored
            signal.signal(number, _leave)
    if sys.argv[1:] == ["quick"]:
        rest = ["tests", "dcsend", *(f"--ignore={path}" for path in _HALF)]
        return 1 if _run([[*_QUICK, *rest]], beside=[[*_QUICK, *_HALF]]) else 0
    elsewhere = (_PAGES, _LAB, *_WAITING)
    others = [f"--ignore={path}" for path in elsewhere]
    beside = [
        [*_PYTEST, *_FILES, *_WAITING, *_rest(_LAB, _WAITING)],
        [*_LOW, sys.executable, "scripts/page.py", "test"],
    ]
    first = [*_LOW, *_PYTEST, *_SEVERAL, *_CALCULATING]
    first += [*_rest("tests", (*_CALCULATING, *elsewhere)), "dcsend", *others]
    second = [*_LOW, *_PYTEST, *_WITH_BROWSERS, _PAGES]
    pythons = [*_LOWEST, "sh", "scripts/pythons.sh", *_other_pythons()]
    is_ci = os.environ.get("CI") == "true"
    failed = _run([first], beside=beside)
    failed += _run([second], beside=[pythons] if is_ci else [])
    return 1 if failed else 0


def _rest(folder: str, named: Sequence[str]) -> list[str]:
    """Return what a folder has of tests, but for what is *named*.

    pytest sorts what it is given once more if one argument is in another one.
    """
    found = (path for path in (ROOT / folder).iterdir() if _has_tests(path))
    names = (path.relative_to(ROOT).as_posix() for path in sorted(found))
    return [name for name in names if name not in named]


def _has_tests(path: Path) -> bool:
    return path.match("test_*.py") or (path.is_dir() and any(path.rglob("test_*.py")))


def _other_pythons() -> list[str]:
    """Return the versions that this process does not run on."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    return [version for version in _PYTHONS if version != running]


def _leave(number: int, frame: object) -> NoReturn:
    """End in order, so that the programs that were started are ended, too."""
    raise SystemExit(128 + number)


def _run(commands: list[list[str]], *, beside: list[list[str]]) -> int:
    """Run *commands* one after the other, and those *beside* them at the same time.

    The output of the latter is printed when all have ended.

    Returns:
        The sum of their exit statuses: 0 if all have passed.
    """
    with ExitStack() as stack:
        started = [_start(stack, *command) for command in beside]
        failed = sum(abs(subprocess.call(command, cwd=ROOT)) for command in commands)
        for process, output in started:
            failed += abs(process.wait())
            output.seek(0)
            sys.stdout.buffer.write(output.read())
            sys.stdout.buffer.flush()
    return failed


def _start(stack: ExitStack, *command: str) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start a program; it ends with *stack* at the latest."""
    said = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process, said


if __name__ == "__main__":
    sys.exit(main())
