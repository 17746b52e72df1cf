"""Failures between two real programs: each has one message and its exit status."""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import dcsend
from dcsend.entry import Entry
from dcsend.protocol.messages import Bye, Cancel, Complete, Decline, Hello, Manifest, Verdict
from dcsend.settings import Deadlines
from dcsend.signaling import forgiving
from dcsend.signaling.dialcode import Address, DialCode, decode, new_secret
from tests.support.processes import Stage
from tests.support.scripted_peer import dialing

QUICK = ("--connect-timeout", "1")
"Options of a dialer that gets no answer."


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def test_wrong_secret_is_refused_and_the_right_one_still_works(
    stage: Stage, tmp_path: Path, file: Path
) -> None:
    sender = stage.send(file)
    wrong = dataclasses.replace(decode(sender.code), secret=new_secret()).text()
    refused = stage.receive(wrong, tmp_path / "wrong").end()
    assert (refused.status, refused.fatal["kind"]) == (8, "authentication")
    assert not (tmp_path / "wrong").exists()
    receiver = stage.receive(sender.code, tmp_path / "right")
    assert (sender.end().status, receiver.end().status) == (0, 0)


def test_missing_listener_is_reported(stage: Stage, tmp_path: Path, file: Path) -> None:
    sender = stage.send(file)
    code = sender.code
    sender.kill()
    receiver = stage.receive(code, tmp_path / "output", *QUICK).end()
    assert (receiver.status, receiver.fatal["kind"]) == (5, "connection")
    assert "127.0.0.1" in receiver.fatal["message"]


def test_expired_code_ends_the_listener_and_is_reported_by_the_dialer(
    stage: Stage, tmp_path: Path, file: Path
) -> None:
    sender = stage.send(file, "--expires", "1s")
    code = sender.code
    sent = sender.end()
    assert (sent.status, sent.fatal["kind"]) == (9, "timeout")
    receiver = stage.receive(code, tmp_path / "output", *QUICK).end()
    assert (receiver.status, receiver.fatal["kind"]) == (9, "code-expired")


def test_dialer_after_the_end_of_the_run_reports_that_the_code_may_be_used(
    stage: Stage, file: Path, tmp_path: Path
) -> None:
    sender = stage.send(file)
    assert stage.receive(sender.code, tmp_path / "first").end().status == 0
    assert sender.end().status == 0
    late = stage.receive(sender.code, tmp_path / "second", "--connect-timeout", "1").end()
    assert (late.status, late.fatal["kind"]) == (5, "connection")
    assert "no answer" in late.fatal["message"]
    assert "if another device has used this one" in late.fatal["hint"]


async def test_used_code_is_reported_and_the_first_dialer_undisturbed(
    stage: Stage, tmp_path: Path, file: Path
) -> None:
    sender = stage.send(file)
    async with dialing(sender.code) as first:
        await first.accept()
        second = await asyncio.to_thread(stage.receive(sender.code, tmp_path / "output").end)
        assert (second.status, second.fatal["kind"]) == (7, "code-used")
        frame = await first.next_frame()
        await first.acknowledge()
        await first.send_control(Verdict(((0, "ok"),)), Complete(ok=True, files=1, bytes=7))
        await first.expect(Bye)
    assert bytes(frame.payload) == b"content"
    assert (await asyncio.to_thread(sender.end)).status == 0


def newer(code: str) -> str:
    """Return the same code in the form of a later version."""
    body = bytes([2]) + decode(code).encode()[1:-2]
    return forgiving.base32(body + binascii.crc_hqx(body, 0xFFFF).to_bytes(2))


@pytest.mark.parametrize(
    ("damage", "status", "kind"),
    [
        (lambda code: code[:-3], 2, "code-incomplete"),
        (lambda code: code.replace(code[40], "0" if code[40] != "0" else "1"), 2, "code"),
        (lambda code: "hello", 2, "code"),
        (newer, 10, "version"),
    ],
    ids=["cut", "changed", "nonsense", "newer"],
)
def test_code_that_cannot_be_read_is_refused_at_once(
    stage: Stage, tmp_path: Path, damage: Callable[[str], str], status: int, kind: str
) -> None:
    code = DialCode(bytes(16), bytes(32), 40000, (Address("192.0.2.7", 40000),), 2_000_000_000)
    ended = stage.receive(damage(code.text()), tmp_path / "output").end()
    assert (ended.status, ended.fatal["kind"]) == (status, kind)
    assert ended.err == b""


