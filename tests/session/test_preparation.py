"""What a sender does while its peer is awaited."""

from __future__ import annotations

import asyncio
import datetime
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

import pytest

from dcsend.entry import Entry
from dcsend.files.manifest import Scan, scan, scan_text
from dcsend.protocol.messages import Manifest, decode
from dcsend.session.events import CodeReady, Event, Warned
from dcsend.session.outcome import Tally
from dcsend.session.preparation import Preparation
from dcsend.session.worker import Worker
from dcsend.settings import Settings

CODE = CodeReady("dc0", "dcsend:#1", datetime.datetime.now(datetime.UTC), "sender")


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("test")
    yield worker
    worker.close()


@pytest.fixture
def found(tmp_path: Path) -> Scan:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    return scan([tmp_path])


def prepared(found: Scan, worker: Worker) -> tuple[Preparation, list[Event]]:
    events: list[Event] = []
    return Preparation(found, Settings(), Tally(events.append), worker), events


async def test_manifest_is_encoded_after_the_code_which_has_the_size_of_the_offer(
    found: Scan, worker: Worker
) -> None:
    mine, events = prepared(found, worker)
    assert await mine.result() == ()
    mine.announce(CODE)
    code, note = events
    assert isinstance(code, CodeReady)
    assert (code.files, code.bytes, code.texts) == (1, 3, 0)
    assert isinstance(note, Warned)
    (text,) = await mine.result()
    assert decode(text) == Manifest(tuple(found.entries), True, found.left_out)
    await mine.close()


async def test_code_has_the_number_of_texts(worker: Worker) -> None:
    mine, events = prepared(scan_text("hello"), worker)
    mine.announce(CODE)
    (code,) = events
    assert isinstance(code, CodeReady)
    assert (code.files, code.texts) == (1, 1)
    await mine.close()


async def test_what_is_left_out_is_reported_once(found: Scan, worker: Worker) -> None:
    mine, events = prepared(found, worker)
    mine.start()
    mine.announce(CODE)
    mine.announce(CODE)
    assert [type(event) for event in events] == [Warned, CodeReady, CodeReady]
    await mine.close()


async def test_manifest_of_very_many_entries_is_encoded_while_it_is_sent(
    found: Scan, worker: Worker
) -> None:
    tally = Tally(lambda event: None)
    mine = Preparation(found, Settings(), tally, worker, most=len(found.entries) - 1)
    mine.start()
    assert list(await mine.result()) == []


class Endless(Sequence[Entry]):
    """Entries whose encoding does not end until `end` is set."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.begun, self.end = threading.Event(), threading.Event()

    @overload
    def __getitem__(self, number: int) -> Entry: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Entry]: ...
    def __getitem__(self, number: int | slice) -> Entry | Sequence[Entry]:
        """As a list."""
        self.begun.set()
        self.end.wait()
        return self.entries[number]

    def __len__(self) -> int:
        """As a list."""
        return len(self.entries)


async def test_end_of_a_run_does_not_wait_for_the_encoding(found: Scan, worker: Worker) -> None:
    endless = Endless(found.entries)
    mine, _ = prepared(replace(found, entries=endless), worker)
    mine.start()
    await asyncio.to_thread(endless.begun.wait)
    async with asyncio.timeout(150):
        await mine.close()
    worker.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    endless.end.set()


async def test_entry_that_can_not_be_encoded_is_an_error_when_it_is_sent(
    found: Scan, worker: Worker
) -> None:
    entries = [Entry("a\udcff")] * len(found.entries)
    mine, _ = prepared(replace(found, entries=entries), worker)
    mine.start()
    assert list(await mine.result()) == []


async def test_released_manifest_is_gone(found: Scan, worker: Worker) -> None:
    mine, _ = prepared(found, worker)
    mine.start()
    assert await mine.result()
    mine.release()
    assert await mine.result() == ()
