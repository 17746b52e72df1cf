"""When progress is reported."""

from __future__ import annotations

import asyncio

from dcsend.entry import Entry
from dcsend.session.events import Event, Progressed
from dcsend.session.progress import Progress

FILE = Entry("f", size=100)


def counts(events: list[Event]) -> list[int]:
    return [event.bytes for event in events if isinstance(event, Progressed)]


async def test_a_stream_that_pauses_shows_where_it_stands() -> None:
    events: list[Event] = []
    shown = asyncio.Event()

    def emit(event: Event) -> None:
        events.append(event)
        if len(events) == 2:
            shown.set()

    progress = Progress(100, emit, 0.01)
    for _ in range(3):
        progress.add(0, FILE, 10)
        progress.show()
    assert counts(events) == [10]
    async with asyncio.timeout(150):
        await shown.wait()
    assert counts(events) == [10, 30]


async def test_the_end_is_reported_at_once_and_nothing_after_it() -> None:
    events: list[Event] = []
    progress = Progress(100, events.append, 0.01)
    for count in (60, 40):
        progress.add(0, FILE, count)
        progress.show()
    progress.end()
    # A timer that comes after the one that must not fire any more.
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, later.set)
    await later.wait()
    assert counts(events) == [60, 100]


async def test_the_total_is_unknown_as_long_as_one_size_is() -> None:
    events: list[Event] = []
    progress = Progress(None, events.append, 0.01)
    progress.end()
    assert [event.total for event in events if isinstance(event, Progressed)] == [None]
