"""The notes of a side that waits, over invented facts; real ones: programs/test_slow_wait.py."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import replace

import pytest

from dcsend.peers.situations import Facts, Role
from dcsend.session import waiting
from dcsend.session.events import Event, Warned
from dcsend.session.waiting import noting
from tests.support.peers import until

ANSWERER = Facts(Role.ANSWERER, (), (ipaddress.ip_interface("192.168.1.7/24"),))
LISTENER = Facts(Role.LISTENER, (), (ipaddress.ip_interface("192.168.1.7/24"),))


async def told(facts: Facts) -> list[str]:
    """Return the notes during a wait that is long enough for all."""
    events: list[Event] = []
    async with noting(lambda: facts, events.append):
        for _ in range(5):
            await asyncio.sleep(0)
    return [event.message for event in events if isinstance(event, Warned)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "NO_CHECK_SECONDS", 0.0)
    monkeypatch.setattr(waiting, "STUCK_SECONDS", 0.0)
    monkeypatch.setattr(waiting, "_LOOK", 0.0)


async def test_wait_without_a_check_is_told() -> None:
    assert await told(LISTENER) == ["no check has arrived for 60 s"]


async def test_check_that_has_come_ends_the_notes() -> None:
    assert await told(replace(LISTENER, heard=True)) == []


async def test_nat_is_told_before_that() -> None:
    behind = replace(LISTENER, servers=("s:1",), mapped=(("203.0.113.1", 5),))
    first, second = await told(behind)
    assert first.startswith("from outside this network, use --signal sdp")
    assert second == "no check has arrived for 60 s; this machine is behind a NAT"


async def test_answerer_is_told_that_checks_came_and_no_connection() -> None:
    assert await told(replace(ANSWERER, heard=True)) == [
        "the other side answers, but the connection failed"
    ]


async def test_answerer_is_told_so_however_late_the_first_check_comes() -> None:
    looks = iter([False] * 3)
    events: list[Event] = []

    def facts() -> Facts:
        return replace(ANSWERER, heard=next(looks, True))

    async with noting(facts, events.append):
        await until(lambda: len(events) == 2)
    assert [event.message for event in events if isinstance(event, Warned)] == [
        "no check has arrived for 60 s",
        "the other side answers, but the connection failed",
    ]


async def test_nothing_is_told_once_the_wait_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "NO_CHECK_SECONDS", 60.0)
    assert await told(LISTENER) == []
