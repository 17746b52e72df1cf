"""Time from the start of `dcsend send` until the code.

    python -m bench.startup [--rounds 15]

Starts the program with `--stun none` and measures until the first line of standard output. The
baseline is a Python that only imports asyncio. Prints
medians in milliseconds and writes build/bench/startup.json; 20 s. The first start, which fills the
caches, is left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from bench import results
from bench.results import Spread
from bench.running import ROOT

__all__ = ["main"]


def _until_first_line(command: list[str]) -> float:
    environment = os.environ | {"DCSEND_STUN": "none", "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    seconds = time.perf_counter() - started
    process.terminate()
    process.communicate()
    if not line:
        raise SystemExit("the program printed nothing")
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    where = results.conditions()
    python = [sys.executable]
    commands = {
        "send": [*python, "-m", "dcsend", "send", __file__, "--json"],
        "receive": [*python, "-m", "dcsend", "receive", "--json", "-y"],
        "asyncio": [*python, "-c", "import asyncio; print(1)"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            seconds = _until_first_line(command)
            if number:
                times[name].append(seconds * 1000)
    for name, taken in times.items():
        print(f"{name}: {Spread.of(taken)} ms")
    results.write(
        "startup",
        {
            "part": "startup",
            "conditions": where,
            "arguments": {"rounds": rounds},
            "times_ms": times,
        },
    )


if __name__ == "__main__":
    main()
