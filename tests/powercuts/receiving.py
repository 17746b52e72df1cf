"""One run that receives: by the sink in this process, or by real programs."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from dcsend.content import Content, Data, End, Hole, Repair
from dcsend.entry import Entry
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.sink import Outcome, Plan
from tests.powercuts.scenes import MTIME, Scene
from tests.support.processes import Stage

__all__ = ["Received", "receive", "receive_by_programs"]

_PIECE: Final = 64 << 10
_PORTION: Final = 4
"Pieces of a portion; of small files it has 40."
_MANY: Final = 40
_LOOK: Final = 0.002
"Seconds between two looks at whether parts are verified."
_WRITE_AND_WAIT: Final = 7
"Flags of sync_file_range(2)."


class Done(NamedTuple):
    """A file that was reported as complete."""

    at: int
    "Nanoseconds of the monotonic clock."
    path: str
    where: str


@dataclass(slots=True)
class Received:
    """What a run has done, and when; times are those at which this process got to know."""

    began: int = field(default_factory=time.monotonic_ns)
    ended: int = 0
    written: list[tuple[int, str, int]] = field(default_factory=list)
    "Time, path, and bytes of the file that are written."
    done: list[Done] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    "Of files."
    sent: Counter[str] = field(default_factory=Counter)
    "Bytes of each file."
    have: dict[str, int] = field(default_factory=dict)
    "Bytes of each part at the beginning."
    repaired: list[str] = field(default_factory=list)
    "What differed from its journal, and was sent again."

    def written_at(self, when: int) -> dict[str, int]:
        """Return the bytes of each file that were written at a time."""
        return {path: position for at, path, position in self.written if at <= when}


def receive(
    root: Path, files: Mapping[str, bytes], scene: Scene, rng: random.Random | None = None
) -> Received:
    """Receive into `out` below *root*, in this thread.

    Args:
        root: of the file system.
        files: content by path.
        scene: how.
        rng: chooses what else happens to the disk; None: nothing.
    """
    run = Received()
    paths = sorted(files)
    entries = [Entry(path, size=len(files[path]), mtime=MTIME) for path in paths]
    sink = DirectorySink(root / "out", existing=scene.existing)
    try:
        plan = sink.plan(entries)
        run.have = {paths[number]: start for number, start in plan.have.items()}
        for portion in _portions(paths, files, plan, 1 if scene.paced else _PORTION):
            _note(run, paths, sink.apply(portion, more=True))
            now = time.monotonic_ns()
            for one in portion:
                path = paths[one.number]
                assert isinstance(one, Data | Hole | End)
                size = one.length if isinstance(one, Hole) else len(one.payload)
                run.sent[path] += size
                run.written.append((now, path, one.offset + size))
            if scene.paced:
                _wait_for_syncs()
            if rng is not None and scene.disturbed:
                _disturb(root, rng)
        _repair(sink, paths, files, run)
        _note(run, paths, sink.finish())
    finally:
        _note(run, paths, sink.close())
        _wait_for_syncs()  # they have descriptors, with which nothing can be unmounted
    run.ended = time.monotonic_ns()
    return run


def _repair(
    sink: DirectorySink, paths: list[str], files: Mapping[str, bytes], run: Received
) -> None:
    """Send again what the check finds, as the peer does."""
    while True:
        while sink.is_checking:
            time.sleep(_LOOK)
        _note(run, paths, sink.apply((), more=True))
        damages = sink.take_damage()
        if not damages and not sink.is_checking:
            return
        for number, start, end in damages:
            path = paths[number]
            run.repaired.append(f"{path} {start} to {end}")
            run.sent[path] += end - start
            content = files[path]
            for offset in range(start, end, _PIECE):
                length = min(_PIECE, end - offset)
                piece = content[offset : offset + length]
                payload = piece if any(piece) else b""
                _note(run, paths, sink.apply([Repair(number, offset, length, payload)], more=True))


def _portions(
    paths: list[str], files: Mapping[str, bytes], plan: Plan, most: int
) -> Iterator[list[Content]]:
    portion: list[Content] = []
    for number, path in enumerate(paths):
        if number in plan.skip:
            continue
        content, start = memoryview(files[path]), plan.have.get(number, 0)
        for offset, digest in plan.parts[number].digests if number in plan.parts else ():
            assert hashlib.sha256(content[:offset]).hexdigest() == digest, f"{path} at {offset}"
        pieces = range(start, len(content), _PIECE)
        for offset in pieces[:-1]:
            piece = content[offset : offset + _PIECE]
            zero = not any(piece)
            portion.append(Hole(number, offset, _PIECE) if zero else Data(number, offset, piece))
            if len(portion) >= most:
                yield portion
                portion = []
        digest_ = hashlib.sha256(content).digest()
        last = content[pieces[-1] :] if pieces else content[:0]
        portion.append(End(number, len(content), digest_, last))
        if len(portion) >= (_MANY if len(content) < _PIECE else most):
            yield portion
            portion = []
    yield portion


def _note(run: Received, paths: list[str], outcomes: list[Outcome]) -> None:
    now = time.monotonic_ns()
    for one in outcomes:
        if one.status == "ok":
            run.done.append(Done(now, paths[one.number], one.where))
        else:
            run.errors.append(f"{one.status}: {one.error}")


def _wait_for_syncs() -> None:
    for thread in threading.enumerate():
        if thread.name == "dcsend-interval-sync":
            thread.join()


def _disturb(root: Path, rng: random.Random) -> None:
    """Do what other programs and the system may do: write parts of files, and other files."""
    what = rng.random()
    if what < 0.15:
        with (root / "other").open("wb") as file:
            file.write(rng.randbytes(100))
            file.flush()
            os.fsync(file.fileno())
    elif what < 0.4:
        found = [one for one in (root / "out").rglob("*") if one.is_file()]
        if found:
            # Of the newest files more often: of the part that is written, and of its journal.
            found.sort(key=lambda one: one.stat().st_mtime_ns)
            _write_some(found[-1 - min(int(rng.expovariate(0.5)), len(found) - 1)], rng)


_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def _write_some(path: Path, rng: random.Random) -> None:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        begin, length = rng.randint(0, size), rng.randint(0, size)
        arguments = (ctypes.c_int64(begin), ctypes.c_int64(length), _WRITE_AND_WAIT)
        _LIBC.sync_file_range(file.fileno(), *arguments)


def receive_by_programs(
    root: Path, source: Path, scene: Scene, rng: random.Random | None = None
) -> Received:
    """Send *source* with one program, and receive it below *root* with another; see `receive`."""
    before = f"from tests.powercuts.scale import scale\nscale({scene.factor})"
    options = {"skip": ("--skip",), "overwrite": ("--overwrite",), "rename": ("--rename",)}
    run = Received()
    with Stage() as stage:
        sender = stage.send(*sorted(source.iterdir()))
        output = root / "out"
        receiver = stage.receive(sender.code, output, *options[scene.existing.value], before=before)
        while rng is not None and receiver.find(lambda _: False, 0.01) is None:
            if receiver.process.poll() is not None:
                break
            _disturb(root, rng)
        received = receiver.end()
        sender.end()
        for event in received.of("file"):
            if event["ok"]:
                done = Done(int(receiver.at(event) * 1e9), event["path"], event["saved"])
                run.done.append(done)
            elif event["status"] != "skipped":
                run.errors.append(f"{event['status']}: {event['reason']}")
        paths = [str(one.relative_to(source)) for one in source.rglob("*") if one.is_file()]
        if len(paths) == 1:
            (path,) = paths
            run.written = [(int(at * 1e9), path, size) for at, size in receiver.steps()]
            run.sent[path] = received.done["bytes"]
        run.have = {event["path"]: event["total"] for event in received.of("checking")}
        damaged = received.of("damaged")
        run.repaired = [f"{one['path']} {one['start']} to {one['end']}" for one in damaged]
    run.ended = time.monotonic_ns()
    return run
