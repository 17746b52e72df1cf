"""Joiners of short codes as the peers of a run, beside the dialers of its dial code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dcsend.dtls.certificate import Certificate
from dcsend.errors import CodeUsed, ConnectionFailed
from dcsend.net.udp import UdpPort
from dcsend.peers.dialer import dial
from dcsend.peers.joiners import Taken
from dcsend.peers.listener import Listener
from dcsend.peers.loading import load_aiortc, transfer_peer
from dcsend.peers.offer_answer import Servers
from dcsend.peers.transfer import TransferConnection
from dcsend.peers.trickle import Trickle
from dcsend.session.arrivals import Awaited
from dcsend.session.events import Arrived, Event, Left
from tests.support.peers import LOCAL, PASSWORD, transfer
from tests.support.trickling import Connected, both, connect, joining

pytestmark = pytest.mark.usefixtures("nothing_raised")

Waiting = Listener[TransferConnection]


@pytest.fixture
async def listener() -> AsyncIterator[Waiting]:
    """A listener that closes with the test."""
    await load_aiortc()
    made = Listener(
        await UdpPort.open(),
        certificate=Certificate.generate(),
        password=PASSWORD,
        make=transfer_peer,
    )
    yield made
    await made.close()


async def allocating(listener: Waiting) -> Trickle[TransferConnection]:
    """Return the allocator's side."""
    return await Trickle.on_listener(listener, Servers(), addresses=[LOCAL])


async def dialing(listener: Waiting, timeout: float) -> TransferConnection:
    """Dial the listener."""
    return await dial(
        [(LOCAL, listener.port.port)],
        password=PASSWORD,
        fingerprint=listener.certificate.fingerprint,
        timeout=timeout,
        make=transfer_peer,
    )


async def test_joiner_gives_the_code_back_or_uses_it_up_as_a_dialer_does(
    listener: Waiting,
) -> None:
    events: list[Event] = []
    arrivals = Awaited(listener, listener.accept, events.append, 120)
    async with joining() as joiner, both(joiner, await allocating(listener)) as ends:
        assert await arrivals.next() is ends.allocator
    await arrivals.parted(ConnectionFailed("it has left"), introduced=False)
    assert [type(event) for event in events] == [Arrived, Left]
    async with joining() as joiner, both(joiner, await allocating(listener)) as ends:
        assert await arrivals.next() is ends.allocator
        arrivals.accepted()
        await transfer(ends.joiner, ends.allocator, 1)
        with pytest.raises(CodeUsed):
            await dialing(listener, 8)
        with pytest.raises(Taken):
            await allocating(listener)


async def test_connected_joiner_makes_room_for_a_dialer_when_its_time_is_over(
    listener: Waiting,
) -> None:
    arrivals = Awaited(listener, listener.accept, lambda event: None, hold=0)
    async with joining() as joiner:
        ends: Connected = await connect(joiner, await allocating(listener))
        await arrivals.next()
        displaced = asyncio.create_task(arrivals.displaced())
        await asyncio.sleep(0)
        with pytest.raises(ConnectionFailed, match="another device is connected"):
            await dialing(listener, 0.5)
        with pytest.raises(ConnectionFailed, match="has taken the place of"):
            await displaced
        await ends.joiner.close()
