"""A run ends within a second after the first signal, and at once after the second.

This holds whatever the peer sends, and while its output is not read. A real program, with a
scripted peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import pytest

from dcsend.chat.connecting import chat_peer
from dcsend.chat.connection import ChatConnection
from dcsend.entry import Entry
from dcsend.peers.channel import ChannelParameters, SctpChannel
from dcsend.peers.contract import Connection
from dcsend.peers.dialer import dial
from dcsend.peers.peer import PeerConnection
from dcsend.protocol.manifest_messages import split_manifest
from dcsend.protocol.messages import Cancel, Hello
from dcsend.signaling.dialcode import decode, ice_password
from tests.support.forkserver import Forked
from tests.support.load import Stopwatch
from tests.support.peers import until
from tests.support.processes import PATIENCE, ROOT, Stage
from tests.support.scripted_peer import dialing

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as Unix has them")

SOON: Final = 1.5
"Seconds: the promised second, and half a second in which the kernel schedules the process."

STUCK: Final = """
import sys, time
from dcsend.chat import session

async def stuck(chat, typed):
    print("stuck", file=sys.stderr, flush=True)
    time.sleep(60)

session.until_quit = stuck
"""
"Blocks the event loop for a minute."

RUN: Final = "from dcsend.cli import main\nmain()"


@contextlib.contextmanager
def at_terminal(*arguments: str, before: str = "") -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run dcsend in a terminal that only the test reads; yield it and the master side."""
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
    """Read until *words* have arrived; return all that was read."""
    shown = b""
    while words not in shown:
        shown += os.read(descriptor, 4096)
    return shown.decode()


def fill_output(pid: int) -> None:
    """Fill the pipe or the terminal that a program writes to, so that its next write waits."""
    if sys.platform != "linux":
        pytest.skip("only Linux has /proc")
    writer = os.open(f"/proc/{pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, bytes(size))
    os.close(writer)


async def until_delivered(connection: Connection | PeerConnection) -> None:
    """Return when the program has acknowledged all messages, on every channel."""
    await until(lambda: cast(PeerConnection, connection).sctp.is_drained)


async def end_by(process: subprocess.Popen[bytes] | Forked, *numbers: signal.Signals) -> int:
    """Signal a program; check that it ends within `SOON`, and return its status."""
    watch = Stopwatch()
    for number in numbers:
        process.send_signal(number)
    status = await asyncio.to_thread(process.wait, PATIENCE)
    watch.assert_within(SOON)
    return status


async def test_interrupt_ends_a_run_whose_json_is_not_read_and_the_peer_is_notified(
    stage: Stage, tmp_path: Path
) -> None:
    receiver = stage.run("receive", "-o", tmp_path, "-y", "--json", "--no-page", listen=False)
    code = read_until(receiver.stdout.fileno(), b"\n").split('"code": "')[1].split('"')[0]
    async with dialing(code) as peer:
        await peer.expect(Hello)
        fill_output(receiver.process.pid)
        await peer.send_control(Hello((1,), "peer", "sender"))
        await peer.send_control(
            *split_manifest([Entry("x" * 90 + str(n), size=1) for n in range(3000)])
        )
        await until_delivered(peer.connection)
        assert await end_by(receiver.process, signal.SIGINT) == 130
        assert (await peer.expect(Cancel)).reason == "interrupted"


async def test_interrupt_ends_a_question_at_a_terminal_that_is_not_read(tmp_path: Path) -> None:
    arguments = ("receive", "-o", str(tmp_path), "--no-page", "--qr", "none")
    with at_terminal(*arguments) as (process, terminal):
        shown = read_until(terminal, b"waiting for the other side")
        (code,) = {word for word in shown.split() if word.startswith("dc0") and len(word) > 100}
        async with dialing(code) as peer:
            await peer.expect(Hello)
            fill_output(process.pid)
            await peer.send_control(
                Hello((1,), "peer", "sender"), *split_manifest([Entry("f", size=1)])
            )
            for number in range(1000):
                peer.text.send(f"line {number}\n")
            await until_delivered(peer.connection)
            assert await end_by(process, signal.SIGINT) == 130
            assert (await peer.expect(Cancel)).reason == "interrupted"


class Opened:
    """Follows a chat until its first channel is open."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    def announced(self, channel: SctpChannel) -> None:
        """Ignored."""

    def opened(self, channel: SctpChannel) -> None:
        """Set the event."""
        self.open.set()

    def closed(self, channel: SctpChannel) -> None:
        """Ignored."""

    def received(self, channel: SctpChannel, message: bytes | str) -> None:
        """Ignored."""

    def changed(self, state: object) -> None:
        """Ignored."""


@pytest.mark.parametrize("reads", [True, False], ids=["read", "unread"])
async def test_interrupt_ends_a_chat_whatever_the_peer_sends(stage: Stage, reads: bool) -> None:
    """The label has 64 KB; a defect showed it with each of 20 000 messages of one byte."""
    ours = stage.run("chat", "--listen", "--interval", "0", listen=False)
    there = decode(read_until(ours.stdout.fileno(), b"\n").strip())
    connection: ChatConnection = await dial(
        [(address.host, address.port) for address in there.addresses],
        password=ice_password(there.secret),
        fingerprint=there.fingerprint,
        timeout=PATIENCE,
        make=chat_peer,
    )
    try:
        follower = Opened()
        connection.observe(follower)
        channel = connection.open_channel(ChannelParameters("\U000e0001" * 16000))
        await asyncio.wait_for(follower.open.wait(), PATIENCE)
        if not reads:
            fill_output(ours.process.pid)
        for _ in range(20_000):
            channel.send("x")
        if reads:
            await asyncio.to_thread(read_until, ours.stdout.fileno(), b"'x'\n")
        else:
            await until_delivered(connection)
        assert await end_by(ours.process, signal.SIGINT) == 130
    finally:
        await connection.close()


def echoes(terminal: int) -> bool:
    """Return whether the terminal echoes input, as a shell needs it."""
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
        assert await end_by(process, number) == status
        assert echoes(terminal)


async def test_second_signal_ends_a_stuck_loop_at_once_and_leaves_the_terminal_usable() -> None:
    patient = f"{STUCK}\nimport dcsend.ending\ndcsend.ending.LIMIT = 60"
    with at_terminal("chat", "--listen", before=patient) as (process, terminal):
        await asyncio.to_thread(read_until, terminal, b"stuck")
        # The program may handle two signals that arrive together in either order.
        assert await end_by(process, signal.SIGINT, signal.SIGTERM) in (130, 143)
        assert echoes(terminal)
