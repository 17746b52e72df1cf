"""Standard input, output and error of the commands: closed, a pipe, or a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dcsend
from tests.support.command_line import run
from tests.support.screens import Pty

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")


@pytest.mark.full
def test_servers_do_not_come_from_standard_input() -> None:
    status, _, err = run("receive", "-y", "--signal", "sdp", "--stun", "@-")
    assert status == 2
    assert "can't come from standard input" in err
    assert "@FILE" in err


@pytest.mark.full
@on_posix
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("arguments", ["receive -y -o - nonsense", "send -", "receive @-", "send"])
def test_closed_standard_streams_are_a_usage_error(arguments: str, closed: str) -> None:
    root = str(Path(dcsend.__file__).parents[1])
    command = f"{sys.executable} -m dcsend {arguments} --expires 1s {closed}"
    found = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, "DCSEND_ADDRESS": "127.0.0.1", "PYTHONPATH": root},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=150,
        check=False,
    )
    # With an open standard input, `send -` has something to send; no peer connects.
    assert found.returncode in ((2, 9) if arguments == "send -" else (2,))
    assert b"Traceback" not in found.stderr
    assert b"Exception" not in found.stderr


@pytest.mark.full
@on_posix
@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--version"], 0), (["receive", "--json"], 2), (["send", "--help"], 1)],
)
def test_output_without_a_reader_does_not_change_the_status(
    arguments: list[str], status: int
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    found = subprocess.run(
        [sys.executable, "-m", "dcsend", *arguments],
        env={**kept, "PYTHONPATH": str(Path(dcsend.__file__).parents[1])},
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=150,
        check=False,
    )
    os.close(writing)
    assert (found.returncode, found.stderr) == (status, b"")


@pytest.fixture
def pty() -> Iterator[Pty]:
    """Give a terminal."""
    terminal = Pty()
    yield terminal
    terminal.close()


@pytest.mark.full
@on_posix
def test_question_is_not_asked_if_its_output_is_not_a_terminal(pty: Pty) -> None:
    status, _, err = run("receive", stdin=pty.file)
    assert status == 2
    assert "can't ask whether to accept: standard error is not a terminal" in err


@pytest.mark.full
@on_posix
def test_received_bytes_are_not_written_to_a_terminal(pty: Pty) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "dcsend", "receive", "-y", "-o", "-", "--expires", "1s"],
        env={**os.environ, "PYTHONPATH": str(Path(dcsend.__file__).parents[1])},
        stdin=subprocess.DEVNULL,
        stdout=pty.file,
        stderr=subprocess.PIPE,
        text=True,
        timeout=150,
        check=False,
    )
    assert found.returncode == 2
    assert found.stderr.splitlines() == [
        "dcsend: standard output is a terminal",
        "dcsend: hint: pipe it into a file or a program, or choose a folder with --output",
    ]