def test_error_before_the_run_is_reported_on_standard_error_too(
    stage: Stage, tmp_path: Path
) -> None:
    ended = stage.run("receive", "hello", "-o", tmp_path, "-y").end()
    assert ended.status == 2
    assert ended.out == b""
    assert ended.err.startswith(b"dcsend: ")
    assert b"dcsend: hint: " in ended.err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("send", 2),
        ("send missing", 3),
        ("send - -", 2),
        ("send file --expires soon", 2),
        ("send file --address localhost", 2),
        ("receive --skip --rename -y", 2),
        ("receive", 2),
        ("receive @nowhere -y", 2),
        ("receive --port 70000 -y", 2),
    ],
)
def test_impossible_request_is_refused_with_its_status(
    stage: Stage, tmp_path: Path, file: Path, arguments: str, status: int
) -> None:
    ended = stage.run(*arguments.split(), cwd=tmp_path).end()
    assert ended.status == status
    assert ended.of("error") or ended.err


def test_events_and_bytes_cannot_share_standard_output(stage: Stage) -> None:
    ended = stage.run("receive", "-o", "-", "-y", "--json").reap()
    assert (ended.status, ended.out) == (2, b"")
    assert b"standard output" in ended.err


async def test_program_of_another_version_is_refused(stage: Stage, file: Path) -> None:
    sender = stage.send(file)
    async with dialing(sender.code) as peer:
        await peer.send_control(Hello((2, 3), "dcsend/9", "receiver"))
        assert (await peer.expect(Cancel)).reason == "version"
        await peer.ended()
    left = await asyncio.to_thread(sender.event, "left")
    assert (left["kind"], left["again"]) == ("version", True)


async def test_two_programs_that_both_send_report_it(stage: Stage, file: Path) -> None:
    first = stage.send(file)
    second = stage.send(file, "--to", first.code)
    ended = await asyncio.to_thread(second.end)
    assert ended.status == 2
    assert "both sides want to send" in ended.fatal["message"]
    # The listener goes on waiting for a receiver.
    left = await asyncio.to_thread(first.event, "left")
    assert "both sides want to send" in left["message"]


NO_TERMINAL = pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")


@NO_TERMINAL
@pytest.mark.parametrize("answer", [b"no\n", b"\x04"], ids=["no", "end of input"])
def test_receiver_that_does_not_accept_ends_both(
    stage: Stage, tmp_path: Path, file: Path, answer: bytes
) -> None:
    sender = stage.send(file)
    receiver = stage.run("receive", sender.code, "-o", tmp_path / "output", terminal=True)
    receiver.until_shown(b"accept")
    receiver.write(answer)
    sent, received = sender.end(), receiver.end()
    assert (sent.status, received.status) == (7, 7)
    assert sent.fatal["message"] == "the other side declined"
    assert not (tmp_path / "output").exists()


# Sources that change


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """A source that is sent first; the test decides when it ends."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    path = tmp_path / "a fifo"
    os.mkfifo(path)
    return path


def vanish(path: Path) -> None:
    path.unlink()


def shrink(path: Path) -> None:
    os.truncate(path, 10)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def become_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


CHANGES = {
    vanish: "vanished before it was sent",
    shrink: "changed before it was sent",
    grow: "changed before it was sent",
    become_a_link: "was replaced by a symbolic link",
}


def test_sources_that_change_before_their_turn_fail_alone(
    stage: Stage, tmp_path: Path, fifo: Path
) -> None:
    changing = {change: tmp_path / change.__name__ for change in CHANGES}
    for path in changing.values():
        path.write_bytes(bytes(1000))
    last = tmp_path / "last"
    last.write_bytes(b"last")
    sender = stage.send(fifo, *changing.values(), last)
    receiver = stage.receive(sender.code, tmp_path / "output")
    # Blocks until the sender has opened it, so the transfer has begun.
    with fifo.open("wb") as pipe:
        pipe.write(b"first")
        for change, path in changing.items():
            change(path)
    sent, received = sender.end(), receiver.end()
    assert (sent.status, received.status) == (11, 11)
    for change, reason in CHANGES.items():
        assert sent.files[change.__name__]["reason"] == reason
        assert received.files[change.__name__]["reason"].endswith(reason)
    good = [
        [name for name, file in ended.files.items() if file["ok"]] for ended in (sent, received)
    ]
    assert good == [["a fifo", "last"]] * 2
    saved = {path.name: path.read_bytes() for path in (tmp_path / "output").iterdir()}
    assert saved == {"a fifo": b"first", "last": b"last"}


@pytest.mark.parametrize("change", [shrink, pytest.param(grow, marks=pytest.mark.slow)])
def test_source_that_changes_while_it_is_sent_is_not_called_whole(
    stage: Stage, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(16_000_000))
    sender = stage.send(large)
    receiver = stage.run("receive", sender.code, "-o", "-", "-y", listen=False)
    taken = 0
    while taken < 2 << 20:  # more than a portion, so that one is acknowledged
        taken += len(receiver.read(1 << 20))
    sender.event("progress")
    change(large)  # neither has room for the rest before the output is read
    while receiver.read(1 << 20):
        pass
    sent, received = sender.end(), receiver.end()
    assert (sent.status, received.status) == (3, 3)
    assert sent.files["large"]["status"] == "failed"
    assert b"large" in received.err


# Destinations


@contextlib.contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    """Mount a small tmpfs; skip the test without the permission."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(command, check=False).returncode:
        assert os.environ.get("CI") != "true", "root must be able to mount a small disk on CI"
        pytest.skip("only root can mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_destination_that_is_read_only_costs_no_code(
    stage: Stage, tmp_path: Path, file: Path
) -> None:
    sender = stage.send(file)
    with small_disk(tmp_path / "disk", "ro,size=1m"):
        refused = stage.receive(sender.code, tmp_path / "disk").end()
    assert refused.status == 4
    assert refused.fatal["kind"] == "destination"
    assert stage.receive(sender.code, tmp_path / "other").end().status == 0
    assert sender.end().status == 0


