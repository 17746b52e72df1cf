"""Run every test: those that drive browsers beside all the others, so that no core idles.

    python scripts/tests.py

Vitest and pytest say what they do as they do it; what the two with Chromium and with Firefox have
said meanwhile comes at the end. Exits with 1 when any of them failed.
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


def main() -> int:
    """Run them all, whatever fails; return the exit status."""
    pages = [_BROWSERS, *(str(path) for path in sorted(ROOT.glob(_PAGES)))]
    with ExitStack() as stack:
        # They mostly wait, for browsers, programs and time-outs.
        beside = [_start(stack, *pages, "-k", which) for which in ("firefox", "not firefox")]
        failed = subprocess.call([sys.executable, "scripts/page.py", "test"], cwd=ROOT)
        others = [f"--ignore={_BROWSERS}", f"--ignore-glob={ROOT / _PAGES}"]
        coverage = ["--cov", "--cov-report=term-missing"]
        failed += subprocess.call([*_PYTEST, "tests", "dcsend", *others, *coverage], cwd=ROOT)
        for process, said in beside:
            failed += process.wait()
            said.seek(0)
            sys.stdout.buffer.write(said.read())
    return 1 if failed else 0


def _start(stack: ExitStack, *arguments: str) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start pytest; it ends with *stack* at the latest."""
    said = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    process = subprocess.Popen(
        [*_PYTEST, *arguments], cwd=ROOT, stdout=said, stderr=subprocess.STDOUT
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process, said


if __name__ == "__main__":
    sys.exit(main())
