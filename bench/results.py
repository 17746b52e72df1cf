"""Results of measurements, their summaries, and their files in build/bench/.

Each part of the benchmark writes one JSON file: its arguments, the conditions, and rows of results.
`bench.report` reads only these files.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from bench.running import ROOT, Cost

__all__ = [
    "FOLDER",
    "MEGABYTE",
    "Result",
    "Row",
    "Spread",
    "conditions",
    "progress",
    "save",
    "write",
]

FOLDER: Final = Path(os.environ.get("DCSEND_BENCH_RESULTS", ROOT / "build" / "bench"))
"Where the JSON files go; not in git. The variable is for trying things out."

MEGABYTE: Final = 1_000_000
"Bytes, here and in each figure; memory is in MiB."

_VERSIONS: Final = ("aiortc", "wrtc")
"Distributions whose version influences the figures."


@dataclass(frozen=True, slots=True)
class Result:
    """One transfer."""

    bytes: int
    "What has arrived, as the receiver counts."
    seconds: float
    "The interval differs; see the `timing` of each contender."
    complete: bool = True
    "False: the time was over first, or it failed."
    sender: Cost | None = None
    receiver: Cost | None = None
    series: Sequence[tuple[float, int]] = ()
    "Bytes arrived so far at seconds after the start."
    started: float = 0.0
    "Seconds of the monotonic clock, to compare with what runs beside it."
    note: str = ""
    "Why it isn't complete."

    @property
    def rate(self) -> float:
        """Millions of bytes per second."""
        return self.bytes / self.seconds / MEGABYTE if self.seconds > 0 else 0.0


@dataclass(slots=True)
class Row:
    """One setting with the results of all contenders."""

    title: str
    megabytes: Mapping[str, int]
    "The bytes that each sends; slow ones send fewer."
    results: dict[str, list[Result]] = field(default_factory=dict)
    bottleneck: float = 0.0
    "Millions of bytes per second of the line; 0: this machine is the limit."
    timing: dict[str, str] = field(default_factory=dict)
    "Definition of the seconds of each contender."
    extra: dict[str, Any] = field(default_factory=dict)
    "Figures that only this kind of row has, by contender."


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with what was around it."""

    median: float
    least: float
    most: float

    @staticmethod
    def of(values: Iterable[float]) -> Spread:
        """Sum up; of nothing it is 0.

        >>> Spread.of([3.0, 1.0, 2.0])
        Spread(median=2.0, least=1.0, most=3.0)
        """
        values = list(values) or [0.0]
        return Spread(statistics.median(values), min(values), max(values))

    @property
    def short(self) -> str:
        """The median alone."""
        return f"{self.median:.{self._digits}f}"

    @property
    def _digits(self) -> int:
        return 0 if self.median >= 100 else 1 if self.median >= 10 else 2

    def __str__(self) -> str:
        """Return its text for a table."""
        return f"{self.short} ({self.least:.{self._digits}f}–{self.most:.{self._digits}f})"


def progress(started: float, points: Iterable[tuple[float, int]]) -> list[tuple[float, int]]:
    """Return times on the monotonic clock as seconds after *started*, rounded."""
    return [(round(at - started, 3), arrived) for at, arrived in points if at >= started]


def conditions() -> dict[str, Any]:
    """Return the machine and the versions of the measurement."""
    git = ("git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=10")
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    names = [*_VERSIONS, *(("uvloop",) if _installed("uvloop") else ())]
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit,
        "kernel": f"{platform.system()} {platform.release()}",
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "versions": {name: metadata.version(name) for name in names if _installed(name)},
    }


def save(
    name: str, where: Mapping[str, Any], arguments: Mapping[str, Any], rows: Sequence[Row]
) -> Path:
    """Write the file of one part.

    Args:
        name: the part; the file is called so.
        where: `conditions`, taken before it began.
        arguments: what it was called with.
        rows: what came out.
    """
    return write(
        name,
        {
            "part": name,
            "conditions": where,
            "arguments": dict(arguments),
            "rows": [asdict(row) for row in rows],
        },
    )


def write(name: str, content: Mapping[str, Any]) -> Path:
    """Write a file of one part, whatever is in it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")
    return path


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == "model name"), "")
