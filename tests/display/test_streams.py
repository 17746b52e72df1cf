"""Streams that go away: nothing is raised, nothing is complained about, the status is kept."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dcsend
from dcsend.display.streams import Stream, is_terminal
from tests.support.screens import Pty

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")


@pytest.fixture
def pty() -> Iterator[Pty]:
    """Give a terminal."""
    terminal = Pty(72, 30)
    yield terminal
    terminal.close()


def program(source: str) -> str:
    """Return a program that ends as the command line does."""
    return (
        "import sys; from dcsend.display.streams import Stream, release\n"
        f"{source}\nrelease(); sys.exit(7)"
    )


def run(source: str, stdout: int) -> tuple[int, bytes]:
    """Run a program; return its status and what it says on standard error."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", program(source)],
        env={**kept, "PYTHONPATH": str(Path(dcsend.__file__).parents[1])},
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=150,
        check=False,
    )
    return found.returncode, found.stderr


def test_what_the_encoding_lacks_is_escaped() -> None:
    raw = io.BytesIO()
    text = io.TextIOWrapper(raw, encoding="cp1252", newline="")
    Stream(text).line("ä→\udcff")
    assert raw.getvalue() == b"\xe4\\u2192\\udcff\n"


def test_encoding_is_asked_what_it_can_show() -> None:
    stream = Stream(io.TextIOWrapper(io.BytesIO(), encoding="cp437"))
    assert stream.can_show("█")
    assert not stream.can_show("▏")


@pytest.mark.parametrize("gone", [None, "closed"])
def test_missing_stream_takes_everything(gone: str | None) -> None:
    file = io.StringIO() if gone else None
    if file:
        file.close()
    stream = Stream(file)
    stream.line("lost")
    stream.write("lost")
    assert not stream.terminal
    assert not stream.movable
    assert not is_terminal(file)
    assert stream.window == (80, 24)


@pytest.mark.full
@on_posix
def test_pipe_without_a_reader_is_given_up_and_the_status_kept() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    source = "out = Stream.stdout()\nfor n in range(9): out.line('x' * 99999)"
    assert run(source, stdout=writing) == (7, b"")
    os.close(writing)


@pytest.mark.full
@on_posix
def test_rest_in_a_buffer_without_a_reader_does_not_change_the_status() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    assert run("sys.stdout.write('rest')", stdout=writing) == (7, b"")
    os.close(writing)


@pytest.mark.full
@on_posix
def test_full_disk_is_no_reason_to_end() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("w") as file:
        assert run("Stream.stdout().line('x')", file.fileno()) == (7, b"")


@on_posix
def test_hung_up_terminal_is_given_up(pty: Pty) -> None:
    stream = Stream(pty.file)
    os.close(pty.eyes)
    stream.line("lost")
    stream.line("lost")
    assert not stream.terminal


@on_posix
def test_window_has_the_size_of_the_terminal(pty: Pty) -> None:
    assert Stream(pty.file).window == (72, 30)


@on_posix
@pytest.mark.parametrize(("given", "columns"), [("50", 50), ("", 72), ("x", 72), ("0", 72)])
def test_columns_override_the_window(
    pty: Pty, monkeypatch: pytest.MonkeyPatch, given: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", given)
    assert Stream(pty.file).window[0] == columns


@on_posix
def test_dumb_terminal_is_one_without_a_movable_cursor(
    pty: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Stream(pty.file).movable
    monkeypatch.setenv("TERM", "dumb")
    assert Stream(pty.file).terminal
    assert not Stream(pty.file).movable
