"""Complete files are synced while the next are written, and named when they are safe."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from dcsend.entry import Entry, Kind
from dcsend.errors import DestinationError
from dcsend.files import settling, syncing
from dcsend.files.folder import HELD_OPEN, Folder
from dcsend.files.growing import GrowingFile
from dcsend.files.operations import Existing, Operation, Outcome
from dcsend.files.part import PartFile
from dcsend.files.sink import DirectorySink
from dcsend.files.syncing import MANY, Calls
from tests.sinks import MakeSink, make_sink, receive, statuses, tree, whole

__all__ = ["make_sink"]

NOTHING: list[Operation] = []


class Disk:
    """Lets syncs begin at once, and end when the test says so."""

    def __init__(self) -> None:
        self.error = 0
        "What syncs come to."
        self.begun = threading.Semaphore(0)
        self._go = threading.Event()

    def go(self) -> None:
        """Let all syncs end, from now on at once."""
        self._go.set()

    def sync(self, real: Callable[[int], int | None]) -> Callable[[int], int | None]:
        """Return what stands for a system call."""

        def call(fd: int) -> int | None:
            self.begun.release()
            assert self._go.wait(20), "the test forgot to let it end"
            if self.error:
                raise OSError(self.error, os.strerror(self.error))
            return real(fd)

        return call


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Take the syncs into hand, those of files and those of file systems."""
    disk = Disk()
    monkeypatch.setattr("os.fsync", disk.sync(os.fsync))
    if syncing._SYNCFS is not None:
        monkeypatch.setattr(syncing, "_SYNCFS", disk.sync(syncing._SYNCFS))
    yield disk
    disk.go()


@pytest.fixture(params=[3, MANY], ids=["few", "many"])
def count(request: pytest.FixtureRequest) -> int:
    """Files of one batch: few are parts and synced one by one, many by their file system."""
    number: int = request.param
    return number


def planned(sink: DirectorySink, count: int) -> Callable[[int], list[Operation]]:
    """Plan for three batches of *count* files, and return what makes them."""
    sink.plan([Entry(f"d/f{number}", size=1) for number in range(3 * count)])

    def batch(index: int) -> list[Operation]:
        numbers = range(index * count, (index + 1) * count)
        return [operation for number in numbers for operation in whole(number, b"x")]

    return batch


def names(root: Path) -> list[str]:
    """The files that have their names."""
    return [path for path, content in tree(root).items() if content and "dcsend" not in path]


def open_files() -> int:
    """How many descriptors this process has; 0 where the system has no list of them."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def numbers(outcomes: list[Outcome]) -> list[int]:
    return sorted(outcome.number for outcome in outcomes)


def test_next_files_are_written_while_the_last_are_synced(
    make_sink: MakeSink, tmp_path: Path, disk: Disk, count: int
) -> None:
    sink = make_sink()
    batch = planned(sink, count)
    assert sink.apply(batch(0), more=True) == []
    assert disk.begun.acquire(timeout=20)
    assert sink.apply(batch(1), more=True) == []
    assert not names(tmp_path / "out"), "nothing has its name before it is synced"
    disk.go()
    outcomes = sink.apply(batch(2))
    assert set(statuses(outcomes)) == {"ok"}
    assert numbers(outcomes) == list(range(3 * count))
    assert len(names(tmp_path / "out")) == 3 * count


def test_what_is_safe_is_told_with_a_later_batch(make_sink: MakeSink, disk: Disk) -> None:
    sink = make_sink()
    batch = planned(sink, MANY)
    disk.go()
    told = sink.apply(batch(0), more=True)
    end = time.monotonic() + 20
    while not told and time.monotonic() < end:
        # Each call may find a sync still under way; none waits for it.
        told = sink.apply(NOTHING, more=True)
    assert numbers(told) == list(range(MANY))
    assert set(statuses(told)) == {"ok"}


def test_a_sync_that_takes_long_gathers_one_group_and_no_more(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    full = threading.Event()

    def sync(part: PartFile) -> None:
        seen.append(len(tree(tmp_path / "out")))
        assert full.wait(20), "the next group was not written beside the sync"

    def add(self: settling.Settler, number: int, part: GrowingFile) -> None:
        real(self, number, part)
        if number == 7:
            full.set()

    real = settling.Settler.add
    monkeypatch.setattr(PartFile, "sync", sync)
    monkeypatch.setattr(settling.Settler, "add", add)
    monkeypatch.setattr(settling, "MAX_GROUP", 4)
    outcomes = receive(make_sink(), *((f"f{number}", b"x") for number in range(16)))
    assert set(statuses(outcomes)) == {"ok"}
    # Four files for each sync; when one begins, those of the next are not there yet.
    assert max(seen[:4]) <= 8
    assert max(seen[4:8]) <= 12


def test_finish_waits_for_what_was_put_off(make_sink: MakeSink, disk: Disk) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=1), Entry("d", Kind.DIRECTORY)])
    assert sink.apply(whole(0, b"x"), more=True) == []
    disk.go()
    assert numbers(sink.finish()) == [0, 1]


def test_close_does_not_lose_what_is_complete(
    make_sink: MakeSink, tmp_path: Path, disk: Disk, count: int
) -> None:
    sink = make_sink()
    batch = planned(sink, count)
    sink.apply(batch(0), more=True)
    sink.apply(batch(1), more=True)
    disk.go()
    assert numbers(sink.close()) == list(range(2 * count))
    assert len(names(tmp_path / "out")) == 2 * count


def test_failing_sync_ends_the_run_with_a_later_batch(
    make_sink: MakeSink, tmp_path: Path, disk: Disk, count: int
) -> None:
    before = open_files()
    disk.error = errno.EIO
    sink = make_sink(Existing.RENAME)
    batch = planned(sink, count)
    assert sink.apply(batch(0), more=True) == []
    disk.go()
    with pytest.raises(DestinationError, match="can't write"):
        sink.apply(batch(1))
    assert sink.close() == []
    assert not names(tmp_path / "out")
    assert open_files() == before


def test_nothing_is_named_after_a_sync_has_failed(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux tells of what it could not write once; the next call says that all is well."""
    errors = [OSError(errno.EIO, "broken disk")]

    def once(descriptors: Iterable[int]) -> None:
        while errors:
            raise errors.pop()

    monkeypatch.setattr(settling, "can_sync_file_systems", lambda: True)
    monkeypatch.setattr(settling, "sync_file_systems", once)
    monkeypatch.setattr(settling, "MAX_GROUP", MANY)
    sink = make_sink()
    batch = planned(sink, MANY)
    with pytest.raises(DestinationError, match="can't write"):
        sink.apply([*batch(0), *batch(1), *batch(2)])
    assert sink.close() == []
    assert not names(tmp_path / "out")


