"""Over emulated paths: delay, loss, rate, queue; whole dcsend, bare channels, magic-wormhole.

    python -m bench.paths [--rounds 5] [--limit 20] [--path N …] [--contender NAME …]

Each round runs every contender once on each path of `GRID`. The rate of one that is not done after
`--limit` seconds counts the bytes that have arrived. Each sends the capacity of the line in 12 s,
at most `--megabytes`. Paths are made by `bench.emulation`, whose program shares the processors with
both ends. Writes build/bench/paths.json; about 45 minutes by default, most of them for bare
channels that reach the limit.
"""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from typing import Final

from bench import results
from bench.contenders import choose
from bench.emulation import Hosts, Path, joined, requirements
from bench.files import workshop
from bench.rounds import add_options, interleave

__all__ = ["GRID", "main", "size_for"]

GRID: Final = (
    Path(0.04, 0.0, 100e6, 500_000),
    Path(0.04, 0.001, 1e9, 4_000_000),
    Path(0.04, 0.01, 1e9, 4_000_000),
    Path(0.15, 0.001, 1e9, 8_000_000),
    Path(0.06, 0.0, 8e6, 3_000_000),
)
"An ordinary line; two lossy ones; a far one; an uplink with three seconds of buffer."

_DEFAULT: Final = ("dcsend", "aiortc", "libwebrtc", "pion", "magic-wormhole", "wormhole-william")

_FULL: Final = 12.0
"Seconds that a transfer takes at the rate of the line: long after the start has been forgotten."


def size_for(path: Path, most: int) -> int:
    """Return how many megabytes to send over *path*."""
    return max(1, min(most, int(path.rate / 8e6 * _FULL))) if path.rate else most


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add_options(parser, _DEFAULT)
    parser.add_argument("--megabytes", type=int, default=300, help="at most; default 300")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for each; default 20")
    parser.add_argument("--path", type=int, action="append", help="only this one, from 0")
    chosen = parser.parse_args()
    if missing := requirements():
        raise SystemExit(f"an emulated path needs {', '.join(missing)}")
    where = results.conditions()
    contenders = choose(chosen.contender or _DEFAULT)
    rows = []
    for path in [GRID[number] for number in chosen.path or range(len(GRID))]:
        megabytes = size_for(path, chosen.megabytes)
        row = results.Row(str(path), {one.name: megabytes for one in contenders})
        row.bottleneck = path.rate / 8e6

        def make(number: int, path: Path = path) -> AbstractContextManager[Hosts]:
            return joined(path, seed=number + 1)

        with workshop(3 * megabytes * results.MEGABYTE) as folder:
            interleave(row, contenders, chosen.rounds, chosen.limit, make, folder)
        rows.append(row)
        # After each path, so that partial results can be read.
        results.save("paths", where, vars(chosen), rows)


if __name__ == "__main__":
    main()
