"""The states of a chat's connection: connected, disconnected, failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dcsend.chat.connection import ChatConnection, ConnectionState
from dcsend.description import SdpType
from dcsend.dtls.certificate import Certificate
from dcsend.ice.connection import IceConnection
from dcsend.peers.loading import load_aiortc
from dcsend.peers.offer_answer import Negotiation, Servers
from dcsend.peers.peer import ConnectionRole
from tests.support.echoes import PATIENCE, Ours


def impatient(ice: IceConnection, certificate: Certificate, role: ConnectionRole) -> ChatConnection:
    """Make a connection with short timeouts."""
    return ChatConnection(ice, certificate, role, away=0.2, lost=1.0, interval=0.02)


@pytest.fixture
async def ours() -> AsyncIterator[Ours]:
    """One end of a connection with short timeouts."""
    await load_aiortc()
    left, right = await Negotiation.open(Servers()), await Negotiation.open(Servers())
    offer = left.describe(SdpType.OFFER)
    answer = right.describe(SdpType.ANSWER, offer)
    ends = left.prepare(offer, answer, impatient), right.prepare(answer, offer, impatient)
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
