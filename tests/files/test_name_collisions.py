"""Two names of a manifest that are one name on the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dcsend.entry import Entry, Existing
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.sink import Outcome
from tests.support.disks import FAT, MakeDisk, odd_disk
from tests.support.sinks import receive, sink_on, statuses, whole

pytestmark = pytest.mark.full

__all__ = ["odd_disk"]


TWINS = [
    pytest.param("README", "readme", id="case"),
    pytest.param("\u00e9", "e\u0301", id="composition"),
    pytest.param("Dir/a", "dir/A", id="folders"),
]
INODES = pytest.mark.parametrize("by_name", [False, True], ids=["one inode", "an inode each"])


@INODES
@pytest.mark.parametrize(("first", "second"), TWINS)
@pytest.mark.parametrize("together", [True, False], ids=["one portion", "two"])
def test_rename_keeps_two_files_with_colliding_names(
    odd_disk: MakeDisk, first: str, second: str, together: bool, by_name: bool
) -> None:
    disk = odd_disk(*FAT, folds=True, inodes_by_name=by_name)
    outcomes = both(sink_on(disk.path, Existing.RENAME), first, second, together=together)
    assert [one.status for one in outcomes] == ["ok", "ok"]
    assert [Path(one.where).read_bytes() for one in outcomes] == [b"1", b"2"]


@INODES
@pytest.mark.parametrize(("first", "second"), TWINS)
@pytest.mark.parametrize("together", [True, False], ids=["one portion", "two"])
@pytest.mark.parametrize("existing", [Existing.REFUSE, Existing.SKIP, Existing.OVERWRITE])
def test_second_of_two_files_with_colliding_names_fails(
    odd_disk: MakeDisk, first: str, second: str, together: bool, by_name: bool, existing: Existing
) -> None:
    disk = odd_disk(*FAT, folds=True, inodes_by_name=by_name)
    good, bad = both(sink_on(disk.path, existing), first, second, together=together)
    assert (good.status, bad.status) == ("ok", "failed")
    assert Path(good.where).read_bytes() == b"1"
    assert str(bad.error) == f"{second}: {first} has the same name here; --rename keeps both"
    assert len([path for path in disk.path.rglob("*") if path.is_file()]) == 1


def both(sink: DirectorySink, first: str, second: str, *, together: bool) -> list[Outcome]:
    """Receive two files; return their outcomes."""
    sink.plan([Entry(first, size=1), Entry(second, size=1)])
    if together:
        outcomes = sink.apply([*whole(0, b"1"), *whole(1, b"2")])
    else:
        outcomes = [*sink.apply(whole(0, b"1")), *sink.apply(whole(1, b"2"))]
    outcomes += sink.close()
    return sorted(outcomes, key=lambda one: one.number)


@INODES
@pytest.mark.parametrize(("first", "second"), TWINS)
@pytest.mark.parametrize("kept", [0, 1])
def test_skip_receives_neither_of_two_colliding_names_as_the_other(
    odd_disk: MakeDisk, first: str, second: str, kept: int, by_name: bool
) -> None:
    """Otherwise a second run with --skip would succeed, and one file would be missing."""
    disk = odd_disk(folds=True, inodes_by_name=by_name)
    sink = sink_on(disk.path)
    assert statuses(receive(sink, ((first, second)[kept], b"1"))) == ["ok"]
    sink.close()
    plan = sink_on(disk.path, Existing.SKIP).plan([Entry(first, size=1), Entry(second, size=1)])
    assert sorted(plan.skip.values()) == ["exists", "unsafe"]
    assert "--rename keeps both" in plan.notes[0]


def test_skip_leaves_out_both_of_two_files_whose_names_differ_in_case(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/README").touch()
    os.link(tmp_path / "out/README", tmp_path / "out/readme")
    plan = sink_on(tmp_path, Existing.SKIP).plan([Entry("README", size=1), Entry("readme", size=1)])
    assert plan.skip == {0: "exists", 1: "exists"}


def test_overwrite_replaces_both_of_two_files_whose_names_differ_in_case(tmp_path: Path) -> None:
    for round_ in (b"1", b"2"):
        sink = sink_on(tmp_path, Existing.OVERWRITE)
        assert statuses(receive(sink, ("README", round_), ("readme", round_))) == ["ok", "ok"]
        sink.close()
