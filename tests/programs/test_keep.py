"""A receiver that stays (`--keep`), as a program, and its senders."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from dcsend.signaling.dialcode import Address, decode
from tests.programs.test_receivers import Cut
from tests.programs.test_short_codes import short_code, wrong
from tests.support.mailbox_server import StockServer
from tests.support.peers import LOCAL, Relay
from tests.support.processes import Program, Stage, digest, tree
from tests.support.resuming import held

DAY = 86400


def senders(program: Program, count: int) -> None:
    """Wait until so many senders have ended."""
    program.until(lambda event: len(program.so_far("sender_done")) >= count, "sender_done")


def stop(program: Program) -> None:
    """End it as Ctrl-C does."""
    program.process.send_signal(signal.SIGINT)


def test_several_senders_are_received_with_one_code_until_a_signal(
    stage: Stage, tmp_path: Path
) -> None:
    inbox = stage.receive("", tmp_path / "in", "--keep", "--max-total", "20M", "--min-free", "1M")
    code = inbox.event("code")
    assert code["times"] is None
    # It does not expire after an hour.
    assert decode(inbox.code).expires - time.time() > 29 * DAY
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "film.mkv").write_bytes(os.urandom(3_000_000 + number))
    sources = [tmp_path / str(number) / "film.mkv" for number in range(3)]
    at_once = [stage.send(source, "--to", inbox.code) for source in sources[:2]]
    assert [one.end().status for one in at_once] == [0, 0]
    (tmp_path / "large").write_bytes(bytes(15_000_000))
    refused = stage.send(tmp_path / "large", "--to", inbox.code).end()
    assert refused.status == 7
    assert "15.0 MB are offered, and only 14.0 MB more are accepted" in refused.fatal["message"]
    assert stage.send(sources[2], "--to", inbox.code).end().status == 0
    senders(inbox, 3)
    stop(inbox)
    ended = inbox.end()
    assert ended.status == 0
    assert ended.done["senders"] == {"complete": 3, "failed": 0, "declined": 0}
    assert ended.done["bytes"] == sum(source.stat().st_size for source in sources)
    assert sorted(event["sender"] for event in ended.of("sender_done")) == [1, 2, 4]
    assert [event["sender"] for event in ended.of("left")] == [3]
    saved = {digest(path) for path in (tmp_path / "in").iterdir()}
    assert saved == {digest(source) for source in sources}
    assert sorted(tree(tmp_path / "in")) == ["film (1).mkv", "film (2).mkv", "film.mkv"]


@pytest.mark.skipif(sys.platform == "win32", reason="a person at a terminal of Unix")
def test_a_person_is_asked_about_one_sender_after_the_other(stage: Stage, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text(name)
    inbox = stage.run(
        *("receive", "--keep", "-o", tmp_path / "in", "--no-page", "--no-mdns", "--qr", "none"),
        *("--json-to", tmp_path / "events"),
        terminal=True,
    )
    inbox.until_shown(b"works for any number of senders")
    code = next(word for word in inbox.shown.decode().split() if word.startswith("dc0"))
    first = stage.send(tmp_path / "one", "--to", code, "--as", "phone")
    inbox.until_shown(b"phone (")
    inbox.until_shown(b"accept and save")
    second = stage.send(tmp_path / "two", "--to", code, "--as", "laptop")
    second.event("manifest")
    # The answer is to the question that is open.
    inbox.write(b"y\n")
    assert first.end().status == 0
    inbox.until_shown(b"laptop (")
    inbox.until_shown(b"accept and save", 2)
    stop(second)
    assert second.end().status == 130
    inbox.until_shown(b"laptop has left")
    asked = inbox.shown.count(b"accept and save")  # it is shown again below a line
    third = stage.send(tmp_path / "three", "--to", code, "--as", "desk")
    inbox.until_shown(b"accept and save", asked + 1)
    inbox.write(b"\n")
    inbox.until_shown(b"Enter alone does not count")
    inbox.write(b"n\n")
    assert third.end().status == 7
    inbox.until_shown(b"desk: you declined")
    stop(inbox)
    ended = inbox.end()
    assert ended.status == 0
    assert b"1 transfer complete, 1 declined" in ended.err
    assert tree(tmp_path / "in").keys() == {"one"}


def test_sender_that_is_interrupted_continues_with_the_same_code(
    stage: Stage, tmp_path: Path
) -> None:
    film = tmp_path / "film.mkv"
    with film.open("wb") as file:
        for _ in range(60):
            file.write(os.urandom(1_000_000))
    inbox = stage.receive("", tmp_path / "in", "--keep", "--min-free", "1M", "--limit-rate", "20M")
    lost = stage.send(film, "--to", inbox.code)
    lost.until(lambda one: one["event"] == "progress" and one["bytes"] > 30_000_000, "half of it")
    stop(lost)
    interrupted = lost.end()
    assert interrupted.status == 130
    assert "run the same again if the receiver still waits" in interrupted.fatal["hint"]
    senders(inbox, 1)
    again = stage.send(film, "--to", inbox.code).end()
    assert again.status == 0
    senders(inbox, 2)
    stop(inbox)
    ended = inbox.end()
    assert ended.done["senders"] == {"complete": 1, "failed": 1, "declined": 0}
    (first, second) = ended.of("sender_done")
    assert second["bytes"] < 40_000_000
    assert first["kind"] == "refused"
    assert digest(tmp_path / "in" / "film.mkv") == digest(film)
    assert list(tree(tmp_path / "in")) == ["film.mkv"]


def test_signal_during_a_transfer_is_an_interruption(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "film.mkv").write_bytes(bytes(50_000_000))
    inbox = stage.receive("", tmp_path / "in", "--keep", "--min-free", "1M", "--limit-rate", "1M")
    sender = stage.send(tmp_path / "film.mkv", "--to", inbox.code)
    inbox.event("progress")
    stop(inbox)
    assert inbox.end().status == 130
    assert sender.end().status == 7


def test_each_short_code_serves_one_sender_and_the_next_one_is_shown(
    stock_server: StockServer, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock_server.start()
    monkeypatch.setenv("DCSEND_SERVER", stock_server.server.url)
    (tmp_path / "note").write_text("hello")
    inbox = stage.receive("", tmp_path / "in", "--keep", "--min-free", "1M")
    first = str(short_code(inbox)["code"])
    assert stage.send(tmp_path / "note", "--to", first).end().status == 0
    second = str(short_code(inbox, 2)["code"])
    assert second != first
    assert stage.send(tmp_path / "note", "--to", wrong(second)).end().status == 8
    third = str(short_code(inbox, 3)["code"])
    assert stage.send(tmp_path / "note", "--to", third).end().status == 0
    senders(inbox, 2)
    stop(inbox)
    assert inbox.end().done["senders"]["complete"] == 2
    assert sorted(tree(tmp_path / "in")) == ["note", "note (1)"]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["-y", "--keep"], "--keep with -y would accept", "--max-total 10G, or --min-free 20G"),
        (["-y", "--keep", "--max-peer", "1G"], "--keep with -y would accept", "--max-total"),
        (["-y", "--keep", "--max-total", "some"], "'some' is not a size", "write bytes, 500M"),
        (["-y", "--max-total", "1G"], "--max-total is for a receiver that stays", "add --keep"),
        (["-y", "--keep", "7-walrus-umbrella"], "--keep is for the side that prints", "leave it"),
        (["-y", "--keep", "--max-total", "1G", "--overwrite"], "never replaces files", "leave out"),
        (["-y", "--keep", "--max-total", "1G", "-o", "a.iso"], "saves in a folder", "a slash"),
        (["-y", "--keep", "--max-total", "1G", "-o", "-"], "saves in a folder", "a slash"),
        (["--keep"], "can't ask whether to accept", "add -y"),
    ],
)
def test_what_a_receiver_that_stays_cannot_do_is_refused_in_one_line(
    stage: Stage, tmp_path: Path, arguments: list[str], message: str, hint: str
) -> None:
    ended = stage.run("receive", *arguments, cwd=tmp_path, stdin=subprocess.DEVNULL).end()
    assert ended.status == 2
    lines = ended.err.decode().splitlines()
    assert message in lines[0]
    assert hint in lines[1]
    assert len(lines) == 2


def test_variable_has_no_effect_with_a_code(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("hello")
    sender = stage.send(tmp_path / "note")
    variables = {"DCSEND_KEEP": "1", "DCSEND_MAX_TOTAL": "1G"}
    received = stage.receive(sender.code, tmp_path / "in", environment=variables).end()
    assert (received.status, sender.end().status) == (0, 0)
    assert "senders" not in received.done


def test_each_sender_has_a_folder_and_continues_in_it(stage: Stage, tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    with film.open("wb") as file:
        for _ in range(40):
            file.write(os.urandom(1_000_000))
    out = tmp_path / "in"
    inbox = stage.receive("", out, "--keep", "--into", "{peer}/new", "--min-free", "1M")
    lost = stage.send(film, "--to", inbox.code, "--as", "den", before=held(25_000_000))
    lost.until(lambda one: one["event"] == "progress" and one["bytes"] > 20_000_000, "half of it")
    # Another one with the same name, at the same time.
    (tmp_path / "note").write_text("hello")
    assert stage.send(tmp_path / "note", "--to", inbox.code, "--as", "den").end().status == 0
    stop(lost)
    assert lost.end().status == 130
    senders(inbox, 2)
    with (out / "den" / "new" / "film.mkv.dcsend-part").open("rb") as part:
        fcntl.flock(part, fcntl.LOCK_EX)  # a slow disk takes a moment to close it
    assert stage.send(film, "--to", inbox.code, "--as", "den").end().status == 0
    assert stage.send(tmp_path / "note", "--to", inbox.code, "--as", "..").end().status == 0
    senders(inbox, 4)
    stop(inbox)
    ended = inbox.end()
    (continued,) = (one for one in ended.of("sender_done") if one["sender"] == 3)
    assert continued["bytes"] < 30_000_000
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {"den/new/film.mkv", "den/new (1)/note", "sender/new/note"}
    assert digest(out / "den" / "new" / "film.mkv") == digest(film)


async def test_sender_connects_again_after_its_path_was_lost(stage: Stage, tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(os.urandom(12_000_000))
    inbox = stage.receive("", tmp_path / "in", "--keep", "--min-free", "1M")
    code = decode(await asyncio.to_thread(lambda: inbox.code))
    async with Relay.open(code.port) as relay:
        relay.passes = Cut(4_000_000)
        own = replace(code, port=relay.port, addresses=(Address(LOCAL, relay.port),)).text()
        sender = stage.send(film, "--to", own)
        await asyncio.to_thread(partial(inbox.event, "disconnected", sender=1))
        # Others are received meanwhile.
        (tmp_path / "note").write_text("hello")
        other = stage.send(tmp_path / "note", "--to", code.text())
        assert (await asyncio.to_thread(other.end)).status == 0
        await asyncio.to_thread(sender.event, "disconnected")
        await relay.rebind()
        relay.passes = lambda data: True
        await asyncio.to_thread(partial(inbox.event, "reconnected", sender=1))
        assert (await asyncio.to_thread(sender.end)).status == 0
    await asyncio.to_thread(senders, inbox, 2)
    stop(inbox)
    ended = await asyncio.to_thread(inbox.end)
    assert ended.done["senders"]["complete"] == 2
    assert digest(tmp_path / "in" / "film.mkv") == digest(film)
