"""Both halves with a part of which bytes have been changed on the disk."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcsend.content import Content, Data, Hole, Repair
from dcsend.entry import Existing
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.journal import INTERVAL
from dcsend.files.manifest import scan
from dcsend.files.reading import FileReader, Piece
from dcsend.files.trailing import Changed
from dcsend.session.events import Damaged, Event, FileFinished, Progressed
from tests.support.halves import SETTINGS, Side, both, receiver, sender
from tests.support.memory import connected_pair
from tests.support.processes import PATIENCE
from tests.support.resuming import flip

HAD = 3 * INTERVAL
SIZE = HAD + (2 << 20) + 5


@pytest.fixture
def content() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def source(tmp_path: Path, content: bytes) -> Path:
    """Return a file of which the first `HAD` bytes are in `tmp_path/in`."""
    path = tmp_path / "film.bin"
    path.write_bytes(content)
    begun(
        tmp_path, path, [Data(0, at, content[at : at + INTERVAL]) for at in range(0, HAD, INTERVAL)]
    )
    return path


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "in/film.bin.dcsend-part"


def begun(tmp_path: Path, source: Path, portion: list[Content]) -> None:
    """Receive the beginning of a file into `tmp_path/in`."""
    sink = DirectorySink(tmp_path / "in", existing=Existing.REFUSE)
    sink.plan(list(scan([source]).entries))
    for one in portion:
        sink.apply([one], more=True)
    sink.close()


def contents(tmp_path: Path) -> dict[str, bytes]:
    """Return what is in `tmp_path/in`, without the journal."""
    files = (path for path in (tmp_path / "in").iterdir() if path.suffix != ".dcsend-journal")
    return {path.name: path.read_bytes() for path in files}


def damaged(side: Side) -> list[tuple[int, int]]:
    events = (event for event in side.events if isinstance(event, Damaged))
    return [(event.start, event.end) for event in events]


@pytest.mark.parametrize(
    ("changed", "window"),
    [
        ([5], SETTINGS.window),
        ([HAD - 1], 50_000),
        ([5, 6, INTERVAL, 2 * INTERVAL + 5], SETTINGS.window),
    ],
)
async def test_changed_ranges_are_sent_again(
    source: Path, part: Path, tmp_path: Path, content: bytes, changed: list[int], window: int
) -> None:
    for offset in changed:
        flip(part, offset)
    settings = dataclasses.replace(SETTINGS, window=window)
    left, right = connected_pair()
    sending = sender(left, source, settings)
    receiving = receiver(right, tmp_path / "in", settings)
    assert await both(sending, receiving) == (None, None)
    assert contents(tmp_path) == {"film.bin": content}
    starts = sorted({offset - offset % INTERVAL for offset in changed})
    ranges = [(start, start + INTERVAL) for start in starts]
    for side in (sending, receiving):
        assert damaged(side) == ranges
        assert side.tally.bytes == SIZE - HAD + INTERVAL * len(ranges)
        *_, last = (event for event in side.events if isinstance(event, Progressed))
        assert (last.bytes, last.total) == (SIZE, SIZE)


async def test_changed_range_is_sent_again_before_the_end_of_the_file(
    source: Path, part: Path, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces, known, found = FileReader.pieces, threading.Event(), threading.Event()
    fail = Changed.__init__

    def failing(self: Changed, good: int, bad: int) -> None:
        fail(self, good, bad)
        known.set()

    def held(self: FileReader, start: int) -> Iterator[Piece]:
        for place, piece in enumerate(pieces(self, start)):
            # What the check has found is looked at with each piece that is written.
            assert place < 2 or known.wait(PATIENCE)
            assert place < 6 or found.wait(PATIENCE)
            yield piece

    monkeypatch.setattr(Changed, "__init__", failing)
    monkeypatch.setattr(FileReader, "pieces", held)

    def emit(event: Event) -> None:
        if isinstance(event, Damaged):
            found.set()

    flip(part, 5)
    settings = dataclasses.replace(SETTINGS, block_size=256 << 10)
    left, right = connected_pair()
    sending = sender(left, source, settings)
    receiving = receiver(right, tmp_path / "in", settings, emit=emit)
    assert await both(sending, receiving) == (None, None)
    assert contents(tmp_path) == {"film.bin": content}


async def test_range_that_has_become_a_hole_is_sent_again(
    source: Path, part: Path, tmp_path: Path, content: bytes
) -> None:
    with part.open("wb") as file:
        file.seek(INTERVAL)
        file.write(content[INTERVAL:HAD])
    left, right = connected_pair()
    sending, receiving = sender(left, source), receiver(right, tmp_path / "in")
    assert await both(sending, receiving) == (None, None)
    assert damaged(receiving) == [(0, INTERVAL)]
    assert contents(tmp_path) == {"film.bin": content}


async def failing(source: Path, tmp_path: Path, kept: bytes) -> tuple[Side, Side]:
    """Transfer with a part that can't be repaired: what precedes the changed range is kept."""
    left, right = connected_pair()
    sending, receiving = sender(left, source), receiver(right, tmp_path / "in")
    assert await both(sending, receiving) == (None, None)
    for side in (sending, receiving):
        (verdict,) = (event for event in side.events if isinstance(event, FileFinished))
        assert verdict.status == "failed"
    assert "of its part were changed on the disk" in verdict.reason
    assert contents(tmp_path)["film.bin.dcsend-part"] == kept
    return sending, receiving


