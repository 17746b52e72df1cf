"""Run every test: those that drive browsers beside all the others, so that no core idles.

    python scripts/tests.py

One pytest says what it does as it does it; what the one with browsers, and Vitest, have said
meanwhile comes at the end. Exits with 1 when any of them failed.
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
_BROWSERS: Final = "tests/test_browsers.py"
_PAGES: Final = "tests/test_page_*.py"
_SLOW: Final = (
    *("tests/test_slow_paste.py", "tests/test_slow_wait.py"),
    "tests/test_chat_endings.py",
)
"They wait for minutes, and use no processor meanwhile."
_PATIENCE: Final = "tests/lab/test_patience.py"
"All of its cases wait at the same time, and need no other company."
_LAB: Final = "tests/lab"
"The laboratory of networks waits, too."


def main() -> int:
    """Run them all, whatever fails; return the exit status."""
    pages = [_BROWSERS, *(str(path) for path in sorted(ROOT.glob(_PAGES)))]
    others = [f"--ignore={_BROWSERS}", f"--ignore-glob={ROOT / _PAGES}"]
    others += [f"--ignore={path}" for path in (*_SLOW, _LAB)]
    with ExitStack() as stack:
        # They mostly wait, for browsers, programs and time-outs.
        beside = [
            _start(stack, *_PYTEST, *_SLOW),
            _start(stack, *_PYTEST, _PATIENCE),
            _start(stack, *_PYTEST, _LAB, f"--ignore={_PATIENCE}"),
            _start(stack, *_PYTEST, *pages),
            _start(stack, sys.executable, "scripts/page.py", "test"),
        ]
        failed = subprocess.call([*_PYTEST, "tests", "dcsend", *others], cwd=ROOT)
        for process, said in beside:
            failed += process.wait()
            said.seek(0)
            sys.stdout.buffer.write(said.read())
    return 1 if failed else 0


def _start(stack: ExitStack, *command: str) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start a program; it ends with *stack* at the latest."""
    said = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process, said


if __name__ == "__main__":
    sys.exit(main())
