"""What a command line means: the commands, what may be left out, and codes in several pieces."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import COMMANDS, OLD_CODE, run

pytestmark = pytest.mark.full

PIECES = [OLD_CODE[:40], OLD_CODE[40:90], OLD_CODE[90:]]
"A code as a shell divides one that was pasted with spaces in it."

EXPIRED = (9, True)


def outcome(*arguments: str) -> tuple[int, bool]:
    """Return the status, and whether the run has dialed: the code is of long ago."""
    status, _, err = run(*arguments, env={"DCSEND_CONNECT_TIMEOUT": "1"})
    return status, "the code has expired" in err


@pytest.mark.parametrize(
    "arguments",
    [
        [OLD_CODE, "-y"],
        [f"dcsend receive {OLD_CODE}", "-y"],
        [f"> {OLD_CODE[:60]}\n> {OLD_CODE[60:]}", "-y"],
        ["receive", *PIECES, "-y"],
        [*PIECES, "-y"],
    ],
    ids=["code", "command", "quoted", "pieces", "pieces without a command"],
)
def test_code_is_received_whatever_it_stands_in(arguments: list[str]) -> None:
    assert outcome(*arguments) == EXPIRED


@pytest.mark.parametrize("command", [["receive"], []], ids=["receive", "no command"])
def test_short_code_with_spaces_is_received(command: list[str]) -> None:
    status, _, err = run(*command, "7", "walrus", "umbrella", "--no-mdns", "-y")
    assert status == 2
    assert "a short code needs a server or this network" in err


def test_code_in_a_file_is_received_without_a_command(tmp_path: Path) -> None:
    (tmp_path / "code").write_text(OLD_CODE)
    assert outcome(f"@{tmp_path / 'code'}", "-y") == EXPIRED


def test_path_is_sent_without_a_command(tmp_path: Path) -> None:
    (tmp_path / "film.mkv").touch()
    status, out, err = run(str(tmp_path / "film.mkv"), "--expires", "1s")
    assert status == 9
    assert out.startswith("dc0")
    assert "no device connected with the code" in err


def test_path_comes_before_a_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / OLD_CODE).touch()
    status, out, _ = run(OLD_CODE, "--expires", "1s")
    assert (status, out[:3]) == (9, "dc0")


def test_command_comes_before_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "send").touch()
    status, _, err = run("send")
    assert (status, "nothing to send" in err) == (2, True)


def test_damaged_code_is_treated_as_a_code() -> None:
    status, _, err = run(OLD_CODE[:70])
    assert status == 2
    assert f"the code is damaged: 70 of {len(OLD_CODE)} characters" in err


def test_code_for_a_receiver_is_joined_with_what_follows(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    assert outcome("send", str(tmp_path / "x"), "--to", *PIECES) == EXPIRED
    assert outcome(str(tmp_path / "x"), "--to", *PIECES) == EXPIRED


@pytest.mark.parametrize("arguments", [["-", "--to", OLD_CODE], ["--to", OLD_CODE, "-"]])
def test_standard_input_is_no_piece_of_a_code(arguments: list[str]) -> None:
    assert outcome("send", *arguments) == EXPIRED
    *_, err = run("send", "-", "--name", "a", "--to", "7-walrus-umbrella", "--server", "none")
    assert "add - to what is sent" not in err


def test_missing_path_is_no_word_of_a_complete_code() -> None:
    status, _, err = run("send", "umbrella", "--to", "7-walrus-umbrella", "--server", "none")
    assert (status, "no such file or folder: umbrella" in err) == (3, True)


def test_path_that_is_missing_is_no_piece_of_a_code(tmp_path: Path) -> None:
    status, _, err = run("send", "--to", OLD_CODE, str(tmp_path / "film.mkv"))
    assert status == 3
    assert "no such file or folder" in err


@pytest.mark.parametrize("code", [[OLD_CODE], PIECES], ids=["code", "pieces"])
def test_folder_behind_a_code_is_no_damage_to_it(code: list[str]) -> None:
    status, _, err = run("receive", *code, "my folder", "-y")
    assert status == 2
    assert "dcsend: my folder follows the code and is not part of it\n" in err
    assert "--output PATH" in err


@pytest.mark.parametrize("code", [OLD_CODE, OLD_CODE[:30], f"dcsend receive {OLD_CODE}"])
def test_code_in_place_of_a_path_names_the_right_command(code: str) -> None:
    status, _, err = run("send", code)
    assert status == 2
    assert "is a code, and no file of that name exists" in err
    assert "dcsend receive CODE" in err


def test_file_in_place_of_a_code_names_the_command_that_sends_it(tmp_path: Path) -> None:
    film = tmp_path / "a film.mkv"
    film.touch()
    status, _, err = run("receive", str(film))
    assert status == 2
    assert f"hint: to send it: dcsend send '{film}'\n" in err


@pytest.mark.parametrize("source", [subprocess.DEVNULL, subprocess.PIPE])
def test_fault_of_a_code_is_reported_before_what_else_is_missing(source: int) -> None:
    status, _, err = run("receive", "small.txt", stdin=source)
    assert status == 2
    assert "this is not a code" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["send", "--rename", "x"], "--rename is an option of dcsend receive"),
        (["send", "x", "-o", "y"], "-o is an option of dcsend receive and page"),
        (["receive", "--links"], "--links is an option of dcsend send"),
    ],
)
def test_option_of_another_command_is_named(arguments: list[str], said: str) -> None:
    status, _, err = run(*arguments)
    assert status == 2
    assert f"dcsend: {said}\n" in err


def test_summary_of_each_command_is_whole_in_the_help() -> None:
    _, out, _ = run("--help", env={"COLUMNS": "80"})
    summaries = out.partition("Commands:")[2]
    assert "..." not in summaries
    assert all(f"  {name} " in summaries for name in COMMANDS)


def test_help_is_a_command_too() -> None:
    assert run("help") == run("--help")
    assert run("help", "send") == run("send", "--help")


@pytest.mark.parametrize("path", ["nofile.mkv", "no/such/folder"])
def test_path_that_does_not_exist_is_no_unknown_command(path: str) -> None:
    status, _, err = run(path)
    assert status == 2
    assert f"dcsend: no such command, file or folder: {path}\n" in err