async def test_sender_without_the_feature_is_not_asked(
    source: Path, part: Path, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcsend.protocol.sender.AGAIN", "another")
    flip(part, INTERVAL + 5)
    for side in await failing(source, tmp_path, content[:INTERVAL]):
        assert damaged(side) == []


async def test_range_that_differs_once_more_fails_the_file(
    source: Path, part: Path, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(self: FileReader, start: int, end: int) -> Iterator[Piece]:
        yield bytes(end - start)

    monkeypatch.setattr(FileReader, "again", other)
    flip(part, INTERVAL + 5)
    for side in await failing(source, tmp_path, content[:INTERVAL]):
        assert damaged(side) == [(INTERVAL, 2 * INTERVAL)]


async def test_source_that_has_changed_is_not_sent_again(
    source: Path, part: Path, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = FileReader._check_end

    def changed(self: FileReader, *, longer: bool) -> None:
        os.utime(source, ns=(1, 1))
        again(self, longer=longer)

    # Before a range is read for the second time; what is read for the first time is complete then.
    sent = FileReader.again

    def later(self: FileReader, start: int, end: int) -> Iterator[Piece]:
        monkeypatch.setattr(FileReader, "_check_end", changed)
        return sent(self, start, end)

    monkeypatch.setattr(FileReader, "again", later)
    flip(part, INTERVAL + 5)
    sending, _ = await failing(source, tmp_path, content[:INTERVAL])
    assert sending.tally.bytes == SIZE - HAD


async def test_file_that_can_not_be_repaired_fails_alone(
    source: Path, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(fd: int, repair: Repair) -> None:
        raise OSError(errno.EINVAL, "invalid")

    monkeypatch.setattr("dcsend.files.part.overwrite", broken)
    for offset in range(5, HAD, INTERVAL):
        flip(part, offset)
    left, right = connected_pair()
    sending, receiving = sender(left, source), receiver(right, tmp_path / "in")
    assert await both(sending, receiving) == (None, None)
    (verdict,) = (event for event in receiving.events if isinstance(event, FileFinished))
    assert verdict.status == "failed"
    assert receiving.tally.bytes < SIZE  # the rest of the range is not sent any more


@pytest.mark.full
async def test_source_that_is_slow_to_read_again_is_waited_for(
    source: Path, part: Path, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    again, ready = FileReader.again, threading.Event()

    def held(self: FileReader, start: int, end: int) -> Iterator[Piece]:
        ready.wait()
        return again(self, start, end)

    monkeypatch.setattr(FileReader, "again", held)
    deadlines = dataclasses.replace(SETTINGS.deadlines, working=0.05, progress=1.0)
    settings = dataclasses.replace(SETTINGS, deadlines=deadlines)
    flip(part, 5)
    left, right = connected_pair()
    sending = sender(left, source, settings)
    receiving = receiver(right, tmp_path / "in", settings)
    # Longer than either side waits for the other one without a sign of life.
    asyncio.get_running_loop().call_later(3.0, ready.set)
    assert await both(sending, receiving) == (None, None)
    assert contents(tmp_path) == {"film.bin": content}


async def test_hole_that_was_written_to_is_sent_as_zeros(tmp_path: Path) -> None:
    source = tmp_path / "film.bin"
    with source.open("wb") as file:
        file.truncate(4 * INTERVAL)
        file.seek(4 * INTERVAL)
        file.write(b"end")
    begun(tmp_path, source, [Hole(0, 0, 4 * INTERVAL)])
    flip(tmp_path / "in/film.bin.dcsend-part", INTERVAL)
    left, right = connected_pair()
    sending, receiving = sender(left, source), receiver(right, tmp_path / "in")
    assert await both(sending, receiving) == (None, None)
    assert contents(tmp_path) == {"film.bin": bytes(4 * INTERVAL) + b"end"}
    assert damaged(receiving) == [(0, 4 * INTERVAL)]
    assert (tmp_path / "in/film.bin").stat().st_blocks * 512 < INTERVAL
