"""Existing files, and parts of other runs."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from dcsend.content import Data
from dcsend.entry import Entry, Existing, Kind
from dcsend.files.journal import MIN_SIZE
from tests.support.sinks import MakeSink, make_sink, receive, statuses, tree, whole

if sys.platform != "win32":
    import fcntl

__all__ = ["make_sink"]  # pytest finds the fixture by its name


# Existing files.


def test_existing_files_are_named_and_nothing_is_received(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "out/d").mkdir(parents=True)
    for name in ("a", "b", "d/c", "e\n"):
        (tmp_path / "out" / name).touch()
    entries = [Entry(path, size=0) for path in ("new", "a", "b", "d/c")]
    plan = make_sink().plan([*entries, Entry("d", Kind.DIRECTORY)])
    assert list(plan.taken) == [1, 2, 3]
    assert plan.refusal is not None
    assert "a, b, d/c exist in" in plan.refusal.message
    assert plan.refusal.hint == "run it again with --overwrite, --rename or --skip"


def test_file_where_a_folder_must_be_counts_as_existing(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/d").touch()
    refusal = make_sink().plan([Entry("d", Kind.DIRECTORY)]).refusal
    assert refusal is not None
    assert "d exists in" in refusal.message


def test_only_existing_files_are_reported_as_existing(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out/d/e").mkdir(parents=True)
    (tmp_path / "out/d/e/f").touch()
    folders = [Entry(path, Kind.DIRECTORY) for path in ("d", "d/e", "d/new", "new", "new/e")]
    files = [Entry(f"{folder.path}/f", size=0) for folder in folders]
    plan = make_sink(Existing.SKIP).plan([*folders, *files])
    assert plan.skip == {len(folders) + 1: "exists"}


def test_overwrite_replaces_only_when_the_file_is_complete(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f").write_bytes(b"old")
    sink = make_sink(Existing.OVERWRITE)
    sink.plan([Entry("f", size=3)])
    sink.apply([Data(0, 0, b"new")])
    assert (tmp_path / "out/f").read_bytes() == b"old"
    sink.apply(whole(0, b"new")[1:])
    assert tree(tmp_path / "out") == {"f": b"new"}


def test_overwrite_replaces_a_link_and_not_its_target(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f").symlink_to("../victim")
    assert statuses(receive(make_sink(Existing.OVERWRITE), ("f", b"new"))) == ["ok"]
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not (tmp_path / "out/f").is_symlink()


def test_overwrite_replaces_no_folder(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out/f").mkdir(parents=True)
    outcomes = receive(make_sink(Existing.OVERWRITE), ("f", b"new"), ("g", b"x"))
    assert statuses(outcomes) == ["failed", "ok"]
    assert tree(tmp_path / "out") == {"f": None, "g": b"x"}


def test_overwrite_never_replaces_what_this_run_has_received(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    # A hard link simulates a file system that ignores case.
    sink = make_sink(Existing.OVERWRITE)
    sink.plan([Entry("f", size=1), Entry("F", size=1)])
    sink.apply(whole(0, b"1"))
    os.link(tmp_path / "out/f", tmp_path / "out/F")
    assert statuses(sink.apply(whole(1, b"2"))) == ["failed"]
    assert (tmp_path / "out/f").read_bytes() == b"1"


def test_rename_finds_a_free_name(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name in ("f.txt", "f (1).txt"):
        (tmp_path / "out" / name).write_bytes(b"old")
    [outcome] = receive(make_sink(Existing.RENAME), ("f.txt", b"new"))
    assert outcome.saved == tmp_path / "out/f (2).txt"
    assert tree(tmp_path / "out") == {
        "f.txt": b"old",
        "f (1).txt": b"old",
        "f (2).txt": b"new",
    }


def test_skip_keeps_existing_files(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f").write_bytes(b"old")
    plan = make_sink(Existing.SKIP).plan([Entry("f", size=1), Entry("g", size=1)])
    assert plan.skip == {0: "exists"}


@pytest.mark.parametrize("existing", [Existing.REFUSE, Existing.SKIP])
def test_file_that_appears_during_the_transfer_is_kept(
    make_sink: MakeSink, tmp_path: Path, existing: Existing
) -> None:
    sink = make_sink(existing)
    sink.plan([Entry("f", size=1)])
    sink.apply([Data(0, 0, b"x")])
    (tmp_path / "out/f").write_bytes(b"other")
    assert statuses(sink.apply(whole(0, b"x")[1:])) == ["failed"]
    assert tree(tmp_path / "out") == {"f": b"other"}


@pytest.mark.parametrize(
    "refused",
    [
        ("os.link",),
        ("dcsend.files.folder.rename_exclusive",),
        ("os.link", "dcsend.files.folder.rename_exclusive"),
    ],
    ids=["no links", "no exclusive rename", "neither"],
)
def test_disk_without_hard_links_still_never_replaces(
    make_sink: MakeSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: tuple[str, ...]
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EPERM, "not here")

    sink = make_sink()
    sink.plan([Entry("f", size=1), Entry("g", size=1)])
    for name in refused:
        monkeypatch.setattr(name, refuse)
    assert statuses(sink.apply(whole(0, b"x"))) == ["ok"]
    (tmp_path / "out/g").write_bytes(b"other")
    assert statuses(sink.apply(whole(1, b"y"))) == ["failed"]
    assert tree(tmp_path / "out") == {"f": b"x", "g": b"other"}


# Parts of other runs.


@pytest.mark.parametrize("left", [("part",), ("part", "journal"), ("journal",)], ids=" ".join)
def test_what_a_run_has_left_that_was_killed_after_the_rename_is_removed(
    make_sink: MakeSink, tmp_path: Path, left: tuple[str, ...]
) -> None:
    """Without an exclusive rename the part is another name of the file for a moment."""
    content = bytes(MIN_SIZE)
    final = tmp_path / "out/f"
    assert statuses(receive(make_sink(), ("f", content))) == ["ok"]
    if "part" in left:
        os.link(final, tmp_path / "out/f.dcsend-part")
    if "journal" in left:
        (tmp_path / "out/f.dcsend-journal").write_text("{}\n")
    sink = make_sink(Existing.SKIP)
    assert sink.plan([Entry("f", size=len(content))]).skip == {0: "exists"}
    assert len(os.listdir(tmp_path / "out")) == 1 + len(left), "planning changes nothing"
    sink.finish()
    assert tree(tmp_path / "out") == {"f": content}


def test_part_of_another_file_stays_beside_a_file_that_is_skipped(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f").write_bytes(b"x")
    os.link(tmp_path / "out/f", tmp_path / "other name")
    for suffix in ("part", "journal"):
        (tmp_path / f"out/f.dcsend-{suffix}").write_bytes(b"y")
    sink = make_sink(Existing.SKIP)
    assert sink.plan([Entry("f", size=MIN_SIZE)]).skip == {0: "exists"}
    sink.finish()
    assert len(os.listdir(tmp_path / "out")) == 3


def test_stale_part_and_journal_are_started_anew(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f.dcsend-part").write_bytes(b"an old and longer beginning")
    (tmp_path / "out/f.dcsend-journal").write_bytes(b"{}")
    assert statuses(receive(make_sink(), ("f", b"new"))) == ["ok"]
    assert tree(tmp_path / "out") == {"f": b"new"}


@pytest.mark.skipif(sys.platform == "win32", reason="there an open file is its own lock")
def test_part_of_a_running_process_is_kept(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    part = tmp_path / "out/f.dcsend-part"
    part.write_bytes(b"theirs")
    with part.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        [outcome] = receive(make_sink(), ("f", b"new"))
    assert outcome.status == "failed"
    assert str(outcome.error) == "another dcsend is receiving f here"
    assert tree(tmp_path / "out") == {"f.dcsend-part": b"theirs"}


@pytest.mark.skipif(sys.platform == "win32", reason="there an open file is its own lock")
def test_file_to_be_renamed_gets_another_part_while_its_own_is_being_written(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    part = tmp_path / "out/f.dcsend-part"
    part.write_bytes(b"theirs")
    with part.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        [outcome] = receive(make_sink(Existing.RENAME), ("f", b"new"))
        part.rename(tmp_path / "out/g")
    assert outcome.status == "ok"
    assert tree(tmp_path / "out") == {"f": b"new", "g": b"theirs"}


def test_two_runs_never_share_a_part(make_sink: MakeSink, tmp_path: Path) -> None:
    first, second = make_sink(), make_sink()
    for sink in (first, second):
        sink.plan([Entry("f", size=3)])
    first.apply([Data(0, 0, b"abc")])
    assert statuses(second.apply(whole(0, b"xyz"))) == ["failed"]
    assert statuses(first.apply(whole(0, b"abc")[1:])) == ["ok"]
    assert tree(tmp_path / "out") == {"f": b"abc"}


def test_pipe_in_place_of_the_part_does_not_block(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out/f.dcsend-part")
    assert statuses(receive(make_sink(), ("f", b"new"), ("g", b"x"))) == ["failed", "ok"]
