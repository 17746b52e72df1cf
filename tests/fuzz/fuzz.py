"""Fuzz one target with atheris, guided by coverage.

`make fuzz TARGET=names`, or, in an environment with atheris and dcsend's dependencies:

    .fuzz/bin/python tests/fuzz/fuzz.py names .fuzz/corpus/names -max_total_time=600

The first argument is a name in `targets.py`, the others are libFuzzer's. A finding becomes a test.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    """Run until a finding, or for the time in the arguments."""
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]  # in an environment of its own

    sys.path.insert(0, str(ROOT))
    # Not `import dcsend`, which loads the whole package.
    package = types.ModuleType("dcsend")
    package.__path__ = [str(ROOT / "dcsend")]
    sys.modules["dcsend"] = package
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["dcsend", "tests.fuzz", "aioice.stun"]):
        from tests.fuzz.targets import load, timed

        target = timed(load(name))
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
