"""All cases, several at a time, and their results."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.calls import ERRORS, LASTING, SHORT
from tests.faults.invariants import faults, outcome
from tests.faults.running import Case, Run, run
from tests.faults.scenes import SCENES

__all__ = ["ANY", "Place", "Result", "carry_out", "sample", "whole"]

ANY: Final = "any"
"In place of a kind: each call that a persistent error makes fail."
_BEYOND: Final = 3
"Calls more than a run without faults makes: not each run makes the same number."
_OF_MANY: Final = ("close", "create", "link", "syncfs")
"Kinds of calls that are others where many small files arrive."
_WORKERS: Final = 4 * (os.cpu_count() or 1)
"Cases at a time: one waits for most of its time."


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a case."""

    case: Case
    failed: int
    "Calls that failed; 0: the run made no such call."
    outcome: str
    "The statuses of the sender and the receiver."
    faults: tuple[str, ...]
    "What was wrong."


class Place:
    """A folder for cases; the files to send are made once."""

    def __init__(self) -> None:
        memory = "/dev/shm"
        self.folder = Path(
            tempfile.mkdtemp(prefix="dcsend-faults-", dir=memory if os.path.isdir(memory) else None)
        )

    def __enter__(self) -> Place:
        for name, scene in SCENES.items():
            source = self.folder / name / "files"
            source.mkdir(parents=True)
            scene.fill(source)
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.folder)

    def run(self, case: Case) -> tuple[Run, list[str]]:
        """Carry out a case; return it and what was wrong with it."""
        folder = Path(tempfile.mkdtemp(prefix="case-", dir=self.folder))
        try:
            done = run(case, self.folder / case.scene / "files", folder)
            return done, faults(done)
        finally:
            shutil.rmtree(folder)

    def result(self, case: Case) -> Result:
        """Carry out a case."""
        done, wrong = self.run(case)
        return Result(case, done.failed, outcome(done), tuple(wrong))

    def counts(self, scene: str, side: str) -> dict[str, int]:
        """Return how many calls of each kind a transfer makes in which none fails."""
        done, wrong = self.run(Case(scene, side, "open", 0, "EIO"))
        if wrong:
            raise RuntimeError(f"a transfer without faults: {wrong}")
        return done.counts


def whole(place: Place) -> list[Case]:
    """Return every case: each call of each side of each scene."""
    cases: list[Case] = []
    for name, scene in SCENES.items():
        for side in scene.sides:
            counts = place.counts(name, side)
            for kind, count in counts.items():
                for nth in range(1, count + _BEYOND + 1, scene.step):
                    errors = _errors(ERRORS[kind], nth // scene.step)
                    cases += [Case(name, side, kind, nth, error) for error in errors]
            for error, kinds in LASTING.items() if scene.lasting else ():
                calls = sum(counts.get(kind, 0) for kind in kinds)
                cases += [
                    Case(name, side, ANY, nth, error, lasting=True)
                    for nth in range(1, calls + 1, scene.lasting)
                ]
    return cases


def _errors(errors: Sequence[str], number: int) -> Sequence[str]:
    """Return the errors of a call: of the first all, of each other one another one."""
    return errors if not number else errors[number % len(errors) :][:1]


def sample(place: Place) -> list[Case]:
    """Return the cases of every test run: a call of each kind on each side, and a lost disk."""
    cases: list[Case] = []
    for scene, side in (("mixed", "receiver"), ("mixed", "sender"), ("small", "receiver")):
        for number, (kind, count) in enumerate(place.counts(scene, side).items()):
            errors = ERRORS[kind]
            error = errors[number % len(errors)]
            if scene == "mixed" or kind in _OF_MANY:
                cases.append(Case(scene, side, kind, (count + 1) // 2, error))
    cases.append(Case("mixed", "sender", ANY, 1, SHORT, lasting=True))
    for number, error in enumerate(LASTING):
        cases.append(Case("mixed", "receiver", ANY, 40 + 20 * number, error, lasting=True))
    return cases


def carry_out(place: Place, cases: Sequence[Case]) -> Iterator[Result]:
    """Run cases, several at a time; yield their results, in any order."""
    context = multiprocessing.get_context("fork")
    following = context.Value("l", 0)
    results = context.SimpleQueue()

    def work() -> None:
        while True:
            with following.get_lock():
                number = following.value
                following.value += 1
            if number >= len(cases):
                return
            # The long rows of one kind at the same time, so that no worker has only the slow ones.
            results.put(place.result(cases[number]))

    workers = [context.Process(target=work) for _ in range(min(_WORKERS, len(cases)))]
    for worker in workers:
        worker.start()
    try:
        for _ in cases:
            while results.empty():
                with suppress(TimeoutError):
                    workers[0].join(0.05)
                if not any(worker.is_alive() for worker in workers) and results.empty():
                    raise RuntimeError("the workers have ended early")
            yield results.get()
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
