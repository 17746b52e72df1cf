"""Simulations of two sides: a sample, what must be the same twice, and defects that are found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.simulation.planted import DEFECTS

pytestmark = pytest.mark.full

_ROOT: Final = Path(__file__).resolve().parents[2]
_SEEDS: Final = 2000
_SHARE: Final = 500


def _simulate(seeds: str, *more: str, hash_seed: str = "random") -> tuple[int, str]:
    """Run the command line in a process of its own; return its status and output."""
    command = [sys.executable, "-m", "tests.simulation", "--seeds", seeds, *more]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("first", range(1, _SEEDS, _SHARE))
def test_simulated_transfers_have_no_fault(first: int) -> None:
    status, shown = _simulate(f"{first}..{first + _SHARE - 1}")
    assert status == 0, shown


def test_two_simulations_with_one_seed_are_the_same() -> None:
    one, other = (_simulate("1..40", "--show", hash_seed=seed) for seed in ("1", "2"))
    assert one == other
    assert len(one[1].splitlines()) > 1000


@pytest.mark.parametrize("defect", DEFECTS)
def test_planted_defect_is_found(defect: str) -> None:
    status, shown = _simulate(f"1..{_SEEDS}", "--planted", defect)
    assert status == 1
    assert f"--show --planted {defect}" in shown
