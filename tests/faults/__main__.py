"""The command line; see the package."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.faults.injection import LIBRARY, build
from tests.faults.report import Results, write
from tests.faults.running import Case, load
from tests.faults.table import ANY, Place, carry_out, sample, whole

_REPORT: Final = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
_EVERY: Final = 100
"Cases between two lines of progress."


def main() -> int:
    """Run the command line; return 1 if a case has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--sample", action="store_true", help="each kind of call once")
    parser.add_argument("--part", type=int, default=1, metavar="N", help="each N-th case only")
    parser.add_argument("case", nargs="*", help="SCENE SIDE KIND NTH ERROR: one case")
    given = parser.parse_args()
    load()
    with Place() as place:
        if given.case:
            return _one(place, *given.case)
        cases = sample(place) if given.sample else whole(place)[:: given.part]
        results = _all(place, cases)
    if not given.sample:
        write(_REPORT, results, given.part)
    return 1 if results.faults else 0


def _one(place: Place, scene: str, side: str, kind: str, nth: str, error: str) -> int:
    done, wrong = place.run(Case(scene, side, kind, int(nth), error, kind == ANY))
    for name, report in (("sender", done.sender), ("receiver", done.receiver)):
        for line in (report.out + report.err).decode(errors="replace").splitlines():
            _say(f"{name:9} {line}")
    _say(f"{done.failed} calls failed, the first: {done.first or 'none'}")
    _say(f"calls: {done.counts}")
    for fault in wrong:
        _say(fault)
    return 1 if wrong else 0


def _all(place: Place, cases: list[Case]) -> Results:
    results, began = Results(), time.monotonic()
    for number, result in enumerate(carry_out(place, cases), 1):
        results.add(result)
        for fault in result.faults:
            _say(fault)
        if number % _EVERY == 0 or number == len(cases):
            _say(f"{number} of {len(cases)} cases, {time.monotonic() - began:.0f} s")
    results.seconds = time.monotonic() - began
    return results


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _preload() -> None:
    """Start this program again with the library preloaded."""
    with tempfile.TemporaryDirectory(prefix="dcsend-inject-") as folder:
        library = str(build(Path(folder)))
        environment = {**os.environ, LIBRARY: library, "LD_PRELOAD": library}
        command = [sys.executable, "-m", "tests.faults", *sys.argv[1:]]
        sys.exit(os.spawnve(os.P_WAIT, sys.executable, command, environment))


if LIBRARY not in os.environ:
    _preload()
sys.exit(main())
