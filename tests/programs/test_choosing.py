"""A person chooses at the terminal what is received."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import Program, Stage, tree


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "raw").mkdir(parents=True)
    (folder / "empty").mkdir()
    for name in ("a", "b", "c", "raw/d", "raw/e"):
        (folder / name).write_text(name)
    return folder


def test_only_what_is_chosen_is_received(stage: Stage, tmp_path: Path, source: Path) -> None:
    sender = stage.send(source)
    receiver = stage.run("receive", sender.code, "-o", tmp_path / "in", terminal=True)
    receiver.until_shown(b"[Y/n, c chooses, l lists all] ")
    receiver.write(b"c\n")
    receiver.until_shown(b"!NAME:")
    receiver.write(b"all,!2,!photos/raw\n")
    receiver.until_shown(b"2 of 5 files (2 B) chosen")
    receiver.until_shown(b"[Y/n, c chooses, l lists all] ", 2)
    receiver.write(b"y\n")
    sent = sender.end()
    received = receiver.end()
    assert (sent.status, received.status) == (0, 0)
    assert b"photos/raw/d: not wanted" in received.err
    assert b"photos/raw: not wanted" not in received.err  # a folder has no line of its own
    assert set(tree(tmp_path / "in")) == {"photos", "photos/a", "photos/c", "photos/empty"}
    others = {one["path"]: one["reason"] for one in sent.of("file") if one["status"] == "skipped"}
    assert others == dict.fromkeys(
        ("photos/b", "photos/raw", "photos/raw/d", "photos/raw/e"), "not wanted"
    )


def choosing_beside_old_files(stage: Stage, kept: Path, source: Path) -> tuple[Program, Program]:
    """Return both sides when the receiver is asked what to choose; two of the files exist."""
    kept.mkdir(parents=True)
    (kept / "a").write_text("old")
    (kept / "b").write_text("old")
    sender = stage.send(source)
    receiver = stage.run("receive", sender.code, "-o", kept.parent, terminal=True)
    receiver.until_shown(b"[o/r/s/n/c, l lists all] ")
    receiver.write(b"c\n")
    receiver.until_shown(b"!NAME:")
    return sender, receiver


def test_question_about_existing_files_is_about_the_chosen_ones(
    stage: Stage, tmp_path: Path, source: Path
) -> None:
    kept = tmp_path / "in" / "photos"
    sender, receiver = choosing_beside_old_files(stage, kept, source)
    receiver.write(b"photos/a,photos/c\n")
    receiver.until_shown(b"1 file exists in ")
    receiver.until_shown(b"[o/r/s/n/c, l lists all] ", 2)
    receiver.write(b"c\n")
    receiver.until_shown(b"!NAME:", 2)
    receiver.write(b"photos/c\n")
    receiver.until_shown(b"[Y/n, c chooses, l lists all] ")
    receiver.write(b"\n")
    assert (sender.end().status, receiver.end().status) == (0, 0)
    assert {path.name: path.read_text() for path in kept.iterdir() if path.is_file()} == {
        "a": "old",
        "b": "old",
        "c": "c",
    }


def test_policy_is_for_the_chosen_files(stage: Stage, tmp_path: Path, source: Path) -> None:
    kept = tmp_path / "in" / "photos"
    sender, receiver = choosing_beside_old_files(stage, kept, source)
    receiver.write(b"photos/a\n")
    receiver.until_shown(b"[o/r/s/n/c, l lists all] ", 2)
    receiver.write(b"o\n")
    assert (sender.end().status, receiver.end().status) == (0, 0)
    assert {path.name: path.read_text() for path in kept.iterdir() if path.is_file()} == {
        "a": "a",
        "b": "old",
    }
