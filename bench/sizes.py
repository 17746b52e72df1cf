"""Whole dcsend over a cable with files of several sizes: memory of both sides, cost per byte.

    python -m bench.sizes [--rounds 5] [--megabytes 100 1000 4000 10000]

Files are random and not sparse, made once and sent in each round; the disk must hold all of them
and the largest once more, which is checked first. Files larger than the free memory are read from
the disk and written to it. Writes build/bench/sizes.json; 15 to 30 minutes by default.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Final

from bench import results
from bench.contenders.whole import DCSEND
from bench.files import random_file, workshop
from bench.hosts import cable
from bench.results import MEGABYTE, Result
from bench.rounds import attempt

__all__ = ["main"]

_SLOWEST: Final = 5
"Megabytes a second that a transfer must reach, or it is ended."


def _once(megabytes: int, folder: Path) -> Result:
    with cable() as hosts:
        return DCSEND.measure(hosts, megabytes, 60 + megabytes / _SLOWEST, folder)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[100, 1000, 4000, 10_000])
    chosen = parser.parse_args()
    where = results.conditions()
    rows = [results.Row(f"one file of {size} MB", {DCSEND.name: size}) for size in chosen.megabytes]
    with workshop((sum(chosen.megabytes) + max(chosen.megabytes)) * MEGABYTE) as folder:
        for size in chosen.megabytes:
            random_file(folder / f"{size}.bin", size * MEGABYTE)
        for number in range(chosen.rounds):
            for size, row in zip(chosen.megabytes, rows, strict=True):
                result = attempt(row.title, partial(_once, size, folder))
                row.results.setdefault(DCSEND.name, []).append(result)
                print(f"round {number + 1}, {row.title}: {result.rate:.1f} MB/s", flush=True)
            results.save("sizes", where, vars(chosen), rows)


if __name__ == "__main__":
    main()
