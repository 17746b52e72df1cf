"""How an interrupted run ends: its error, and its last event, whatever the story does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dcsend.errors import ConnectionFailed, Interrupted
from dcsend.session.conclusion import conclude, reported_first
from dcsend.session.events import Event, Failed, Finished, Warned
from dcsend.session.outcome import Tally

VIRTUAL_TIME = True


async def interrupted(story: Callable[[Tally], Coroutine[Any, Any, None]]) -> list[Event]:
    """Interrupt a story, wait until it has really ended, and return all events."""
    events: list[Event] = []
    interrupt: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(1, interrupt.set_result, signal.SIGTERM)
    with pytest.raises(Interrupted) as caught:
        await conclude(story, events.append, "sender", interrupt)
    assert caught.value.exit_status == 128 + signal.SIGTERM
    await asyncio.sleep(60)
    return events


async def test_nothing_follows_the_last_event_of_a_story_that_does_not_end() -> None:
    async def story(tally: Tally) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(30)
            tally.emit(Warned("late", "this comes too late"))

    events = await interrupted(story)
    assert [type(event) for event in events] == [Failed, Finished]


async def test_interruption_after_the_last_message_is_no_error() -> None:
    async def story(tally: Tally) -> None:
        tally.end()
        await asyncio.Event().wait()

    events: list[Event] = []
    interrupt: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(1, interrupt.set_result, signal.SIGTERM)
    finished = await conclude(story, events.append, "receiver", interrupt)
    assert events == [finished]
    assert finished.exit == 0


async def test_error_that_an_interruption_causes_is_not_the_error_of_the_run() -> None:
    async def story(tally: Tally) -> None:
        with reported_first(tally.emit):
            try:
                await asyncio.Event().wait()
            finally:
                raise ConnectionFailed("the connection was lost")

    failed, finished = await interrupted(story)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, Interrupted)
    assert isinstance(finished, Finished)
    assert finished.exit == 128 + signal.SIGTERM
