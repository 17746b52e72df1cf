"""The results of all cases, and docs/faults.md."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Final

from tests.faults.calls import ERRORS, LASTING
from tests.faults.table import ANY, Result

__all__ = ["KILLS", "Results", "write"]

KILLS: Final = "## Programs that are killed\n"
"The last section of the report, which `tests.kills` writes."

_TEXT: Final = """\
# When calls on files fail

Written by `make faults`. A call on a path or a descriptor can fail at any time. In {cases}
transfers between two real programs one call failed, or every call from one on. A preloaded library
(`tests/faults/inject.c`) returned the error instead of the system, or made a read or a write
transfer half of the bytes (`short`). It counts calls on files below the folder that is sent, or
below the folder that is received into, after the code is shown.

| Scene | What is sent |
|---|---|
| mixed | 20 files: empty, small, of several blocks, sparse, with a journal; 5 folders; a link |
| small | 40 small files, which are sent, written and synced together |
| overwrite, rename | mixed, where every file exists, with `--overwrite` or `--rename` |
| small-overwrite | small, where every file exists, with `--overwrite` |

In mixed and small each call fails once, in the others each third call. The first call of each kind
fails with each of the errors below, the others with one of them in turn. Lasting errors begin at
each tenth call.{part}

Checked after each case:

* Both sides end by themselves, in time, with one `done` event and compatible exit statuses.
* Neither side reports a bug.
* No file is ok on one side and failed on the other. Files that are ok exist with the right content,
  and no wrong file has a final name.
* A call that transfers less has no effect. An error that does not end the run costs one file.
* ENOSPC, EDQUOT and EROFS end the receiver with status 4.

{cases} cases in {seconds:.0f} s; {wrong} of them failed a check.

## Results

Outcomes are the exit statuses of sender/receiver. 143: the offer was declined, the code worked
again, and the test ended the sender. *Last* is the number of the last call that failed; *any* are
lasting errors.

| Scene | Side | Call | Last | Cases | Outcomes |
|---|---|---|---:|---:|---|
{rows}

## The errors

| Call | Errors |
|---|---|
{errors}

Lasting errors: {lasting}.
"""


class Results:
    """The results of the cases so far."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.faults: list[str] = []
        "Failed checks."
        self.wrong = 0
        "Number of cases with a failed check."
        self.cases = 0
        "Number of cases in which a call failed."
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._outcomes: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)

    def add(self, result: Result) -> None:
        """Count a case."""
        self.faults += result.faults
        self.wrong += bool(result.faults)
        if not result.failed:
            return  # a call of a number that this run did not make
        self.cases += 1
        case = result.case
        key = (case.scene, case.side, f"{case.kind}, {case.error}" if case.lasting else case.kind)
        self._calls[key] = max(self._calls[key], case.nth)
        self._outcomes[key][result.outcome] += 1

    def rows(self) -> list[str]:
        """Return a line of the table for each kind of call on each side of each scene."""
        return [
            f"| {scene} | {side} | {kind} | {self._calls[scene, side, kind]} "
            f"| {outcomes.total()} "
            f"| {', '.join(f'{what}: {count}' for what, count in sorted(outcomes.items()))} |"
            for (scene, side, kind), outcomes in sorted(self._outcomes.items())
        ]


def write(path: Path, results: Results, part: int) -> None:
    """Write the report of *results*, of each *part*-th case; the section on kills stays."""
    _, heading, rest = path.read_text(encoding="utf-8").partition(KILLS)
    kills = f"\n{heading}{rest}" if heading else ""
    few = f" This run made each {part}th case (`make faults PART={part}`)." if part > 1 else ""
    kinds = {key.split(" | ")[2].split(",")[0] for key in results.rows()} - {ANY}
    path.write_text(
        _TEXT.format(
            cases=results.cases,
            seconds=results.seconds,
            wrong=results.wrong,
            part=few,
            rows="\n".join(results.rows()),
            errors="\n".join(
                f"| {kind} | {', '.join(errors)} |"
                for kind, errors in ERRORS.items()
                if kind in kinds
            ),
            lasting="; ".join(
                f"{error} of {'every call' if kinds == tuple(ERRORS) else ', '.join(kinds)}"
                for error, kinds in LASTING.items()
            ),
        )
        + kills,
        encoding="utf-8",
    )
