"""Fuzz dcsend's SCTP with atheris, guided by coverage.

`make fuzz`, or, in an environment with atheris and google-crc32c:

    .fuzz/bin/python tests/fuzz/fuzz_sctp.py corpus tests/fuzz/corpus -max_total_time=600

Arguments are libFuzzer's. What it finds becomes a test in `tests/sctp`.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    """Run until something is found, or as long as the arguments say."""
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]  # in an environment of its own

    sys.path.insert(0, str(ROOT))
    # Not `import dcsend`, which loads all there is.
    package = types.ModuleType("dcsend")
    package.__path__ = [str(ROOT / "dcsend")]
    sys.modules["dcsend"] = package
    with atheris.instrument_imports(include=["dcsend", "tests.fuzz"]):
        from tests.fuzz.targets import run
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
