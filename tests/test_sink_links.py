"""No link leads the sink out of the chosen folder, whoever made it and when."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dcsend.entry import Entry, Kind
from dcsend.files.operations import Existing, Write
from tests.sinks import MakeSink, make_sink, receive, statuses, tree, whole

__all__ = ["make_sink"]  # pytest finds the fixture by its name


def test_link_is_never_written_through(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/d").symlink_to("../elsewhere")
    [outcome] = receive(make_sink(), ("d/f", b"x"))
    assert outcome.status == "failed"
    assert "not a folder" in str(outcome.error)
    assert tree(tmp_path / "elsewhere") == {}


def test_link_planted_while_files_arrive_is_not_followed(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    sink = make_sink()
    sink.plan([Entry("d/e/f", size=1), Entry("d/e/g", size=1), Entry("d/h", size=1)])
    assert statuses(sink.apply(whole(0, b"1"))) == ["ok"]
    (tmp_path / "out/d").rename(tmp_path / "out/moved")
    (tmp_path / "out/d").symlink_to("../elsewhere")
    sink.apply([*whole(1, b"2"), *whole(2, b"3")])
    assert tree(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize("existing", list(Existing))
def test_link_planted_as_the_part_is_not_followed(
    make_sink: MakeSink, tmp_path: Path, existing: Existing
) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/f.dcsend-part").symlink_to("../victim")
    [outcome] = receive(make_sink(existing), ("f", b"x"))
    assert outcome.status == "failed"
    assert "in the way" in str(outcome.error)
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_hard_link_planted_as_the_part_is_not_written(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    os.link(tmp_path / "victim", tmp_path / "out/f.dcsend-part")
    assert statuses(receive(make_sink(), ("f", b"x"))) == ["ok"]
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_part_swapped_for_another_file_is_not_given_the_name(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=1)])
    sink.apply([Write(0, 0, b"x")])
    (tmp_path / "out/f.dcsend-part").unlink()
    (tmp_path / "out/f.dcsend-part").write_bytes(b"evil")
    [outcome] = sink.apply(whole(0, b"x")[1:])
    assert outcome.status == "failed"
    assert not (tmp_path / "out/f").exists()


def test_links_are_made_after_everything_else(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan(
        [
            Entry("l", Kind.LINK, target="d"),
            Entry("d", Kind.DIRECTORY),
            Entry("l/f", size=1),
        ]
    )
    # The file makes a folder of the link's name; the link then finds it taken.
    outcomes = sink.apply(whole(2, b"x")) + sink.finish()
    assert {o.number: o.status for o in outcomes} == {2: "ok", 1: "ok", 0: "failed"}
    assert tree(tmp_path / "out") == {"d": None, "l": None, "l/f": b"x"}


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../x", "a/../../x", "", "a\\b"])
def test_link_that_leads_outside_is_not_made(
    make_sink: MakeSink, tmp_path: Path, target: str
) -> None:
    sink = make_sink()
    sink.plan([Entry("l", Kind.LINK, target=target), Entry("m", Kind.LINK, target="l")])
    assert statuses(sink.finish()) == ["failed", "ok"]
    assert os.readlink(tmp_path / "out/m") == "l"
    assert not os.path.lexists(tmp_path / "out/l")


@pytest.mark.parametrize(
    ("existing", "status", "names"),
    [
        (Existing.OVERWRITE, ["ok"], {"l": "new"}),
        (Existing.RENAME, ["ok"], {"l": "old", "l (1)": "new"}),
        (Existing.SKIP, [], {"l": "old"}),
    ],
)
def test_link_that_exists(
    make_sink: MakeSink,
    tmp_path: Path,
    existing: Existing,
    status: list[str],
    names: dict[str, str],
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/l").symlink_to("old")
    sink = make_sink(existing)
    sink.plan([Entry("l", Kind.LINK, target="new")])
    assert statuses(sink.finish()) == status
    assert {p.name: os.readlink(p) for p in (tmp_path / "out").iterdir()} == names
