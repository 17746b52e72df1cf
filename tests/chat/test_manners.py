"""`dcsend chat`: how `/quit` ends it, which options and files it refuses, what it hides."""

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
from pathlib import Path
from typing import Any, cast

import pytest

from dcsend.chat.chat_input import ChatInput
from dcsend.chat.session import _Chat
from dcsend.chat.settings import ChatSettings
from dcsend.errors import DcsendError, RemoteProtocolError
from dcsend.peers.contract import MAX_QUEUED
from tests.support.command_line import run
from tests.support.demo_peers import Programs

LOCAL = ("--ice-server", "none", "--address", "127.0.0.1")


def offer(programs: Programs) -> str:
    """Return the offer of a program that waits for the answer."""
    return programs.chat("--offer", "--compact").description()


def refused(*arguments: str, env: dict[str, str] | None = None, command: str = "chat") -> str:
    """Run a command that is refused at once; return its message."""
    status, _, errors = run(command, *arguments, env=env)
    assert status == 2, errors
    return errors


def test_quit_ends_a_chat_before_a_peer_has_connected(programs: Programs) -> None:
    listener = programs.chat("--listen")
    listener.description()
    listener.write_line("typed early")
    listener.write_line("/quit")
    assert listener.end() == 0


def test_quit_ends_a_chat_whose_answer_is_not_used_yet(programs: Programs) -> None:
    answerer = programs.chat(offer(programs))
    answerer.description()
    answerer.write_line("/quit")
    assert answerer.end() == 0


def test_quit_ends_a_chat_while_a_line_waits_for_a_channel(programs: Programs) -> None:
    listener = programs.chat("--listen")
    # Open at the dialer only: the listener has no --negotiated.
    dialer = programs.chat(listener.description(), "--negotiated", "5")
    listener.until("has changed: connected")
    listener.write_line("no channel")
    listener.write_line("/quit")
    assert listener.end() == 0
    dialer.until("has changed: closed")


def test_lines_typed_before_quit_arrive(programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(100_000))
    listener = programs.chat("--listen")
    dialer = programs.chat(listener.description())
    dialer.until(r"open\. Random")
    for number in range(30):
        dialer.write_line(f"line {number}")
    dialer.write_line(f"/send {tmp_path / 'file'}")
    dialer.write_line("/quit")
    assert dialer.end() == 0
    listener.until("'line 29'$")
    listener.until(": 16384 bytes", count=6)
    listener.until(f": {100_000 - 6 * 16384} bytes")


def test_only_regular_files_are_sent(programs: Programs, tmp_path: Path) -> None:
    listener = programs.chat("--listen")
    dialer = programs.chat(listener.description())
    dialer.until(r"open\. Random")
    os.mkfifo(tmp_path / "pipe")
    for name in (str(tmp_path / "pipe"), str(tmp_path), "a\0b", str(tmp_path / "nothing")):
        dialer.write_line(f"/send {name}")
    dialer.write_line("still here")
    listener.until("'still here'$")
    dialer.write_line("/quit")
    assert dialer.end() == 0
    errors = "\n".join(dialer.errors)
    assert errors.count("is not a file") == 2
    assert "can't be read" in errors
    assert "nothing: no such file" in errors


def test_half_a_character_in_a_description_is_refused(programs: Programs) -> None:
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


def test_kind_of_a_server_may_be_in_capitals() -> None:
    message = refused("--listen", "--ice-server", "TURN:me:secret@192.0.2.1")
    assert "a TURN server can't be used" in message


def test_expires_of_an_answerer_is_checked(programs: Programs, tmp_path: Path) -> None:
    code = offer(programs)
    for command, *theirs in (
        ("send", "--to", code, "--text", "x"),
        ("receive", code, "-y", "-o", str(tmp_path)),
    ):
        message = refused(*theirs, "--expires", "nonsense", command=command)
        assert "'nonsense' is not a time" in message


def test_variables_of_transfers_do_not_end_a_chat(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCSEND_QR", "half")
    monkeypatch.setenv("DCSEND_CODE", "dc0")
    assert programs.chat("--listen").description()


def test_variable_of_the_stun_server_applies_to_chats() -> None:
    assert "is not a STUN server" in refused("--offer", env={"DCSEND_STUN": "stun:a:b:c"})


def test_options_without_effect_on_the_answerer_are_refused(programs: Programs) -> None:
    code = offer(programs)
    for idle in (
        ("--unordered",),
        ("--protocol", "p"),
        ("--max-retransmits", "0"),
        ("--connect-timeout", "3"),
    ):
        message = refused(code, *LOCAL, *idle)
        assert idle[0] in message
        assert " for " in message


def test_options_without_effect_on_the_dialer_are_refused(programs: Programs) -> None:
    code = programs.chat("--listen").description()
    for idle in (("--expires", "1h"), ("--qr",), ("--no-copy",), ("--address", "127.0.0.1")):
        assert f"{idle[0]} is for the side that shows a code" in refused(code, *idle)


def test_protocol_longer_than_65535_bytes_is_refused() -> None:
    assert "a protocol's name has 65535 bytes at most" in refused(
        "--offer", "--protocol", "é" * 32768
    )


async def test_blocked_disk_takes_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, open_ = threading.Event(), os.open

    def hang(path: str | Path, flags: int, mode: int = 0o777) -> int:
        ends.wait()
        return open_(path, flags, mode)

    monkeypatch.setattr("os.open", hang)

    class Peer:
        """A connection; the test delivers the messages."""

        opens = False

        def observe(self, follower: object) -> None: ...

        async def over(self) -> DcsendError | None:
            await asyncio.Event().wait()
            return None

    chat = _Chat(
        cast(Any, Peer()),
        ChatSettings(save=tmp_path, interval=0),
        lambda event: None,
        ChatInput(None),
        None,
    )
    running = asyncio.create_task(chat.run())
    channel = cast(Any, type("Channel", (), {"label": "data"})())
    message = bytes(200_000)
    delivered = 0
    while not running.done() and delivered <= 2 * MAX_QUEUED:
        chat.received(channel, message)
        delivered += len(message)
        await asyncio.sleep(0)
    try:
        with pytest.raises(RemoteProtocolError, match="faster"):
            await running
        # The end takes a few turns, in which messages are delivered.
        assert delivered <= MAX_QUEUED + 20 * len(message)
    finally:
        ends.set()


def test_sigquit_restores_the_terminal() -> None:
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