def test_file_that_can_not_be_made_what_it_should_be_fails_alone(
    make_sink: MakeSink, tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = GrowingFile.finish

    def refuse(part: GrowingFile) -> None:
        if part.entry.path.endswith("f1"):
            raise OSError(errno.EPERM, "no")
        finish(part)

    monkeypatch.setattr(GrowingFile, "finish", refuse)
    sink = make_sink()
    outcomes = sink.apply(planned(sink, count)(0))
    assert {outcome.number for outcome in outcomes if outcome.status == "failed"} == {1}
    assert len(names(tmp_path / "out")) == count - 1


def test_names_that_can_not_be_synced_end_the_run_and_are_told(
    make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Folder) -> None:
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(Folder, "sync", fail)
    sink = make_sink()
    with pytest.raises(DestinationError, match="can't write"):
        sink.apply(planned(sink, 3)(0))
    assert statuses(sink.close()) == ["ok"] * 3


def test_one_sync_is_for_the_next_files_and_the_names_of_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be on two file systems: a folder of the chosen one can be a mount."""
    synced: list[list[int]] = []

    def sync(descriptors: Iterable[int]) -> None:
        synced.append([os.fstat(one).st_ino for one in descriptors])

    monkeypatch.setattr(settling, "can_sync_file_systems", lambda: True)
    monkeypatch.setattr(settling, "sync_file_systems", sync)
    sink = DirectorySink(tmp_path, existing=Existing.REFUSE)
    batch = planned(sink, MANY)
    sink.apply(batch(0), more=True)
    outcomes = [*sink.apply(batch(1)), *sink.close()]
    first, later = (
        next(Path(one.where) for one in outcomes if one.number == number)
        for number in (batch(0)[0].number, batch(1)[0].number)
    )
    # One file of a folder is where the others are; the folder's names may be elsewhere.
    assert synced[0] == [first.stat().st_ino]
    assert synced[1] == [later.stat().st_ino, (tmp_path / "d").stat().st_ino]


def test_every_folder_has_a_file_that_tells_its_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def sync(descriptors: Iterable[int]) -> None:
        synced.extend(os.fstat(one).st_ino for one in descriptors)

    monkeypatch.setattr(settling, "can_sync_file_systems", lambda: True)
    monkeypatch.setattr(settling, "sync_file_systems", sync)
    sink = DirectorySink(tmp_path, existing=Existing.REFUSE)
    paths = [f"{folder}/f{number}" for folder in "de" for number in range(MANY)]
    sink.plan([Entry(path, size=1) for path in paths])
    sink.apply([one for number in range(2 * MANY) for one in whole(number, b"x")])
    sink.close()
    assert {(tmp_path / name).stat().st_ino for name in ("d/f0", "e/f0")} <= set(synced)


def test_a_file_system_is_asked_by_what_was_opened_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later one would not hear of an error that another program has been told of meanwhile."""
    asked: list[int] = []

    def sync(fd: int) -> int:
        asked.append(fd)
        return 0

    monkeypatch.setattr(syncing, "_SYNCFS", sync)
    with (tmp_path / "a").open("w") as first, (tmp_path / "b").open("w") as second:
        syncing.sync_file_systems([first.fileno(), second.fileno()])
        assert asked == [first.fileno()]


def test_folder_that_is_removed_while_its_names_are_synced_is_made_again(
    make_sink: MakeSink, tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = make_sink()
    batch = planned(sink, count)
    sink.apply(batch(0), more=True)
    sink._settler.wait()
    sink.apply(NOTHING, more=True)
    assert len(names(tmp_path / "out")) == count, "they have their names, and are not told yet"
    shutil.rmtree(tmp_path / "out/d")
    assert set(statuses(sink.apply(batch(1)))) == {"ok"}
    assert len(names(tmp_path / "out")) == count


def test_disk_that_is_lost_while_a_folder_is_made_again_ends_the_run(
    make_sink: MakeSink, tmp_path: Path, disk: Disk, count: int
) -> None:
    """And not the file alone that it was made for."""
    sink = make_sink()
    batch = planned(sink, count)
    disk.error = errno.EIO
    sink.apply(batch(0), more=True)
    disk.go()
    shutil.rmtree(tmp_path / "out/d")
    with pytest.raises(DestinationError, match="can't write"):
        sink.apply(batch(1), more=True)
    assert sink.close() == []
    assert not names(tmp_path / "out")


def test_error_that_nobody_foresaw_leaves_nothing_open(
    make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        raise ValueError("not foreseen")

    before = open_files()
    monkeypatch.setattr("os.fsync", fail)
    sink = make_sink()
    batch = planned(sink, 3)
    with pytest.raises(ValueError, match="not foreseen"):
        sink.apply(batch(0))
    with pytest.raises(ValueError, match="not foreseen"):
        sink.close()
    assert open_files() == before


def test_folder_that_goes_while_files_are_synced_ends_the_run(
    make_sink: MakeSink, tmp_path: Path, disk: Disk, count: int
) -> None:
    sink = make_sink()
    batch = planned(sink, count)
    sink.apply(batch(0), more=True)
    assert disk.begun.acquire(timeout=20)
    (tmp_path / "out").rename(tmp_path / "moved")
    disk.go()
    with pytest.raises(DestinationError, match="has gone"):
        sink.apply(NOTHING)
    sink.close()
    assert not names(tmp_path / "moved")


def test_no_file_is_let_go_while_it_is_synced(
    make_sink: MakeSink, disk: Disk, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is lost with one group, the next is being synced by then."""
    events: list[str] = []
    wait, release = Calls.wait, GrowingFile._release

    def waited(calls: Calls) -> list[OSError | None]:
        errors = wait(calls)
        events.append("synced")
        return errors

    def released(part: GrowingFile) -> None:
        events.append("let go")
        release(part)

    monkeypatch.setattr(Calls, "wait", waited)
    monkeypatch.setattr(GrowingFile, "_release", released)
    sink = make_sink()
    batch = planned(sink, count)
    disk.error = errno.EIO
    sink.apply(batch(0), more=True)
    disk.go()
    with pytest.raises(DestinationError):
        sink.apply(batch(1))
    events.clear()
    sink.close()
    assert events == ["synced", *["let go"] * count]


@pytest.mark.parametrize("size", [1, None], ids=["plain", "with journal"])
def test_files_open_at_a_time_are_those_of_two_groups_and_folders_of_a_third(
    make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    most = 0
    add, fsync = settling.Settler.add, os.fsync

    def look() -> None:
        nonlocal most
        most = max(most, open_files())

    def added(self: settling.Settler, number: int, part: GrowingFile) -> None:
        look()
        add(self, number, part)

    def slow(fd: int) -> None:
        look()
        fsync(fd)

    monkeypatch.setattr(settling.Settler, "add", added)
    monkeypatch.setattr("os.fsync", slow)
    monkeypatch.setattr(settling, "MAX_GROUP", 60)
    before = open_files()
    sink = make_sink()
    sink.plan([Entry(f"d{number}/f", size=size) for number in range(400)])
    sink.apply([operation for number in range(400) for operation in whole(number, b"x")])
    # The last of a group may be one too many, with its folder.
    assert most <= before + 62 * 5 // 2 + HELD_OPEN + 3
    sink.close()
    assert open_files() == before
