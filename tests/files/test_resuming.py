"""Continuing the parts of earlier runs."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dcsend.content import End, Hole, Repair, Restart
from dcsend.entry import Entry
from dcsend.errors import DestinationError
from dcsend.files.journal import INTERVAL
from dcsend.files.sink import Damage
from tests.support.gate import Gate
from tests.support.journals import read_lines
from tests.support.part_runs import (
    ENTRY,
    JOURNAL,
    MIB,
    PART,
    SIZE,
    abandon,
    completed,
    end,
    interrupted,
    killed,
    pieces,
)
from tests.support.resuming import flip
from tests.support.sinks import MakeSink, make_sink, statuses, tree

__all__ = ["make_sink"]  # pytest finds the fixture by its name


@pytest.fixture(scope="module")
def content() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    held = Gate()
    monkeypatch.setattr("dcsend.files.trailing.begin", held.begin)
    yield held
    held.open()


@pytest.mark.parametrize("upto", [INTERVAL + 3 * MIB, 2 * INTERVAL, SIZE])
def test_part_of_a_killed_run_is_continued_at_the_last_line(
    make_sink: MakeSink, tmp_path: Path, content: bytes, upto: int
) -> None:
    interrupted(make_sink, tmp_path, content, upto)
    sink = make_sink()
    (start,) = sink.plan([ENTRY]).have.values()
    assert start == upto - upto % INTERVAL
    assert statuses(completed(sink, content, start)) == ["ok"]
    assert tree(tmp_path / "out") == {"d": None, "d/film.mkv": content}


def test_part_of_a_closed_run_is_continued_at_its_end(
    make_sink: MakeSink, tmp_path: Path, content: bytes
) -> None:
    sink = make_sink()
    killed(sink, content, 10 * MIB + 3)
    sink.close()
    sink = make_sink()
    assert sink.plan([ENTRY]).have == {0: 10 * MIB + 3}
    assert statuses(completed(sink, content, 10 * MIB + 3)) == ["ok"]
    assert (tmp_path / "out/d/film.mkv").read_bytes() == content


def test_planning_changes_nothing(make_sink: MakeSink, tmp_path: Path, content: bytes) -> None:
    interrupted(make_sink, tmp_path, content, INTERVAL + MIB)
    before = tree(tmp_path / "out")
    make_sink().plan([ENTRY])
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY._replace(path="d/film.mk"),
        ENTRY._replace(size=SIZE + 1),
        ENTRY._replace(mtime=1),
        ENTRY._replace(mtime=None),
        ENTRY._replace(size=None),
    ],
)
def test_part_of_another_file_is_not_continued(
    make_sink: MakeSink, tmp_path: Path, content: bytes, entry: Entry
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    assert make_sink().plan([entry]).have == {}


def torn(journal: bytes) -> bytes:
    return journal[:-20]


def without_header(journal: bytes) -> bytes:
    return journal.partition(b"\n")[2]


@pytest.mark.parametrize(
    ("damage", "start"),
    [(torn, INTERVAL), (without_header, None), (lambda _: b"", None), (lambda _: b"\0" * 99, None)],
)
def test_damaged_journal_costs_what_it_has_lost(
    make_sink: MakeSink,
    tmp_path: Path,
    content: bytes,
    damage: Callable[[bytes], bytes],
    start: int | None,
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    journal = tmp_path / JOURNAL
    journal.write_bytes(damage(journal.read_bytes()))
    sink = make_sink()
    assert sink.plan([ENTRY]).have == ({} if start is None else {0: start})
    assert statuses(completed(sink, content, start or 0)) == ["ok"]
    assert tree(tmp_path / "out") == {"d": None, "d/film.mkv": content}


@pytest.mark.parametrize("name", [PART, JOURNAL])
@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_part_or_journal_that_is_a_link_is_not_continued(
    make_sink: MakeSink,
    tmp_path: Path,
    content: bytes,
    name: str,
    link: Callable[[Path, Path], None],
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    (tmp_path / name).rename(tmp_path / "precious")
    link(tmp_path / "precious", tmp_path / name)
    before = (tmp_path / "precious").read_bytes()
    assert make_sink().plan([ENTRY]).have == {}
    assert (tmp_path / "precious").read_bytes() == before


def test_folder_that_is_a_link_is_not_searched(
    make_sink: MakeSink, tmp_path: Path, content: bytes
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    (tmp_path / "out/d").rename(tmp_path / "elsewhere")
    (tmp_path / "out/d").symlink_to(tmp_path / "elsewhere")
    assert make_sink().plan([ENTRY]).have == {}


def test_part_that_another_run_is_writing_fails_the_file_and_stays(
    make_sink: MakeSink, tmp_path: Path, content: bytes
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    before = tree(tmp_path / "out")
    sink = make_sink()
    sink.plan([ENTRY])
    with (tmp_path / PART).open("rb") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        (outcome,) = sink.apply(pieces(content, 2 * INTERVAL, 2 * INTERVAL + MIB))
    assert "another dcsend is receiving film.mkv here" in str(outcome.error)
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize("change", ["removed", "replaced", "shortened", "linked"])
def test_part_that_changes_after_the_plan_fails_the_file(
    make_sink: MakeSink, tmp_path: Path, content: bytes, change: str
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    sink = make_sink()
    sink.plan([ENTRY])
    part = tmp_path / PART
    if change == "shortened":
        os.truncate(part, 5)
    elif change == "linked":
        os.link(part, tmp_path / "second name")
    else:
        part.unlink()
    if change == "replaced":
        (tmp_path / "precious").write_bytes(content)
        part.symlink_to(tmp_path / "precious")
    (outcome,) = sink.apply(pieces(content, 2 * INTERVAL, 2 * INTERVAL + MIB))
    assert "was changed or removed meanwhile" in str(outcome.error)
    if change == "replaced":
        assert (tmp_path / "precious").read_bytes() == content


def test_changed_byte_fails_the_file_and_the_next_run_continues_before_it(
    make_sink: MakeSink, tmp_path: Path, content: bytes
) -> None:
    interrupted(make_sink, tmp_path, content, 3 * INTERVAL)
    flip(tmp_path / PART, INTERVAL + 5)
    sink = make_sink()
    sink.plan([ENTRY])
    (outcome,) = completed(sink, content, 3 * INTERVAL)
    assert outcome.status == "failed"
    assert "bytes 8 to 17 MB of its part were changed on the disk" in str(outcome.error)
    assert sink.kept == [str(tmp_path / PART)]
    assert (tmp_path / PART).read_bytes() == content[:INTERVAL]
    sink = make_sink()
    assert sink.plan([ENTRY]).have == {0: INTERVAL}
    assert statuses(completed(sink, content, INTERVAL)) == ["ok"]
    assert (tmp_path / "out/d/film.mkv").read_bytes() == content


def test_part_whose_first_bytes_are_changed_is_removed(
    make_sink: MakeSink, tmp_path: Path, content: bytes
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    flip(tmp_path / PART, 5)
    sink = make_sink()
    sink.plan([ENTRY])
    assert statuses(completed(sink, content, 2 * INTERVAL)) == ["failed"]
    assert tree(tmp_path / "out") == {"d": None}


def test_changed_byte_fails_the_file_before_its_end(
    make_sink: MakeSink, tmp_path: Path, content: bytes, gate: Gate
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    flip(tmp_path / PART, 5)
    sink = make_sink()
    sink.plan([ENTRY])
    first, second, *_ = pieces(content, 2 * INTERVAL, SIZE)
    assert sink.apply([first]) == []
    gate.open()
    gate.wait()
    assert sink.apply([second]) == []
    assert sink.take_damage() == [Damage(0, 0, INTERVAL)]
    assert sink.take_damage() == []
    # The sender does not send it again.
    assert statuses(sink.apply([Repair(0, 0, 0)])) == ["failed"]


@pytest.mark.parametrize("payload", [True, False])
def test_changed_range_is_written_again_before_the_end_of_the_file(
    make_sink: MakeSink, tmp_path: Path, gate: Gate, payload: bool
) -> None:
    content = bytes(SIZE - 5) + b"12345"
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    flip(tmp_path / PART, INTERVAL + 5)
    sink = make_sink()
    sink.plan([ENTRY])
    gate.open()
    assert sink.apply([*pieces(content, 2 * INTERVAL, SIZE), end(content)]) == []
    while sink.is_checking:
        gate.wait()
    assert sink.apply([]) == []
    assert sink.take_damage() == [Damage(0, INTERVAL, 2 * INTERVAL)]
    half = INTERVAL // 2
    piece = content[:half] if payload else b""
    sink.apply([Repair(0, INTERVAL, half, piece), Repair(0, INTERVAL + half, half, piece)])
    assert statuses(sink.finish()) == ["ok"]
    assert (tmp_path / "out/d/film.mkv").read_bytes() == content


def test_file_that_ends_before_its_check_succeeds_after_it(
    make_sink: MakeSink, tmp_path: Path, content: bytes, gate: Gate
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    sink = make_sink()
    small = Entry("small", size=1)
    sink.plan([ENTRY, small])
    assert sink.apply([*pieces(content, 2 * INTERVAL, SIZE), end(content)]) == []
    assert sink.is_checking
    checking = sink.checking
    assert checking is not None
    assert (checking.path, checking.done, checking.total) == ("d/film.mkv", 0, 2 * INTERVAL)
    # The next file does not wait.
    (outcome,) = sink.apply([End(1, 1, hashlib.sha256(b"x").digest(), b"x")])
    assert (outcome.number, outcome.status) == (1, "ok")
    gate.open()
    assert statuses(sink.finish()) == ["ok"]
    assert (tmp_path / "out/d/film.mkv").read_bytes() == content
    assert not sink.is_checking


def test_run_that_is_killed_during_its_check_loses_at_most_an_interval(
    make_sink: MakeSink, tmp_path: Path, content: bytes, gate: Gate
) -> None:
    interrupted(make_sink, tmp_path, content, INTERVAL)
    sink = make_sink()
    sink.plan([ENTRY])
    sink.apply(pieces(content, INTERVAL, 3 * INTERVAL), more=True)
    abandon(tmp_path / "out")
    *_, last = read_lines(tmp_path / JOURNAL)
    digest = hashlib.sha256(content[2 * INTERVAL : 3 * INTERVAL]).hexdigest()
    assert last == {"offset": 3 * INTERVAL, "from": 2 * INTERVAL, "sha256": digest}
    gate.open()
    sink = make_sink()
    assert sink.plan([ENTRY]).have == {0: 3 * INTERVAL}
    assert statuses(completed(sink, content, 3 * INTERVAL)) == ["ok"]
    assert (tmp_path / "out/d/film.mkv").read_bytes() == content


def test_changed_byte_in_a_range_that_was_not_verified_is_found(
    make_sink: MakeSink, tmp_path: Path, content: bytes, gate: Gate
) -> None:
    interrupted(make_sink, tmp_path, content, INTERVAL)
    sink = make_sink()
    sink.plan([ENTRY])
    sink.apply(pieces(content, INTERVAL, 3 * INTERVAL), more=True)
    abandon(tmp_path / "out")
    flip(tmp_path / PART, 2 * INTERVAL + 5)
    gate.open()
    sink = make_sink()
    sink.plan([ENTRY])
    assert statuses(completed(sink, content, 3 * INTERVAL)) == ["failed"]
    assert (tmp_path / PART).read_bytes() == content[: 2 * INTERVAL]


def test_run_that_is_closed_during_its_check_keeps_everything(
    make_sink: MakeSink, tmp_path: Path, content: bytes, gate: Gate
) -> None:
    interrupted(make_sink, tmp_path, content, INTERVAL)
    sink = make_sink()
    sink.plan([ENTRY])
    sink.apply(pieces(content, INTERVAL, 2 * INTERVAL + 7), more=True)
    sink.close()
    gate.open()
    assert sink.kept == [str(tmp_path / PART)]
    sink = make_sink()
    assert sink.plan([ENTRY]).have == {0: 2 * INTERVAL + 7}
    assert statuses(completed(sink, content, 2 * INTERVAL + 7)) == ["ok"]


def test_sender_with_other_bytes_removes_the_part(
    make_sink: MakeSink, tmp_path: Path, content: bytes
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    sink = make_sink()
    sink.plan([ENTRY])
    other = content[::-1]
    assert statuses(completed(sink, other, 2 * INTERVAL)) == ["mismatch"]
    assert tree(tmp_path / "out") == {"d": None}


@pytest.mark.parametrize("opened", [True, False])
def test_file_that_begins_again_replaces_the_part(
    make_sink: MakeSink, tmp_path: Path, content: bytes, opened: bool
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    sink = make_sink()
    sink.plan([ENTRY])
    other = content[::-1]
    first = pieces(other, 2 * INTERVAL, 2 * INTERVAL + MIB) if opened else []
    restart = Restart(0, 2 * INTERVAL + (MIB if opened else 0))
    outcomes = sink.apply([*first, restart, *pieces(other, 0, SIZE), end(other)])
    assert statuses([*outcomes, *sink.finish()]) == ["ok"]
    assert tree(tmp_path / "out") == {"d": None, "d/film.mkv": other}
    assert sink.checking is None


def test_plan_has_digests_of_beginnings_that_become_longer(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    sink = make_sink()
    entry = ENTRY._replace(size=None)
    whole = bytes(20 * INTERVAL)
    killed(sink, whole, 20 * INTERVAL, entry)
    abandon(tmp_path / "out")
    plan = make_sink().plan([entry])
    digests = [
        (0, at, hashlib.sha256(whole[:at]).hexdigest())
        for at in (INTERVAL, 8 * INTERVAL, 20 * INTERVAL)
    ]
    assert plan.digests(5) == digests
    assert plan.digests(2) == digests[:2]


def test_stream_is_continued(make_sink: MakeSink, tmp_path: Path, content: bytes) -> None:
    entry = Entry("stdin", size=None)
    sink = make_sink()
    killed(sink, content, 9, entry)
    sink.close()
    sink = make_sink()
    assert sink.plan([entry]).have == {0: 9}
    assert statuses(completed(sink, content, 9)) == ["ok"]
    assert (tmp_path / "out/stdin").read_bytes() == content


def test_hole_at_the_end_is_part_of_the_digest(make_sink: MakeSink, tmp_path: Path) -> None:
    size = 4 * INTERVAL
    whole = os.urandom(INTERVAL) + bytes(3 * INTERVAL)
    entry = ENTRY._replace(size=size)
    killed(make_sink(), whole, INTERVAL, entry)
    abandon(tmp_path / "out")
    sink = make_sink()
    assert sink.plan([entry]).have == {0: INTERVAL}
    holes = [Hole(0, INTERVAL, INTERVAL), Hole(0, 2 * INTERVAL, 2 * INTERVAL)]
    assert statuses([*sink.apply([*holes, end(whole)]), *sink.finish()]) == ["ok"]
    assert (tmp_path / "out/d/film.mkv").read_bytes() == whole


@pytest.mark.skipif(os.name == "nt", reason="permissions as Unix has them")
def test_permissions_that_the_sender_has_removed_are_removed(
    make_sink: MakeSink, tmp_path: Path, content: bytes
) -> None:
    killed(make_sink(), content, INTERVAL, ENTRY._replace(mode=0o644))
    abandon(tmp_path / "out")
    sink = make_sink()
    sink.plan([ENTRY._replace(mode=0o600)])
    assert statuses(completed(sink, content, INTERVAL)) == ["ok"]
    assert (tmp_path / "out/d/film.mkv").stat().st_mode & 0o777 == 0o600


def test_room_for_the_rest_is_enough(
    make_sink: MakeSink, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(make_sink, tmp_path, content, 3 * INTERVAL)
    real = shutil.disk_usage

    def free(room: int) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda path: real(path)._replace(free=room))

    free(1 * MIB)
    plan = make_sink().plan([ENTRY])
    assert (plan.have, plan.stale) == ({0: 3 * INTERVAL}, [])
    free(0)
    with pytest.raises(DestinationError, match="not enough room"):
        make_sink().plan([ENTRY])


def test_part_that_cannot_be_read_fails_the_file_and_stays(
    make_sink: MakeSink, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(make_sink, tmp_path, content, 2 * INTERVAL)
    sink = make_sink()
    sink.plan([ENTRY])

    def broken(fd: int, count: int) -> bytes:
        raise OSError(errno.EACCES, "permission denied")

    monkeypatch.setattr("dcsend.files.trailing.os.read", broken)
    (outcome,) = completed(sink, content, 2 * INTERVAL)
    assert outcome.status == "failed"
