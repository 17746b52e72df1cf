"""Ctrl-C, kill, a closed terminal, a crash, a suspended computer: what the other side sees."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Ended, Event, Program, Stage, digest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as Unix has them")

SOON = 3.0
"""Seconds for both sides to end. The promise is one second; a busy machine needs that much to
take two interpreters down."""

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def streaming(stage: Stage, output: Path) -> tuple[Program, Program]:
    """Two programs in the middle of a stream that goes on for ever."""
    sender = stage.send("-", stdin=subprocess.PIPE)
    receiver = stage.receive(sender.code, output)
    sender.write(b"something")
    receiver.until(lambda event: event["event"] == "progress" and event["bytes"] > 0, "progress")
    return sender, receiver


def assert_ended_soon(
    first: Program, second: Program, number: signal.Signals
) -> tuple[Ended, Ended]:
    """Signal *first*; it ends as the signal says, and *second* knows why."""
    started = time.monotonic()
    first.process.send_signal(number)
    ended, other = first.end(), second.end()
    assert time.monotonic() - started < SOON
    assert (ended.status, ended.fatal["kind"]) == (STATUS[number], "interrupted")
    assert (other.status, other.fatal["kind"]) == (7, "refused")
    assert other.fatal["message"] == "the other side cancelled"
    return ended, other


@pytest.mark.parametrize(
    ("side", "number"),
    [
        ("sender", signal.SIGTERM),
        ("receiver", signal.SIGHUP),
        pytest.param("sender", signal.SIGHUP, marks=pytest.mark.slow),
        pytest.param("receiver", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("sender", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("receiver", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_signal_ends_both_sides_and_keeps_the_part(
    stage: Stage, tmp_path: Path, side: str, number: signal.Signals
) -> None:
    sender, receiver = streaming(stage, tmp_path)
    first, second = (sender, receiver) if side == "sender" else (receiver, sender)
    assert_ended_soon(first, second, number)
    assert sorted(os.listdir(tmp_path)) == ["stdin.dcsend-journal", "stdin.dcsend-part"]
    assert (tmp_path / "stdin.dcsend-part").read_bytes() == b"something"


@pytest.mark.parametrize("side", ["sender", pytest.param("receiver", marks=pytest.mark.slow)])
def test_interrupt_in_full_flow_ends_both_sides(stage: Stage, tmp_path: Path, side: str) -> None:
    large, output = tmp_path / "large", tmp_path / "output"
    with large.open("wb") as file:
        for _ in range(60):
            file.write(os.urandom(1_000_000))
    sender = stage.send(large)
    receiver = stage.receive(sender.code, output)
    receiver.until(lambda event: event.get("bytes", 0) > 1_000_000 and "rate" in event, "flow")
    first, second = (sender, receiver) if side == "sender" else (receiver, sender)
    assert_ended_soon(first, second, signal.SIGINT)
    assert sorted(os.listdir(output)) == ["large.dcsend-journal", "large.dcsend-part"]


def test_interrupt_while_the_output_is_stuck_ends_both_sides(stage: Stage, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(2_000_000))
    sender = stage.send(large)
    receiver = stage.run("receive", sender.code, "-o", "-", "-y", listen=False)
    receiver.read(1)
    started = time.monotonic()
    receiver.process.send_signal(signal.SIGINT)
    received, sent = receiver.end(), sender.end()
    assert time.monotonic() - started < SOON
    assert (sent.status, received.status) == (7, 130)


def test_interrupt_while_nobody_has_come_ends_a_listener(stage: Stage) -> None:
    sender = stage.send("--text", "hello")
    sender.event("code")
    sender.process.send_signal(signal.SIGINT)
    ended = sender.end(SOON)
    assert (ended.status, ended.fatal["kind"]) == (130, "interrupted")


# A side that dies without a word

MOMENTS = {
    "connected": lambda event: event["event"] == "manifest",
    "small files": lambda event: event["event"] == "file",
    "large file": lambda event: event["event"] == "file" and event["path"] == "29",
}
SIDES = ("sender", "receiver")


class Departure:
    """A pair of programs, one of which is killed or stopped."""

    def __init__(self, stage: Stage, folder: Path, side: str, moment: str) -> None:
        self.source = folder / "source"
        self.output = folder / "output"
        self.source.mkdir(parents=True)
        for number in range(30):
            (self.source / f"{number:02}").write_bytes(os.urandom(20_000))
        (self.source / "large").write_bytes(os.urandom(6_000_000))
        # The stream never ends, so neither does the transfer.
        sender = stage.send(*sorted(self.source.iterdir()), "-", stdin=subprocess.PIPE)
        receiver = stage.receive(sender.code, self.output)
        pair = (sender, receiver) if side == "sender" else (receiver, sender)
        self.gone, self.left = pair
        self._moment = MOMENTS[moment]
        self.since = 0.0

    def depart(self, number: signal.Signals) -> None:
        """Let one side go when the moment has come."""
        self.left.until(self._moment, "such moment")
        self.gone.process.send_signal(number)
        self.since = time.monotonic()

    def assert_whole(self) -> None:
        """What has a name has the right content."""
        for path in self.output.iterdir() if self.output.exists() else ():
            if ".dcsend-" not in path.name:
                assert digest(path) == digest(self.source / path.name)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Departure]]:
    """All the pairs at once: each takes half a minute to end."""
    with pytest.MonkeyPatch.context() as patch, Stage() as stage:
        patch.setenv("DCSEND_STUN", "none")
        patch.setenv("DCSEND_NO_PAGE", "1")
        cases = {
            (side, moment): Departure(stage, tmp_path_factory.mktemp("killed"), side, moment)
            for side in SIDES
            for moment in MOMENTS
        }
        for case in cases.values():
            case.depart(signal.SIGKILL)
        yield cases


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("side", SIDES)
def test_killed_side_leaves_the_other_with_whole_files_only(
    killed: dict[tuple[str, str], Departure], side: str, moment: str
) -> None:
    case = killed[side, moment]
    ended = case.left.end()
    assert case.left.over_at - case.since < 35
    assert (ended.status, ended.fatal["kind"]) == (5, "connection")
    case.assert_whole()


@pytest.mark.slow
def test_stopped_side_is_reported_and_given_up(stage: Stage, tmp_path: Path) -> None:
    case = Departure(stage, tmp_path, "receiver", "large file")
    case.depart(signal.SIGSTOP)

    def silent(event: Event) -> bool:
        return bool(event["event"] == "error" and event["kind"] == "silent")

    case.left.until(silent, "report of silence")
    assert 11 < time.monotonic() - case.since < 17
    ended = case.left.end()
    assert 25 < case.left.over_at - case.since < 35
    assert (ended.status, ended.fatal["kind"]) == (5, "connection")
    case.assert_whole()