def test_destination_without_room_costs_no_code(stage: Stage, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(2_000_000))
    sender = stage.send(large)
    with small_disk(tmp_path / "disk", "size=1m"):
        refused = stage.receive(sender.code, tmp_path / "disk").end()
        assert os.listdir(tmp_path / "disk") == []
    assert refused.status == 4
    assert "not enough room" in refused.fatal["message"]
    assert "not enough room" in sender.event("left")["message"]
    assert stage.receive(sender.code, tmp_path / "other").end().status == 0
    assert sender.end().status == 0


def test_destination_that_fills_up_ends_the_transfer(stage: Stage, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "size=1m"):
        sender = stage.send("-", stdin=subprocess.PIPE)
        receiver = stage.receive(sender.code, disk)
        with contextlib.suppress(BrokenPipeError):
            while True:
                sender.write(bytes(range(256)) * 256)
        sent, received = sender.end(), receiver.end()
        assert sorted(os.listdir(disk)) == ["stdin.dcsend-journal", "stdin.dcsend-part"]
    assert (sent.status, received.status) == (7, 4)
    assert received.fatal["kind"] == "destination"
    assert sent.fatal["kind"] == "refused"


def test_destination_that_is_a_file_costs_no_code(stage: Stage, tmp_path: Path, file: Path) -> None:
    sender = stage.send(file)
    refused = stage.receive(sender.code, file).end()
    assert refused.status == 4
    assert refused.fatal["kind"] == "destination"
    assert stage.receive(sender.code, tmp_path / "other").end().status == 0
    assert sender.end().status == 0
    assert file.read_bytes() == b"content"


def test_reader_of_standard_output_that_goes_away_is_reported(stage: Stage, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(2_000_000))
    sender = stage.send(large)
    receiver = stage.run("receive", sender.code, "-o", "-", "-y", listen=False)
    receiver.read(10)
    receiver.stdout.close()
    sent, received = sender.end(), receiver.end()
    assert (sent.status, received.status) == (7, 4)
    assert b"the program that reads the output has ended" in received.err


async def test_sender_without_bye_changes_nothing(tmp_path: Path) -> None:
    settings = dcsend.Settings(stun=(), addresses=("127.0.0.1",), deadlines=Deadlines(bye=0.2))
    async with dcsend.invite(output=tmp_path, settings=settings) as invitation:
        async with dialing(invitation.code) as peer:
            await peer.offer(Entry("good", size=4))
            await peer.send(0, b"good")
            await peer.expect(Complete)
            await peer.ended()
        assert (await invitation.finished()).exit == 0
    assert os.listdir(tmp_path) == ["good"]


async def test_decline_of_a_receiver_is_reported(stage: Stage, file: Path) -> None:
    sender = stage.send(file)
    async with dialing(sender.code) as peer:
        await peer.send_control(Hello((1,), "peer", "receiver"))
        await peer.expect(Manifest)
        await peer.send_control(Decline("unsupported", "no \x1b[31mlinks"))
        await peer.expect(Bye)
    ended = await asyncio.to_thread(sender.end)
    assert (ended.status, ended.fatal["kind"]) == (7, "refused")
    assert "no \\x1b[31mlinks" in ended.fatal["message"]


_BUG = """
from dcsend.net.udp import UdpPort

def received(self, data, source):
    raise ZeroDivisionError("a bug")

UdpPort.received = received
"""


def test_unexpected_error_in_a_callback_ends_the_run(stage: Stage, file: Path) -> None:
    sender = stage.send(file, before=_BUG)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"anything", ("127.0.0.1", decode(sender.code).port))
    ended = sender.end()
    assert ended.status == 1
    assert ended.fatal["message"] == "unexpected: ZeroDivisionError('a bug')"
    assert ended.fatal["hint"] == "this is a bug in dcsend; please report it"
