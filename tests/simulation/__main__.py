"""The command line; see the package."""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import sys
import time

from tests.simulation.planted import DEFECTS, planted
from tests.simulation.record import ALL, Record
from tests.simulation.story import Result, simulate


def main() -> int:
    """Run the command line; return 1 if a seed has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", metavar="A..B", help="only these; nothing is written")
    parser.add_argument("--planted", choices=DEFECTS, default="", help="stops when it is found")
    parser.add_argument("--processes", type=int, metavar="N", help="in place of all processors")
    parser.add_argument("--show", action="store_true", help="print each step")
    options = parser.parse_args()
    if options.seeds is None:
        return _all(options.processes)
    first, _, last = options.seeds.partition("..")
    seeds = range(int(first), int(last or first) + 1)
    began, runs, failed = time.monotonic(), 0, 0
    digest = hashlib.sha256()
    with planted(options.planted):
        for seed in seeds:
            result = simulate(seed, shown=options.show)
            sys.stdout.write("".join(result.lines))
            digest.update(result.digest.encode())
            runs += result.runs
            failed += bool(result.faults)
            _print(seed, result, options.planted)
            if options.planted and failed:
                break
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"{len(seeds)} seeds, {runs} runs, {failed} failed, digest {digest.hexdigest()[:16]}\n"
    )
    sys.stderr.write(f"{seconds:.1f} s\n")
    return 1 if failed else 0


def _print(seed: int, result: Result, defect: str = "") -> None:
    for fault in result.faults:
        sys.stdout.write(f"seed {seed}: {fault}\n")
    if result.faults:
        again = f"python -m tests.simulation --seeds {seed}..{seed} --show"
        sys.stdout.write(f"  again: {again}{f' --planted {defect}' if defect else ''}\n")
        sys.stdout.flush()


def _all(processes: int | None) -> int:
    """Carry out all seeds that have not been, and write the report; None: on every processor."""
    record = Record()
    seeds = range(record.next, ALL + 1)
    with multiprocessing.Pool(processes) as pool:
        for seed, (result, seconds) in zip(seeds, pool.imap(_timed, seeds, 50), strict=True):
            record.add(seed, result, seconds)
            _print(seed, result)
            if seed % 500 == 0:
                record.keep()
                record.write()
                sys.stdout.write(f"{seed} seeds, {record.failed} failed\n")
                sys.stdout.flush()
    return 1 if record.failed else 0


def _timed(seed: int) -> tuple[Result, float]:
    """Return a result, and the seconds of a processor that it took."""
    began = time.process_time()
    return simulate(seed), time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
