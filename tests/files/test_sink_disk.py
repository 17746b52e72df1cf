"""Interruptions, and disks that are full, read-only, broken or gone."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from dcsend.content import Content, Data, End, Hole
from dcsend.entry import Entry, Kind
from dcsend.errors import DestinationError, LocalProtocolError
from dcsend.files.journal import INTERVAL
from dcsend.files.syncing import MANY, SYNCFS, sync_file_systems
from dcsend.files.tmpfile import MAX_SIZE
from tests.support.journals import read_lines
from tests.support.sinks import MakeSink, make_sink, receive, statuses, tree, whole

__all__ = ["make_sink"]  # pytest finds the fixture by its name


# Interruption.


def test_closing_keeps_the_part_and_a_journal_to_its_last_byte(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=None), Entry("small", size=9)])
    block = bytes(1 << 20)
    count = (INTERVAL >> 20) + 1
    sink.apply([Data(0, n << 20, block) for n in range(count)])
    sink.apply([Hole(0, count << 20, 5), Data(1, 0, b"abc")])
    sink.close()
    end = (count << 20) + 5
    assert (tmp_path / "out/f.dcsend-part").read_bytes() == bytes(end)
    assert (tmp_path / "out/small.dcsend-part").read_bytes() == b"abc"
    assert not (tmp_path / "out/small.dcsend-journal").exists()
    header, *points = read_lines(tmp_path / "out/f.dcsend-journal")
    assert header["path"] == "f"
    assert points == [
        {"offset": INTERVAL, "sha256": hashlib.sha256(bytes(INTERVAL)).hexdigest()},
        {"offset": end, "sha256": hashlib.sha256(bytes(end)).hexdigest()},
    ]


def test_complete_file_leaves_no_journal(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=None)])
    sink.apply([Data(0, 0, b"x")])
    assert (tmp_path / "out/f.dcsend-journal").exists()
    sink.apply(whole(0, b"x")[1:])
    assert tree(tmp_path / "out") == {"f": b"x"}


def test_file_without_an_end_fails_at_the_finish(make_sink: MakeSink) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=9)])
    sink.apply([Data(0, 0, b"x")])
    assert statuses(sink.finish()) == ["failed"]


def test_calls_in_a_wrong_order_are_refused(make_sink: MakeSink) -> None:
    sink = make_sink()
    with pytest.raises(LocalProtocolError):
        sink.apply([])
    sink.plan([])
    with pytest.raises(LocalProtocolError):
        sink.plan([])
    sink.close()
    sink.close()
    with pytest.raises(LocalProtocolError):
        sink.finish()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of open files here")
def test_open_files_stay_few_and_none_is_left(make_sink: MakeSink) -> None:
    before = len(os.listdir("/proc/self/fd"))
    sink = make_sink()
    sink.plan([Entry(f"d{number}/f", size=1) for number in range(500)])
    sink.apply([operation for number in range(500) for operation in whole(number, b"x")])
    assert len(os.listdir("/proc/self/fd")) < before + 50
    sink.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of open files here")
def test_open_files_stay_few_when_every_file_is_wrong(make_sink: MakeSink) -> None:
    before = len(os.listdir("/proc/self/fd"))
    sink = make_sink()
    sink.plan([Entry(f"d{number}/f", size=1) for number in range(300)])
    sink.apply([End(number, 1, bytes(32)) for number in range(300)])
    assert len(os.listdir("/proc/self/fd")) < before + 100


# The disk.


def test_nothing_is_created_before_the_first_byte(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink(root=tmp_path / "new/folder")
    sink.plan([Entry("f", size=1)])
    assert list(tmp_path.iterdir()) == []
    sink.apply(whole(0, b"x"))
    assert (tmp_path / "new/folder/f").read_bytes() == b"x"


def test_root_that_is_a_file_is_refused(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(DestinationError, match="not a folder"):
        make_sink().plan([Entry("f", size=1)])


def test_root_below_a_file_is_refused(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="not a folder"):
        make_sink(root=tmp_path / "file/out").plan([Entry("f", size=1)])


def test_root_may_be_a_link(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    assert statuses(receive(make_sink(), ("f", b"x"))) == ["ok"]
    assert tree(tmp_path / "real") == {"f": b"x"}


def test_more_than_the_free_space_is_refused_by_the_plan(make_sink: MakeSink) -> None:
    with pytest.raises(DestinationError, match="not enough room"):
        make_sink().plan([Entry("f", size=2**53 - 1)])


@pytest.mark.full
@pytest.mark.parametrize("listed", [True, False])
def test_folders_that_do_not_fit_are_refused_before_they_are_made(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    """40 empty files, "0 B", each in 100 folders of its own, as entries or only in its path."""
    free = 4000 * os.statvfs(tmp_path).f_frsize
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=free))

    def offer(levels: int) -> list[Entry]:
        entries: list[Entry] = []
        for number in range(40):
            above = [str(number), *["a"] * (levels - 1)]
            if listed:
                folders = ("/".join(above[: depth + 1]) for depth in range(levels))
                entries += [Entry(folder, Kind.DIRECTORY) for folder in folders]
            entries.append(Entry("/".join([*above, "file"]), size=0))
        return entries

    assert not make_sink().plan(offer(100)).skip
    with pytest.raises(DestinationError, match="not enough room"):
        make_sink().plan(offer(101))


def test_sparse_file_needs_only_its_size_on_the_disk(make_sink: MakeSink) -> None:
    assert not make_sink().plan([Entry("f", size=2**53 - 1, stored=4096)]).skip


def test_root_that_is_removed_ends_the_run(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=1), Entry("g", size=1)])
    sink.apply(whole(0, b"x"))
    (tmp_path / "out").rename(tmp_path / "moved")
    (tmp_path / "moved/f").unlink()
    (tmp_path / "moved").rmdir()
    with pytest.raises(DestinationError, match="was removed or moved"):
        sink.apply(whole(1, b"x"))
    with pytest.raises(LocalProtocolError):
        sink.apply(whole(1, b"x"))


def test_root_that_is_moved_ends_the_run_and_keeps_the_part(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=1)])
    sink.apply([Data(0, 0, b"x")])
    (tmp_path / "out").rename(tmp_path / "moved")
    with pytest.raises(DestinationError, match="was removed or moved"):
        sink.apply(whole(0, b"x")[1:])
    assert tree(tmp_path / "moved") == {"f.dcsend-part": b"x"}


def test_root_that_is_replaced_by_another_folder_ends_the_run(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=1)])
    sink.apply([Data(0, 0, b"x")])
    (tmp_path / "out").rename(tmp_path / "moved")
    (tmp_path / "out").mkdir()
    with pytest.raises(DestinationError, match="was removed or moved"):
        sink.apply(whole(0, b"x")[1:])
    assert tree(tmp_path / "moved") == {"f.dcsend-part": b"x"}
    assert tree(tmp_path / "out") == {}


def test_folder_removed_in_between_is_made_again(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("d/f", size=1), Entry("d/g", size=1)])
    sink.apply(whole(0, b"x"))
    (tmp_path / "out/d/f").unlink()
    (tmp_path / "out/d").rmdir()
    assert statuses(sink.apply(whole(1, b"y"))) == ["ok"]
    assert tree(tmp_path / "out") == {"d": None, "d/g": b"y"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB; needs root on Linux, and must work on CI."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if sys.platform != "linux" or os.geteuid() != 0:
        if os.environ.get("CI") == "true" and sys.platform == "linux":
            pytest.fail("the tests of a full disk need root on CI")
        pytest.skip("only root on Linux can mount a small disk")
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"can't mount a small disk: {error}")
        pytest.skip(f"can't mount a small disk: {error}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.full
def test_full_disk_ends_the_run_and_keeps_the_part(small_disk: Path, make_sink: MakeSink) -> None:
    sink = make_sink(root=small_disk)
    sink.plan([Entry("a", size=3), Entry("b", size=None)])
    portion: list[Content] = [*whole(0, b"abc")]
    portion += [Data(1, n << 16, bytes(1 << 16)) for n in range(32)]
    with pytest.raises(DestinationError, match="no space left") as caught:
        sink.apply(portion)
    assert caught.value.hint
    with pytest.raises(LocalProtocolError):
        sink.apply([])
    # Files that were complete before are kept and reported.
    assert statuses(sink.close()) == ["ok"]
    assert (small_disk / "a").read_bytes() == b"abc"
    assert (small_disk / "b.dcsend-part").stat().st_size > 0
    assert not (small_disk / "b").exists()


@pytest.mark.full
def test_disk_too_small_is_refused_before(small_disk: Path, make_sink: MakeSink) -> None:
    with pytest.raises(DestinationError, match=r"2\.0 MB needed"):
        make_sink(root=small_disk).plan([Entry("a", size=2_000_000)])


@pytest.mark.full
def test_read_only_disk_is_refused_before(small_disk: Path, make_sink: MakeSink) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(DestinationError, match="can't write in"):
        make_sink(root=small_disk).plan([Entry("a", size=1)])


@pytest.mark.full
def test_disk_that_becomes_read_only_ends_the_run(small_disk: Path, make_sink: MakeSink) -> None:
    sink = make_sink(root=small_disk)
    sink.plan([Entry("a", size=1)])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(DestinationError, match="read-only"):
        sink.apply(whole(0, b"x"))


def test_failing_sync_ends_the_run_and_keeps_the_part(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "broken disk")

    sink = make_sink()
    sink.plan([Entry("a", size=1), Entry("b", size=1)])
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(DestinationError):
        sink.apply([*whole(0, b"x"), *whole(1, b"y")])
    assert sorted(tree(tmp_path / "out")) == ["a.dcsend-part", "b.dcsend-part"]


def test_failing_sync_in_the_middle_of_a_portion_ends_the_run(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(DestinationError):
        receive(make_sink(max_group=2), *((f"f{n}", b"x") for n in range(5)))
    # The second group was written while the first was being synced.
    assert sorted(tree(tmp_path / "out")) == [f"f{n}.dcsend-part" for n in range(4)]


STUCK = """
import os, sys, threading
from pathlib import Path
from dcsend.entry import Entry, Kind
from dcsend.content import End
from dcsend.entry import Existing
from dcsend.files.directory_sink import DirectorySink
import hashlib

