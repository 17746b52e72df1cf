"""What the syncs of a part cost while it is received.

    python -m bench.syncs [--megabytes 1000] [--rounds 9] [--rate MB/s]

The sink of a receiver writes a file of random bytes, which arrive as fast as it takes them, or at a
rate. Each round has a run with the syncs at intervals and one without; another one begins each
time. Prints the medians of the rates and of their ratios, and the parts of the time in which the
sink has waited for a sync: before the last byte, and for the last sync, which follows it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeVar
from unittest import mock

from bench.files import workshop
from bench.results import MEGABYTE
from dcsend.content import Data, End
from dcsend.entry import Entry, Existing
from dcsend.files.committing import CommitQueue
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.interval_sync import IntervalSync

__all__ = ["main"]

_PORTION: Final = 1 << 20

T = TypeVar("T")


class _Run(NamedTuple):
    rate: float
    "MB/s, the last sync included."
    during: float
    "Part of the time before the last byte in which the sink has waited."
    after: float
    "Seconds from the last byte to the end."


class _Clock:
    """Adds up the time in calls."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, call: Callable[[T], None]) -> Callable[[T], None]:
        """Return *call*, a method without arguments, measured."""

        def measured(owner: T) -> None:
            began = time.perf_counter()
            try:
                call(owner)
            finally:
                self.seconds += time.perf_counter() - began

        return measured


def _receive(folder: Path, content: bytes, count: int, rate: float, *, syncs: bool) -> _Run:
    """Receive *content* so many times as one file."""
    size = len(content) * count
    hasher = hashlib.sha256()
    for _ in range(count):
        hasher.update(content)
    clock = _Clock()
    note: Callable[..., None] = IntervalSync.note if syncs else lambda self, position: None
    with (
        mock.patch.object(IntervalSync, "note", note),
        mock.patch.object(IntervalSync, "settle", clock.timed(IntervalSync.settle)),
        mock.patch.object(CommitQueue, "wait", clock.timed(CommitQueue.wait)),
    ):
        sink = DirectorySink(folder, existing=Existing.OVERWRITE)
        sink.plan([Entry("film.mkv", size=size)])
        began = time.perf_counter()
        for offset in range(0, size, len(content)):
            sink.apply([Data(0, offset, content)], more=True)
            if rate:
                time.sleep(max(0.0, began + (offset + len(content)) / rate - time.perf_counter()))
        written = time.perf_counter()
        waited = clock.seconds
        outcomes = sink.apply([End(0, size, hasher.digest())])
        outcomes += [*sink.finish(), *sink.close()]
        ended = time.perf_counter()
    assert [one.status for one in outcomes] == ["ok"]
    (folder / "film.mkv").unlink()
    os.sync()
    return _Run(size / MEGABYTE / (ended - began), waited / (written - began), ended - written)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=int, default=1000, help="default 1000")
    parser.add_argument("--rounds", type=int, default=9, help="default 9")
    parser.add_argument("--rate", type=float, default=0, help="MB/s; default: without a limit")
    chosen = parser.parse_args()
    count = chosen.megabytes * MEGABYTE // _PORTION
    content = os.urandom(_PORTION)
    runs: dict[bool, list[_Run]] = {True: [], False: []}
    with workshop(2 * chosen.megabytes * MEGABYTE) as folder:
        for number in range(chosen.rounds):
            for syncs in (True, False) if number % 2 else (False, True):
                rate = chosen.rate * MEGABYTE
                runs[syncs].append(_receive(folder, content, count, rate, syncs=syncs))
    for syncs, found in runs.items():
        rates, during, after = (sorted(part) for part in zip(*found, strict=True))
        print(
            f"{'with' if syncs else 'without'}: {statistics.median(rates):.1f} MB/s "
            f"({rates[0]:.1f} to {rates[-1]:.1f}), waited {100 * statistics.median(during):.2f} % "
            f"({100 * during[0]:.2f} to {100 * during[-1]:.2f}), "
            f"after the last byte {statistics.median(after):.2f} s"
        )
    ratios = sorted(a.rate / b.rate for a, b in zip(runs[True], runs[False], strict=True))
    print(
        f"ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}); "
        f"load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
