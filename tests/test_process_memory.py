"""A slow reader at one end of two real programs: what waits, waits on the sender's disk."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from tests.processes import Program, Stage

MB = 1_000_000
TOTAL = 90 * MB
FIRST, SECOND = 4 * MB, 16 * MB
"What the reader takes before it pauses, twice; over 60 MB never leave the sender's disk."
PIECE = 65536
GROWTH = 40 * MB
SILENCE = 1.0
"Seconds without progress after which everything has come to rest."


def resident(program: Program) -> int:
    return int(psutil.Process(program.process.pid).memory_info().rss)


def read(program: Program, amount: int) -> bytes:
    """Read so much, one small piece after the other, as a slow disk would take it."""
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
    sender = stage.send(large)
    receiver = stage.run("receive", sender.code, "-o", "-", "-y", listen=False)
    receiver.said(b"offered")
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
        # The window and what is read ahead fill up once, and never again.
        assert full[program] - before[program] < GROWTH
        assert after[program] - full[program] < GROWTH / 4
    with large.open("rb") as file:
        assert file.read(len(content)) == content
    receiver.stdout.close()
    assert (receiver.end().status, sender.end().status) == (4, 7)
