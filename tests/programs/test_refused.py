"""A file that fails at the receiver is not sent to its end, between two real programs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import Ended, Program, Stage, digest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")

LIMIT = 1 << 20
SMALL_FILES = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT}))"
"No file may grow beyond LIMIT bytes, as none may beyond 4 GiB on FAT."


def write_zeros(path: Path, size: int) -> None:
    """Write a file of *size* bytes, none of which is in a hole."""
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(b"x" * (1 << 20))


def sent(sender: Ended) -> int:
    """Return the bytes that were sent."""
    return int(sender.done["bytes"])


@pytest.mark.parametrize("name", ["a large", "z large"])
def test_file_that_fails_early_is_not_sent_to_its_end(
    stage: Stage, tmp_path: Path, name: str
) -> None:
    """Whether it is the last one or not: the others are sent, and it is not."""
    (tmp_path / "in").mkdir()
    write_zeros(tmp_path / "in" / name, 40 << 20)
    (tmp_path / "in" / "m small").write_bytes(os.urandom(1000))
    sending = stage.send(tmp_path / "in")
    receiving = stage.receive(sending.code, tmp_path / "out", before=SMALL_FILES)
    sender, receiver = sending.end(), receiving.end()
    for side in (sender, receiver):
        assert side.status == 11
        assert {path: file["status"] for path, file in side.files.items()} == {
            f"in/{name}": "failed",
            "in/m small": "ok",
        }
    assert sender.files[f"in/{name}"]["reason"] == "the receiver could not save it"
    assert digest(tmp_path / "out" / "in" / "m small") == digest(tmp_path / "in" / "m small")
    # The window of 8 MiB was on its way, at most twice.
    assert sent(sender) < 20 << 20


def test_stream_that_fails_and_pauses_ends_at_once(stage: Stage, tmp_path: Path) -> None:
    sending = stage.send("-", stdin=subprocess.PIPE)
    receiving = stage.receive(sending.code, tmp_path / "out", before=SMALL_FILES)
    feed(sending, 3 * LIMIT)
    # Standard input stays open, without more input.
    sender, receiver = sending.end(), receiving.end()
    assert (sender.status, receiver.status) == (4, 4)
    assert "the receiver could not save it" in sender.fatal["message"]


def feed(program: Program, size: int) -> None:
    """Write *size* bytes to a program's standard input, or as many as it takes."""
    left = memoryview(bytes(size))
    assert program.process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        while left:
            left = left[program.process.stdin.write(left) :]
