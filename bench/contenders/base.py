"""The one interface of everybody that is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.hosts import Hosts
from bench.results import Result

__all__ = ["Contender", "Measure", "always"]

Measure = Callable[[Hosts, int, float, Path], Result]
"""Given hosts, megabytes, a limit in seconds and a folder for files; from the left to the right.
Raises `running.Failed` or TimeoutError where there is nothing to count."""


def always() -> str:
    """Say of a contender that nothing is missing."""
    return ""


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody to measure."""

    name: str
    timing: str
    "What its seconds are: from what to what."
    measure: Measure
    missing: Callable[[], str] = always
    "Says why it can't run here; empty if it can."
