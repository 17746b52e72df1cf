"""The notes of a side that waits, over invented facts; real ones: programs/test_slow_wait.py."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import replace

from dcsend.peers.situations import Facts, Role
from dcsend.session.events import Event, Warned
from dcsend.session.waiting import NO_CHECK_SECONDS, noting

VIRTUAL_TIME = True

ANSWERER = Facts(Role.ANSWERER, (), (ipaddress.ip_interface("192.168.1.7/24"),))
LISTENER = Facts(Role.LISTENER, (), (ipaddress.ip_interface("192.168.1.7/24"),))


async def notes(facts: Facts, seconds: float = NO_CHECK_SECONDS + 1) -> list[str]:
    """Return the notes during a wait."""
    events: list[Event] = []
    async with noting(lambda: facts, events.append):
        await asyncio.sleep(seconds)
    return [event.message for event in events if isinstance(event, Warned)]


async def test_wait_without_a_check_is_noted() -> None:
    assert await notes(LISTENER) == ["no check has arrived for 60 s"]


async def test_wait_without_a_check_is_not_noted_beside_a_short_code() -> None:
    events: list[Event] = []
    async with noting(lambda: LISTENER, events.append, reminds=False):
        await asyncio.sleep(NO_CHECK_SECONDS + 1)
    assert events == []


async def test_check_that_has_come_ends_the_notes() -> None:
    assert await notes(replace(LISTENER, check_arrived=True)) == []


async def test_nat_is_noted_before_that() -> None:
    behind = replace(LISTENER, servers=("s:1",), mapped=(("203.0.113.1", 5),))
    first, second = await notes(behind)
    assert first.startswith("from outside this network, use --signal sdp")
    assert second == "no check has arrived for 60 s; this machine is behind a NAT"


async def test_answerer_notes_that_checks_came_and_no_connection() -> None:
    assert await notes(replace(ANSWERER, check_arrived=True)) == [
        "the other side answers, but the connection failed"
    ]


async def test_answerer_notes_it_however_late_the_first_check_comes() -> None:
    looks = iter([False] * 15)  # each 5 s
    events: list[Event] = []

    def facts() -> Facts:
        return replace(ANSWERER, check_arrived=next(looks, True))

    async with noting(facts, events.append):
        await asyncio.sleep(100)
    assert [event.message for event in events if isinstance(event, Warned)] == [
        "no check has arrived for 60 s",
        "the other side answers, but the connection failed",
    ]


async def test_nothing_is_noted_after_the_wait() -> None:
    assert await notes(LISTENER, NO_CHECK_SECONDS - 1) == []
