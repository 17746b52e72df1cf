"""What a program reports and does while nothing of the other side arrives."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from tests.support.processes import Event, Program, Stage

pytestmark = pytest.mark.full

CONTENT: Final = os.urandom(2_000_000)


def halfway(event: Event) -> bool:
    return bool(event["event"] == "progress" and event["bytes"] >= len(CONTENT) // 2)


def disconnected(event: Event) -> bool:
    return bool(event["event"] == "disconnected")


def interrupted(stage: Stage, output: Path) -> tuple[Program, Program]:
    """Return a sender that is stopped in the middle, and a receiver that has noticed it."""
    sender = stage.send("-", "--name", "film", stdin=subprocess.PIPE)
    receiver = stage.receive(sender.code, output)
    sender.write(CONTENT[: len(CONTENT) // 2])
    receiver.until(halfway, "half of it")
    sender.process.send_signal(signal.SIGSTOP)
    event = receiver.until(disconnected, "event disconnected")
    assert 5 <= event["seconds"] < event["limit"] == 600
    return sender, receiver


def test_transfer_goes_on_when_a_stopped_side_runs_again(stage: Stage, tmp_path: Path) -> None:
    sender, receiver = interrupted(stage, tmp_path)
    sender.process.send_signal(signal.SIGCONT)
    receiver.until(lambda event: event["event"] == "reconnected", "event reconnected")
    sender.write(CONTENT[len(CONTENT) // 2 :])
    sender.end_input()
    assert (receiver.end().status, sender.end().status) == (0, 0)
    assert (tmp_path / "film").read_bytes() == CONTENT


def test_interrupt_while_the_connection_is_lost_ends_at_once_and_keeps_the_part(
    stage: Stage, tmp_path: Path
) -> None:
    sender, receiver = interrupted(stage, tmp_path)
    begin = time.monotonic()
    receiver.process.send_signal(signal.SIGINT)
    ended = receiver.end()
    assert receiver.over_at - begin < 1.5
    assert ended.status == 130
    assert "to continue, run this" in ended.fatal["hint"]
    assert (tmp_path / "film.dcsend-part").stat().st_size >= len(CONTENT) // 2
    sender.process.send_signal(signal.SIGCONT)
    sender.process.send_signal(signal.SIGINT)
    sender.reap()
