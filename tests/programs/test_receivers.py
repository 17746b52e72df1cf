"""One sender with several receivers, as programs: at once, later, interrupted, with short codes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from dcsend.signaling.dialcode import Address, decode
from tests.programs.test_short_codes import short_code, wrong
from tests.support.mailbox_server import StockServer
from tests.support.peers import LOCAL, Relay
from tests.support.processes import Program, Stage, digest

SIZE = 80_000_000
"More than is kept in memory for receivers in step."
UNTIL_READY = 8_000_000
"Bytes that a sender reads until it has begun: its modules."


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    with path.open("wb") as file:
        for _ in range(SIZE // 1_000_000):
            file.write(os.urandom(1_000_000))
    return path


def read_by(program: Program) -> int:
    """Return the bytes that a program has read from files so far."""
    lines = Path(f"/proc/{program.process.pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


def receivers(program: Program, count: int) -> None:
    """Wait until so many receivers have ended."""
    program.until(lambda event: len(program.so_far("receiver_done")) >= count, "receiver_done")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_three_terminals_at_once_and_one_later_get_everything_with_one_reading_for_each_group(
    stage: Stage, tmp_path: Path, film: Path
) -> None:
    sender = stage.send(film, "--times", "4")
    code = sender.code
    before = read_by(sender)
    at_once = [stage.receive(code, tmp_path / f"at once {n}") for n in range(3)]
    assert [one.end().status for one in at_once] == [0, 0, 0]
    receivers(sender, 3)
    assert read_by(sender) - before <= 1.5 * SIZE + UNTIL_READY
    # The fourth one comes later, and ends the run.
    later = stage.receive(code, tmp_path / "later")
    assert later.end().status == 0
    ended = sender.end()
    assert ended.status == 0
    assert ended.done["receivers"] == {"complete": 4, "failed": 0, "declined": 0}
    assert ended.done["bytes"] == 4 * SIZE
    expected = digest(film)
    assert {event["sha256"] for event in ended.of("file")} == {expected}
    assert {digest(path) for path in tmp_path.glob("*/film.mkv")} == {expected}
    assert sorted(event["receiver"] for event in ended.of("receiver_done")) == [1, 2, 3, 4]
    late = stage.receive(code, tmp_path / "too late", "--connect-timeout", "1")
    assert late.end().status == 5


def test_receiver_that_is_killed_or_stopped_affects_no_other_one(
    stage: Stage, tmp_path: Path, film: Path
) -> None:
    sender = stage.send(film, "--times", "any", "--reconnect", "0")
    killed, stopped, first = (stage.receive(sender.code, tmp_path / str(n)) for n in range(3))
    killed.until(lambda one: one["event"] == "progress" and one["bytes"] > SIZE // 2, "half of it")
    killed.kill()
    stopped.event("progress")
    os.kill(stopped.process.pid, signal.SIGSTOP)
    try:
        assert first.end().status == 0
        assert stage.receive(sender.code, tmp_path / "3").end().status == 0
    finally:
        os.kill(stopped.process.pid, signal.SIGCONT)
    assert stopped.end().status == 0
    receivers(sender, 3)
    # The killed one continues with the same code.
    again = stage.receive(sender.code, tmp_path / "0").end()
    assert again.status == 0
    assert again.done["bytes"] < SIZE
    receivers(sender, 4)
    expected = digest(film)
    assert {digest(path) for path in tmp_path.glob("*/film.mkv")} == {expected}
    # It has failed, or is not given up yet.
    sender.process.send_signal(signal.SIGINT)
    assert sender.end().done["receivers"]["complete"] == 4


def test_killed_receiver_takes_its_place_back(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "film.mkv").write_bytes(os.urandom(30_000_000))
    sender = stage.send(tmp_path / "film.mkv", "--times", "2", "--limit-rate", "4M")
    killed, other = (stage.receive(sender.code, tmp_path / str(n)) for n in range(2))
    for one in (killed, other):
        one.event("progress")
    killed.kill()
    again = stage.receive(sender.code, tmp_path / "0")
    assert [one.end().status for one in (again, other, sender)] == [0, 0, 0]
    assert len({digest(path) for path in tmp_path.rglob("film.mkv")}) == 1


class Cut:
    """Lets so many bytes pass."""

    def __init__(self, size: int) -> None:
        self._left = size

    def __call__(self, data: bytes) -> bool:
        """Return whether a datagram passes."""
        self._left -= len(data)
        return self._left > 0


async def test_each_of_several_receivers_connects_again_after_its_path_was_lost(
    stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "film.mkv").write_bytes(os.urandom(12_000_000))
    sender = stage.send(tmp_path / "film.mkv", "--times", "2")
    code = decode(await asyncio.to_thread(lambda: sender.code))
    async with AsyncExitStack() as stack:
        receivers, relays = [], []
        for number in range(2):
            relay = await stack.enter_async_context(Relay.open(code.port))
            relay.passes = Cut(4_000_000)
            own = replace(code, port=relay.port, addresses=(Address(LOCAL, relay.port),)).text()
            receivers.append(stage.receive(own, tmp_path / str(number)))
            relays.append(relay)
        for number, receiver in enumerate(receivers, 1):
            await asyncio.to_thread(receiver.event, "disconnected")
            await asyncio.to_thread(partial(sender.event, "disconnected", receiver=number))
        for relay in relays:
            await relay.rebind()
            relay.passes = lambda data: True
        for receiver in receivers:
            await asyncio.to_thread(receiver.event, "reconnected")
            assert (await asyncio.to_thread(receiver.end)).status == 0
    ended = await asyncio.to_thread(sender.end)
    assert ended.done["receivers"]["complete"] == 2
    for name in ("disconnected", "reconnected"):
        assert {event["receiver"] for event in ended.of(name)} == {1, 2}
    saved = {digest(tmp_path / name / "film.mkv") for name in (".", "0", "1")}
    assert len(saved) == 1


def test_each_short_code_serves_one_receiver_and_the_next_one_is_shown_at_once(
    stock_server: StockServer, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock_server.start()
    monkeypatch.setenv("DCSEND_SERVER", stock_server.server.url)
    (tmp_path / "note").write_text("hello")
    sender = stage.send(tmp_path / "note", "--times", "2")
    first = str(short_code(sender)["code"])
    waiting = stage.run("receive", first, "-o", tmp_path / "1", terminal=True)
    waiting.until_shown(b"accept and save")
    # The first receiver has not answered yet.
    second = str(short_code(sender, 2)["code"])
    assert stage.receive(wrong(second), tmp_path / "2").end().status == 8
    third = str(short_code(sender, 3)["code"])
    assert stage.receive(first, tmp_path / "2").end().status != 0
    assert stage.receive(third, tmp_path / "3").end().status == 0
    waiting.write(b"y\n")
    assert waiting.end().status == 0
    ended = sender.end()
    assert (ended.status, ended.done["receivers"]["complete"]) == (0, 2)
    assert (tmp_path / "1" / "note").read_text() == (tmp_path / "3" / "note").read_text() == "hello"


def test_code_expires_while_a_receiver_is_asked(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("hello")
    sender = stage.send(tmp_path / "note", "--times", "any", "--expires", "4s")
    waiting = stage.run("receive", sender.code, "-o", tmp_path / "1", terminal=True)
    waiting.until_shown(b"accept and save")
    sender.until(lambda event: "the code works no more" in event.get("message", ""), "note")
    late = stage.receive(sender.code, tmp_path / "2").end()
    assert (late.status, late.fatal["kind"]) == (9, "code-expired")
    waiting.write(b"y\n")
    assert waiting.end().status == 0
    ended = sender.end()
    assert (ended.status, ended.done["receivers"]["complete"]) == (0, 1)


def test_receiver_beyond_the_number_waits_for_a_place(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("hello")
    sender = stage.send(tmp_path / "note", "--times", "1")
    assert sender.event("code").get("times") is None
    several = stage.send(tmp_path / "note", "--times", "2")
    assert several.event("code")["times"] == 2
    asked = [
        stage.run("receive", several.code, "-o", tmp_path / str(n), terminal=True) for n in range(2)
    ]
    for one in asked:
        one.until_shown(b"accept and save")
    refused = stage.receive(several.code, tmp_path / "3", "--connect-timeout", "1").end()
    assert (refused.status, refused.fatal["kind"]) == (5, "connection")
    assert "another device is connected" in refused.fatal["message"]
    third = stage.receive(several.code, tmp_path / "3", "--connect-timeout", "100")
    for answer, one in zip((b"n\n", b"y\n"), asked, strict=True):
        one.write(answer)
    assert [one.end().status for one in asked] == [7, 0]
    assert third.end().status == 0
    ended = several.end()
    assert ended.done["receivers"] == {"complete": 2, "failed": 0, "declined": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "--times", "2"], "standard input can be sent to one receiver only"),
        (["FILE", "--times", "2", "--signal", "sdp"], "--times can't be used with two codes"),
        (["FILE", "--times", "any", "--to", "7-walrus-umbrella"], "--times is for the side"),
        (["FILE", "--times", "0"], "'0' is not a number of receivers"),
        (["FILE", "--times", "some"], "'some' is not a number of receivers"),
        (["PIPE", "--times", "2"], "a pipe or device can be sent to one receiver only"),
    ],
)
def test_what_is_not_for_several_receivers_is_refused_in_one_line(
    stage: Stage, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "FILE").write_text("x")
    os.mkfifo(tmp_path / "PIPE")
    ended = stage.run("send", *arguments, cwd=tmp_path).end()
    assert ended.status == 2
    first, *hint = ended.err.decode().splitlines()
    assert message in first
    assert len(hint) <= 1


def test_variable_without_an_effect_is_ignored(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("hello")
    receiver = stage.receive("", tmp_path / "in")
    variables = {"DCSEND_TIMES": "3"}
    sent = stage.send(tmp_path / "note", "--to", receiver.code, environment=variables).end()
    assert (sent.status, receiver.end().status) == (0, 0)
    assert "receivers" not in sent.done
    plan = stage.send(tmp_path / "note", "--times", "3", "--dry-run").end()
    assert (plan.status, len(plan.of("plan"))) == (0, 1)


def test_without_a_terminal_there_is_one_line_for_each_that_ends(
    stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "note").write_text("hello")
    sender = stage.run("send", tmp_path / "note", "--times", "2")
    sender.until_shown(b"waiting")
    code = next(word for word in sender.shown.decode().split() if word.startswith("dc0"))
    for number in range(2):
        name = f"device {number}"
        assert stage.receive(code, tmp_path / str(number), "--as", name).end().status == 0
    ended = sender.end()
    assert ended.status == 0
    lines = ended.err.decode().splitlines()
    assert "the code works for 2 receivers, until" in lines[-4]
    assert [line.partition(" in ")[0] for line in lines[-3:]] == [
        "device 0 has everything: 1 file, 5 B",
        "device 1 has everything: 1 file, 5 B",
        "2 receivers have everything",
    ]
