"""Parts are made durable while they are written."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dcsend.content import Data, End
from dcsend.entry import Entry, Existing
from dcsend.files import folder_writer, incoming_file, interval_sync
from dcsend.files.committing import CommitQueue
from dcsend.files.folder import Folder
from dcsend.files.interval_sync import INTERVAL, MAX_UNSYNCED, IntervalSync
from dcsend.files.part import PartFile
from dcsend.files.syncing import PendingSyncs
from dcsend.threads import begin
from tests.support.disks import MakeDisk, odd_disk
from tests.support.sinks import MakeSink, finished, make_sink, sink_on, whole

__all__ = ["make_sink", "odd_disk"]

MIB = 1 << 20


class Threads:
    """Takes the place of `threads.begin`: the test runs the work."""

    def __init__(self) -> None:
        self.begun: list[Callable[[], None]] = []

    def begin(self, work: Callable[[], None], name: str) -> None:
        self.begun.append(work)

    def run(self) -> None:
        """Run the work of the last thread."""
        self.begun[-1]()


class Disk:
    """Takes the place of `disk.sync`, and records which files are synced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.synced: list[str] = []
        self.error: OSError | None = None

    def sync(self, fd: int) -> None:
        paths = [self._folder, *self._folder.iterdir()]
        self.synced += [path.name for path in paths if path.stat().st_ino == os.fstat(fd).st_ino]
        if self.error is not None:
            raise self.error


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    threads = Threads()
    monkeypatch.setattr(interval_sync, "begin", threads.begin)
    return threads


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(tmp_path)
    monkeypatch.setattr(interval_sync, "sync", disk.sync)
    return disk


@pytest.fixture
def syncs(tmp_path: Path) -> Iterator[IntervalSync]:
    fds = [os.open(tmp_path / name, os.O_CREAT | os.O_WRONLY) for name in ("part", "journal")]
    fds.append(os.open(tmp_path, os.O_RDONLY))
    yield IntervalSync(Folder(str(tmp_path), fds[2]), fds[0], fds[1], 0)
    for fd in fds:
        os.close(fd)


def test_part_is_synced_before_its_journal_and_at_first_the_folder_too(
    syncs: IntervalSync, threads: Threads, disk: Disk, tmp_path: Path
) -> None:
    syncs.note(INTERVAL - 1)
    assert not threads.begun
    syncs.note(INTERVAL)
    threads.run()
    assert disk.synced == ["part", "journal", tmp_path.name]
    syncs.note(2 * INTERVAL)
    threads.run()
    assert disk.synced[3:] == ["part", "journal"]


