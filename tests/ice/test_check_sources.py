"""From which local addresses checks are sent: `CheckSources` over a real port.

IPv4 loopback has all addresses of 127.0.0.0/8.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator

import pytest
from aioice.stun import Class, Message, Method

from dcsend.ice import check_sources
from dcsend.ice.check_sources import CheckSources
from dcsend.ice.stun import is_binding_request
from dcsend.net.udp import UdpPort
from tests.support.peers import LOCAL, PASSWORD, UdpClient, check, signed_answer, until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere the routing table alone decides"
)

DIALED, OTHER = "127.0.0.2", "127.0.0.3"
"Two addresses of this side; the routing table prefers neither for a peer at 127.0.0.1."


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
