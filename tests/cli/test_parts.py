"""`dcsend parts`."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from dcsend.display.wording import ago
from tests.support.command_line import run
from tests.support.processes import Stage
from tests.support.screens import tmux_server

pytestmark = pytest.mark.full

JOURNAL = '{"v":1,"manifest":"m","path":"film.mkv","size":9000000,"mtime":null}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/film.mkv.dcsend-part").write_bytes(bytes(3_000_000))
    (tmp_path / "d/film.mkv.dcsend-journal").write_text(JOURNAL)
    (tmp_path / "a.dcsend-part").write_bytes(b"abc")
    (tmp_path / "lone.dcsend-journal").write_text(JOURNAL)
    (tmp_path / "other").write_text("precious")
    for path in tmp_path.rglob("*.dcsend-*"):
        os.utime(path, (0, 0))
    return tmp_path


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_parts_are_listed_with_size_and_age(folder: Path) -> None:
    before = names(folder)
    status, out, err = run("parts", str(folder))
    assert status == 0
    assert [line.split() for line in out.splitlines()] == [
        ["3", "B", *age(), "a.dcsend-part"],
        ["69", "B", *age(), "lone.dcsend-journal"],
        ["3.0", "MB", *age(), "d/film.mkv.dcsend-part"],
    ]
    assert err == "3 unfinished files, 3.0 MB; --delete removes them\n"
    assert names(folder) == before


def age() -> list[str]:
    """Return the words for the time since 1970."""
    words = ago(time.time()).split()
    assert words[1:] == ["days", "ago"]
    return words


def test_parts_are_deleted_with_their_journals(folder: Path) -> None:
    status, _, err = run("parts", str(folder), "--delete", "-y")
    assert (status, err) == (0, "deleted 3 unfinished files, 3.0 MB\n")
    assert names(folder) == {"other"}


@pytest.mark.parametrize(("answer", "left"), [(b"y\n", 1), (b"n\n", 5), (b"\n", 5)])
def test_deleting_asks_first(stage: Stage, folder: Path, answer: bytes, left: int) -> None:
    program = stage.run("parts", folder, "--delete", terminal=True)
    program.until_shown(b"delete 3 unfinished files, 3.0 MB? [y/N] ")
    program.write(answer)
    assert program.end().status == 0
    assert len(names(folder)) == left


def test_part_that_is_being_received_and_links_stay(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/real").write_text("precious")
    (folder / "link.dcsend-part").symlink_to(folder / "elsewhere/real")
    (folder / "linked").symlink_to(folder / "d")
    with (folder / "d/film.mkv.dcsend-part").open("rb") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        status, out, _ = run("parts", str(folder), "--delete", "-y")
    assert status == 0
    assert "d/film.mkv.dcsend-part, being received" in out
    assert "link" not in out
    assert names(folder) == {
        *("other", "elsewhere/real", "link.dcsend-part"),
        *("d/film.mkv.dcsend-part", "d/film.mkv.dcsend-journal"),
    }


def test_hostile_name_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "\x1b[2J.dcsend-part").write_bytes(b"")
    _, out, _ = run("parts", str(tmp_path))
    assert "\\x1b[2J.dcsend-part" in out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([""], 2, "the folder to search is empty"),
        (["-y"], 2, "-y is for --delete"),
        (["--delete"], 2, "standard input is not a terminal"),
        (["missing"], 4, "can't read missing: no such file or directory"),
    ],
)
def test_wrong_command_line_is_explained(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    found, _, err = run("parts", *arguments)
    assert (found, message in err) == (status, True), err


def test_folder_without_parts_is_reported(tmp_path: Path) -> None:
    assert run("parts", str(tmp_path)) == (0, "", "no unfinished files\n")


def test_rows_are_broken_between_words_in_a_narrow_window(tmp_path: Path) -> None:
    (tmp_path / "the film of the summer at the lake.mkv.dcsend-part").write_bytes(b"abc")
    with tmux_server() as tmux:
        window = tmux.window(tmp_path, 40)
        window.dcsend("parts")
        assert window.ended() == 0
        window.until("^ +3 B .* the film of the$")
        window.until("^  summer at the lake.mkv.dcsend-part$")
        window.until("^1 unfinished file, 3 B; --delete removes$")
        window.until("^  them$")
        window.dcsend("parts", "--delete")
        window.until(r"^delete 1 unfinished file, 3 B\? \[y/N\]$")
        window.enter("y")
        window.until("^deleted 1 unfinished file, 3 B$")
