"""Run every test: those that drive browsers beside all the others, so that neither core idles.

    python scripts/tests.py

First Vitest, then two runs of pytest at a time; what the one with browsers says is shown when both
have ended, with the other's summary last. Exits with 1 when any of them failed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["main"]

ROOT: Final = Path(__file__).resolve().parent.parent
_PYTEST: Final = (sys.executable, "-m", "pytest")
_BROWSERS: Final = "tests/test_browsers.py"
_PAGES: Final = "tests/test_page_*.py"


def main() -> int:
    """Run them all, whatever fails; return the exit status."""
    with_browsers = [_BROWSERS, *(str(path) for path in sorted(ROOT.glob(_PAGES)))]
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen(
            [*_PYTEST, *with_browsers], cwd=ROOT, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            failed = subprocess.call([sys.executable, "scripts/page.py", "test"], cwd=ROOT)
            others = [f"--ignore={_BROWSERS}", f"--ignore-glob={ROOT / _PAGES}"]
            coverage = ["--cov", "--cov-report=term-missing"]
            with tempfile.TemporaryFile() as rest:
                command = [*_PYTEST, "tests", "dcsend", *others, *coverage]
                failed += subprocess.call(command, cwd=ROOT, stdout=rest, stderr=subprocess.STDOUT)
                failed += beside.wait()
                for output in (said, rest):
                    output.seek(0)
                    sys.stdout.buffer.write(output.read())
                    sys.stdout.buffer.flush()
        finally:
            beside.terminate()
            beside.wait()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
