"""Queries to STUN servers: simulated ones on loopback, correct and faulty."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import struct
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.errors import UsageError
from dcsend.ice import stun
from dcsend.ice.stun import MappedAddresses, binding_request, mapped_address, parse_server
from dcsend.net.address import Address
from dcsend.net.resolving import Resolve, resolve
from dcsend.net.udp import UdpPort
from tests.support.load import Stopwatch
from tests.support.peers import UdpClient, has_ipv6, unresolved, until

COOKIE = 0x2112A442
SHOWN: Address = ("198.51.100.7", 40_000)
OTHER: Address = ("198.51.100.7", 40_001)
THIRD: Address = ("198.51.100.8", 40_000)


def response(request: bytes, shown: Address = SHOWN) -> bytes:
    """Respond like a STUN server, with an unknown attribute first."""
    key = request[4:20]
    packed = ipaddress.ip_address(shown[0]).packed
    family = 1 if len(packed) == 4 else 2
    value = struct.pack("!BBH", 0, family, shown[1] ^ (COOKIE >> 16))
    value += bytes(a ^ b for a, b in zip(packed, key, strict=False))
    body = struct.pack("!HH3sx", 0x8022, 3, b"abc")
    body += struct.pack("!HH", 0x0020, len(value)) + value
    return struct.pack("!HH", 0x0101, len(body)) + key + body


@pytest.fixture
async def port() -> AsyncIterator[UdpPort]:
    opened = await UdpPort.open()
    yield opened
    await opened.close()


class Asking(MappedAddresses):
    """Queries whose responses are passed to it as in a listener, and counted."""

    def __init__(
        self,
        port: UdpPort,
        *servers: Address,
        chosen: bool = True,
        resolve: Resolve = resolve,
    ) -> None:
        super().__init__(port, servers, chosen=chosen, resolve=resolve)
        self.responses = 0
        port.route_unknown(self._unknown)

    def _unknown(self, data: bytes, source: Address) -> None:
        self.responses += self.received(data, source)


async def timed(mapped: MappedAddresses, timeout: float) -> tuple[list[Address], Stopwatch]:
    watch = Stopwatch()
    return await mapped.query(timeout), watch


async def test_server_responds_with_the_mapped_address_at_once(port: UdpPort) -> None:
    async with UdpClient.open() as server:
        server.answer = response
        found, watch = await timed(Asking(port, server.address), 5)
        assert found == [SHOWN]
        watch.assert_within(1)
        assert server.received[0][1] == ("127.0.0.1", port.port)


async def test_no_server_takes_no_time(port: UdpPort) -> None:
    found, watch = await timed(Asking(port), 5)
    assert found == []
    watch.assert_within(1)


@pytest.mark.full
async def test_dead_server_is_given_up_in_time(port: UdpPort) -> None:
    async with UdpClient.open() as server:
        found, watch = await timed(Asking(port, server.address), 0.4)
        assert found == []
        assert watch.seconds > 0.3
        watch.assert_within(1)
        # Asked more than once, always the same question.
        assert len(server.received) > 1
        assert len({data for data, _ in server.received}) == 1


@pytest.mark.full
async def test_dead_server_beside_a_good_one_costs_little(port: UdpPort) -> None:
    async with UdpClient.open() as dead, UdpClient.open() as good:
        good.answer = response
        found, watch = await timed(Asking(port, dead.address, good.address), 5)
        assert found == [SHOWN]
        watch.assert_within(2)


@pytest.mark.parametrize(
    ("exists_not", "said"), [(True, "no such name"), (False, "no name server answers")]
)
async def test_unknown_name_differs_from_a_missing_name_server(
    port: UdpPort, exists_not: bool, said: str
) -> None:
    resolve = unresolved(exists_not=exists_not)
    mapped = Asking(port, ("stun.example.org", 3478), resolve=resolve)
    assert await mapped.query(5) == []
    (problem,) = mapped.problems
    assert "stun.example.org" in problem.message
    assert said in problem.message


@pytest.mark.parametrize("exists_not", [True, False])
async def test_error_of_a_default_server_without_internet_names_no_misspelling(
    port: UdpPort, exists_not: bool
) -> None:
    resolve = unresolved(exists_not=exists_not)
    mapped = Asking(port, ("stun.example.org", 3478), chosen=False, resolve=resolve)
    assert await mapped.query(5) == []
    (problem,) = mapped.problems
    assert problem.message == "no STUN server can be found (no internet here?)"
    assert problem.hint == "the code has no public address: it may work inside this network only"


async def test_name_server_that_does_not_answer_in_time_is_named(port: UdpPort) -> None:
    async def never(server: Address) -> list[Address]:
        found: asyncio.Future[list[Address]] = asyncio.get_running_loop().create_future()
        return await found

    mapped = Asking(port, ("stun.example.org", 3478), resolve=never)
    assert await mapped.query(0.1) == []
    assert ["no name server answers" in p.message for p in mapped.problems] == [True]


@pytest.mark.full
async def test_silent_server_is_named_unless_another_one_answers(port: UdpPort) -> None:
    async with UdpClient.open() as dead, UdpClient.open() as good:
        good.answer = response
        mapped = Asking(port, dead.address)
        await mapped.query(0.3)
        assert [p.message for p in mapped.problems] == [
            "the STUN server 127.0.0.1 does not answer; the code has no public address"
        ]
        mapped = Asking(port, dead.address, good.address)
        await mapped.query(5)
        assert mapped.problems == []


@pytest.mark.full
@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
async def test_family_that_leads_nowhere_does_not_lose_the_other(port: UdpPort) -> None:
    async with UdpClient.open("::1") as dead, UdpClient.open() as good:
        good.answer = response

        async def both(server: Address) -> list[Address]:
            return [dead.address, good.address]

        mapped = Asking(port, ("two.families.example", 3478), resolve=both)
        found, watch = await timed(mapped, 5)
        assert found == [SHOWN]
        watch.assert_within(2)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
async def test_one_address_of_each_family_is_found(port: UdpPort) -> None:
    async with UdpClient.open() as four, UdpClient.open("::1") as six, UdpClient.open() as other:
        four.answer = response
        six.answer = lambda data: response(data, ("2001:db8::7", 1))
        other.answer = lambda data: response(data, ("198.51.100.8", 2))
        found = await Asking(port, four.address, six.address, other.address).query(5)
        assert len(found) == 2
        assert ("2001:db8::7", 1) in found


@pytest.mark.parametrize(
    "name",
    ["nowhere.invalid", "a..b", "x" * 70 + ".example", "a\x00b"],
    ids=["unknown", "empty-label", "long-label", "nul"],
)
async def test_name_that_can_not_be_resolved_is_no_answer(
    port: UdpPort, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    mapped = Asking(port, (name, 3478))
    found, watch = await timed(mapped, 1)
    assert found == []
    watch.assert_within(2)
    (problem,) = mapped.problems
    assert "the code has no public address" in problem.message
    assert "\0" not in problem.message
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


BAD: dict[str, Callable[[bytes], bytes | None]] = {
    "wrong-transaction": lambda q: response(q[:8] + bytes(12)),
    "request": lambda q: q,
    "error": lambda q: struct.pack("!HH", 0x0111, 0) + q[4:20],
    "no-address": lambda q: struct.pack("!HH", 0x0101, 0) + q[4:20],
    "truncated": lambda q: response(q)[:-1],
    "attribute-too-long": lambda q: struct.pack("!HH", 0x0101, 4) + q[4:20] + b"\x00\x20\xff\xff",
    "family-unknown": lambda q: response(q)[:-7] + b"\x03" + response(q)[-6:],
    "port-zero": lambda q: response(q, ("198.51.100.7", 0)),
    "unspecified": lambda q: response(q, ("0.0.0.0", 9)),
    "multicast": lambda q: response(q, ("224.0.0.1", 9)),
    "header-only": lambda q: q[:20],
    "transaction-only": lambda q: q[:8] + q[8:20],
    "empty": lambda q: b"",
}


@pytest.mark.full
@pytest.mark.parametrize("name", BAD)
async def test_malformed_answer_is_none_and_a_good_one_after_it_counts(
    port: UdpPort, name: str
) -> None:
    async with UdpClient.open() as server:
        answers = [BAD[name], response]
        server.answer = lambda data: answers.pop(0)(data) if answers else None
        assert await Asking(port, server.address).query(3) == [SHOWN]


async def test_answer_from_another_source_than_was_asked_is_none(port: UdpPort) -> None:
    async with UdpClient.open() as server, UdpClient.open() as other:
        mapped = Asking(port, server.address)
        query = asyncio.create_task(mapped.query(5))
        await until(lambda: bool(server.received))
        question = server.received[0][0]
        assert not mapped.received(response(question), other.address)
        assert mapped.received(response(question), server.address)
        assert await query == [SHOWN]


async def test_keep_alive_sends_again_without_waiting_and_late_answers_are_ignored(
    port: UdpPort,
) -> None:
    async with UdpClient.open() as server:
        server.answer = response
        mapped = Asking(port, server.address)
        await mapped.query(5)
        await mapped.query(5)
        before = len(server.received)
        mapped.keep_alive()
        await until(lambda: len(server.received) == before + 1)
        questions = [data for data, _ in server.received]
        assert stun.is_binding_request(questions[-1])
        assert len(set(questions)) == 3
        assert not mapped.moved
        assert not mapped.received(response(questions[1]), server.address)


async def answered(mapped: Asking, server: UdpClient, shown: Address | None) -> None:
    """Keep the mapping open once, and return when the answer, if there is one, is there."""
    before, responses = len(server.received), mapped.responses
    server.answer = lambda query: None if shown is None else response(query, shown)
    mapped.keep_alive()
    await until(lambda: len(server.received) > before)
    await until(lambda: shown is None or mapped.responses > responses)


@pytest.mark.parametrize(
    ("later", "moved"),
    [
        ([SHOWN, SHOWN, SHOWN], False),
        ([OTHER, SHOWN, OTHER], False),  # a NAT may answer with whatever it has, once
        ([OTHER, THIRD, OTHER], False),
        ([OTHER, OTHER], True),
        ([SHOWN, OTHER, None, OTHER], True),  # one answer was lost
        ([("2001:db8::7", 1)] * 3, False),  # of another family than what was found
    ],
)
async def test_new_mapping_counts_when_it_was_seen_twice(
    port: UdpPort, later: list[Address | None], moved: bool
) -> None:
    async with UdpClient.open() as server:
        server.answer = response
        mapped = Asking(port, server.address)
        await mapped.query(5)
        for shown in later:
            await answered(mapped, server, shown)
        assert mapped.moved is moved
        assert mapped.addresses == [OTHER if moved else SHOWN]
        server.answer = response
        assert await mapped.query(5) == [SHOWN]
        assert not mapped.moved


async def test_query_can_be_cancelled(port: UdpPort) -> None:
    async with UdpClient.open() as server:
        mapped = Asking(port, server.address)
        query = asyncio.create_task(mapped.query(60))
        await until(lambda: bool(server.received))
        query.cancel()
        with pytest.raises(asyncio.CancelledError):
            await query
        assert not mapped.received(response(server.received[0][0]), server.address)


@given(st.binary(max_size=200), st.binary(min_size=12, max_size=12))
def test_any_bytes_are_an_address_or_none(data: bytes, transaction: bytes) -> None:
    body = struct.pack("!HHI", 0x0101, len(data), COOKIE) + transaction + data
    for datagram in (data, body):
        found = mapped_address(datagram, transaction)
        assert found is None or str(ipaddress.ip_address(found[0])) == found[0]


@given(st.ip_addresses(), st.integers(1, 65_535), st.binary(min_size=12, max_size=12))
def test_address_is_read_as_it_was_written(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, number: int, transaction: bytes
) -> None:
    shown = (str(address), number)
    found = mapped_address(response(binding_request(transaction), shown), transaction)
    usable = not (address.is_unspecified or address.is_multicast)
    assert found == (shown if usable else None)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("stun:stun.example.org", ("stun.example.org", 3478)),
        ("stun:stun.example.org:19302", ("stun.example.org", 19302)),
        ("stun.example.org:1", ("stun.example.org", 1)),
        (" stun:192.0.2.1:65535 ", ("192.0.2.1", 65535)),
        ("stun:[2001:db8::1]:3479", ("2001:db8::1", 3479)),
    ],
)
def test_server_is_split(text: str, server: Address) -> None:
    assert parse_server(text) == server


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stun:",
        "stun:a:0",
        "stun:a:65536",
        "stun:a:b",
        "turn:a",
        "stuns:a",
        "stuns:a:5349",
        "stun:a b",
        "stun:::1",
    ],
)
def test_what_is_no_server_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_server(text)
