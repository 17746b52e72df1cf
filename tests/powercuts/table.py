"""All rounds, several at a time, and docs/powercuts.md."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.lab.results import Results
from tests.powercuts.planted import DEFECTS
from tests.powercuts.scale import BOUND, FACTOR
from tests.powercuts.scenes import SCENES

__all__ = ["SAMPLE", "Case", "carry_out", "run", "table", "write"]

_ROOT: Final = Path(__file__).resolve().parents[2]
_KEPT: Final = _ROOT / "build" / "powercuts" / "cells.jsonl"
_REPORT: Final = _ROOT / "docs" / "powercuts.md"
_AT_ONCE: Final = 2
_LIMIT: Final = 900.0
"Seconds that a round may take."

Value = dict[str, Any]
"The fields of a `rounds.Round`."


class Case(NamedTuple):
    """A round."""

    scene: str
    system: str
    seed: int
    cuts: int

    def __str__(self) -> str:
        return " ".join(map(str, self))


SAMPLE: Final = (
    Case("large", "ext4", 1, 8),
    Case("several", "xfs", 2, 8),
    Case("slow", "btrfs", 3, 5),
    Case("small", "ext4", 4, 8),
    Case("overwrite", "ext4-writeback", 5, 8),
    Case("continued", "ext4", 6, 8),
)
"Of each test run."


def table() -> Iterator[Case]:
    """Yield all rounds: more than 1000 cuts."""
    for name, scene in SCENES.items():
        if name == "film":
            yield Case(name, "ext4", 1, 10)
            continue
        for system, rounds in (("ext4", 2), ("ext4-writeback", 1), ("xfs", 1), ("btrfs", 1)):
            for seed in range(rounds):
                yield Case(name, system, seed, 9 if scene.programs else 20)


def run(case: Case, defect: str = "") -> Value:
    """Carry out a round in a process of its own."""
    command = [sys.executable, "-m", "tests.powercuts", *map(str, case), defect]
    try:
        done = subprocess.run(
            command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=_LIMIT
        )
    except subprocess.TimeoutExpired:
        return {"faults": [f"it took more than {_LIMIT:g} s"]}
    if done.returncode:
        return {"faults": [f"exit status {done.returncode}: {done.stderr[-2000:]}"]}
    found: Value = json.loads(done.stdout)
    return found


def carry_out(cases: Sequence[Case], path: Path | None = _KEPT) -> tuple[Results, list[Value]]:
    """Carry out rounds, but for those that *path* has; return their values in order."""
    results = Results(path)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        values = pool.map(lambda case: results.cell(str(case), lambda: run(case)), cases)
        return results, list(values)


_TEXT: Final = """\
# When the power fails

Written by `make powercuts`. A disk may lose whatever it has accepted since its last flush. In
{rounds} transfers each write and each flush of the receiver's disk was recorded
(`tests/powercuts`): a file system on a loop device, on an image that a FUSE program serves. Each of
{cuts} cuts is a moment of one of them. The disk then has all writes before the last flush, and a
random part of those that follow it: none to all of the requests, or of their blocks of 4 KiB, or
the first sectors of a block only. It is mounted, and the transfer runs once more.

Checked after each cut:

* No wrong file has a final name, neither after the cut nor after the next run.
* Files that had been reported as complete exist with the right content.
* The next run ends in time, and all files are complete.
* At most 128 MiB that had been written are sent again, of all files together.
* Where the sender is slower than the disk, what the journal has is durable (*paced*).

{factor}

| Scene | What is received |
|---|---|
{scenes}

In the scenes but *paced*, other programs sync files of theirs, and the system writes parts of files
in any order, at random moments. `ext4-writeback` is ext4 with `data=writeback,nodelalloc`, where
the size of a file may be durable before its content.

{conditions}
{wrong} checks failed.

## Results

*Lost*: cuts that lost writes. *Complete*: files that had been reported as complete before a cut.
*Continued*: cuts after which a part was continued. *Damaged*: cuts after which a part differed from
its journal, since the system had written the journal earlier; the next run sent the changed ranges
again. The last two columns are the median and the most that was sent again after a cut, these
ranges included, in MiB of transfers with the usual limits; they are empty where it is not known.

| Scene | File system | Cuts | Lost | Complete | Continued | Damaged | Median | Most |
|---|---|---:|---:|---:|---:|---:|---:|---:|
{rows}

## Defects that are found

Each of these is planted in a round of every test run, which must fail: {defects}.
"""


def write(results: Results, cases: Sequence[Case], values: Sequence[Value]) -> None:
    """Write the report."""
    rows: dict[tuple[str, str], list[Value]] = {}
    for case, value in zip(cases, values, strict=True):
        rows.setdefault((case.scene, case.system), []).append(value)
    text = _TEXT.format(
        rounds=len(cases),
        cuts=sum(value.get("cuts", 0) for value in values),
        wrong=sum(len(value["faults"]) for value in values),
        factor=(
            f"But for *film*, all limits are {FACTOR} times smaller than usual: a sync each MiB, "
            f"a line\nof the journal each 256 KiB, and {BOUND // FACTOR >> 20} MiB that may be "
            "sent again."
        ),
        scenes="\n".join(f"| {name} | {scene.text} |" for name, scene in SCENES.items()),
        conditions=results.conditions(),
        rows="\n".join(_row(*key, found) for key, found in rows.items()),
        defects=", ".join(DEFECTS),
    )
    _REPORT.write_text(text, encoding="utf-8")


def _row(scene: str, system: str, found: Sequence[Value]) -> str:
    numbers = [
        sum(value.get(name, 0) for value in found)
        for name in ("cuts", "lost", "complete", "continued", "damaged")
    ]
    again = [size / 2**20 for value in found for size in value.get("again", ())]
    shown = [f"{statistics.median(again):.0f}", f"{max(again):.0f}"] if again else ["", ""]
    return f"| {' | '.join([scene, system, *map(str, numbers), *shown])} |"
