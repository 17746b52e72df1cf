"""Many small files against one file of the same bytes, over a cable.

    python -m bench.small [--rounds 5] [--files 10000]

Writes build/bench/small.json; about 2 minutes by default. On ext4 begin it five minutes after many
files were removed, by an earlier run for instance: until then it passes over each inode that has
just become free, and a new file takes up to twice as long.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import results
from bench.contenders.whole import send_path
from bench.files import random_file, workshop
from bench.hosts import cable
from bench.results import Result
from bench.rounds import attempt

__all__ = ["main"]

_SIZE: Final = 4096
"Bytes of each small file."
_LIMIT: Final = 300.0
"Seconds for one transfer."


def _measure(source: Path, destination: Path) -> Callable[[], Result]:
    def measure() -> Result:
        with cable() as hosts:
            return send_path(hosts, source, destination, _LIMIT)

    return measure


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=10_000)
    chosen = parser.parse_args()
    where = results.conditions()
    row = results.Row(f"{chosen.files} files of {_SIZE // 1024} KiB", {})
    # A small file takes a block and an inode. Files are removed only at the end:
    # ext4 scans all inodes that were freed shortly before, which takes three times as long.
    with workshop(chosen.files * _SIZE * (4 + 3 * chosen.rounds)) as folder:
        tree = folder / "many"
        tree.mkdir()
        for number in range(chosen.files):
            (tree / f"{number:06}.bin").write_bytes(os.urandom(_SIZE))
        sources = {
            "one file": random_file(folder / "one.bin", chosen.files * _SIZE),
            "many files": tree,
        }
        for number in range(chosen.rounds):
            for name, source in sources.items():
                result = attempt(name, _measure(source, folder / f"{name} {number}"))
                row.results.setdefault(name, []).append(result)
                whole = result.receiver.elapsed if result.receiver else 0.0
                print(
                    f"round {number + 1}, {name}: {result.seconds:.2f} s, command {whole:.2f} s",
                    flush=True,
                )
    results.save("small", where, vars(chosen), [row])


if __name__ == "__main__":
    main()
