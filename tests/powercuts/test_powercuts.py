"""Power cuts: a sample of `make powercuts`, and what the laboratory itself must show."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from tests.powercuts.disks import FILE_SYSTEMS, Recording, make_image, mounted, recorded
from tests.powercuts.planted import DEFECTS
from tests.powercuts.table import Case, run
from tests.support.disks import need_root

pytestmark = pytest.mark.full

_ROOT: Final = Path(__file__).resolve().parents[2]
_CUTS: Final = 12
"In each round: a defect may show in one cut of ten."
_ROUNDS: Final = 6
"At most: until it is found. Which writes follow a flush depends on the load of the machine."


@pytest.fixture(autouse=True)
def root() -> None:
    need_root()


def test_sample_of_power_cuts_leaves_what_it_must() -> None:
    command = [sys.executable, "-m", "tests.powercuts", "--sample"]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("defect", DEFECTS)
def test_planted_defect_is_found(defect: str) -> None:
    _, scene, system = DEFECTS[defect]
    found: list[str] = []
    for seed in range(_ROUNDS):
        found = found or run(Case(scene, system, seed, _CUTS), defect)["faults"]
    assert found
    assert not [fault for fault in found if not fault.startswith("cut ")]


@pytest.mark.parametrize("name", list(FILE_SYSTEMS))
def test_file_is_lost_unless_it_was_synced(name: str, tmp_path: Path) -> None:
    system, folder, cut_at = FILE_SYSTEMS[name], tmp_path / "disk", tmp_path / "cut"
    image = make_image(system, tmp_path, lambda root: None)
    folder.mkdir()
    cut_at.mkdir()
    with recorded(system, image, folder) as recording:
        began = time.monotonic_ns()
        _write(recording, "lost", sync=False)
        assert not recording.log().flushes(began)
        _write(recording, "kept", sync=True)
        moment = time.monotonic_ns()
        _write(recording, "lost too", sync=False)
    log = recording.log()
    assert log.flushes(began, moment)
    for seed in range(4):
        cut = log.cut_at(moment, random.Random(seed))
        image.write(tmp_path / "cut.img", cut.writes)
        with mounted(system, tmp_path / "cut.img", cut_at):
            assert (cut_at / "kept").read_bytes() == b"kept" * 10_000
            # Its name may be written with that of the other file.
            lost = cut_at / "lost"
            assert not lost.exists() or not lost.read_bytes().strip(b"\0")
            assert not (cut_at / "lost too").exists()


def _write(recording: Recording, name: str, *, sync: bool) -> None:
    with (recording.root / name).open("wb") as file:
        file.write(name.encode() * 10_000)
        if sync:
            file.flush()
            os.fsync(file.fileno())
            folder = os.open(recording.root, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
