"""`dcsend chat` and people: how it ends, what it refuses, what it doesn't show."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from dcsend.engines.base import MAX_QUEUED
from dcsend.errors import DcsendError, RemoteProtocolError
from dcsend.files.messages import MessageFolder
from dcsend.session.chat import Typed, _Talk
from dcsend.settings import ChatSettings
from tests.demo_peers import Cast

LOCAL = ("--ice-server", "none", "--address", "127.0.0.1")


def offer(cast: Cast) -> str:
    """Return an offer of somebody who waits."""
    return cast.dcsend("--offer", "--compact").description()


def refused(*arguments: str, env: dict[str, str] | None = None, command: str = "chat") -> str:
    """Run a command that is refused at once; return the line that says why."""
    ended = subprocess.run(
        [sys.executable, "-m", "dcsend", command, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert ended.returncode == 2, ended
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_quit_is_heard_before_anybody_has_come(cast: Cast) -> None:
    listener = cast.dcsend("--listen")
    listener.description()
    listener.say("typed early")
    listener.say("/quit")
    assert listener.end() == 0


def test_quit_is_heard_while_an_answer_waits_to_be_used(cast: Cast) -> None:
    answerer = cast.dcsend(offer(cast))
    answerer.description()
    answerer.say("/quit")
    assert answerer.end() == 0


def test_quit_is_heard_while_a_line_waits_for_a_channel(cast: Cast) -> None:
    listener = cast.dcsend("--listen")
    # Open at this side alone, since the other was not told.
    dialer = cast.dcsend(listener.description(), "--negotiated", "5")
    listener.until("has changed: connected")
    listener.say("to nobody")
    listener.say("/quit")
    assert listener.end() == 0
    dialer.until("has changed: closed")


def test_what_was_typed_before_the_end_still_arrives(cast: Cast, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(100_000))
    listener = cast.dcsend("--listen")
    dialer = cast.dcsend(listener.description())
    dialer.until(r"open\. Random")
    for number in range(30):
        dialer.say(f"line {number}")
    dialer.say(f"/send {tmp_path / 'file'}")
    dialer.say("/quit")
    assert dialer.end() == 0
    listener.until("'line 29'$")
    listener.until(": 16384 bytes", count=6)
    listener.until(f": {100_000 - 6 * 16384} bytes")


def test_what_is_no_file_is_not_sent(cast: Cast, tmp_path: Path) -> None:
    listener = cast.dcsend("--listen")
    dialer = cast.dcsend(listener.description())
    dialer.until(r"open\. Random")
    os.mkfifo(tmp_path / "pipe")
    for name in (str(tmp_path / "pipe"), str(tmp_path), "a\0b", str(tmp_path / "nothing")):
        dialer.say(f"/send {name}")
    dialer.say("still here")
    listener.until("'still here'$")
    dialer.say("/quit")
    assert dialer.end() == 0
    told = "\n".join(dialer.errors)
    assert told.count("is not a file") == 2
    assert "can't be read" in told
    assert "nothing: No such file" in told


def test_half_a_character_in_a_description_is_refused(cast: Cast) -> None:
    text = json.dumps({"type": "offer", "sdp": "v=0\ud800a=dcsend-crc:0000"})
    for form in (text, base64.b64encode(text.encode()).decode()):
        assert "damaged" in refused(form, *LOCAL)


@pytest.mark.parametrize(
    "server",
    [
        "turn:me:secret",
        "trun:me:secret@192.0.2.1",
        "TURN:me:secret@192.0.2.1:0",
        "turn:me:secret@[::1",
        "turns:me:secret@192.0.2.1?transport=udp",
    ],
)
def test_password_of_a_relay_is_not_shown(server: str, tmp_path: Path) -> None:
    (tmp_path / "servers").write_text(server)
    for named in (server, f"@{tmp_path / 'servers'}"):
        assert "secret" not in refused("--offer", "--ice-server", named)


def test_server_is_asked_whatever_the_case_of_its_kind() -> None:
    said = refused("--listen", "--ice-server", "TURN:me:secret@192.0.2.1")
    assert "a TURN server is of no use" in said


@pytest.mark.parametrize("command", ["send", "receive"])
def test_time_of_an_answer_is_read(cast: Cast, tmp_path: Path, command: str) -> None:
    code = offer(cast)
    theirs = ("--to", code, "--text", "x") if command == "send" else (code, "-y", "-o", tmp_path)
    said = refused(*map(str, theirs), "--expires", "nonsense", command=command)
    assert "'nonsense' is not a time" in said


def test_variables_for_files_do_not_stop_a_chat(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCSEND_QR", "half")
    monkeypatch.setenv("DCSEND_CODE", "dc0")
    assert cast.dcsend("--listen").description()


def test_variable_of_the_stun_server_is_for_chats_too() -> None:
    assert "is not a STUN server" in refused("--offer", env={"DCSEND_STUN": "stun:a:b:c"})


@pytest.mark.parametrize(
    "idle",
    [
        ("--unordered",),
        ("--protocol", "p"),
        ("--max-retransmits", "0"),
        ("--connect-timeout", "3"),
    ],
)
def test_who_answers_is_told_what_does_nothing(cast: Cast, idle: Sequence[str]) -> None:
    said = refused(offer(cast), *LOCAL, *idle)
    assert idle[0] in said
    assert " for " in said


def test_who_dials_is_told_what_does_nothing(cast: Cast) -> None:
    code = cast.dcsend("--listen").description()
    for idle in (("--expires", "1h"), ("--qr",), ("--no-copy",), ("--address", "127.0.0.1")):
        assert f"{idle[0]} is for the side that shows a code" in refused(code, *idle)


def test_protocol_longer_than_the_wire_takes_is_refused() -> None:
    assert "a protocol's name has 65535 bytes at most" in refused(
        "--offer", "--protocol", "é" * 32768
    )


async def test_disk_that_hangs_costs_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(MessageFolder, "save", lambda *_: hangs.wait(60))

    class Peer:
        """A connection on which messages come as fast as they like."""

        opens = False

        def follow(self, follower: object) -> None: ...

        async def over(self) -> DcsendError | None:
            await asyncio.Event().wait()
            return None

    talk = _Talk(
        cast(Any, Peer()), ChatSettings(save=tmp_path, interval=0), lambda event: None, Typed(None)
    )
    running = asyncio.create_task(talk.run())
    channel = cast(Any, type("Channel", (), {"label": "data"})())
    message = bytes(200_000)
    for _ in range(1000):
        talk.received(channel, message)
        await asyncio.sleep(0)
    try:
        with pytest.raises(RemoteProtocolError, match="faster"):
            await running
        assert talk._waiting.qsize() * len(message) <= MAX_QUEUED
    finally:
        hangs.set()


def test_terminal_is_put_back_when_somebody_presses_quit() -> None:
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "dcsend", "chat", "--listen", *LOCAL],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"dc")
        echoes = termios.ECHO | termios.ICANON
        assert not termios.tcgetattr(theirs)[3] & echoes
        process.send_signal(signal.SIGQUIT)
        assert process.wait(20) == -signal.SIGQUIT
        process.stdout.close()
        assert termios.tcgetattr(theirs)[3] & echoes == echoes
    finally:
        os.close(ours)
        os.close(theirs)
