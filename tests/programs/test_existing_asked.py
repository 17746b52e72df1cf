"""A receiver at a terminal asks what to do with existing files; declining keeps the code valid."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.processes import Program, Stage

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of its own")

PROMPT = b"overwrite, rename or skip it, or accept nothing now? [o/r/s/n/c, l lists all] "


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to receive in, where `file` exists."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("old")
    return tmp_path / "in"


@pytest.fixture
def sender(stage: Stage, tmp_path: Path) -> Program:
    (tmp_path / "file").write_text("new")
    (tmp_path / "other").write_text("other")
    return stage.send(tmp_path / "file", tmp_path / "other")


@pytest.mark.parametrize(
    ("answer", "statuses", "found"),
    [
        ("o", (0, 0), {"file": "new", "other": "other"}),
        ("rename", (0, 0), {"file": "old", "file (1)": "new", "other": "other"}),
        ("S", (0, 0), {"file": "old", "other": "other"}),
    ],
)
def test_answer_decides_about_files_that_exist(
    stage: Stage,
    sender: Program,
    folder: Path,
    answer: str,
    statuses: tuple[int, int],
    found: dict[str, str],
) -> None:
    receiver = stage.run("receive", sender.code, "-o", folder, terminal=True)
    receiver.until_shown(PROMPT)
    assert f"1 file exists in {folder} already: file".encode() in (
        receiver.shown.replace(b"\r\n  ", b" ")
    )
    receiver.write(b"\n")  # an empty line: the question has no default
    receiver.until_shown(b"type o to overwrite it")
    receiver.until_shown(PROMPT, 2)
    receiver.write(answer.encode() + b"\n")
    assert (sender.end().status, receiver.end().status) == statuses
    assert {path.name: path.read_text() for path in folder.iterdir()} == found


@pytest.mark.parametrize("answer", [b"Q\n", b"\x04"], ids=["q", "end of input"])
def test_no_to_files_that_exist_does_not_use_up_the_code(
    stage: Stage, sender: Program, folder: Path, answer: bytes
) -> None:
    receiver = stage.run("receive", sender.code, "-o", folder, terminal=True)
    receiver.until_shown(PROMPT)
    receiver.write(answer)
    ended = receiver.end()
    said = ended.err.replace(b"\r\n  ", b" ")
    assert ended.status == 4
    assert b"dcsend: file exists in " in said
    assert b"the same code works again" in said
    assert sender.event("left")["again"]
    again = stage.receive(sender.code, folder, "--rename")
    assert (sender.end().status, again.end().status) == (0, 0)
    assert (folder / "file").read_text() == "old"


def test_question_states_the_effect_of_an_option(
    stage: Stage, sender: Program, folder: Path
) -> None:
    receiver = stage.run("receive", sender.code, "-o", folder, "--skip", terminal=True)
    receiver.until_shown(b"1 file exists and is skipped; 1 is new")
    receiver.until_shown(b"[Y/n, c chooses, l lists all] ")
    receiver.write(b"\n")
    assert (sender.end().status, receiver.end().status) == (0, 0)
    assert sorted(os.listdir(folder)) == ["file", "other"]
    assert (folder / "file").read_text() == "old"


def test_question_about_one_file_names_the_path_that_was_given(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "film").write_text("new")
    (tmp_path / "b.iso").write_text("old")
    for output, said in (("a.iso", b"save as"), ("b.iso", b"b.iso exists already")):
        sender = stage.send(tmp_path / "film")
        receiver = stage.run("receive", sender.code, "-o", output, terminal=True)
        receiver.until_shown(b" l lists all] ")
        assert said in receiver.shown.replace(b"\r\n  ", b" ")
        receiver.write(b"y\n" if output == "a.iso" else b"o\n")
        assert (sender.end().status, receiver.end().status) == (0, 0)
        assert f"saved as {tmp_path / output}".encode() in (
            receiver.shown.replace(b"\r\n  ", b" ").replace(b"\r\n", b"")
        )
        assert (tmp_path / output).read_text() == "new"
