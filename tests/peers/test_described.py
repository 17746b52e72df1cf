"""Offer and answer: which side starts the handshake, and datagrams that must not affect it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from OpenSSL import SSL

from dcsend.description import SdpType, Setup
from dcsend.errors import TimedOut
from dcsend.peers.loading import transfer_peer
from dcsend.peers.offer_answer import Negotiation, Servers
from tests.support.peers import until

LOCAL = "127.0.0.1"


@asynccontextmanager
async def ends() -> AsyncIterator[tuple[Negotiation, Negotiation]]:
    """Yield two negotiations on this machine; closed at the end."""
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for _ in range(2):
            made.append(await Negotiation.open(Servers(), addresses=[LOCAL]))
            stack.push_async_callback(made[-1].close)
        yield made[0], made[1]


@pytest.mark.parametrize(
    ("offered", "active", "answered"),
    [
        (Setup.ACTPASS, False, Setup.PASSIVE),
        (Setup.ACTIVE, False, Setup.PASSIVE),
        (Setup.PASSIVE, False, Setup.ACTIVE),
        (Setup.ACTPASS, True, Setup.ACTIVE),
        (Setup.ACTIVE, True, Setup.PASSIVE),
    ],
)
async def test_offerer_begins_the_handshake_unless_it_asks_the_answerer_to(
    offered: Setup, active: bool, answered: Setup
) -> None:
    async with ends() as (left, right):
        offer = replace(left.describe(SdpType.OFFER), setup=offered)
        assert right.describe(SdpType.ANSWER, offer, active=active).setup is answered


async def test_handshake_that_came_before_any_check_spoils_nothing() -> None:
    async with ends() as (left, right):
        offer = left.describe(SdpType.OFFER)
        answer = right.describe(SdpType.ANSWER, offer)
        accepting = right.prepare(answer, offer, transfer_peer)
        waiting = asyncio.create_task(right.establish(accepting, offer, timeout=30))
        await asyncio.sleep(0)
        # Any host can send this with the source address of the offerer.
        for _ in range(3):
            left.port.send(_client_hello(), (LOCAL, right.port.port))
        await until(lambda: right.ice.connection.queued == 3)
        opening = await left.connect(offer, answer, transfer_peer, timeout=30)
        await waiting
        await asyncio.gather(opening.close(), accepting.close())


async def test_answerer_without_a_check_reports_that_the_other_side_did_not_connect() -> None:
    async with ends() as (left, right):
        offer = left.describe(SdpType.OFFER)
        answer = right.describe(SdpType.ANSWER, offer)
        with pytest.raises(TimedOut, match="did not connect in time"):
            await right.connect(answer, offer, transfer_peer, timeout=0.05)


def _client_hello() -> bytes:
    """Return the first datagram of a handshake."""
    client = SSL.Connection(SSL.Context(SSL.DTLS_CLIENT_METHOD))
    client.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        client.do_handshake()
    return client.bio_read(4096)
