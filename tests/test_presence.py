"""Whether a chat takes its peer for present, away or gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dcsend.description import SdpType
from dcsend.engines import presence, talk
from dcsend.engines.described import Endpoint, Servers
from dcsend.engines.ice import IceConnection
from dcsend.engines.loading import load_aiortc, talk_peer
from dcsend.engines.talk import State
from tests.echoes import PATIENCE, Ours


@pytest.fixture
async def ours(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ours]:
    """One end of a connection, which loses patience soon."""
    monkeypatch.setattr(talk, "_LOOK", 0.02)
    monkeypatch.setattr(presence, "AWAY_SECONDS", 0.2)
    monkeypatch.setattr(presence, "LOST_SECONDS", 1.0)
    await load_aiortc()
    left, right = await Endpoint.open(Servers()), await Endpoint.open(Servers())
    offer = left.describe(SdpType.OFFER)
    answer = right.describe(SdpType.ANSWER, offer)
    ends = left.prepare(offer, answer, talk_peer), right.prepare(answer, offer, talk_peer)
    try:
        followed = Ours(ends[0])
        await asyncio.gather(
            left.establish(ends[0], answer, timeout=PATIENCE),
            right.establish(ends[1], offer, timeout=PATIENCE),
        )
        yield followed
    finally:
        for end in ends:
            await end.close()


async def test_only_what_arrives_brings_a_peer_back(
    ours: Ours, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 1000
    monkeypatch.setattr(IceConnection, "arrived", property(lambda connection: count))
    await ours.until(lambda: ours.states[-1:] == [State.DISCONNECTED])
    count += 1
    await ours.until(lambda: ours.states[-1] is State.CONNECTED)
    await ours.until(lambda: ours.states[-1] is State.DISCONNECTED)
    count = 0  # what is left to count when ICE has given up
    await ours.until(lambda: ours.states[-1] is not State.DISCONNECTED)
    assert ours.states[-1] is State.FAILED
