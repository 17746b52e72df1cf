"""Share of the rate beside one TCP download on the same line.

    python -m bench.fairness [--rounds 5] [--seconds 20] [--contender NAME …]

100 Mbit/s, 40 ms, 500 KB of queue. A contender and one TCP flow of the kernel, with BBR and then
with CUBIC, share the line; in odd rounds TCP comes 3 s later, in even ones 3 s earlier. Counted
are the bytes that arrive while both run. TCP beside TCP is measured, too, for comparison. Writes
build/bench/fairness.json; about 13 minutes by default.
"""

from __future__ import annotations

import argparse
import bisect
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath
from typing import Any, Final

from bench import results
from bench.contenders import Contender, choose
from bench.emulation import Hosts, joined, requirements
from bench.files import workshop
from bench.paths import GRID
from bench.results import Result
from bench.rounds import add_options, attempt

__all__ = ["arrived_at", "main"]

_PATH: Final = GRID[0]
_DEFAULT: Final = ("dcsend", "tcp-bbr", "tcp-cubic")
_NEIGHBOURS: Final = ("tcp-bbr", "tcp-cubic")
_HEAD_START: Final = 3.0
"Seconds by which the first one has filled the line."


def arrived_at(series: Sequence[tuple[float, int]], moment: float) -> float:
    """Return how much had arrived at *moment*, between two points in proportion.

    >>> arrived_at([(1.0, 100), (2.0, 300)], 1.5)
    200.0
    """
    points = [(0.0, 0), *series]
    index = bisect.bisect(points, (moment, 1 << 62))
    if index == len(points):
        return float(points[-1][1])
    (before, low), (after, high) = points[index - 1], points[index]
    part = (moment - before) / (after - before) if after > before else 1.0
    return low + (high - low) * part


def _together(
    one: Contender, other: Contender, hosts: Hosts, number: int, seconds: float, folder: FilePath
) -> tuple[Result, Result]:
    """Run both; the one that starts second ends last."""
    length = seconds + _HEAD_START
    # More than the capacity of the line in that time, so that neither ends early.
    megabytes = int(_PATH.rate / 8e6 * length * 1.2)
    order = (one, other) if number % 2 == 0 else (other, one)

    def run(contender: Contender) -> Result:
        return attempt(contender.name, lambda: contender.measure(hosts, megabytes, length, folder))

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run, order[0])
        time.sleep(_HEAD_START)
        second = pool.submit(run, order[1])
        results_ = first.result(), second.result()
    return results_ if number % 2 == 0 else (results_[1], results_[0])


def _shares(one: Result, other: Result) -> dict[str, Any]:
    """Count the bytes of both while both were running."""
    start = max(one.started, other.started)
    end = min(one.started + one.seconds, other.started + other.seconds)
    if end <= start:
        return {"seconds": 0.0, "ours": 0.0, "theirs": 0.0, "used": 0.0}
    got = [
        arrived_at(result.series, end - result.started)
        - arrived_at(result.series, start - result.started)
        for result in (one, other)
    ]
    line = _PATH.rate / 8 * (end - start)
    return {
        "seconds": round(end - start, 2),
        "ours": round(got[0] / line, 4),
        "theirs": round(got[1] / line, 4),
        "used": round(sum(got) / line, 4),
    }


def _beside(one: Result, other: Result) -> dict[str, Any]:
    """Keep how the other one went, and by how many seconds it began later."""
    return {"beside": other.series, "after": round(other.started - one.started, 2)}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add_options(parser, _DEFAULT)
    parser.add_argument("--seconds", type=float, default=20.0, help="with both on the line")
    chosen = parser.parse_args()
    if missing := requirements():
        raise SystemExit(f"an emulated path needs {', '.join(missing)}")
    where = results.conditions()
    contenders = choose(chosen.contender or _DEFAULT)
    size = int(_PATH.rate / 8 * (chosen.seconds + _HEAD_START) * 1.2)
    rows = []
    with workshop(3 * size) as folder:
        for neighbour in choose(_NEIGHBOURS):
            row = results.Row(f"beside {neighbour.name}", {}, bottleneck=_PATH.rate / 8e6)
            row.timing |= {one.name: one.timing for one in (*contenders, neighbour)}
            rows.append(row)
            for number in range(chosen.rounds):
                for one in contenders:
                    with joined(_PATH, seed=number + 1) as hosts:
                        pair = _together(one, neighbour, hosts, number, chosen.seconds, folder)
                    shares = _shares(*pair) | _beside(*pair)
                    row.results.setdefault(one.name, []).append(pair[0])
                    row.extra.setdefault(one.name, []).append(shares)
                    print(
                        f"round {number + 1}, {one.name} {shares['ours']:.2f} of the line, "
                        f"{neighbour.name} beside it {shares['theirs']:.2f}",
                        flush=True,
                    )
    results.save("fairness", where, vars(chosen), rows)


if __name__ == "__main__":
    main()
