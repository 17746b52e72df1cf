"""The source address of our datagrams, which forged datagrams must not change.

IPv4 loopback has all addresses of 127.0.0.0/8; IPv6 has several in a namespace. The address of the
peer is that of the socket of a `Relay`, so what the relay sends stands for datagrams with a forged
source address.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from dcsend.chat.connecting import chat_peer
from dcsend.description import SdpType
from dcsend.ice.stun import is_binding_request
from dcsend.peers.loading import load_aiortc
from dcsend.peers.offer_answer import Negotiation, Servers
from tests.support.echoes import PATIENCE, Ours
from tests.support.junk import JUNK
from tests.support.netns import MakeLan
from tests.support.peers import (
    LOCAL,
    Relay,
    UdpClient,
    check,
    published,
    transfer,
    until,
)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere the routing table alone decides"
)

DIALED, OTHER = "127.0.0.2", "127.0.0.3"
"Two addresses of the listener; the routing table prefers neither for a peer at 127.0.0.1."
SOURCES = 2000


async def flood(port: int, host: str) -> None:
    """Send junk from many source addresses."""
    for _ in range(SOURCES):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((LOCAL, 0))
            sock.sendto(b"junk", (host, port))
        await asyncio.sleep(0)


async def spoofing_moves_nothing(dialed: str, other: str, peer: str) -> None:
    """Let a listener be dialed at one of its addresses, and the peer forged at another one."""
    async with published() as here, Relay.open(here.number, dialed, peer) as relay:
        dialer, accepted = await here.pair_over(relay)
        assert relay.sources == {(dialed, here.number)}
        await transfer(accepted, dialer, 5)
        dtls = next(d for d in relay.seen if d and d[0] == 23)
        transferring = asyncio.create_task(transfer(accepted, dialer, 20))
        while not transferring.done():
            for data in (b"\0", *JUNK.values(), *relay.checks, dtls):
                relay.inner.sendto(data, (other, here.number))
            await asyncio.sleep(0)
        await transferring
        await transfer(dialer, accepted, 5)
        assert relay.sources == {(dialed, here.number)}


async def test_listener_sends_from_where_it_was_dialed_whatever_claims_to_be_the_peer() -> None:
    await spoofing_moves_nothing(DIALED, OTHER, LOCAL)


def test_the_same_over_ipv6(lan: MakeLan) -> None:
    host = lan(1).hosts[0]
    ours = [f"{host.ipv6}0", f"{host.ipv6}1"]
    for address in ours:
        host.run(["ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad"])
    host.inside(lambda: spoofing_moves_nothing(ours[0], ours[1], host.ipv6))


async def test_listener_sends_from_where_it_was_dialed_however_many_hosts_send() -> None:
    async with published() as here, Relay.open(here.number, DIALED) as relay:
        dialer, accepted = await here.pair_over(relay)
        await flood(here.number, DIALED)
        relay.sources.clear()
        await transfer(accepted, dialer, 5)
        assert relay.sources == {(DIALED, here.number)}


async def test_dialer_sends_from_where_it_dialed_whatever_claims_to_be_the_listener() -> None:
    async with published() as here, Relay.open(here.number) as relay:
        dialer, accepted = await here.pair_over(relay)
        (address,) = relay.dialers
        transferring = asyncio.create_task(transfer(dialer, accepted, 20))
        while not transferring.done():
            for data in (b"\0", *JUNK.values(), *relay.checks):
                relay.outer.sendto(data, (OTHER, address[1]))
            await asyncio.sleep(0)
        await transferring
        assert relay.dialers == {address}


def sources(end: Negotiation, other: Negotiation) -> list[bytes | None]:
    """Return from where one end sends to each address of the other."""
    return [end.port.kept((host, other.port.port)) for host in (LOCAL, DIALED, OTHER)]


async def test_neither_end_of_two_codes_sends_from_elsewhere_because_of_the_other() -> None:
    await load_aiortc()
    left = await Negotiation.open(Servers(), addresses=[DIALED])
    right = await Negotiation.open(Servers(), addresses=[LOCAL])
    offer = left.describe(SdpType.OFFER)
    answer = right.describe(SdpType.ANSWER, offer)
    ends = left.prepare(offer, answer, chat_peer), right.prepare(answer, offer, chat_peer)
    followed = [Ours(end) for end in ends]
    try:
        await asyncio.gather(
            left.establish(ends[0], answer, timeout=PATIENCE),
            right.establish(ends[1], offer, timeout=PATIENCE),
        )
        kept = [sources(left, right), sources(right, left)]
        assert all(any(each) for each in kept)
        for sender, receiver in ((left, right), (right, left)):
            for data in (b"\0", *JUNK.values()):
                sender.port.send(data, (OTHER, receiver.port.port))
        channel = await followed[0].open("one way")
        theirs = await followed[1].channel("one way")
        channel.send(b"there")
        assert await followed[1].take(theirs) == b"there"
        theirs.send(b"and back")
        assert await followed[0].take(channel) == b"and back"
        assert kept == [sources(left, right), sources(right, left)]
    finally:
        for end in ends:
            await end.close()


async def test_check_is_answered_from_where_it_came_to_and_ours_leaves_from_there() -> None:
    async with published() as here, UdpClient.open() as dialer:
        asked = bytes(check())
        dialer.transport.sendto(asked, (DIALED, here.number))
        await until(lambda: any(is_binding_request(data) for data, _ in dialer.received))
        assert {source for _, source in dialer.received} == {(DIALED, here.number)}


async def test_refusal_leaves_from_where_the_check_came_to() -> None:
    async with published() as here, UdpClient.open() as dialer:
        dialer.transport.sendto(bytes(check(password="x" * 24)), (DIALED, here.number))
        await until(lambda: bool(dialer.received))
        assert [source for _, source in dialer.received] == [(DIALED, here.number)]
