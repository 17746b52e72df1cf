"""How often a short code waits for the path: in virtual time, so that no load changes it."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from dcsend.net.address import Address
from dcsend.net.udp import UdpPort
from dcsend.peers import trickle
from dcsend.peers.loading import load_aiortc
from tests.support import peers
from tests.support.peers import published
from tests.support.trickling import allocating, connect, joining

VIRTUAL_TIME = True

ONE_WAY: Final = 0.1
"Seconds from one side to the other: long beside the pauses between checks."
ROUND_TRIPS: Final = 5
"One for ICE, two for DTLS, one for the association, one for the channels."


class Distant(UdpPort):
    """A port at which each datagram arrives later than it was sent."""

    def received(self, data: bytes, source: Address) -> None:
        """Handle a datagram after its way."""
        asyncio.get_running_loop().call_later(ONE_WAY, super().received, data, source)


async def test_joiner_has_channels_after_five_round_trips(monkeypatch: pytest.MonkeyPatch) -> None:
    await load_aiortc()
    for module in (trickle, peers):
        monkeypatch.setattr(module, "UdpPort", Distant)
    async with published() as here, joining() as joiner:
        allocator = await allocating(here)
        loop = asyncio.get_running_loop()
        start = loop.time()
        made = await connect(joiner, allocator)
        assert round((loop.time() - start) / (2 * ONE_WAY), 1) == ROUND_TRIPS
        await made.joiner.close()
