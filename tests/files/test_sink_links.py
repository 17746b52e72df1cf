"""No link leads the sink out of the chosen folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dcsend.content import Data
from dcsend.entry import Entry, Existing, Kind
from tests.support.sinks import MakeSink, make_sink, receive, statuses, tree, whole

__all__ = ["make_sink"]  # pytest finds the fixture by its name


def test_link_is_never_written_through(make_sink: MakeSink, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/d").symlink_to("../elsewhere")
    [outcome] = receive(make_sink(), ("d/f", b"x"))
    assert outcome.status == "failed"
    assert "not a folder" in str(outcome.error)
    assert tree(tmp_path / "elsewhere") == {}


def test_link_planted_during_the_transfer_is_not_followed(
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
    sink.apply([Data(0, 0, b"x")])
    (tmp_path / "out/f.dcsend-part").unlink()
    (tmp_path / "out/f.dcsend-part").write_bytes(b"evil")
    [outcome] = sink.apply(whole(0, b"x")[1:])
    assert outcome.status == "failed"
    assert not (tmp_path / "out/f").exists()


def test_file_in_the_place_of_the_part_is_not_removed(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan([Entry("f", size=1)])
    sink.apply([Data(0, 0, b"x")])
    part = tmp_path / "out/f.dcsend-part"
    part.unlink()
    part.write_bytes(b"precious")
    assert statuses(sink.apply(whole(0, b"y")[1:])) == ["mismatch"]
    assert part.read_bytes() == b"precious"


def test_links_are_made_after_everything_else(make_sink: MakeSink, tmp_path: Path) -> None:
    sink = make_sink()
    sink.plan(
        [
            Entry("l", Kind.LINK, target="d"),
            Entry("d", Kind.DIRECTORY),
            Entry("l/f", size=1),
        ]
    )
    # The file creates a folder with the name of the link, so that the link's name is taken.
    outcomes = sink.apply(whole(2, b"x")) + sink.finish()
    assert {o.number: o.status for o in outcomes} == {2: "ok", 1: "ok", 0: "failed"}
    assert tree(tmp_path / "out") == {"d": None, "l": None, "l/f": b"x"}


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../x", "a/../../x", "", "a\\b"])
def test_link_that_leads_outside_is_refused_before_the_first_byte(
    make_sink: MakeSink, tmp_path: Path, target: str
) -> None:
    sink = make_sink()
    plan = sink.plan([Entry("l\n", Kind.LINK), Entry("l", Kind.LINK, target=target)])
    assert plan.skip == {0: "unsafe", 1: "unsupported"}
    assert plan.notes[1].startswith("l: not received: ")
    assert all(note.isprintable() for note in plan.notes)
    assert sink.finish() == []
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("existing", list(Existing))
@pytest.mark.parametrize("target", ["old", "d/old", "./d/old/x", "m", "m/old", "n/x"])
def test_link_through_an_existing_link_is_not_made(
    make_sink: MakeSink, tmp_path: Path, target: str, existing: Existing
) -> None:
    (tmp_path / "out/d").mkdir(parents=True)
    (tmp_path / "out/old").symlink_to("..")
    (tmp_path / "out/d/old").symlink_to("../..")
    sink = make_sink(existing)
    links = {"d/l": f"../{target}", "l": target, "m": "d", "n": "m/old"}
    sink.plan([Entry(path, Kind.LINK, target=where) for path, where in links.items()])
    made = {list(links)[outcome.number] for outcome in sink.finish() if outcome.status == "ok"}
    for link in made:
        assert (tmp_path / "out" / link).is_symlink()
        assert (tmp_path / "out" / link).resolve().is_relative_to(tmp_path / "out")
    assert made == {"m"} | ({"l", "d/l"} if target == "m" else set())


@pytest.mark.parametrize("names", [["a", "b", "c"], ["c", "b", "a"]])
@pytest.mark.parametrize("existing", [Existing.REFUSE, Existing.OVERWRITE])
def test_links_through_links_of_this_run_are_made(
    make_sink: MakeSink, tmp_path: Path, names: list[str], existing: Existing
) -> None:
    targets = dict(zip(names, ["file", *names[:2]], strict=True))
    for _ in range(2 if existing is Existing.OVERWRITE else 1):
        sink = make_sink(existing)
        sink.plan([Entry(name, Kind.LINK, target=targets[name]) for name in "abc"])
        assert statuses(sink.finish()) == ["ok"] * 3
    assert {p.name: os.readlink(p) for p in (tmp_path / "out").iterdir()} == targets


def test_target_through_a_folder_in_the_place_of_a_link_is_resolved(
    make_sink: MakeSink, tmp_path: Path
) -> None:
    (tmp_path / "out/m").mkdir(parents=True)
    (tmp_path / "out/m/old").symlink_to("../..")
    sink = make_sink(Existing.OVERWRITE)
    sink.plan([Entry("m", Kind.LINK, target="x"), Entry("n", Kind.LINK, target="m/old")])
    assert statuses(sink.finish()) == ["failed", "failed"]


def test_target_passes_forty_links_and_no_more(make_sink: MakeSink) -> None:
    sink = make_sink()
    # The target of link n passes the links n + 1 to 41.
    targets = [*(f"l{number + 1}" for number in range(41)), "file"]
    sink.plan([Entry(f"l{n}", Kind.LINK, target=target) for n, target in enumerate(targets)])
    outcomes = sink.finish()
    assert [one.number for one in outcomes if one.status != "ok"] == [0]
    assert "through too many links" in str(outcomes[0].error)


def test_links_in_a_circle_are_not_made(make_sink: MakeSink) -> None:
    sink = make_sink()
    sink.plan([Entry("a", Kind.LINK, target="b"), Entry("b", Kind.LINK, target="a")])
    assert statuses(sink.finish()) == ["failed", "failed"]


def test_reasons_of_very_many_links_that_are_not_made_take_bounded_memory(
    make_sink: MakeSink,
) -> None:
    sink = make_sink()
    sink.plan([Entry(f"l{n}", Kind.LINK, target=f"l{n}") for n in range(1002)])
    reasons = [str(one.error) for one in sink.finish()]
    assert len(set(reasons[:1000])) == 1000
    assert set(reasons[1000:]) == {"it could not be made, like many others"}


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
