"""The computer is kept awake from the acceptance of an offer to the end of the transfer."""

from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.support.processes import PATIENCE, Event, Program, Stage

pytestmark = pytest.mark.full

CONTENT: Final = os.urandom(500_000)

FAKE: Final = """#!/bin/sh
# Opened for reading by the test: it gets an end of file when this program and its child have ended.
exec 3>>"$INHIBITOR"
echo "$*" >&3
ls -l /proc/$$/fd | sed 's/^/fd /' >&3
for command; do :; done
"$command"
echo ended >&3
"""
"A `systemd-inhibit` that prevents nothing; its last argument is a command, as it is there."


class Inhibitor:
    """The folder with the program, and what it writes."""

    def __init__(self, folder: Path, script: str = FAKE) -> None:
        folder.mkdir()
        self.pipe = folder / "pipe"
        os.mkfifo(self.pipe)
        self.reading = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)
        program = folder / "systemd-inhibit"
        program.write_text(script)
        program.chmod(stat.S_IRWXU)
        self.environment = {
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "INHIBITOR": str(self.pipe),
            "DCSEND_NO_INHIBIT": "",
        }

    def begun(self) -> str:
        """Wait until it was started; return what it has written so far."""
        ready, _, _ = select.select([self.reading], [], [], PATIENCE)
        assert ready
        return os.read(self.reading, 4096).decode()

    def lines(self) -> list[str]:
        """Return what it has written, at its end; empty if it was not started."""
        os.set_blocking(self.reading, True)
        with open(self.reading, closefd=False) as pipe:
            return pipe.read().splitlines()


@pytest.fixture
def inhibitor(tmp_path: Path) -> Inhibitor:
    return Inhibitor(tmp_path / "bin")


def begun(stage: Stage, output: Path, **environment: str) -> tuple[Program, Program]:
    """Return a sender that waits for more of its input, and a receiver that has half of it."""
    sender = stage.send("-", stdin=subprocess.PIPE)
    receiver = stage.receive(sender.code, output, environment=environment)
    sender.write(CONTENT[: len(CONTENT) // 2])
    receiver.until(has(len(CONTENT) // 2), "half of it")
    return sender, receiver


def has(size: int) -> Callable[[Event], bool]:
    return lambda event: event["event"] == "progress" and event["bytes"] >= size


def test_inhibitor_runs_during_the_transfer(
    stage: Stage, tmp_path: Path, inhibitor: Inhibitor
) -> None:
    sender, receiver = begun(stage, tmp_path, **inhibitor.environment)
    first = inhibitor.begun()
    assert first.startswith("--what=idle:sleep --mode=block --who=dcsend")
    assert "ended" not in first
    sender.write(CONTENT[len(CONTENT) // 2 :])
    sender.end_input()
    assert (receiver.end().status, sender.end().status) == (0, 0)
    inherited = [line for line in f"{first}\n".splitlines() + inhibitor.lines() if "fd " in line]
    assert not [line for line in inherited if "socket:" in line]


def test_inhibitor_ends_with_a_program_that_is_killed(
    stage: Stage, tmp_path: Path, inhibitor: Inhibitor
) -> None:
    _, receiver = begun(stage, tmp_path, **inhibitor.environment)
    assert inhibitor.begun()
    receiver.process.send_signal(signal.SIGKILL)
    receiver.process.wait(PATIENCE)
    assert "ended" in inhibitor.lines()


def test_inhibitor_is_not_started_before_acceptance(
    stage: Stage, tmp_path: Path, inhibitor: Inhibitor
) -> None:
    (tmp_path / "stdin").write_bytes(b"mine")
    sender = stage.run("send", "-", "--json", environment=inhibitor.environment)
    refused = stage.receive(sender.code, tmp_path)  # the file exists
    assert refused.end().status == 4
    sender.event("left")
    sender.process.send_signal(signal.SIGINT)
    sender.end()
    assert not inhibitor.lines()


def test_inhibitor_is_not_started_if_it_is_not_wanted(
    stage: Stage, tmp_path: Path, inhibitor: Inhibitor
) -> None:
    sender, receiver = begun(stage, tmp_path, **inhibitor.environment | {"DCSEND_NO_INHIBIT": "1"})
    sender.end_input()
    assert (receiver.end().status, sender.end().status) == (0, 0)
    assert not inhibitor.lines()


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 1\n", "no program", ""])
def test_transfer_runs_where_the_inhibitor_does_not_work(
    stage: Stage, tmp_path: Path, script: str
) -> None:
    broken = Inhibitor(tmp_path / "bin", script)
    sender, receiver = begun(stage, tmp_path, **broken.environment)
    sender.write(CONTENT[len(CONTENT) // 2 :])
    sender.end_input()
    received, sent = receiver.end(), sender.end()
    assert (received.status, sent.status, received.notes, received.err) == (0, 0, [], b"")
    assert (tmp_path / "stdin").read_bytes() == CONTENT


def test_transfer_runs_where_there_is_no_inhibitor(stage: Stage, tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    environment = {"PATH": str(empty), "DCSEND_NO_INHIBIT": ""}
    sender, receiver = begun(stage, tmp_path, **environment)
    sender.end_input()
    received = receiver.end()
    assert (received.status, received.notes, received.err) == (0, [], b"")


def test_inhibitor_of_the_current_folder_is_not_started(
    stage: Stage, tmp_path: Path, inhibitor: Inhibitor
) -> None:
    environment = inhibitor.environment | {"PATH": f".{os.pathsep}:/nowhere"}
    sender = stage.send("-", stdin=subprocess.PIPE)
    receiver = stage.receive(
        sender.code, tmp_path, environment=environment, cwd=inhibitor.pipe.parent
    )
    sender.end_input()
    assert receiver.end().status == 0
    assert not inhibitor.lines()


def test_standard_input_is_not_read_by_the_inhibitor(
    stage: Stage, tmp_path: Path, inhibitor: Inhibitor
) -> None:
    sender = stage.send("-", stdin=subprocess.PIPE, environment=inhibitor.environment)
    receiver = stage.receive(sender.code, tmp_path)
    sender.write(CONTENT[: len(CONTENT) // 2])
    receiver.until(has(len(CONTENT) // 2), "half of it")
    assert inhibitor.begun()
    sender.write(CONTENT[len(CONTENT) // 2 :])
    sender.end_input()
    assert receiver.end().status == 0
    assert (tmp_path / "stdin").read_bytes() == CONTENT
