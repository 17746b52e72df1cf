"""The commit queue: files are synced while the next are written, then they get their names."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from dcsend.content import Content
from dcsend.entry import Entry, Existing, Kind
from dcsend.errors import DestinationError
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.disk import close_quietly
from dcsend.files.folder import HELD_OPEN, USE_DESCRIPTORS
from dcsend.files.sink import Outcome
from dcsend.files.syncing import (
    FILE_SYSTEM_SYNC,
    MANY,
    FileSystemSync,
    PendingSyncs,
    sync_file_systems,
)
from tests.support.sinks import MakeSink, make_sink, receive, statuses, tree, whole

__all__ = ["make_sink"]

T = TypeVar("T")
NOTHING: list[Content] = []


class Disk:
    """Syncs that begin at once and end when the test calls `go`."""

    def __init__(self) -> None:
        self.error = 0
        "The errno of all syncs; 0 for success."
        self.begun = threading.Semaphore(0)
        self._go = threading.Event()

    def go(self) -> None:
        """End all syncs, later ones at once."""
        self._go.set()

    def sync(self, real: Callable[[T], None]) -> Callable[[T], None]:
        """Return a replacement of `os.fsync`, or of the sync of file systems."""

        def call(what: T) -> None:
            self.begun.release()
            assert self._go.wait(20), "the test has not called go()"
            if self.error:
                raise OSError(self.error, os.strerror(self.error))
            real(what)

        return call

    @property
    def file_system_sync(self) -> FileSystemSync | None:
        """The argument of the sink."""
        return None if FILE_SYSTEM_SYNC is None else self.sync(FILE_SYSTEM_SYNC)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Replace the syncs of files."""
    disk = Disk()
    monkeypatch.setattr("os.fsync", disk.sync(os.fsync))
    yield disk
    disk.go()


@pytest.fixture(params=[3, MANY], ids=["few", "many"])
def count(request: pytest.FixtureRequest) -> int:
    """Files of a portion: few are parts with an fsync each, many are synced by file system."""
    number: int = request.param
    return number


def planned(sink: DirectorySink, count: int) -> Callable[[int], list[Content]]:
    """Plan three portions of *count* files; return a function that makes their operations."""
    sink.plan([Entry(f"d/f{number}", size=1) for number in range(3 * count)])

    def portion(index: int) -> list[Content]:
        numbers = range(index * count, (index + 1) * count)
        return [operation for number in numbers for operation in whole(number, b"x")]

    return portion


def names(root: Path) -> list[str]:
    """Return the files that have their final names."""
    return [path for path, content in tree(root).items() if content and "dcsend" not in path]


