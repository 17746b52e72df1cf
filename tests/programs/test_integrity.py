"""Damaged bytes and aborted files, to and from a real program: no damaged file gets its name."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from dcsend.entry import Entry
from dcsend.protocol.frames import encode_abort
from dcsend.protocol.messages import Bye, Cancel, Complete, Verdict
from tests.support.processes import Stage
from tests.support.scripted_peer import dialing, file_frames

CONTENT = bytes(range(256)) * 300


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


async def test_byte_flipped_on_the_way_ends_the_transfer(stage: Stage, tmp_path: Path) -> None:
    """Damage that the checksum of the frame detects; the file does not get its name."""
    output = tmp_path / "output"
    receiver = stage.receive("", output)
    async with dialing(receiver.code) as peer:
        await peer.offer(Entry("file", size=len(CONTENT)))
        first, second = file_frames(0, CONTENT)
        await peer.put(first, flipped(second))
        assert (await peer.expect(Cancel)).reason == "integrity"
        await peer.ended()
    ended = await asyncio.to_thread(receiver.end)
    assert (ended.status, ended.fatal["kind"]) == (6, "integrity")
    assert not (output / "file").exists()


async def test_byte_flipped_before_the_checksum_fails_the_file(
    stage: Stage, tmp_path: Path
) -> None:
    """Damage that only the digest of the file detects."""
    output = tmp_path / "output"
    receiver = stage.receive("", output)
    async with dialing(receiver.code) as peer:
        await peer.offer(Entry("file", size=len(CONTENT)))
        await peer.send(0, flipped(CONTENT), hashlib.sha256(CONTENT).digest())
        assert await peer.finish() == Complete(ok=False, files=0, bytes=0)
    ended = await asyncio.to_thread(receiver.end)
    assert (ended.status, ended.fatal["kind"]) == (6, "integrity")
    assert ended.files["file"]["status"] == "mismatch"
    assert os.listdir(output) == []


@pytest.mark.slow
async def test_one_damaged_file_of_two_ends_with_the_status_of_damage(
    stage: Stage, tmp_path: Path
) -> None:
    receiver = stage.receive("", tmp_path)
    async with dialing(receiver.code) as peer:
        await peer.offer(Entry("good", size=4), Entry("bad", size=3))
        await peer.send(0, b"good")
        await peer.send(1, b"bad", bytes(32))
        assert await peer.finish() == Complete(ok=False, files=1, bytes=4)
    ended = await asyncio.to_thread(receiver.end)
    assert ended.status == 6
    assert os.listdir(tmp_path) == ["good"]


async def test_sender_reports_damage_at_the_receiver(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    sender = stage.send(tmp_path / "file")
    async with dialing(sender.code) as peer:
        await peer.accept()
        await peer.next_frame()
        await peer.acknowledge()
        await peer.send_control(Verdict(((0, "mismatch"),)), Complete(ok=False, files=0, bytes=0))
        await peer.expect(Bye)
    ended = await asyncio.to_thread(sender.end)
    assert (ended.status, ended.fatal["kind"]) == (6, "integrity")


async def test_file_that_the_sender_gives_up_is_partly_done(stage: Stage, tmp_path: Path) -> None:
    receiver = stage.receive("", tmp_path)
    async with dialing(receiver.code) as peer:
        await peer.offer(Entry("good", size=4), Entry("gone", size=3))
        await peer.send(0, b"good")
        await peer.put(encode_abort(1, 0, "it is \x1b[31mgone"))
        await peer.finish()
    ended = await asyncio.to_thread(receiver.end)
    assert (ended.status, ended.fatal["kind"]) == (11, "partly")
    assert os.listdir(tmp_path) == ["good"]
