"""A call on a file that fails, on either side, ends in order: a sample of `make faults`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the injection is for glibc")


def test_call_of_each_kind_that_fails_costs_what_it_should() -> None:
    command = [sys.executable, "-m", "tests.faults", "--sample"]
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, ""), run.stdout + run.stderr