def open_files() -> int:
    """Return how many descriptors this process has; 0 on systems without a list."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def numbers(outcomes: list[Outcome]) -> list[int]:
    return sorted(outcome.number for outcome in outcomes)


def test_next_files_are_written_while_the_last_are_synced(
    make_sink: MakeSink, tmp_path: Path, disk: Disk, count: int
) -> None:
    sink = make_sink(file_system_sync=disk.file_system_sync)
    portion = planned(sink, count)
    assert sink.apply(portion(0), more=True) == []
    assert disk.begun.acquire(timeout=150)
    assert sink.apply(portion(1), more=True) == []
    assert not names(tmp_path / "out"), "nothing has its name before it is synced"
    disk.go()
    outcomes = sink.apply(portion(2))
    assert set(statuses(outcomes)) == {"ok"}
    assert numbers(outcomes) == list(range(3 * count))
    assert len(names(tmp_path / "out")) == 3 * count


def test_durable_files_are_reported_with_a_later_portion(make_sink: MakeSink, disk: Disk) -> None:
    sink = make_sink(file_system_sync=disk.file_system_sync)
    portion = planned(sink, MANY)
    disk.go()
    outcomes = sink.apply(portion(0), more=True)
    while not outcomes:
        # No call waits for a sync that is running.
        outcomes = sink.apply(NOTHING, more=True)
    assert numbers(outcomes) == list(range(MANY))
    assert set(statuses(outcomes)) == {"ok"}


def test_a_sync_that_takes_long_gathers_one_group_and_no_more(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    full = threading.Event()

    def sync(fd: int) -> None:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            seen.append(len(tree(tmp_path / "out")))
            assert full.wait(20), "the next group was not written beside the sync"

    def written(fd: int, content: bytes | memoryview) -> int:
        if content == b"7":
            full.set()
        return write(fd, content)

    write = os.write
    monkeypatch.setattr("os.fsync", sync)
    monkeypatch.setattr("os.write", written)
    files = [(f"f{number}", f"{number:x}".encode()) for number in range(16)]
    assert set(statuses(receive(make_sink(max_group=4), *files))) == {"ok"}
    assert len(seen) == 16
    # Four files for each sync; when it begins, those of the next have not been written.
    assert max(seen[:4]) <= 8
    assert max(seen[4:8]) <= 12


def test_finish_waits_for_running_syncs(make_sink: MakeSink, disk: Disk) -> None:
    sink = make_sink(file_system_sync=disk.file_system_sync)
    sink.plan([Entry("f", size=1), Entry("d", Kind.DIRECTORY)])
    assert sink.apply(whole(0, b"x"), more=True) == []
    disk.go()
    assert numbers(sink.finish()) == [0, 1]


def test_close_commits_complete_files(
    make_sink: MakeSink, tmp_path: Path, disk: Disk, count: int
) -> None:
    sink = make_sink(file_system_sync=disk.file_system_sync)
    portion = planned(sink, count)
    sink.apply(portion(0), more=True)
    sink.apply(portion(1), more=True)
    disk.go()
    assert numbers(sink.close()) == list(range(2 * count))
    assert len(names(tmp_path / "out")) == 2 * count


def test_failing_sync_ends_the_run_with_a_later_portion(
    make_sink: MakeSink, tmp_path: Path, disk: Disk, count: int
) -> None:
    before = open_files()
    disk.error = errno.EIO
    sink = make_sink(Existing.RENAME, file_system_sync=disk.file_system_sync)
    portion = planned(sink, count)
    assert sink.apply(portion(0), more=True) == []
    disk.go()
    with pytest.raises(DestinationError, match="can't write"):
        sink.apply(portion(1))
    assert sink.close() == []
    assert not names(tmp_path / "out")
    assert open_files() == before


def test_nothing_is_named_after_a_sync_has_failed(make_sink: MakeSink, tmp_path: Path) -> None:
    """Linux reports a failed write once; the next call of syncfs succeeds."""
    errors = [OSError(errno.EIO, "broken disk")]

    def once(descriptors: Sequence[int]) -> None:
        while errors:
            raise errors.pop()

    sink = make_sink(max_group=MANY, file_system_sync=once)
    portion = planned(sink, MANY)
    with pytest.raises(DestinationError, match="can't write"):
        sink.apply([*portion(0), *portion(1), *portion(2)])
    assert sink.close() == []
    assert not names(tmp_path / "out")


def test_file_whose_finish_fails_is_the_only_failure(
    make_sink: MakeSink, tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Network file systems report some errors of a file when one of its descriptors is closed."""
    dup, close = os.dup, os.close
    refused: set[int] = set()

    def duplicate(fd: int) -> int:
        copy = dup(fd)
        if os.fstat(fd).st_size == 2:
            refused.add(copy)
        return copy

    def refuse(fd: int) -> None:
        fails = fd in refused
        refused.discard(fd)
        close(fd)  # from here on another thread may get the number
        if fails:
            raise OSError(errno.EPERM, "no")

    monkeypatch.setattr("os.dup", duplicate)
    monkeypatch.setattr("os.close", refuse)
    contents = [b"xx" if number == 1 else b"x" for number in range(count)]
    outcomes = receive(make_sink(), *((f"d/f{n}", c) for n, c in enumerate(contents)))
    assert {outcome.number for outcome in outcomes if outcome.status == "failed"} == {1}
    assert len(names(tmp_path / "out")) == count - 1


@pytest.mark.skipif(not USE_DESCRIPTORS, reason="this system can't sync folders")
def test_folder_that_can_not_be_synced_ends_the_run_and_its_files_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr("os.fsync", fail)
    sink = DirectorySink(tmp_path, existing=Existing.REFUSE, descriptors=True)
    with pytest.raises(DestinationError, match="can't write"):
        sink.apply(planned(sink, 3)(0))
    assert statuses(sink.close()) == ["ok"] * 3


def test_one_sync_is_for_the_next_files_and_the_names_of_the_last(tmp_path: Path) -> None:
    """They may be on two file systems, because a folder can be a mount point."""
    synced: list[list[int]] = []

    def sync(descriptors: Sequence[int]) -> None:
        synced.append([os.fstat(one).st_ino for one in descriptors])

    sink = DirectorySink(tmp_path, existing=Existing.REFUSE, file_system_sync=sync)
    portion = planned(sink, MANY)
    sink.apply(portion(0), more=True)
    outcomes = [*sink.apply(portion(1)), *sink.close()]
    first, later = (
        next(Path(one.where) for one in outcomes if one.number == number)
        for number in (portion(0)[0].number, portion(1)[0].number)
    )
    # Files of a folder are on one file system; the folder itself may be on another.
    assert synced[0] == [first.stat().st_ino]
    assert synced[1] == [later.stat().st_ino, (tmp_path / "d").stat().st_ino]


def test_one_file_of_every_folder_is_passed_to_syncfs(tmp_path: Path) -> None:
    synced: list[int] = []

    def sync(descriptors: Sequence[int]) -> None:
        synced.extend(os.fstat(one).st_ino for one in descriptors)

    sink = DirectorySink(tmp_path, existing=Existing.REFUSE, file_system_sync=sync)
    paths = [f"{folder}/f{number}" for folder in "de" for number in range(MANY)]
    sink.plan([Entry(path, size=1) for path in paths])
    sink.apply([one for number in range(2 * MANY) for one in whole(number, b"x")])
    sink.close()
    assert {(tmp_path / name).stat().st_ino for name in ("d/f0", "e/f0")} <= set(synced)


