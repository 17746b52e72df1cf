"""The datagrams that keep the mappings of a NAT while the peer is awaited.

Real sockets, and a clock that does not wait: the servers and the peer do not respond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Final, TypeVar

from dcsend.description import SdpType
from dcsend.ice.stun import binding_indication, is_binding_request
from dcsend.peers.loading import load_aiortc, transfer_peer
from dcsend.peers.offer_answer import Negotiation, Servers
from dcsend.peers.trickle import Trickle
from tests.support.peers import UdpClient, published, until

VIRTUAL_TIME = True

Result = TypeVar("Result")

MINUTE: Final = 60.0
SLOW: Final = 100.0
"Seconds for a response."
LONGEST: Final = 15.0
"Seconds between two requests, at most (RFC 8445, 11)."


async def answerless(query: Coroutine[Any, Any, Result], server: UdpClient) -> Result:
    """Run a query that the server does not answer; return its result.

    A thread looks the address up, and the clock does not wait for it: turns of the loop do.
    """
    running = asyncio.create_task(query)
    await until(lambda: bool(server.received))
    return await running


async def requests(server: UdpClient) -> int:
    """Count the requests that a STUN server gets within a minute."""
    before = len(server.received)
    await asyncio.sleep(MINUTE)
    await until(lambda: len(server.received) - before >= MINUTE / LONGEST)
    assert all(is_binding_request(data) for data, _ in server.received)
    return len(server.received) - before


async def test_listener_keeps_its_mapping_until_a_dialer_connects() -> None:
    async with UdpClient.open() as server, published(stun_servers=[server.address]) as here:
        await answerless(here.listener.mapped.query(SLOW), server)
        assert MINUTE / LONGEST <= await requests(server) <= 10
        assert {source[1] for _, source in server.received} == {here.number}


async def test_joiner_of_a_short_code_keeps_its_mapping_until_it_connects() -> None:
    await load_aiortc()
    async with UdpClient.open() as server:
        waiting = await Trickle.open(Servers(stun=[server.address], timeout=SLOW), transfer_peer)
        try:
            await until(lambda: bool(server.received))
            await asyncio.sleep(SLOW)
            assert MINUTE / LONGEST <= await requests(server) <= 10
        finally:
            await waiting.close()


async def test_both_sides_of_two_codes_keep_their_mappings_until_they_connect() -> None:
    await load_aiortc()
    async with UdpClient.open() as server, UdpClient.open() as peer:
        servers = Servers(stun=[server.address], timeout=SLOW)
        waiting = await answerless(Negotiation.open(servers), server)
        ours = waiting.describe(SdpType.OFFER)
        try:
            assert MINUTE / LONGEST <= await requests(server) <= 10
            host, port = peer.address
            candidate = replace(ours.candidates[0], host=host, port=port)
            theirs = replace(
                waiting.describe(SdpType.ANSWER, ours), candidates=(candidate,), ufrag="abcd"
            )
            connecting = asyncio.create_task(
                waiting.connect(ours, theirs, transfer_peer, timeout=2 * MINUTE)
            )
            assert MINUTE / LONGEST <= await requests(server) <= 10
            # Checks have long intervals by then; indications have no response.
            kept = [
                data for data, _ in peer.received if data[:2] == binding_indication(bytes(12))[:2]
            ]
            assert MINUTE / LONGEST <= len(kept) <= 20
            connecting.cancel()
            await asyncio.wait({connecting})
        finally:
            await waiting.close()
