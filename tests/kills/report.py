"""All rounds until enough programs have been killed, and a section of docs/faults.md."""

from __future__ import annotations

import statistics
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.faults.report import KILLS
from tests.kills.rounds import LIMIT, PATIENCE, carry_out
from tests.lab.results import Results

__all__ = ["carry_out_all"]

_ALL: Final = 1000
"Kills."
_ROOT: Final = Path(__file__).resolve().parents[2]
_KEPT: Final = _ROOT / "build" / "kills" / "cells.jsonl"
_REPORT: Final = _ROOT / "docs" / "faults.md"

_TEXT: Final = """
Written by `make faults PART=kills`. In each of {rounds} rounds one file of 9 to 42 MB is sent from
run to run. Up to four runs are killed: one of both programs gets SIGKILL at a random number of
bytes, or after a random time, and the other one SIGINT. The next run continues; after the last kill
it completes the file. {kills} programs were killed, {sender} senders and {receiver} receivers;
{early} before a byte was written, and {late} when the file had its final name already.

Checked in each round:

* No wrong file has the final name, after each kill.
* The other program ends within {patience:g} s, and so do both of the last run, with status 0.
* Each run continues with at least what was written, less {limit} MiB, and the last one sends at
  most {limit} MiB again beyond what had not been written.
* In the end nothing is left beside the file.

{conditions}
{wrong} rounds failed. The last run of a round has sent {median:.2f} MB again in the median, and
{most:.2f} MB at most.
"""


def carry_out_all() -> list[str]:
    """Carry out rounds until enough programs were killed; return the faults."""
    results, values = Results(_KEPT), list[dict[str, Any]]()
    while sum(sum(one["kills"].values()) for one in values) < _ALL:
        seed = len(values) + 1
        values.append(results.cell(f"round {seed}", partial(_value, seed)))
        if seed % 20 == 0:
            _write(results, values)
    _write(results, values)
    return [
        f"seed {seed}: {fault}" for seed, one in enumerate(values, 1) for fault in one["faults"]
    ]


def _value(seed: int) -> dict[str, Any]:
    return carry_out(seed).value()


def _write(results: Results, values: list[dict[str, Any]]) -> None:
    sides = {side: sum(one["kills"][side] for one in values) for side in ("sender", "receiver")}
    again = [size / 1e6 for one in values for size in one["again"]] or [0.0]
    text = _TEXT.format(
        rounds=len(values),
        kills=sum(sides.values()),
        **sides,
        early=sum(one["early"] for one in values),
        late=sum(one["late"] for one in values),
        patience=PATIENCE,
        limit=LIMIT >> 20,
        conditions=results.conditions(),
        wrong=sum(bool(one["faults"]) for one in values),
        median=statistics.median(again),
        most=max(again),
    )
    before, _, _ = _REPORT.read_text(encoding="utf-8").partition(KILLS)
    _REPORT.write_text(f"{before.rstrip()}\n\n{KILLS}{text}", encoding="utf-8")
    sys.stdout.write(f"{sum(sides.values())} of {_ALL} kills\n")
    sys.stdout.flush()
