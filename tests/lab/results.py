"""What `make lab` has measured so far, and the parts of docs/networks.md.

A cell that has been measured is kept in build/lab/, so that an interrupted run continues where it
stopped. Cells of other sources of dcsend or of the page are not used.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

__all__ = ["Results", "write"]

ROOT: Final = Path(__file__).resolve().parents[2]
_KEPT: Final = ROOT / "build" / "lab" / "cells.jsonl"
_REPORT: Final = ROOT / "docs" / "networks.md"
_SOURCES: Final = ("dcsend", "web-receiver/src", "web-receiver/index.html")

T = TypeVar("T")


class Results:
    """The cells of the current sources; one line of JSON each in a file.

    Args:
        path: of the file; None: cells are neither read nor kept.
    """

    def __init__(self, path: Path | None = _KEPT) -> None:
        self._path = path
        self._sources = _git("rev-parse", *(f"HEAD:{path}" for path in _SOURCES))
        if _git("status", "--porcelain", "--", *_SOURCES):
            self._sources += " and changes"
        self._lock = threading.Lock()
        self._cells: dict[str, dict[str, Any]] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                cell = json.loads(line)
                if cell["sources"] == self._sources:
                    self._cells[cell["key"]] = cell

    def cell(self, key: str, measure: Callable[[], T]) -> T:
        """Return a cell, which is measured unless it is there; its value can be JSON."""
        kept = self._cells.get(key)
        if kept is None:
            load = os.getloadavg()[0]
            value = measure()
            kept = {
                "key": key,
                "sources": self._sources,
                "commit": _git("rev-parse", "--short", "HEAD"),
                "at": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M"),
                "load": round(max(load, os.getloadavg()[0]), 1),
                "value": value,
            }
            self._keep(kept)
            sys.stderr.write(f"{key}: {json.dumps(value, ensure_ascii=False)}\n")
        found: T = kept["value"]
        return found

    def conditions(self, keys: Iterable[str] = ("",)) -> str:
        """Return when and where the cells whose keys begin so were measured, in one sentence."""
        cells = [c for key, c in self._cells.items() if key.startswith(tuple(keys))]
        if not cells:
            return ""
        times = sorted(cell["at"] for cell in cells)
        loads = sorted(cell["load"] for cell in cells)
        commits = ", ".join(sorted({cell["commit"] for cell in cells}))
        return (
            f"Measured from {times[0]} to {times[-1]} UTC at commit {commits}, on Linux "
            f"{platform.release().split('-')[0]} with {os.cpu_count()} processors, at a load of "
            f"{loads[0]:g} to {loads[-1]:g} (median {statistics.median(loads):g})."
        )

    def _keep(self, cell: dict[str, Any]) -> None:
        with self._lock:
            self._cells[cell["key"]] = cell
            if self._path is None:
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(cell, ensure_ascii=False) + "\n")


def write(heading: str, text: str) -> None:
    """Replace a section of docs/networks.md; *heading* is its first line, as in *text*."""
    level = heading.partition(" ")[0]
    end = rf"(?=^#{{1,{len(level)}}} |\Z)" if level != "#" else r"(?=^## (?!Messages)|\Z)"
    before = _REPORT.read_text(encoding="utf-8")
    pattern = re.compile(rf"^{re.escape(heading)}\n.*?{end}", re.MULTILINE | re.DOTALL)
    assert pattern.search(before), f"{_REPORT.name} has no section {heading}"
    _REPORT.write_text(
        pattern.sub(lambda _: f"{text.strip()}\n\n", before, count=1).rstrip() + "\n",
        encoding="utf-8",
    )


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return " ".join(done.stdout.split())