def test_syncfs_gets_the_descriptor_that_was_opened_first(tmp_path: Path) -> None:
    """A descriptor opened later would not report an error that another program has received."""
    asked: list[int] = []

    def sync(fd: int) -> int:
        asked.append(fd)
        return 0

    with (tmp_path / "a").open("w") as first, (tmp_path / "b").open("w") as second:
        sync_file_systems([first.fileno(), second.fileno()], sync)
        assert asked == [first.fileno()]


def test_folder_that_is_removed_while_its_names_are_synced_is_made_again(
    make_sink: MakeSink, tmp_path: Path, count: int
) -> None:
    sink = make_sink()
    portion = planned(sink, count)
    sink.apply(portion(0), more=True)
    while len(names(tmp_path / "out")) < count:
        assert sink.apply(NOTHING, more=True) == [], "reported before their folder is synced"
    shutil.rmtree(tmp_path / "out/d")
    assert set(statuses(sink.apply(portion(1)))) == {"ok"}
    assert len(names(tmp_path / "out")) == count


def test_disk_that_is_lost_while_a_folder_is_made_again_ends_the_run(
    make_sink: MakeSink, tmp_path: Path, disk: Disk, count: int
) -> None:
    """It does not only fail the file for which the folder is made."""
    sink = make_sink(file_system_sync=disk.file_system_sync)
    portion = planned(sink, count)
    disk.error = errno.EIO
    sink.apply(portion(0), more=True)
    disk.go()
    shutil.rmtree(tmp_path / "out/d")
    with pytest.raises(DestinationError, match="can't write"):
        sink.apply(portion(1), more=True)
    assert sink.close() == []
    assert not names(tmp_path / "out")


def test_unexpected_error_leaves_no_descriptor_open(
    make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        raise ValueError("not foreseen")

    before = open_files()
    monkeypatch.setattr("os.fsync", fail)
    sink = make_sink()
    portion = planned(sink, 3)
    with pytest.raises(ValueError, match="not foreseen"):
        sink.apply(portion(0))
    with pytest.raises(ValueError, match="not foreseen"):
        sink.close()
    assert open_files() == before


def test_folder_that_is_moved_while_files_are_synced_ends_the_run(
    make_sink: MakeSink, tmp_path: Path, disk: Disk, count: int
) -> None:
    sink = make_sink(file_system_sync=disk.file_system_sync)
    portion = planned(sink, count)
    sink.apply(portion(0), more=True)
    assert disk.begun.acquire(timeout=150)
    (tmp_path / "out").rename(tmp_path / "moved")
    disk.go()
    with pytest.raises(DestinationError, match="was removed or moved"):
        sink.apply(NOTHING)
    sink.close()
    assert not names(tmp_path / "moved")


def test_no_file_is_closed_while_it_is_synced(
    make_sink: MakeSink, disk: Disk, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is lost with one group while the next is being synced."""
    events: list[str] = []
    wait = PendingSyncs.wait

    def waited(calls: PendingSyncs) -> list[OSError | None]:
        errors = wait(calls)
        events.append("synced")
        return errors

    def closed(fd: int) -> None:
        events.append("closed")
        close_quietly(fd)

    monkeypatch.setattr(PendingSyncs, "wait", waited)
    monkeypatch.setattr("dcsend.files.incoming_file.close_quietly", closed)
    sink = make_sink(file_system_sync=disk.file_system_sync)
    portion = planned(sink, count)
    disk.error = errno.EIO
    sink.apply(portion(0), more=True)
    disk.go()
    with pytest.raises(DestinationError):
        sink.apply(portion(1))
    events.clear()
    sink.close()
    assert events == ["synced", *["closed"] * count]


@pytest.mark.parametrize("size", [1, None], ids=["plain", "with journal"])
def test_open_files_are_limited_to_two_groups_and_folders_of_a_third(
    make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    most = 0
    write, fsync = os.write, os.fsync

    def look() -> None:
        nonlocal most
        most = max(most, open_files())

    def written(fd: int, content: bytes | memoryview) -> int:
        look()
        return write(fd, content)

    def slow(fd: int) -> None:
        look()
        fsync(fd)

    monkeypatch.setattr("os.write", written)
    monkeypatch.setattr("os.fsync", slow)
    before = open_files()
    sink = make_sink(max_group=60)
    sink.plan([Entry(f"d{number}/f", size=size) for number in range(400)])
    sink.apply([operation for number in range(400) for operation in whole(number, b"x")])
    # The last file of a group may exceed the limit by one, with its folder.
    assert most <= before + 62 * 5 // 2 + HELD_OPEN + 3
    sink.close()
    assert open_files() == before
