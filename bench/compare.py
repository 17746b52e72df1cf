"""Several source trees of dcsend against each other, in the same run.

    python -m bench.compare TREE TREE … [--rounds 7] [--own-cores] [--megabytes 300]
        [--files N] [--path RTT,LOSS,RATE,QUEUE] [--startup]

Each TREE is a folder with the package `dcsend`, for instance a work tree of another commit. Each
round runs every tree once; another one begins each time. Prints the medians, and the medians of the
ratios to the first tree within each round. By default one file crosses a veth pair, and both ends
share all processors; with `--own-cores` the sender has processor 0, the receiver processor 1.
`--files` sends so many files of 4 KiB instead. `--path` puts an emulated path between both: round
trip in s, part of the packets that is lost, bit/s, and bytes of the queue (`0.04,0.001,1e9,4e6`).
`--startup` measures the seconds until `dcsend send` prints its first line.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path as FilePath
from typing import Final

from bench.contenders.whole import ENVIRONMENT, send_path
from bench.emulation import Path, joined, requirements
from bench.files import random_file, workshop
from bench.hosts import Hosts, cable
from bench.results import MEGABYTE, Spread
from bench.rounds import attempt

__all__ = ["main", "ratios"]

_PROGRAM: Final = (sys.executable, "-P", "-m", "dcsend")
"Without the current folder, which would have priority over PYTHONPATH."
_SIZE: Final = 4096
"Bytes of each small file."


def ratios(rates: dict[str, list[float]]) -> dict[str, float]:
    """Return the median of the ratios to the first one; rounds in which one failed are left out.

    >>> ratios({"old": [1.0, 2.0, 4.0], "new": [2.0, 2.0, 0.0]})
    {'new': 1.5}
    """
    first, *others = rates
    found = {}
    for name in others:
        pairs = zip(rates[name], rates[first], strict=True)
        shares = [one / base for one, base in pairs if one and base]
        found[name] = statistics.median(shares) if shares else 0.0
    return found


def _transfer(chosen: argparse.Namespace, folder: FilePath) -> Callable[[str, int], float]:
    """Prepare the files; return a function that moves them with a tree, and returns the rate."""
    if chosen.files:
        source = folder / "many"
        source.mkdir()
        for number in range(chosen.files):
            (source / f"{number:06}.bin").write_bytes(os.urandom(_SIZE))
    else:
        source = random_file(folder / "one.bin", chosen.megabytes * MEGABYTE)
    cores = (("taskset", "-c", "0"), ("taskset", "-c", "1")) if chosen.own_cores else ((), ())
    programs = ((*cores[0], *_PROGRAM), (*cores[1], *_PROGRAM))

    def hosts(number: int) -> AbstractContextManager[Hosts]:
        return joined(chosen.path, seed=number + 1) if chosen.path else cable()

    def measure(tree: str, number: int) -> float:
        environment = {**ENVIRONMENT, "PYTHONPATH": tree}
        # On ext4 names of files that were removed shortly before make new files slow: many files
        # are removed at the end of all rounds.
        target = folder / f"received-{number}-{FilePath(tree).name}"
        with hosts(number) as ends:
            result = attempt(
                tree,
                lambda: send_path(
                    ends, source, target, chosen.limit, programs=programs, environment=environment
                ),
            )
        if not chosen.files:
            for left in target.glob("*"):
                left.unlink()
        if chosen.files:
            return chosen.files / result.seconds if result.complete else 0.0
        return result.rate

    return measure


def _startup(tree: str, number: int) -> float:
    """Return how many starts a second would take."""
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": tree}
    command = [*_PROGRAM, "send", __file__, "--json"]
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - started
        process.terminate()
        process.communicate()
    if not line:
        raise SystemExit(f"dcsend of {tree} printed nothing")
    return 1 / seconds


def _path(text: str) -> Path:
    rtt, loss, rate, queue = (float(part) for part in text.split(","))
    return Path(rtt, loss, rate, int(queue))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("trees", metavar="TREE", nargs="+")
    parser.add_argument("--rounds", type=int, default=7, help="default 7")
    parser.add_argument("--own-cores", action="store_true", help="one processor for each end")
    parser.add_argument("--megabytes", type=int, default=300, help="default 300")
    parser.add_argument("--files", type=int, default=0, help="this many of 4 KiB instead")
    parser.add_argument("--path", type=_path, help="seconds,part lost,bit/s,bytes of the queue")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each; default 60")
    parser.add_argument("--startup", action="store_true", help="seconds until the first line")
    chosen = parser.parse_args()
    if missing := requirements():
        raise SystemExit(f"bench.compare needs {', '.join(missing)}")
    needed = chosen.files * _SIZE * 4 * (1 + chosen.rounds * len(chosen.trees))
    with workshop(needed or 3 * chosen.megabytes * MEGABYTE) as folder:
        measure = _startup if chosen.startup else _transfer(chosen, folder)
        rates: dict[str, list[float]] = {tree: [] for tree in chosen.trees}
        for number in range(chosen.rounds + chosen.startup):
            first = number % len(chosen.trees)
            for tree in (*chosen.trees[first:], *chosen.trees[:first]):
                rate = measure(tree, number)
                if number or not chosen.startup:  # the first start fills the caches
                    rates[tree].append(rate)
    unit = "starts/s" if chosen.startup else "files/s" if chosen.files else "MB/s"
    shares = ratios(rates)
    for tree in chosen.trees:
        share = f", ratio {shares[tree]:.3f}" if tree in shares else ""
        print(f"{tree}: {Spread.of(rates[tree])} {unit}{share}")


if __name__ == "__main__":
    main()
