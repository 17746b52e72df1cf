"""Memory of real programs: with a slow reader, and for large manifests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dcsend.entry import Entry, Kind
from dcsend.protocol.manifest_messages import split_manifest
from dcsend.protocol.messages import Accept, Cancel, Hello, Manifest
from tests.support.processes import Program, Stage
from tests.support.scripted_peer import dialing

MB = 1_000_000
TOTAL = 90 * MB
FIRST, SECOND = 4 * MB, 16 * MB
"Bytes that the reader takes before each of two pauses; over 60 MB are never read from the disk."
PIECE = 65536
GROWTH = 40 * MB
SILENCE = 1.0
"Seconds without a progress event after which all buffers are full."


def resident(program: Program) -> int:
    return int(psutil.Process(program.process.pid).memory_info().rss)


def read(program: Program, amount: int) -> bytes:
    """Read *amount* bytes in small pieces, as a slow disk takes them."""
    content = bytearray()
    while len(content) < amount:
        content += program.read(min(PIECE, amount - len(content)))
    return bytes(content)


def test_slow_reader_keeps_memory_flat_on_both_sides(stage: Stage, tmp_path: Path) -> None:
    large = tmp_path / "large"
    block = os.urandom(MB)
    with large.open("wb") as file:
        for number in range(TOTAL // MB):
            file.write(number.to_bytes(8) + block[8:])
    sender = stage.send(large, cold=True)
    receiver = stage.run("receive", sender.code, "-o", "-", "-y", listen=False, cold=True)
    receiver.until_shown(b"offered")
    before = {program: resident(program) for program in (sender, receiver)}
    content = read(receiver, FIRST)
    sender.quiet("progress", SILENCE)
    full = {program: resident(program) for program in (sender, receiver)}
    content += read(receiver, SECOND)
    sender.quiet("progress", SILENCE)
    after = {program: resident(program) for program in (sender, receiver)}
    sent = max(event["bytes"] for event in sender.so_far("progress"))
    assert sent < FIRST + SECOND + 10 * MB
    for program in (sender, receiver):
        # The window and the read-ahead buffers fill up once and do not grow after that.
        assert full[program] - before[program] < GROWTH
        assert after[program] - full[program] < GROWTH / 4
    with large.open("rb") as file:
        assert file.read(len(content)) == content
    receiver.stdout.close()
    assert (receiver.end().status, sender.end().status) == (4, 7)


def peak(program: Program) -> int:
    """Return the peak resident memory of a program, in bytes."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def offered(kind: str, count: int) -> Iterator[Entry]:
    """Yield entries with a large cost in memory, of the largest size that PROTOCOL.md allows."""
    for number in range(count):
        match kind:
            case "long and wide":
                yield Entry("/".join([f"{number}", *["c" * 250] * 16, "\U0001f389"]), size=0)
            case "deep":
                yield Entry("/".join([*["a"] * 120, f"{number}"]), Kind.DIRECTORY)
            case "refused and wide":
                yield Entry(f"../{number:06}" + "c" * 230 + "\U0001f389" * 4, size=0)
            case _:
                yield Entry(f"../{number}" + "\U000e0001" * 60, size=0)


@pytest.mark.parametrize(
    ("kind", "count"),
    [("long and wide", 2000), ("deep", 2000), ("refused", 2000), ("refused and wide", 40_000)],
)
async def test_manifest_costs_100_mb_and_600_bytes_for_each_entry(
    stage: Stage, tmp_path: Path, kind: str, count: int
) -> None:
    receiver = stage.receive("", tmp_path, "--no-page", cold=True)
    async with dialing(receiver.code) as peer:
        await peer.send_control(
            Hello((1,), "peer", "sender"), *split_manifest(list(offered(kind, count)))
        )
        await peer.expect(Accept)
        assert len(receiver.event("manifest")["entries"]) == count
        assert peak(receiver) < 100_000_000 + 600 * count


async def test_names_that_are_too_long_together_are_refused(stage: Stage, tmp_path: Path) -> None:
    receiver = stage.receive("", tmp_path)
    entries = [Entry(f"{number}/" + "/".join(["ab"] * 1361)) for number in range(4000)]
    async with dialing(receiver.code) as peer:
        await peer.send_control(Hello((1,), "peer", "sender"), *split_manifest(entries))
        assert (await peer.expect(Cancel)).reason == "protocol"
    left = receiver.event("left", kind="protocol", again=True)
    assert "manifest has names of more than" in left["message"]


async def test_offer_costs_its_sender_no_more(stage: Stage, tmp_path: Path) -> None:
    count = 30_000
    folder = tmp_path / ("d" * 200)
    folder.mkdir()
    for number in range(count):
        os.close(os.open(folder / f"{number:040}", os.O_CREAT | os.O_WRONLY))
    sender = stage.send(folder, cold=True)
    async with dialing(sender.code) as peer:
        await peer.send_control(Hello((1,), "peer", "receiver"))
        while not (await peer.expect(Manifest)).last:
            pass
        assert len(sender.event("manifest")["entries"]) == count + 1
        assert peak(sender) < 100_000_000 + 600 * count
