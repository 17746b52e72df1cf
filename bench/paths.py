"""Whole dcsend against bare channels over emulated paths: delay, loss, rate, queue.

    python -m bench.paths [--rounds 5] [--megabytes 60] [--limit 60] [--path N]

On each path of `GRID`, each round runs every contender once, one after the other: `dcsend send`
and `dcsend receive` with a real file, and the bare data channels of aiortc and libwebrtc. Who is
not done after `--limit` seconds is measured by what has arrived. Prints a Markdown table with the
medians, and one line of JSON with every figure. Paths are made by `bench.emulation`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any, Final

from bench.emulation import Hosts, Path, joined, requirements
from bench.throughput import random_file

__all__ = ["GRID", "main"]

_ROOT: Final = FilePath(__file__).resolve().parent.parent

GRID: Final = (
    Path(0.04, 0.0, 100e6, 500_000),
    Path(0.04, 0.001, 1e9, 4_000_000),
    Path(0.04, 0.01, 1e9, 4_000_000),
    Path(0.15, 0.001, 1e9, 8_000_000),
    Path(0.06, 0.0, 8e6, 3_000_000),
)
"An ordinary line; two lossy ones; a far one; an uplink with three seconds of buffer."

Measure = Callable[[Hosts, int, float, FilePath], float]
"Given hosts, megabytes, seconds and a folder; returns millions of bytes per second."


def dcsend(hosts: Hosts, megabytes: int, limit: float, folder: FilePath) -> float:
    """Send a file from the left to the right; return the rate of what was written."""
    source = folder / "source.bin"
    if not source.exists():
        random_file(source, megabytes * 1_000_000)
    environment = os.environ | {
        "DCSEND_STUN": "none",
        "DCSEND_NO_PAGE": "1",
        "PYTHONPATH": str(_ROOT),
    }
    program = (sys.executable, "-m", "dcsend")
    sender = subprocess.Popen(
        Hosts.on(hosts.left, *program, "send", str(source), "--json"),
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert sender.stdout is not None
    code = json.loads(sender.stdout.readline())["code"]
    arguments = ("receive", code, "-o", str(folder / "received"), "-y", "--overwrite", "--json")
    receiver = subprocess.Popen(
        Hosts.on(hosts.right, *program, *arguments),
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    try:
        output, _ = receiver.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        receiver.send_signal(signal.SIGINT)
        output, _ = receiver.communicate()
    sender.communicate()
    events = [json.loads(line) for line in output.splitlines()]
    done = events[-1]
    if done["ok"]:
        return float(done["bytes"] / done["seconds"] / 1e6)
    arrived = max((e["bytes"] for e in events if e["event"] == "progress"), default=0)
    return float(arrived / (done["seconds"] or limit) / 1e6)


def _bare(module: str) -> Measure:
    def measure(hosts: Hosts, megabytes: int, limit: float, folder: FilePath) -> float:
        options = ("--megabytes", str(megabytes), "--limit", str(limit))
        ended = subprocess.run(
            Hosts.on(
                hosts.left, sys.executable, "-m", module, *options, "--namespace", hosts.right
            ),
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            # It has lost the connection: that happens to bare channels on such paths.
            print(ended.stderr.splitlines()[-1:], file=sys.stderr)
            return 0.0
        return float(json.loads(ended.stdout.splitlines()[-1])["mb_per_s"])

    return measure


_CONTENDERS: Final[dict[str, Measure]] = {
    "dcsend": dcsend,
    "aiortc": _bare("bench.bare"),
    "libwebrtc": _bare("bench.bare_webrtc"),
}


def _measure(path: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    rates: dict[str, list[float]] = {name: [] for name in _CONTENDERS}
    # What takes longer than the limit at the full rate can't be measured whole.
    megabytes = chosen.megabytes
    if path.rate:
        megabytes = max(1, min(megabytes, int(path.rate / 8e6 * chosen.limit / 2)))
    with tempfile.TemporaryDirectory(prefix="dcsend-bench-") as name:
        for number in range(chosen.rounds):
            for contender, measure in _CONTENDERS.items():
                # A new one each time: nothing of the last transfer is still in a queue.
                with joined(path, seed=number + 1) as hosts:
                    rate = measure(hosts, megabytes, chosen.limit, FilePath(name))
                rates[contender].append(rate)
            shown = ", ".join(f"{contender} {all_[-1]:.2f}" for contender, all_ in rates.items())
            print(f"{path}, round {number + 1}: {shown} MB/s", flush=True)
    return {"path": str(path), "bottleneck": path.rate / 8e6, "megabytes": megabytes, **rates}


def _print(results: list[dict[str, Any]]) -> None:
    names = list(_CONTENDERS)
    print(f"\n| path, MB/s | {' | '.join(names)} | dcsend, share of the line |")
    print(f"|---|{'--:|' * (len(names) + 1)}")
    for one in results:
        medians = [statistics.median(one[name]) for name in names]
        share = f"{medians[0] / one['bottleneck']:.2f}" if one["bottleneck"] else "–"
        print(f"| {one['path']} | {' | '.join(f'{m:.2f}' for m in medians)} | {share} |")
    print(json.dumps({"paths": results}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=60)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each transfer")
    parser.add_argument("--path", type=int, action="append", help="only this one, from 0")
    chosen = parser.parse_args()
    if missing := requirements():
        raise SystemExit(f"an emulated path needs {', '.join(missing)}")
    _print([_measure(GRID[number], chosen) for number in chosen.path or range(len(GRID))])


if __name__ == "__main__":
    main()