stuck = threading.Event()

def fsync(fd):
    stuck.set()
    threading.Event().wait()

os.fsync = fsync
sink = DirectorySink(Path(sys.argv[1]), existing=Existing.REFUSE)
sink.plan([Entry("a"), Entry("b")])
portion = [End(number, 0, hashlib.sha256().digest()) for number in range(2)]
threading.Thread(target=sink.apply, args=(portion,), daemon=True).start()
stuck.wait()
"""


@pytest.mark.full
def test_program_ends_although_the_disk_is_stuck(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STUCK, str(tmp_path / "out")]
    assert subprocess.run(command, timeout=150, check=False).returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone syncs a whole file system")
@pytest.mark.parametrize("can", [True, False])
def test_many_files_are_synced_by_one_call_where_the_system_can(
    make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch, can: bool
) -> None:
    calls: list[str] = []
    fsync = os.fsync
    assert SYNCFS is not None, "a Linux before 5.8?"

    def noted(fd: int) -> None:
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            calls.append("fsync" if status.st_nlink else "fsync of a file without a name")
        fsync(fd)

    def noted_once(descriptors: Sequence[int]) -> None:
        calls.append("syncfs")
        sync_file_systems(descriptors)

    monkeypatch.setattr("os.fsync", noted)
    sink = make_sink(file_system_sync=noted_once if can else None)
    outcomes = receive(sink, *((f"f{n}", b"x") for n in range(MANY)))
    assert set(statuses(outcomes)) == {"ok"}
    assert calls == (["syncfs"] if can else ["fsync"] * MANY)


def test_file_system_that_can_not_be_synced_ends_the_run_and_keeps_the_parts(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    def fail(fd: int) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    sink = make_sink(file_system_sync=partial(sync_file_systems, syncfs=fail))
    with pytest.raises(DestinationError):
        receive(sink, *((f"f{n}", bytes(MAX_SIZE + 1)) for n in range(MANY)))
    sink.close()
    assert len(list(tmp_path.rglob("*.dcsend-part"))) == MANY
    assert not list(tmp_path.rglob("f[0-9]")), "nothing has its name before it is synced"


def sync_threads() -> int:
    return sum(thread.name.startswith("dcsend-sync") for thread in threading.enumerate())


def test_no_thread_is_left_after_the_close(make_sink: MakeSink) -> None:
    before = sync_threads()
    sink = make_sink()
    few = MANY - 1
    assert set(statuses(receive(sink, *((f"f{n}", b"x") for n in range(few))))) == {"ok"}
    assert before < sync_threads() <= before + 8
    sink.close()
    assert sync_threads() == before


def test_error_of_a_system_call_fails_that_file_only(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root ignores permission bits, so the error is simulated.
    real = os.open

    def open_(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if os.path.basename(path).startswith("bad"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr("os.open", open_)
    sink = make_sink()
    sink.plan([Entry("bad", size=2), Entry("good", size=1)])
    outcomes = sink.apply([Data(0, 0, b"x"), Data(0, 1, b"x"), *whole(1, b"y")])
    assert statuses(outcomes) == ["failed", "ok"]
    assert str(outcomes[0].error) == "can't write bad: permission denied"
