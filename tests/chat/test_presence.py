"""The states of a chat's connection: connected, disconnected, failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dcsend.chat import connection, presence
from dcsend.chat.connecting import chat_peer
from dcsend.chat.connection import ConnectionState
from dcsend.description import SdpType
from dcsend.ice.connection import IceConnection
from dcsend.peers.loading import load_aiortc
from dcsend.peers.offer_answer import Negotiation, Servers
from tests.support.echoes import PATIENCE, Ours


@pytest.fixture
async def ours(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ours]:
    """One end of a connection with short timeouts."""
    monkeypatch.setattr(connection, "_PRESENCE_INTERVAL", 0.02)
    monkeypatch.setattr(presence, "AWAY_SECONDS", 0.2)
    monkeypatch.setattr(presence, "LOST_SECONDS", 1.0)
    await load_aiortc()
    left, right = await Negotiation.open(Servers()), await Negotiation.open(Servers())
    offer = left.describe(SdpType.OFFER)
    answer = right.describe(SdpType.ANSWER, offer)
    ends = left.prepare(offer, answer, chat_peer), right.prepare(answer, offer, chat_peer)
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


async def test_only_an_arriving_datagram_restores_the_connected_state(
    ours: Ours, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 1000
    monkeypatch.setattr(IceConnection, "arrived", property(lambda connection: count))
    await ours.until(lambda: ours.states[-1:] == [ConnectionState.DISCONNECTED])
    count += 1
    await ours.until(lambda: ours.states[-1] is ConnectionState.CONNECTED)
    await ours.until(lambda: ours.states[-1] is ConnectionState.DISCONNECTED)
    count = 0  # as when ICE has closed its sockets
    await ours.until(lambda: ours.states[-1] is not ConnectionState.DISCONNECTED)
    assert ours.states[-1] is ConnectionState.FAILED
