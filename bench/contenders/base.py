"""The interface of all programs that are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.hosts import Hosts
from bench.results import Result

__all__ = ["Contender", "Measure", "always"]

Measure = Callable[[Hosts, int, float, Path], Result]
"""Arguments: hosts, megabytes, limit in seconds, folder for files. Transfers from the left host to
the right one. Raises `running.Failed` or TimeoutError if nothing can be counted."""


def always() -> str:
    """Return that nothing is missing."""
    return ""


@dataclass(frozen=True, slots=True)
class Contender:
    """A program to measure."""

    name: str
    timing: str
    "The interval that its seconds measure."
    measure: Measure
    missing: Callable[[], str] = always
    "Returns why it cannot run here; empty if it can."
