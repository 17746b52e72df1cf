"""Both halves with a file of which the receiver has a part."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from pathlib import Path

import pytest

from dcsend.content import Data
from dcsend.entry import Existing
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.journal import INTERVAL
from dcsend.files.manifest import scan
from dcsend.files.trailing import Checked
from dcsend.session.checks import show_checks
from dcsend.session.events import Checking, Event, ManifestKnown, Progressed, Warned
from tests.support.gate import Gate
from tests.support.halves import SETTINGS, both, receiver, sender
from tests.support.memory import connected_pair
from tests.support.resuming import flip

SIZE = INTERVAL + (2 << 20)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a file of which the first `INTERVAL` bytes are in `tmp_path/in`."""
    path = tmp_path / "film.bin"
    content = os.urandom(SIZE)
    path.write_bytes(content)
    sink = DirectorySink(tmp_path / "in", existing=Existing.REFUSE)
    sink.plan(list(scan([path]).entries))
    sink.apply([Data(0, 0, content[:INTERVAL])], more=True)
    sink.close()
    return path


def same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


async def test_only_the_rest_is_sent_and_progress_begins_there(
    source: Path, tmp_path: Path
) -> None:
    offers: list[ManifestKnown] = []

    async def decide(offer: ManifestKnown) -> bool:
        offers.append(offer)
        return True

    left, right = connected_pair()
    sending = sender(left, source)
    receiving = receiver(right, tmp_path / "in", decide=decide)
    assert await both(sending, receiving) == (None, None)
    assert [offer.resumed for offer in offers] == [INTERVAL]
    assert sending.tally.bytes == receiving.tally.bytes == SIZE - INTERVAL
    for side in (sending, receiving):
        steps = [event for event in side.events if isinstance(event, Progressed)]
        assert INTERVAL < steps[0].bytes <= steps[-1].bytes == steps[-1].total == SIZE
        assert steps[-1].file_bytes == SIZE
    assert same(tmp_path / "in/film.bin", source)


async def test_changed_file_begins_again_in_the_same_run(source: Path, tmp_path: Path) -> None:
    flip(source, 5)  # same size and time
    left, right = connected_pair()
    sending, receiving = sender(left, source), receiver(right, tmp_path / "in")
    assert await both(sending, receiving) == (None, None)
    assert same(tmp_path / "in/film.bin", source)
    for side in (sending, receiving):
        (note,) = (event for event in side.events if isinstance(event, Warned))
        assert "film.bin has changed, or the part of it is damaged" in note.message
        *_, last = (event for event in side.events if isinstance(event, Progressed))
        assert (last.bytes, last.total, last.file_bytes) == (SIZE, SIZE, SIZE)
        assert side.tally.bytes >= SIZE


@pytest.mark.full
@pytest.mark.parametrize("slow", ["sender", "receiver"])
async def test_check_that_lasts_longer_than_the_transfer_is_shown_and_awaited(
    source: Path, tmp_path: Path, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sender begins its check before it sends the first frame.
    gate = Gate(free=0 if slow == "sender" else 1)
    monkeypatch.setattr("dcsend.files.trailing.begin", gate.begin)
    deadlines = dataclasses.replace(SETTINGS.deadlines, working=0.05, progress=1.0)
    settings = dataclasses.replace(SETTINGS, deadlines=deadlines)
    left, right = connected_pair()
    sending = sender(left, source, settings)
    receiving = receiver(right, tmp_path / "in", settings)
    # Longer than either side waits for the other one without a sign of life.
    asyncio.get_running_loop().call_later(3.0, gate.open)
    assert await both(sending, receiving) == (None, None)
    assert same(tmp_path / "in/film.bin", source)
    for side in (sending, receiving) if slow == "sender" else (receiving,):
        first, *_ = (event for event in side.events if isinstance(event, Checking))
        assert (first.path, first.bytes, first.total) == ("film.bin", 0, INTERVAL)


async def test_checks_are_reported_when_they_advance_and_at_their_end() -> None:
    values: list[Checked | None] = [
        None,
        Checked("a", 5, 5),  # faster than the first look: not worth an event
        Checked("b", 1, 5),
        Checked("b", 1, 5),
        Checked("b", 3, 5),
        Checked("b", 5, 5),
        Checked("b", 5, 5),
    ]
    events: list[Event] = []
    looked = asyncio.Event()

    def now() -> Checked | None:
        if len(values) == 1:
            looked.set()
            return values[0]
        return values.pop(0)

    task = asyncio.create_task(show_checks(now, events.append, 0.0))
    await looked.wait()
    task.cancel()
    assert events == [Checking("b", 1, 5), Checking("b", 3, 5), Checking("b", 5, 5)]
