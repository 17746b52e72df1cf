"""What `make simulate` has done so far, and the figures in docs/simulation.md.

Seeds of other sources of dcsend or of the simulation are not counted.
"""

from __future__ import annotations

import datetime
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.simulation.story import Result

__all__ = ["ALL", "Record"]

ALL: Final = 100_000
"Seeds."
_ROOT: Final = Path(__file__).resolve().parents[2]
_KEPT: Final = _ROOT / "build" / "simulation" / "record.json"
_REPORT: Final = _ROOT / "docs" / "simulation.md"
_SOURCES: Final = ("dcsend", "tests/simulation")


class Record:
    """Seeds from 1 on, without a gap."""

    def __init__(self) -> None:
        self._sources = _git("rev-parse", *(f"HEAD:{path}" for path in _SOURCES))
        self._values: dict[str, Any] = {
            "sources": self._sources,
            "commit": _git("rev-parse", "--short", "HEAD"),
            "seeds": 0,
            "runs": 0,
            "simulated": 0.0,
            "processor": 0.0,
            "failed": [],
        }
        if _KEPT.exists():
            kept = json.loads(_KEPT.read_text(encoding="utf-8"))
            if kept["sources"] == self._sources:
                self._values = kept

    @property
    def next(self) -> int:
        """The first seed that has not been carried out."""
        return int(self._values["seeds"]) + 1

    @property
    def failed(self) -> int:
        """How many have failed."""
        return len(self._values["failed"])

    def add(self, seed: int, result: Result, seconds: float) -> None:
        """Add the next seed, which took so many seconds of a processor."""
        self._values["processor"] += seconds
        self._values["seeds"] = seed
        self._values["runs"] += result.runs
        self._values["simulated"] += result.seconds
        if result.faults:
            self._values["failed"].append(seed)

    def keep(self) -> None:
        """Let another process continue here."""
        self._values["at"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
        _KEPT.parent.mkdir(parents=True, exist_ok=True)
        _KEPT.write_text(json.dumps(self._values), encoding="utf-8")

    def write(self) -> None:
        """Write the figures into the report."""
        values = self._values
        failed = ", ".join(map(str, values["failed"])) or "none"
        text = (
            f"Seeds 1 to {values['seeds']}, finished on {values['at']} UTC at commit "
            f"{values['commit']}:\n{values['runs']} runs of both sides, "
            f"{values['simulated'] / 3600:.0f} hours of the simulated clock,\n"
            f"{values['processor'] / 60:.0f} minutes of one processor. Seeds that failed: {failed}."
        )
        before = _REPORT.read_text(encoding="utf-8")
        head, heading, _ = before.partition("## Figures\n")
        _REPORT.write_text(f"{head}{heading}\n{text}\n", encoding="utf-8")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    return " ".join(re.split(r"\s+", done.stdout.strip()))
