"""Transfers that are interrupted, and continued by a further run of both sides."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from dcsend.files.journal import INTERVAL
from tests.support.journals import read_lines
from tests.support.processes import Ended, Event, Stage
from tests.support.resuming import Interrupted, flip

SIZE = 48 << 20


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def case(stage: Stage, tmp_path: Path, content: bytes) -> Interrupted:
    source = tmp_path / "source" / "film.mkv"
    source.parent.mkdir()
    source.write_bytes(content)
    return Interrupted(stage, source, tmp_path / "output")


@pytest.mark.parametrize(
    ("side", "number"),
    [
        ("receiver", signal.SIGKILL),
        ("sender", signal.SIGKILL),
        pytest.param("receiver", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("sender", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_killed_transfer_continues(case: Interrupted, side: str, number: signal.Signals) -> None:
    before = case.interrupt(2 * INTERVAL, side, number)
    _, received = case.complete(before)
    assert received.of("progress")[0]["bytes"] >= before - INTERVAL


def test_transfer_that_is_killed_three_times_continues(case: Interrupted) -> None:
    before = 0
    for at in (1, 2, 3):
        before = case.interrupt(max(before + INTERVAL, at * INTERVAL), "receiver")
    case.complete(before)


def test_source_that_was_moved_and_a_file_beside_it_change_nothing(
    case: Interrupted, tmp_path: Path
) -> None:
    before = case.interrupt(2 * INTERVAL, "receiver")
    elsewhere = tmp_path / "elsewhere" / "film.mkv"
    elsewhere.parent.mkdir()
    case.source.rename(elsewhere)
    case.source = elsewhere
    case.complete(before)


def test_changed_bytes_of_the_part_are_sent_again_in_the_same_run(case: Interrupted) -> None:
    before = case.interrupt(4 * INTERVAL, "receiver")
    _, first, second, *_ = read_lines(case.journal)
    flip(case.part, 5)
    flip(case.part, second["offset"] - 1)
    # Two ranges, and what the kill has cost.
    sent, received = case.complete(before, limit=3 * INTERVAL)
    ranges = [(0, first["offset"]), (first["offset"], second["offset"])]
    for ended in (sent, received):
        assert [(one["start"], one["end"]) for one in ended.of("damaged")] == ranges


def test_changed_byte_is_not_sent_again_by_a_sender_without_this_feature(
    case: Interrupted,
) -> None:
    case.interrupt(3 * INTERVAL, "receiver")
    _, first, *_ = read_lines(case.journal)
    flip(case.part, first["offset"] + 5)
    sender, receiver = case.begin(
        "import dcsend.protocol.sender\ndcsend.protocol.sender.AGAIN = 'x'"
    )
    received, sent = receiver.end(), sender.end()
    assert (sent.status, received.status) == (4, 4)
    (verdict,) = received.of("file")
    assert verdict["status"] == "failed"
    assert "of its part were changed on the disk" in verdict["reason"]
    assert not case.target.exists()
    # What precedes the changed range is kept.
    before = case.part.stat().st_size
    assert before == first["offset"]
    case.complete(before)


def test_changed_source_begins_again_in_the_same_run(case: Interrupted) -> None:
    case.interrupt(2 * INTERVAL, "receiver")
    flip(case.source, 5)  # same size and time
    sent, received = case.complete(0, limit=SIZE)
    for ended in (sent, received):
        assert any("has changed, or the part of it is damaged" in note for note in ended.notes)


def test_newer_source_is_sent_from_its_start(case: Interrupted, content: bytes) -> None:
    case.interrupt(2 * INTERVAL, "receiver")
    case.source.write_bytes(content[::-1])
    _, received = case.complete(0)
    assert received.done["bytes"] == SIZE


def test_second_run_on_a_part_fails_and_leaves_it(
    stage: Stage, tmp_path: Path, content: bytes
) -> None:
    first = stage.send("-", stdin=subprocess.PIPE)
    owner = stage.receive(first.code, tmp_path)
    half = len(content) // 2
    first.write(content[:half])
    owner.until(lambda event: event["event"] == "progress" and event["bytes"] == half, "half")
    second = stage.send("-", stdin=subprocess.PIPE)
    other = stage.receive(second.code, tmp_path)
    second.write(content)
    second.end_input()
    received = other.end()
    assert received.status == second.end().status == 4
    assert received.fatal["message"] == "stdin: another dcsend is receiving stdin here"
    first.write(content[half:])
    first.end_input()
    assert (owner.end().status, first.end().status) == (0, 0)
    assert (tmp_path / "stdin").read_bytes() == content


def interrupt_stream(stage: Stage, output: Path, content: bytes) -> None:
    """Kill the receiver of a stream when it has this content."""

    def is_there(event: Event) -> bool:
        return bool(event["event"] == "progress" and event["bytes"] == len(content))

    sender = stage.send("-", stdin=subprocess.PIPE)
    receiver = stage.receive(sender.code, output)
    sender.write(content)
    receiver.until(is_there, "all of it")
    receiver.process.send_signal(signal.SIGKILL)
    receiver.reap()
    sender.process.send_signal(signal.SIGINT)
    sender.reap()


def send_stream(stage: Stage, output: Path, content: bytes) -> tuple[Ended, Ended]:
    sender = stage.send("-", stdin=subprocess.PIPE)
    receiver = stage.receive(sender.code, output)
    sender.write(content)
    sender.end_input()
    received = receiver.end()
    return sender.end(), received


def test_stream_continues_if_the_sender_produces_it_again(
    stage: Stage, tmp_path: Path, content: bytes
) -> None:
    half = len(content) // 2
    interrupt_stream(stage, tmp_path, content[:half])
    sent, received = send_stream(stage, tmp_path, content)
    assert (sent.status, received.status) == (0, 0)
    assert received.done["bytes"] <= len(content) - half + INTERVAL
    assert (tmp_path / "stdin").read_bytes() == content


@pytest.mark.parametrize("length", [0, 1 << 20, SIZE])
def test_part_of_another_stream_is_removed_and_the_next_run_succeeds(
    stage: Stage, tmp_path: Path, content: bytes, length: int
) -> None:
    interrupt_stream(stage, tmp_path, content[: len(content) // 2])
    other = content[::-1][:length]
    sent, received = send_stream(stage, tmp_path, other)
    assert (sent.status, received.status) == (3, 3)
    assert os.listdir(tmp_path) == []
    sent, received = send_stream(stage, tmp_path, other)
    assert (sent.status, received.status) == (0, 0)
    assert (tmp_path / "stdin").read_bytes() == other
