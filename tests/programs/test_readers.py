"""Output that is not read, by a stopped terminal or a program: the transfer continues."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.load import Stopwatch
from tests.support.processes import PATIENCE, Program, Stage

pytestmark = pytest.mark.skipif(os.name == "nt", reason="terminals and signals as Unix has them")

FILES = 600
"Their events fill a pipe more than twice."

HOLD, GO_ON = b"\x13", b"\x11"
"Ctrl-S and Ctrl-Q."

SOON = 3.0
"Seconds in which a program ends on an idle machine, with a margin."


def offered(stage: Stage, folder: Path) -> Program:
    """Offer many small files."""
    (folder / "many").mkdir()
    for number in range(FILES):
        (folder / "many" / f"{number:03}").write_bytes(b"x")
    return stage.send(folder / "many")


def unread(stage: Stage, sender: Program, folder: Path) -> Program:
    """Receive without reading the events; return after the sender has ended."""
    receiver = stage.run(
        "receive", sender.code, "-y", "--json", "-o", str(folder / "in"), listen=False
    )
    assert sender.end().status == 0
    return receiver


def arrived(sender: Program, count: int) -> None:
    """Wait until the sender has acknowledgements for *count* bytes."""
    sender.until(lambda event: event["event"] == "progress" and event["bytes"] >= count, "progress")


def test_events_that_are_read_late_are_all_there(stage: Stage, tmp_path: Path) -> None:
    receiver = unread(stage, offered(stage, tmp_path), tmp_path)
    read = b""
    while chunk := receiver.read(1 << 20):
        read += chunk
    assert receiver.process.wait(PATIENCE) == 0
    events = [json.loads(line) for line in read.splitlines()]
    assert sum(event["event"] == "file" for event in events) == FILES
    assert (events[-1]["event"], events[-1]["ok"]) == ("done", True)


def test_interrupt_ends_a_program_whose_events_are_not_read(stage: Stage, tmp_path: Path) -> None:
    receiver = unread(stage, offered(stage, tmp_path), tmp_path)
    assert receiver.process.poll() is None  # it waits for its reader
    watch = Stopwatch()
    receiver.process.send_signal(signal.SIGINT)
    receiver.process.wait(PATIENCE)
    watch.assert_within(SOON)


def test_sender_whose_events_are_not_read_sends_everything(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(FILES):
        (tmp_path / "many" / f"{number:03}").write_bytes(b"x")
    sender = stage.run("send", "--json", str(tmp_path / "many"), listen=False)
    code = json.loads(sender.read(1 << 16).splitlines()[0])["code"]
    assert stage.receive(code, tmp_path / "in").end().status == 0


def test_terminal_that_is_held_holds_nothing_up(stage: Stage, tmp_path: Path) -> None:
    sender = stage.send("-", stdin=subprocess.PIPE)
    receiver = stage.run(
        "receive", sender.code, "-y", "-o", str(tmp_path), terminal=True, listen=False
    )
    sender.write(b"x" * 200_000)
    receiver.until_shown(b"so far")
    receiver.write(HOLD)
    for count in range(2, 12):  # more than one bar while it is held
        sender.write(b"x" * 200_000)
        arrived(sender, count * 200_000)
    sender.end_input()
    assert sender.end().status == 0
    assert receiver.process.poll() is None  # it waits until its last output is read
    receiver.write(GO_ON)
    assert receiver.process.wait(PATIENCE) == 0
    receiver.until_shown(b"saved in")


def test_interrupt_ends_a_program_at_a_held_terminal(stage: Stage, tmp_path: Path) -> None:
    sender = stage.send("-", stdin=subprocess.PIPE)
    receiver = stage.run(
        "receive", sender.code, "-y", "-o", str(tmp_path), terminal=True, listen=False
    )
    sender.write(b"x" * 200_000)
    receiver.until_shown(b"so far")
    receiver.write(HOLD)
    sender.write(b"x" * 200_000)
    arrived(sender, 400_000)
    watch = Stopwatch()
    receiver.process.send_signal(signal.SIGTERM)
    assert (receiver.process.wait(PATIENCE), sender.end().status) == (143, 7)
    watch.assert_within(SOON)


def test_reader_that_reads_one_line_ends_nothing(stage: Stage, tmp_path: Path) -> None:
    sender = stage.run("send", "--json", "--text", "hello", listen=False)
    code = json.loads(sender.read(1 << 16).splitlines()[0])["code"]
    sender.stdout.close()
    assert stage.receive(code, tmp_path).end().status == 0
    assert sender.process.wait(PATIENCE) == 0
