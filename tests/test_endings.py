"""A run ends within a second of its first signal, and at once at the second.

Whatever the peer sends, and although nobody reads what is shown. Real programs; the peer is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from dcsend.engines.dialer import dial
from dcsend.engines.loading import talk_peer
from dcsend.engines.talk import TalkChannel, TalkConnection
from dcsend.engines.transport import Parameters
from dcsend.entry import Entry
from dcsend.protocol.messages import Cancel, Hello, split_manifest
from dcsend.signaling.dialcode import decode, ice_password
from tests.processes import PATIENCE, ROOT, Stage
from tests.scripted_peer import dialing

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as Unix has them")

SOON: Final = 1.5
"Seconds: the one that is promised, and what a busy machine takes to run a process that is due."

STUCK: Final = """
import sys, time
from dcsend.session import chat

async def stuck(talk, typed):
    print("stuck", file=sys.stderr, flush=True)
    time.sleep(60)

chat._until_quit = stuck
"""
"The loop is kept by something that is no part of it, for a minute."

RUN: Final = "from dcsend.cli import main\nmain()"


@contextlib.contextmanager
def at_terminal(*arguments: str, before: str = "") -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run dcsend in a terminal that only the test reads; yield it and the terminal's other end."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", f"{before}\n{RUN}", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "DCSEND_ADDRESS": "127.0.0.1", "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(descriptor: int, words: bytes) -> str:
    """Read until *words* have come."""
    shown = b""
    while words not in shown:
        shown += os.read(descriptor, 4096)
    return shown.decode()


async def full(descriptor: int) -> None:
    """Return when a pipe or a terminal, which nobody reads, has taken what it can take."""
    held, since = 0, time.monotonic()
    while not held or time.monotonic() - since < 0.3:
        (now,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))
        if now != held:
            held, since = now, time.monotonic()
        await asyncio.sleep(0.02)


async def ended(process: subprocess.Popen[bytes], *numbers: signal.Signals) -> int:
    """Signal a program, which ends soon; return its status."""
    began = time.monotonic()
    for number in numbers:
        process.send_signal(number)
    status = await asyncio.to_thread(process.wait, PATIENCE)
    assert time.monotonic() - began < SOON
    return status


async def test_interrupt_ends_a_run_whose_json_nobody_reads_and_the_peer_is_told(
    stage: Stage, tmp_path: Path
) -> None:
    receiver = stage.run("receive", "-o", tmp_path, "-y", "--json", "--no-page", listen=False)
    code = read_until(receiver.stdout.fileno(), b"\n").split('"code": "')[1].split('"')[0]
    async with dialing(code) as peer:
        await peer.say(Hello((1,), "peer", "sender"))
        await peer.say(*split_manifest([Entry("x" * 90 + str(n), size=1) for n in range(3000)]))
        await full(receiver.stdout.fileno())
        assert await ended(receiver.process, signal.SIGINT) == 130
        assert (await peer.hear(Cancel)).reason == "interrupted"


async def test_interrupt_ends_a_question_at_a_terminal_that_nobody_reads(tmp_path: Path) -> None:
    arguments = ("receive", "-o", str(tmp_path), "--no-page", "--qr", "none")
    with at_terminal(*arguments) as (process, terminal):
        shown = read_until(terminal, b"waiting for the other side")
        (code,) = {word for word in shown.split() if word.startswith("dc0") and len(word) > 100}
        async with dialing(code) as peer:
            await peer.say(Hello((1,), "peer", "sender"), *split_manifest([Entry("f", size=1)]))
            for number in range(1000):
                peer.text.send(f"line {number}\n")
            await full(terminal)
            assert await ended(process, signal.SIGINT) == 130
            assert (await peer.hear(Cancel)).reason == "interrupted"


class Opened:
    """Follows a chat until its first channel is open."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    def announced(self, channel: TalkChannel) -> None:
        """Not of interest."""

    def opened(self, channel: TalkChannel) -> None:
        """The channel can be used."""
        self.open.set()

    def closed(self, channel: TalkChannel) -> None:
        """Not of interest."""

    def received(self, channel: TalkChannel, message: bytes | str) -> None:
        """Not of interest."""

    def changed(self, state: object) -> None:
        """Not of interest."""


@pytest.mark.parametrize("reads", [True, False], ids=["read", "unread"])
async def test_interrupt_ends_a_chat_whatever_the_other_side_sends(
    stage: Stage, reads: bool
) -> None:
    """A label of 64 KB, which was shown with each of 20 000 messages of one byte."""
    ours = stage.run("chat", "--listen", "--interval", "0", listen=False)
    there = decode(read_until(ours.stdout.fileno(), b"\n").strip())
    connection: TalkConnection = await dial(
        [(address.host, address.port) for address in there.addresses],
        password=ice_password(there.secret),
        fingerprint=there.fingerprint,
        timeout=PATIENCE,
        make=talk_peer,
    )
    try:
        follower = Opened()
        connection.follow(follower)
        channel = connection.open_channel(Parameters("\U000e0001" * 16000))
        await asyncio.wait_for(follower.open.wait(), PATIENCE)
        for _ in range(20_000):
            channel.send("x")
        if reads:
            await asyncio.to_thread(read_until, ours.stdout.fileno(), b"'x'\n")
        else:
            await full(ours.stdout.fileno())
        assert await ended(ours.process, signal.SIGINT) == 130
    finally:
        await connection.close()


def echoes(terminal: int) -> bool:
    """Tell whether a terminal shows what is typed, as a shell needs it."""
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
    ],
)
async def test_signal_ends_a_stuck_loop_and_leaves_the_terminal_usable(
    number: signal.Signals, status: int
) -> None:
    with at_terminal("chat", "--listen", before=STUCK) as (process, terminal):
        await asyncio.to_thread(read_until, terminal, b"stuck")
        assert not echoes(terminal)
        assert await ended(process, number) == status
        assert echoes(terminal)


async def test_second_signal_ends_a_stuck_loop_at_once_and_leaves_the_terminal_usable() -> None:
    patient = f"{STUCK}\nimport dcsend.ending\ndcsend.ending.LIMIT = 60"
    with at_terminal("chat", "--listen", before=patient) as (process, terminal):
        await asyncio.to_thread(read_until, terminal, b"stuck")
        # Of two that come together either may be the second.
        assert await ended(process, signal.SIGINT, signal.SIGTERM) in (130, 143)
        assert echoes(terminal)