def test_sync_for_which_no_thread_can_be_started_is_tried_again(
    syncs: IntervalSync, threads: Threads, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(interval_sync, "begin", begin)
        patched.setattr(threading.Thread, "start", refuse)
        before = len(os.listdir("/proc/self/fd"))
        syncs.note(INTERVAL)
        assert len(os.listdir("/proc/self/fd")) == before
    assert syncs.durable == 0
    syncs.note(INTERVAL + 1)
    threads.run()
    assert syncs.durable == INTERVAL + 1


def test_writing_goes_on_during_a_sync_until_too_much_is_not_durable(
    syncs: IntervalSync, threads: Threads, disk: Disk
) -> None:
    syncs.note(INTERVAL)
    syncs.note(MAX_UNSYNCED - 1)
    assert len(threads.begun) == 1
    threads.run()
    syncs.note(MAX_UNSYNCED - 1)
    assert len(threads.begun) == 2, "it begins when the one before has ended"


def test_writer_waits_for_a_sync_when_too_much_is_not_durable(
    syncs: IntervalSync, threads: Threads, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []

    class Event:
        """An event whose waiter runs the thread."""

        def __init__(self) -> None:
            self._set = False

        def is_set(self) -> bool:
            return self._set

        def set(self) -> None:
            self._set = True

        def wait(self) -> None:
            waited.append(self._set)
            threads.run()

    monkeypatch.setattr("dcsend.files.interval_sync.threading.Event", Event)
    syncs.note(INTERVAL)
    syncs.note(MAX_UNSYNCED)
    assert waited == [False]
    assert disk.synced[:2] == ["part", "journal"]


def test_error_of_a_sync_is_raised_by_each_later_call(
    syncs: IntervalSync, threads: Threads, disk: Disk
) -> None:
    syncs.note(INTERVAL)
    disk.error = OSError(errno.EIO, "broken")
    threads.run()
    for _ in range(2):
        with pytest.raises(OSError, match="broken"):
            syncs.note(INTERVAL + 1)
        with pytest.raises(OSError, match="broken"):
            syncs.settle()
    assert len(threads.begun) == 1


def test_sync_is_tried_again_when_there_were_too_many_descriptors(
    syncs: IntervalSync, threads: Threads, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    dup = os.dup
    calls = []

    def few(fd: int) -> int:
        calls.append(fd)
        if len(calls) > 1:
            raise OSError(errno.EMFILE, "too many")
        return dup(fd)

    with monkeypatch.context() as patched:
        patched.setattr(os, "dup", few)
        syncs.note(INTERVAL)
    assert not threads.begun
    if before:
        assert len(os.listdir("/proc/self/fd")) == before
    syncs.note(INTERVAL + 1)
    threads.run()
    assert len(disk.synced) == 3


def test_large_file_is_synced_while_it_is_received(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def recorded(fd: int) -> None:
        fsync(fd)
        if (size := os.fstat(fd).st_size) > INTERVAL // 2:
            synced.append(size)

    monkeypatch.setattr(os, "fsync", recorded)
    block = bytes(MIB)
    sink = make_sink()
    sink.plan([Entry("film.mkv", size=1 << 30)])
    for offset in range(0, 100 * MIB, MIB):
        sink.apply([Data(0, offset, block)], more=True)
    sink.close()
    # A sync that is slow delays the next one.
    assert synced
    assert synced[0] >= INTERVAL
    assert (tmp_path / "out/film.mkv.dcsend-part").stat().st_size == 100 * MIB


def test_writer_waits_for_complete_files_when_too_much_is_not_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    applied: list[int] = []
    waited: list[int] = []
    wait = PendingSyncs.wait

    def opening(syncs: PendingSyncs) -> list[OSError | None]:
        waited.append(len(applied))
        gate.set()
        return wait(syncs)

    monkeypatch.setattr(folder_writer, "MAX_UNSYNCED", 4 * MIB)
    monkeypatch.setattr(incoming_file, "sync", lambda fd: gate.wait())
    monkeypatch.setattr(PendingSyncs, "wait", opening)
    sink = sink_on(tmp_path)
    sink.plan([Entry(f"{number}.bin", size=MIB) for number in range(8)])
    outcomes = []
    for number in range(8):
        outcomes += sink.apply(whole(number, bytes(MIB)), more=True)
        applied.append(number)
    assert waited[0] == 5
    assert finished(sink, outcomes) == dict.fromkeys(range(8), "ok")


def test_complete_file_counts_until_its_folder_is_synced(tmp_path: Path) -> None:
    queue = CommitQueue(Existing.REFUSE, None, file_system_sync=None)
    fd = os.open(tmp_path, os.O_RDONLY)
    part = PartFile(Folder(str(tmp_path), fd), "a.bin", Entry("a.bin", size=5), str, set())
    part.write(b"12345")
    queue.add(0, part)
    sizes = [queue.unsynced]
    while not queue.is_empty:
        queue.advance()
        sizes.append(queue.unsynced)
    queue.abandon()
    os.close(fd)
    assert sizes == [5, 5, 5, 0], "complete, being synced, named, durable"


@pytest.mark.full
@pytest.mark.parametrize("size", [INTERVAL, INTERVAL + 8 * MIB])
def test_failed_sync_fails_the_file_although_the_last_one_succeeds(
    odd_disk: MakeDisk, size: int
) -> None:
    """What is there stays: the next run compares it with its journal."""
    disk = odd_disk("fsync=EIO@1")
    sink = sink_on(disk.path)
    entry = Entry("film.mkv", size=size)
    sink.plan([entry])
    content = bytes(size)
    portion = [Data(0, offset, content[:MIB]) for offset in range(0, size, MIB)]
    end = End(0, size, hashlib.sha256(content).digest())
    outcomes = [*sink.apply([*portion, end]), *sink.finish(), *sink.close()]
    assert [one.status for one in outcomes] == ["failed"]
    assert "input/output error" in str(outcomes[0].error)
    assert [Path(path).name for path in sink.kept] == ["film.mkv.dcsend-part"]
    sink = sink_on(disk.path)
    (start,) = sink.plan([entry]).have.values()
    assert start >= INTERVAL - 8 * MIB
    outcomes = sink.apply([*portion[start // MIB :], end])
    assert finished(sink, outcomes) == {0: "ok"}
    assert (disk.path / "out/film.mkv").read_bytes() == content
    assert os.listdir(disk.path / "out") == ["film.mkv"]
