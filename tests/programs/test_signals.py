"""Ctrl-C, kill, a closed terminal, a crash, a suspended computer: what the peer reports."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.load import Stopwatch
from tests.support.processes import Ended, Event, Program, Stage, digest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as Unix has them")

SOON = 3.0
"""Seconds until both sides have ended: the promised second, and the time in which two interpreters
exit."""

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def streaming(stage: Stage, output: Path) -> tuple[Program, Program]:
    """Return two programs in the middle of an endless stream."""
    sender = stage.send("-", stdin=subprocess.PIPE)
    receiver = stage.receive(sender.code, output)
    sender.write(b"something")
    receiver.until(lambda event: event["event"] == "progress" and event["bytes"] > 0, "progress")
    return sender, receiver


def assert_ended_soon(
    first: Program, second: Program, number: signal.Signals
) -> tuple[Ended, Ended]:
    """Signal *first*; check its status, and the report of *second*."""
    watch = Stopwatch()
    first.process.send_signal(number)
    ended, other = first.end(), second.end()
    watch.assert_within(SOON)
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
    with open("/dev/urandom", "rb") as endless:  # a file may arrive before the signal
        sender = stage.send("-", stdin=endless)
    receiver = stage.receive(sender.code, tmp_path)
    receiver.until(lambda event: "rate" in event and event["bytes"] > 1_000_000, "flow")
    first, second = (sender, receiver) if side == "sender" else (receiver, sender)
    assert_ended_soon(first, second, signal.SIGINT)
    assert sorted(os.listdir(tmp_path)) == ["stdin.dcsend-journal", "stdin.dcsend-part"]


def test_interrupt_while_the_output_is_stuck_ends_both_sides(stage: Stage, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(2_000_000))
    sender = stage.send(large)
    receiver = stage.run("receive", sender.code, "-o", "-", "-y", listen=False)
    receiver.read(1)
    watch = Stopwatch()
    receiver.process.send_signal(signal.SIGINT)
    received, sent = receiver.end(), sender.end()
    watch.assert_within(SOON)
    assert (sent.status, received.status) == (7, 130)


def test_second_signal_ends_a_run_at_once_with_a_message(stage: Stage, tmp_path: Path) -> None:
    sender = stage.send("-", stdin=subprocess.PIPE)
    receiver = stage.run("receive", sender.code, "-y", "-o", tmp_path, terminal=True)
    sender.write(b"something")
    receiver.until_shown(b"9 B so far")
    sender.process.send_signal(signal.SIGSTOP)  # so that the receiver waits for its answer
    # Python calls handlers of simultaneous signals in the order of the signal numbers.
    receiver.process.send_signal(signal.SIGINT)
    receiver.process.send_signal(signal.SIGTERM)
    ended = receiver.reap(SOON)
    sender.process.send_signal(signal.SIGCONT)
    assert ended.status == STATUS[signal.SIGTERM]
    last = b"dcsend: ended at once; the other side may still be waiting"
    assert ended.err.rstrip().endswith(last)


def test_interrupt_ends_a_listener_without_a_peer(stage: Stage) -> None:
    sender = stage.send("--text", "hello")
    sender.event("code")
    watch = Stopwatch()
    sender.process.send_signal(signal.SIGINT)
    ended = sender.end()
    watch.assert_within(SOON)
    assert (ended.status, ended.fatal["kind"]) == (130, "interrupted")


@pytest.mark.parametrize("module", ["dcsend.errors", "typer"])
def test_interrupt_while_modules_are_loaded_shows_no_traceback(module: str) -> None:
    program = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "dcsend", "send", "--text", "hello"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert program.stderr is not None
    said = b""
    while not said.rstrip().endswith(b" " + module.encode()):
        said = program.stderr.readline()
        assert said
    program.send_signal(signal.SIGINT)
    rest = program.stderr.read()
    program.stderr.close()
    assert (program.wait(20), b"Traceback" in rest) == (130, False)


# A side that disappears

IMPATIENT = """
import dataclasses
from dcsend import settings

@dataclasses.dataclass(frozen=True, slots=True)
class Impatient(settings.Settings):
    keep_alive_interval: float = 1.0
    silence_report: float = 4.0
    silence_limit: float = 8.0

settings.Settings = Impatient
"""
"""Gives a program shorter timers than the default, which `tests/session/test_timers.py` compares
with PROTOCOL.md."""
INTERVAL, REPORT, LIMIT = 1.0, 4.0, 8.0

MOMENTS = {
    # The first sign on both sides that the receiver has accepted: until then a sender waits for
    # another receiver.
    "accepted": lambda event: event["event"] == "progress",
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
        files = sorted(self.source.iterdir())
        sender = stage.send(*files, "-", stdin=subprocess.PIPE, before=IMPATIENT)
        receiver = stage.receive(sender.code, self.output, before=IMPATIENT)
        pair = (sender, receiver) if side == "sender" else (receiver, sender)
        self.gone, self.left = pair
        self._moment = MOMENTS[moment]
        self.since = 0.0

    def depart(self, number: signal.Signals) -> None:
        """Signal one side at the chosen moment."""
        self.left.until(self._moment, "such moment")
        self.since = time.monotonic()
        self.gone.process.send_signal(number)

    def assert_given_up(self) -> None:
        """Check the end of the side that is left: not before the limit, and by the limit."""
        ended = self.left.end()
        # The last message may have arrived an interval before the signal.
        assert self.left.over_at - self.since > LIMIT - INTERVAL
        assert (ended.status, ended.fatal["kind"]) == (5, "connection")
        assert re.search(r"has been silent for (8|9|\d\d) s$", ended.fatal["message"])

    def assert_whole(self) -> None:
        """Check the content of each file that has its name."""
        for path in self.output.iterdir() if self.output.exists() else ():
            if ".dcsend-" not in path.name:
                assert digest(path) == digest(self.source / path.name)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Departure]]:
    """Start all pairs at once: each takes `LIMIT` to end."""
    with pytest.MonkeyPatch.context() as patch, Stage() as stage:
        patch.setenv("DCSEND_STUN", "none")
        patch.setenv("DCSEND_NO_PAGE", "1")
        patch.setenv("DCSEND_RECONNECT", "0")
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
    case.assert_given_up()
    case.assert_whole()


@pytest.mark.slow
def test_stopped_side_is_reported_and_given_up(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCSEND_RECONNECT", "0")
    case = Departure(stage, tmp_path, "receiver", "large file")
    case.depart(signal.SIGSTOP)

    def silent(event: Event) -> bool:
        return bool(event["event"] == "error" and event["kind"] == "silent")

    report = case.left.until(silent, "report of silence")
    assert case.left.at(report) - case.since > REPORT - INTERVAL
    case.assert_given_up()
    case.assert_whole()
