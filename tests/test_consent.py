"""Whether the other side still wants our packets (RFC 7675)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dcsend.engines import consent
from dcsend.errors import ConnectionFailed
from tests.peers import Published, Relay, published


@pytest.fixture
async def here(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Published]:
    """A listener, in a hurry."""
    monkeypatch.setattr(consent, "INTERVAL", 0.1)
    monkeypatch.setattr(consent, "EXPIRES", 3.0)
    async with published() as here:
        yield here


async def test_answers_that_take_longer_than_half_a_second_count(here: Published) -> None:
    async with Relay.open(here.number) as relay:
        dialer, listener = await here.pair_over(relay)
        relay.delay = 0.35
        before = len(relay.checks)
        # Other checks leave while an answer is on the way.
        await asyncio.sleep(consent.EXPIRES + 1)
        assert len(relay.checks) > before + 20
        assert dialer.channels["text"].send("still there")
        assert await listener.channels["text"].receive() == "still there"


async def test_nobody_who_has_gone_silent_is_sent_to_for_ever(here: Published) -> None:
    async with Relay.open(here.number) as relay:
        dialer, listener = await here.pair_over(relay)
        relay.passes = lambda data: False
        for end in (dialer, listener):
            with pytest.raises(ConnectionFailed, match="silent for 3 s") as raised:
                await end.channels["text"].receive()
            assert raised.value.hint == "run it again on both sides"
