"""Parts of earlier runs that are not continued, for safety."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from dcsend.entry import Existing
from dcsend.files.journal import INTERVAL
from tests.support.part_runs import (
    ENTRY,
    JOURNAL,
    MIB,
    PART,
    SIZE,
    completed,
    interrupted,
    pieces,
)
from tests.support.sinks import MakeSink, make_sink, statuses

__all__ = ["make_sink"]


@pytest.fixture(scope="module")
def content() -> bytes:
    return os.urandom(SIZE)


def test_part_of_another_user_is_not_continued(
    make_sink: MakeSink, tmp_path: Path, content: bytes
) -> None:
    """Its owner could change it after its digest was computed."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    for path in (tmp_path / PART, tmp_path / JOURNAL):
        os.chown(path, 65534, 65534)
    sink = make_sink()
    assert sink.plan([ENTRY]).have == {}
    assert statuses(completed(sink, content, 0)) == ["ok"]
    assert (tmp_path / "out/d/film.mkv").stat().st_uid == 0


def test_part_is_not_continued_where_files_have_no_locks(
    make_sink: MakeSink, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs at the same time would write to it."""
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)

    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    sink = make_sink()
    assert sink.plan([ENTRY]).have == {}
    assert statuses(completed(sink, content, 0)) == ["ok"]


def test_part_that_is_removed_before_it_is_locked_is_made_again(
    make_sink: MakeSink, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dcsend parts` may lock a part first that has just been created."""
    flock, removed = fcntl.flock, list[str]()

    def late(fd: int, operation: int) -> None:
        if not removed:
            (tmp_path / PART).unlink()
            removed.append(PART)
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    sink = make_sink()
    sink.plan([ENTRY])
    assert statuses(completed(sink, content, 0)) == ["ok"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of open files here")
def test_part_that_can_not_be_shortened_leaves_no_descriptor(
    make_sink: MakeSink, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    ftruncate = os.ftruncate

    def fail(fd: int, length: int) -> None:
        if length == 2 * INTERVAL:  # that of the journal is shorter
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        ftruncate(fd, length)

    sink = make_sink()
    assert sink.plan([ENTRY]).have == {0: 2 * INTERVAL}
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "ftruncate", fail)
    assert statuses(completed(sink, content, 2 * INTERVAL)) == ["failed"]
    assert len(os.listdir("/proc/self/fd")) == before
    assert (tmp_path / PART).exists()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of open files here")
def test_part_that_can_not_be_examined_leaves_no_descriptor(
    make_sink: MakeSink, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> os.stat_result:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    sink = make_sink()
    sink.plan([ENTRY])
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", fail)
        outcomes = sink.apply(pieces(content, 0, MIB), more=True)
    assert statuses([*outcomes, *sink.finish(), *sink.close()]) == ["failed"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_part_that_another_transfer_is_writing_is_not_continued_where_both_files_are_kept(
    make_sink: MakeSink, tmp_path: Path, content: bytes
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    with (tmp_path / PART).open("rb") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        assert not make_sink(Existing.RENAME).plan([ENTRY]).have
        assert make_sink(Existing.REFUSE).plan([ENTRY]).have
    assert make_sink(Existing.RENAME).plan([ENTRY]).have
