"""The source address of our datagrams, which forged datagrams must not change.

IPv4 loopback has all addresses of 127.0.0.0/8; IPv6 has several in a namespace. The address of the
peer is that of the socket of a `Relay`, so what the relay sends stands for datagrams with a forged
source address.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator

import pytest
from aioice.stun import Class, Message, Method

from dcsend.chat.connecting import chat_peer
from dcsend.description import SdpType
from dcsend.ice import check_sources
from dcsend.ice.check_sources import CheckSources
from dcsend.ice.stun import is_binding_request
from dcsend.net.udp import UdpPort
from dcsend.peers.loading import load_aiortc
from dcsend.peers.offer_answer import Negotiation, Servers
from tests.support.echoes import PATIENCE, Ours
from tests.support.junk import JUNK
from tests.support.netns import MakeLan
from tests.support.peers import (
    LOCAL,
    PASSWORD,
    Relay,
    UdpClient,
    check,
    published,
    signed_answer,
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


# `CheckSources` over a real port


class Asked:
    """A port that sends checks to a UDP client."""

    def __init__(self, port: UdpPort, client: UdpClient) -> None:
        self.port = port
        self.asking = CheckSources(port)
        self.client = client
        self.requests = 0
        self.proofs: list[bool] = []
        port.route_unknown(self._received)

    def _received(self, data: bytes, source: tuple[str, int]) -> None:
        if is_binding_request(data):
            self.asking.request_received(source)
            self.requests += 1
        else:
            self.proofs.append(self.asking.answered(data[8:20], source))

    async def receive_at(self, host: str) -> None:
        """Send a valid check from the client to *host*."""
        before = self.requests
        self.client.transport.sendto(bytes(check()), (host, self.port.port))
        await until(lambda: self.requests > before)

    async def ask(self, count: int) -> list[tuple[bytes, str]]:
        """Send a check; return the *count* datagrams of it that come, and where from."""
        self.client.received.clear()
        message = Message(Method.BINDING, Class.REQUEST, attributes={"PRIORITY": 1})
        message.add_message_integrity(PASSWORD.encode())
        for copy, local in self.asking.outgoing(message, self.client.address, PASSWORD.encode()):
            self.port.send(bytes(copy), self.client.address, local)
        await until(lambda: len(self.client.received) >= count)
        assert len(self.client.received) == count
        return [(data, source[0]) for data, source in self.client.received]

    async def answer(self, data: bytes, to: str) -> bool:
        """Send the response to *data* to one of our addresses; return whether it was accepted."""
        answer = signed_answer(PASSWORD)(data)
        assert answer is not None
        before = len(self.proofs)
        self.client.transport.sendto(answer, (to, self.port.port))
        await until(lambda: len(self.proofs) > before)
        return self.proofs[-1]

    @property
    def kept(self) -> str | None:
        """The verified local address."""
        kept = self.port.kept(self.client.address)
        return None if kept is None else socket.inet_ntoa(kept)


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    port = await UdpPort.open()
    async with UdpClient.open() as client:
        yield Asked(port, client)
    await port.close()


async def test_answer_to_the_address_that_asked_proves_it(asked: Asked) -> None:
    await asked.receive_at(DIALED)
    ((data, source),) = await asked.ask(1)
    assert (source, asked.kept) == (DIALED, None)
    assert await asked.answer(data, DIALED)
    assert asked.kept == DIALED


async def test_copy_of_an_answer_to_another_address_proves_nothing(asked: Asked) -> None:
    await asked.receive_at(DIALED)
    await asked.receive_at(OTHER)
    (first, _), (second, source) = await asked.ask(2)
    assert source == OTHER
    assert first[8:20] != second[8:20]
    assert not await asked.answer(first, OTHER)
    assert not await asked.answer(second, DIALED)
    assert asked.kept is None
    assert await asked.answer(second, OTHER)
    assert asked.kept == OTHER


async def test_where_no_check_came_from_the_routing_table_is_asked_and_then_kept(
    asked: Asked,
) -> None:
    ((data, source),) = await asked.ask(1)
    assert source == LOCAL
    assert not await asked.answer(data, OTHER)
    assert await asked.answer(data, LOCAL)
    assert asked.kept == LOCAL


async def test_proven_address_stays_as_long_as_it_is_answered(asked: Asked) -> None:
    await asked.receive_at(DIALED)
    ((data, _),) = await asked.ask(1)
    await asked.answer(data, DIALED)
    await asked.receive_at(OTHER)
    for _ in range(3):
        ((data, source),) = await asked.ask(1)
        assert source == DIALED
        await asked.answer(data, DIALED)
    assert asked.kept == DIALED


async def test_proven_address_is_replaced_once_it_is_silent_and_another_is_answered(
    asked: Asked,
) -> None:
    await asked.receive_at(DIALED)
    ((data, _),) = await asked.ask(1)
    await asked.answer(data, DIALED)
    await asked.ask(1)
    # Not answered: the interface of that address may be down. The routing table has another one.
    (_, first), (data, second) = await asked.ask(2)
    assert (first, second) == (DIALED, LOCAL)
    assert asked.kept == DIALED
    await asked.answer(data, LOCAL)
    assert asked.kept == LOCAL


async def test_candidates_are_few_and_the_first_ones_stay(asked: Asked) -> None:
    for number in range(2, 2 + check_sources.MAX_CANDIDATES):
        await asked.receive_at(f"127.0.0.{number}")
    asked.client.transport.sendto(bytes(check()), ("127.0.0.99", asked.port.port))
    sent = await asked.ask(check_sources.MAX_CANDIDATES)
    assert [source for _, source in sent] == ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"]


async def test_checks_are_remembered_only_so_many(asked: Asked) -> None:
    await asked.receive_at(DIALED)
    await asked.receive_at(OTHER)
    copies: list[bytes] = []
    for _ in range(check_sources.MAX_REMEMBERED):
        message = Message(Method.BINDING, Class.REQUEST)
        _, (copy, _) = asked.asking.outgoing(message, asked.client.address, b"")
        assert asked.asking.original(copy.transaction_id) == message.transaction_id
        copies.append(copy.transaction_id)
    remembered = [copy for copy in copies if asked.asking.original(copy) != copy]
    assert remembered == copies[-check_sources.MAX_REMEMBERED // 2 :]
