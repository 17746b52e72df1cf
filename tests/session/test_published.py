"""A run whose code a program waits for: the newest code counts."""

from __future__ import annotations

import asyncio
import datetime

from dcsend.session.events import (
    CodeReady,
    Emit,
    Event,
    Finished,
    Link,
    ShortCodeReady,
    ShortCodeUsed,
)
from dcsend.session.published import published

DONE = Finished(ok=True, exit=0, bytes=0, seconds=0.0)


def ready(code: str) -> CodeReady:
    link = f"dcsend:#{code}"
    when = datetime.datetime.now(datetime.UTC)
    return CodeReady(code, link, when, "sender", (Link(link, "eth0"),))


async def test_renewed_code_replaces_the_first_with_its_links() -> None:
    renew, shown = asyncio.Event(), asyncio.Event()
    events: list[Event] = []

    async def run(emit: Emit) -> Finished:
        emit(ready("one"))
        await renew.wait()
        emit(ready("two"))
        shown.set()
        return DONE

    async with published(run, events.append) as value:
        assert (value.code, value.link) == ("one", "dcsend:#one")
        renew.set()
        await shown.wait()
        assert (value.code, value.link) == ("two", "dcsend:#two")
        assert [link.url for link in value.links] == ["dcsend:#two"]
    assert len(events) == 2


async def test_link_has_both_codes_while_the_short_one_works() -> None:
    used, shown = asyncio.Event(), asyncio.Event()

    async def run(emit: Emit) -> Finished:
        emit(ready("one"))
        when = datetime.datetime.now(datetime.UTC)
        emit(ShortCodeReady("7-walrus-umbrella", "public", when, "https://x/#1+7-walrus-umbrella"))
        await used.wait()
        emit(ShortCodeUsed("7-walrus-umbrella"))
        shown.set()
        return DONE

    async with published(run, lambda event: None) as value:
        assert value.link == "https://x/#1+7-walrus-umbrella"
        used.set()
        await shown.wait()
        assert (value.link, value.short_code) == ("dcsend:#one", "")
