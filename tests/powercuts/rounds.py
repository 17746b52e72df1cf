"""A round: one recorded run, and power cuts in it, each followed by runs that continue."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final

from dcsend.entry import Existing
from dcsend.files.names import JOURNAL_SUFFIX, PART_SUFFIX
from tests.powercuts.disks import Cut, FileSystem, Image, Log, make_image, mounted, recorded
from tests.powercuts.receiving import Received, receive, receive_by_programs
from tests.powercuts.scale import BOUND
from tests.powercuts.scenes import OLD, Scene

__all__ = ["Round", "carry_out"]

_LIMIT: Final = 100.0
"Seconds that a run may take."


@dataclass(slots=True)
class Round:
    """The result of a round."""

    cuts: int = 0
    flushes: int = 0
    "Of the recorded run, each after writes."
    lost: int = 0
    "Cuts that have lost writes."
    continued: int = 0
    "Cuts after which a part was continued."
    complete: int = 0
    "Files that had been reported as complete before a cut."
    damaged: int = 0
    "Cuts after which a part differed from its journal."
    again: list[int] = field(default_factory=list)
    "After each cut: bytes that were sent again although they had been written."
    faults: list[str] = field(default_factory=list)
    "Failed checks."

    def value(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def carry_out(scene: Scene, system: FileSystem, seed: int, cuts: int) -> Round:
    """Carry out a round.

    Args:
        scene: what is received.
        system: of the disk.
        seed: chooses everything.
        cuts: how many.
    """
    result = Round()
    where = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="dcsend-cuts-", dir=where) as folder:
        try:
            with _limited():
                laboratory = _Laboratory(scene, system, seed, Path(folder))
                log, run = laboratory.record()
        except (Exception, _TookTooLong) as error:  # noqa: BLE001 - a result
            result.faults.append(f"the recorded run: {error!r}")
            return result
        result.faults += [f"the recorded run: {error}" for error in run.errors]
        result.flushes = log.flushes(run.began, run.ended)
        if not result.flushes:
            result.faults.append("no flush followed the writes")
        for number in range(cuts):
            rng = random.Random(f"{seed} {number}")
            cut = log.cut(rng, run.began, run.ended)
            result.cuts += 1
            result.lost += cut.lost > 0
            for fault in laboratory.check(cut, run, result):
                result.faults.append(f"cut {number}: {fault}")
    return result


class _Laboratory:
    """What the cuts of a round have in common."""

    def __init__(self, scene: Scene, system: FileSystem, seed: int, folder: Path) -> None:
        self._scene = scene
        self._system = system
        self._seed = seed
        self._folder = folder
        self._files: Mapping[str, bytes] = scene.files(seed)
        self._root = folder / "cut"
        self._root.mkdir()
        self._source = folder / "source"
        if scene.programs:
            for path, content in self._files.items():
                place = self._source / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)

    def record(self) -> tuple[Log, Received]:
        """Carry out the run whose disk is cut."""
        system = self._system
        image = make_image(
            system,
            self._folder,
            lambda root: self._scene.occupy(root / "out", self._seed),
            self._scene.image,
        )
        if self._scene.continued:
            # So that the part is not damaged: what its journal has is durable.
            calm = replace(self._scene, disturbed=False, paced=True)
            log, run = self._recorded(image, "first", self._seed, calm)
            rng = random.Random(f"{self._seed} first")
            third = (run.ended - run.began) // 3
            cut = log.cut(rng, run.began + third, run.ended - third)
            image.write(self._folder / "first.img", cut.writes)
            image = Image(self._folder / "first.img")
        self._image = image
        return self._recorded(image, "second", self._seed + 1, self._scene)

    def _recorded(self, image: Image, name: str, seed: int, scene: Scene) -> tuple[Log, Received]:
        folder = self._folder / name
        folder.mkdir()
        with recorded(self._system, image, folder, scene.delay) as recording:
            run = self._receive(recording.root, scene, random.Random(seed))
        return recording.log(), run

    def _receive(self, root: Path, scene: Scene, rng: random.Random | None = None) -> Received:
        if scene.programs:
            return receive_by_programs(root, self._source, scene, rng)
        return receive(root, self._files, scene, rng)

    def check(self, cut: Cut, run: Received, result: Round) -> Iterator[str]:
        """Yield what is wrong after a cut, and count what has happened."""
        path = self._folder / "cut.img"
        self._image.write(path, cut.writes)
        try:
            with _limited(), mounted(self._system, path, self._root):
                yield from self._wrong_files()
                yield from self._missing(cut, run, result)
                yield from self._continue(cut, run, result)
                yield from self._wrong_files()
        except subprocess.CalledProcessError as error:
            yield f"{error.cmd}: {error.stderr}"
        except _TookTooLong:
            yield f"a run took more than {_LIMIT:g} s"

    def _wrong_files(self) -> Iterator[str]:
        """Look for wrong files with final names."""
        output = self._root / "out"
        for place in sorted(output.rglob("*")):
            if place.is_dir() or place.name.endswith((PART_SUFFIX, JOURNAL_SUFFIX)):
                continue
            path = str(place.relative_to(output)).replace(" (1)", "").replace(" (2)", "")
            content = place.read_bytes()
            right = [self._files.get(path), OLD if self._scene.taken else None]
            if content not in right:
                yield f"{place.name} is wrong: it has {len(content)} bytes"

    def _missing(self, cut: Cut, run: Received, result: Round) -> Iterator[str]:
        """Look for files that were reported as complete."""
        for one in run.done:
            if one.at > cut.at or not one.where:
                continue
            result.complete += 1
            place = self._root / "out" / Path(one.where).relative_to(self._output(one.where))
            if not place.is_file():
                yield f"{one.path} was complete, and is not there"
            elif place.read_bytes() != self._files[one.path]:
                yield f"{one.path} was complete, and is wrong"

    def _output(self, where: str) -> str:
        return where[: where.index("/root/out/") + len("/root/out")]

    def _continue(self, cut: Cut, run: Received, result: Round) -> Iterator[str]:
        """Receive the rest, and compare what is sent again."""
        try:
            rest = self._receive(self._root, self._scene)
        except Exception as error:  # noqa: BLE001 - a result
            yield f"the next run: {error!r}"
            return
        result.continued += bool(rest.have)
        result.damaged += bool(rest.repaired)
        if rest.errors:
            yield f"not complete in the next run: {rest.errors}"
        if rest.repaired and self._scene.paced:
            yield f"what the journal has was not durable: {rest.repaired}"
        if self._scene.existing is not Existing.SKIP or not run.written:
            return  # complete files are received again, or the sizes are not known
        again = 0
        for path, written in run.written_at(cut.at).items():
            again += max(0, rest.sent[path] - (len(self._files[path]) - written))
        result.again.append(again * self._scene.factor)
        if result.again[-1] > BOUND:
            yield f"{again} of {BOUND // self._scene.factor} bytes were sent again"


class _TookTooLong(BaseException):
    """A run did not end in time; no part of dcsend catches this."""


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise _TookTooLong

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, _LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
