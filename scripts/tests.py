"""Run every test, in three stages.

    python scripts/tests.py

1. Everything that is not named below, with Vitest beside it.
2. The tests that drive browsers.
3. The laboratory, and the tests that wait for minutes. They use little processor time, and time
   what they wait for.

Most tests wait for other programs, so pytest-xdist runs several of them at the same time. The
output of a command that runs beside another one comes when both have ended. Exits with 1 when
any of them failed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

__all__ = ["main"]

ROOT: Final = Path(__file__).resolve().parent.parent
_PYTEST: Final = (sys.executable, "-m", "pytest")
_SEVERAL: Final = ("--numprocesses=4", "--dist=worksteal")
"Four on two processors: a test uses a third of one in the mean."
_WITH_BROWSERS: Final = ("--numprocesses=3", "--dist=worksteal")
"Each has browsers of its own."
_FILES: Final = ("--numprocesses=4", "--dist=loadfile", "--no-loadscope-reorder")
"""The tests of a file stay together, where they share what goes on at the same time; files begin in
the order in which they are named."""
_BROWSERS: Final = "tests/test_browsers.py"
_PAGES: Final = "tests/test_page_*.py"
_WAITING: Final = (
    "tests/lab/test_patience.py",
    "tests/test_slow_paste.py",
    "tests/lab/test_outages.py",
    "tests/lab/test_ways.py",
    "tests/test_slow_wait.py",
    "tests/test_chat_endings.py",
    "tests/lab",  # the others
)
"The longest first: each begins when one before it has ended."


def main() -> int:
    """Run them all, whatever fails; return the exit status."""
    pages = [_BROWSERS, *(str(path) for path in sorted(ROOT.glob(_PAGES)))]
    others = [f"--ignore={_BROWSERS}", f"--ignore-glob={ROOT / _PAGES}"]
    others += [f"--ignore={path}" for path in _WAITING]
    failed = _together(
        [
            [*_PYTEST, *_SEVERAL, "tests", "dcsend", *others],
            [sys.executable, "scripts/page.py", "test"],
        ]
    )
    failed += _together([[*_PYTEST, *_WITH_BROWSERS, *pages]])
    failed += _together([[*_PYTEST, *_FILES, *_WAITING]])
    return 1 if failed else 0


def _together(commands: list[list[str]]) -> int:
    """Run commands at the same time; the output of all but the first comes when they have ended.

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
