"""Floods from unknown hosts and with the address of the peer: their cost, and valid checks in them.

Real sockets on loopback. For each end, the address of the peer is that of a socket of a `Relay`, so
what the relay sends stands for datagrams with a forged source address.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest
from aioice import stun as aioice_stun

from dcsend.description import SdpType
from dcsend.ice import checks, rate_limits
from dcsend.ice.agent import nominated
from dcsend.ice.integrity import MAX_ATTRIBUTES, is_authentic, is_bounded, is_signed
from dcsend.ice.rate_limits import RecentSet, ReplayCache, RequestLimiter
from dcsend.ice.request_filter import RequestFilter
from dcsend.ice.stun import binding_request, is_binding_request
from dcsend.ice.ufrag import DialerCredentials
from dcsend.peers import refusing
from dcsend.peers.loading import load_aiortc
from dcsend.peers.offer_answer import Negotiation, Servers
from tests.support.junk import JUNK, attribute, stun
from tests.support.peers import (
    PASSWORD,
    Published,
    Relay,
    UdpClient,
    check,
    published,
    signed_answer,
    transfer,
    until,
)

_COUNTERS: Final = Path("/proc/net/snmp")
"Linux's counters of the network namespace (RFC 4113: two lines, names and values, for UDP)."
COUNT: Final = 1500
"Datagrams of each kind: more than a second's worth of every budget."


def fingerprints() -> bytes:
    """Return a request with as many right fingerprints as fit, each over all before it."""
    body = attribute(6, b"dc1/:abcd") + attribute(0x24, bytes(4)) + attribute(8, bytes(20))
    count = (1024 - 20 - len(body)) // 8
    data = stun(body + bytes(8 * count))[: 20 + len(body)]
    for _ in range(count):
        value = aioice_stun.message_fingerprint(data) if len(data) < 1016 else 0
        data += attribute(0x8028, struct.pack("!I", value))
    return data


def wrong(username: str | None = None) -> bytes:
    """Return a well-formed check whose MESSAGE-INTEGRITY is wrong."""
    return bytes(check(password="x" * 24, username=username))


class Parsed:
    """Counts what the parser of aioice is given."""

    def __init__(self) -> None:
        self.count = 0
        self._parse = aioice_stun.parse_message

    def __call__(self, data: bytes) -> aioice_stun.Message:
        """Count, and parse."""
        self.count += 1
        return self._parse(data)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Parsed:
    counting = Parsed()
    monkeypatch.setattr(checks, "parse_message", counting)
    return counting


async def send_all(send: Callable[[bytes], None], datagrams: Sequence[bytes]) -> None:
    """Send many, no faster than they are read."""
    for number, data in enumerate(datagrams):
        send(data)
        if number % 50 == 49:
            await asyncio.sleep(0)


# From the peer's address, while a transfer runs


class Pair:
    """A dialer and a listener that are connected over a relay."""

    def __init__(self, here: Published, relay: Relay) -> None:
        self.here = here
        self.relay = relay
        self.answers: list[bytes] = []
        "Binding responses of the end that is flooded."

    async def connect(self) -> None:
        """Connect them."""
        self.dialer, self.accepted = await self.here.pair_over(self.relay)

        def noting(data: bytes) -> bool:
            if data[:2] == b"\1\1":
                self.answers.append(data)
            return True

        self.relay.passes = noting

    def send(self, data: bytes, end: str) -> None:
        """Send to one end as the other."""
        if end == "listener":
            self.relay.inner.sendto(data, self.relay.target)
        else:
            self.relay.outer.sendto(data, self.relay.dialer)

    def genuine(self, end: str) -> bytes:
        """Return a consent check of the other end."""
        ice = (self.dialer if end == "listener" else self.accepted).ice
        pair = nominated(ice)
        assert pair is not None
        request = ice.build_request(pair, nominate=False)
        request.add_message_integrity(str(ice.remote_password).encode())
        return bytes(request)

    async def answered(self, check: bytes, end: str) -> None:
        """Wait for the answer to a check, which is sent again if the system dropped a datagram.

        The receive buffers of the relay are as large as the system's default, and a busy machine
        may drop a few datagrams of a flood; ICE agents retransmit for this reason.
        """
        dropped = _dropped()

        def is_answered() -> bool:
            nonlocal dropped
            if (now := _dropped()) != dropped:
                dropped = now
                self.send(check, end)
            return any(answer[8:20] == check[8:20] for answer in self.answers)

        await until(is_answered)


def _dropped() -> int:
    """Return how many datagrams this system has dropped because a receive buffer was full.

    On systems other than Linux this is not known, and 0.
    """
    if not _COUNTERS.exists():
        return 0
    lines = _COUNTERS.read_text().splitlines()
    names, values = (line.split() for line in lines if line.startswith("Udp: "))
    return int(values[names.index("RcvbufErrors")])


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with published() as here, Relay.open(here.number) as relay:
        made = Pair(here, relay)
        await made.connect()
        yield made


ENDS = pytest.mark.parametrize("end", ["listener", "dialer"])


@ENDS
async def test_forged_requests_are_dropped_before_they_are_parsed(
    end: str, pair: Pair, parsed: Parsed
) -> None:
    username = aioice_stun.parse_message(pair.genuine(end)).attributes["USERNAME"]
    recorded = pair.genuine(end)
    for forged in (
        *JUNK.values(),
        fingerprints(),
        recorded[:-9] + bytes([recorded[-9] ^ 1]) + recorded[-8:],
        wrong(username),
    ):
        if len(forged) < 1200:
            await send_all(lambda data: pair.send(data, end), [forged] * 300)
    last = pair.genuine(end)
    pair.send(last, end)
    await pair.answered(last, end)
    # A listener answers a few with a wrong secret, which may be from the port of an earlier dial.
    refused = 2 * refusing.REFUSALS_PER_SECOND if end == "listener" else 0
    assert parsed.count <= 4 + refused


@ENDS
async def test_replayed_checks_are_answered_only_so_many_times(end: str, pair: Pair) -> None:
    recorded, last = pair.genuine(end), pair.genuine(end)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await send_all(lambda data: pair.send(data, end), [recorded] * COUNT)
    pair.send(last, end)
    await pair.answered(last, end)
    replayed = sum(answer[8:20] == recorded[8:20] for answer in pair.answers)
    assert 1 <= replayed <= 1 + rate_limits.REPEATS_PER_SECOND * (2 + loop.time() - begin)


@ENDS
async def test_consent_checks_are_answered_in_the_middle_of_a_flood(end: str, pair: Pair) -> None:
    username = aioice_stun.parse_message(pair.genuine(end)).attributes["USERNAME"]
    recorded = pair.genuine(end)
    dtls = next(data for data in pair.relay.seen if data[0] == 23)
    kinds = [
        bytes(60),
        binding_request(bytes(12)),
        wrong(username),
        wrong(),
        fingerprints(),
        recorded,
        dtls[:1] + b"\1\1" + dtls[3:],
        dtls,
    ]
    transferring = asyncio.create_task(transfer(pair.dialer, pair.accepted, 20))
    for kind in kinds:
        await send_all(lambda data: pair.send(data, end), [kind] * COUNT)
        for _ in range(3):
            genuine = pair.genuine(end)
            await send_all(lambda data: pair.send(data, end), [kind] * 20 + [genuine])
            await pair.answered(genuine, end)
    await transferring
    await transfer(pair.accepted, pair.dialer, 10)


# From unknown hosts, during a dial


@pytest.mark.parametrize("kind", ["bare", "wrong secret", "fingerprints", "replayed"])
async def test_dial_begins_in_the_middle_of_a_flood(kind: str) -> None:
    """The check is sent once: a dialer would retransmit it, but a flood may not end."""
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published())
        client, first, dialer = [
            await stack.enter_async_context(UdpClient.open()) for _ in range(3)
        ]
        recorded = bytes(check())
        first.send(recorded, here.number)
        await until(lambda: len(here.listener.dials) == 1)
        forged = {
            "bare": binding_request(bytes(12)),
            "wrong secret": wrong(),
            "fingerprints": fingerprints(),
            "replayed": recorded,
        }[kind]
        await send_all(lambda data: client.send(data, here.number), [forged] * COUNT)
        dialer.send(bytes(check()), here.number)
        await until(lambda: len(here.listener.dials) == 2)


async def test_dial_begins_while_a_check_that_came_late_is_replayed() -> None:
    """From another interface of a dialer with a nominated pair, so that it is not answered."""
    username = check().attributes["USERNAME"]
    credentials = DialerCredentials.parse(username)
    assert credentials is not None
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published())
        first, client, dialer = [
            await stack.enter_async_context(UdpClient.open()) for _ in range(3)
        ]
        first.answer = signed_answer(credentials.password)
        first.send(bytes(check(username=username)), here.number)
        await until(lambda: any(dial.endpoint.is_settled for dial in here.listener.dials))
        recorded = bytes(check(username=username))
        await send_all(lambda data: client.send(data, here.number), [recorded] * COUNT)
        dialer.send(bytes(check()), here.number)
        await until(lambda: len(here.listener.dials) == 2)


async def test_checks_with_a_wrong_secret_are_answered_only_so_many_times() -> None:
    async with published() as here, UdpClient.open() as client:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        await send_all(lambda data: client.send(data, here.number), [wrong()] * COUNT)
        client.send(bytes(check()), here.number)
        await until(lambda: bool(here.listener.dials))
        most = refusing.REFUSALS_PER_SECOND * (2 + loop.time() - begin)
        assert 0 < len(client.received) <= most


@pytest.mark.parametrize("known", [True, False], ids=["candidate", "unknown"])
async def test_requests_without_the_password_are_not_parsed(known: bool, parsed: Parsed) -> None:
    await load_aiortc()
    waiting = await Negotiation.open(Servers())
    waiting.describe(SdpType.OFFER)
    try:
        async with UdpClient.open() as client:
            if known:
                await waiting.ice.add_candidate("host", *client.address, 1)
            number, ice = waiting.port.port, waiting.ice.connection
            username = f"{ice.local_username}:abcd"
            for forged in (fingerprints(), wrong(username), binding_request(bytes(12))):
                await send_all(lambda data: client.send(data, number), [forged] * 300)
            for role in ("ICE-CONTROLLING", "ICE-CONTROLLED"):
                genuine = check(password=ice.local_password, username=username, role=role)
                client.send(bytes(genuine), number)
            await until(lambda: bool(client.received))
            assert parsed.count <= 2
    finally:
        await waiting.close()


# The parts


async def test_forged_requests_are_not_remembered() -> None:
    cache, source = ReplayCache(), ("192.0.2.1", 1)
    requests = RequestFilter(PASSWORD, checks.parse_answer, cache=cache)
    for receive in (requests.from_routed, requests.from_unknown):
        genuine = bytes(check())
        assert receive(genuine, source) is not None
        before = len(cache)
        for forged in (*JUNK.values(), wrong(), genuine[:-9] + bytes(1) + genuine[-8:]):
            assert receive(forged, ("192.0.2.2", 1)) is None
        assert len(cache) == before
        assert cache.first(genuine[8:20]) == source


def test_copies_do_not_use_up_the_limit_for_new_requests() -> None:
    cache, source = ReplayCache(), ("192.0.2.1", 1)
    limiter = RequestLimiter(cache, 5)
    old, new = bytes(check()), [bytes(check()) for _ in range(6)]
    assert limiter.admits(old, source, 100.0)
    cache.add(old[8:20], source)
    repeats = [
        limiter.admits(old, source, 100.0) for _ in range(rate_limits.REPEATS_PER_SECOND + 1)
    ]
    assert repeats == [True] * rate_limits.REPEATS_PER_SECOND + [False]
    assert not limiter.admits(old, ("192.0.2.2", 1), 200.0)
    assert [limiter.admits(data, source, 100.0) for data in new] == [True] * 4 + [False] * 2
    assert limiter.is_exhausted(old, 100.0)
    assert not limiter.is_exhausted(new[5], 100.0)
    assert not limiter.is_exhausted(old, 101.0)
    assert limiter.admits(old, source, 101.0)


def test_recent_set_discards_the_oldest_entry() -> None:
    recent = RecentSet(limit=2)
    assert [recent.add(entry) for entry in "aabac"] == [True, False, True, False, True]
    assert "a" not in recent
    assert "c" in recent


def test_authentic_is_what_the_key_was_used_for_and_nothing_else() -> None:
    data = bytes(check())
    key = PASSWORD.encode()
    assert is_authentic(data, key)
    assert not is_authentic(data, b"x" * 24)
    for position in range(len(data) - 8):
        changed = bytearray(data)
        changed[position] ^= 1
        assert not is_authentic(bytes(changed), key), position
    for size in range(len(data)):
        assert not is_signed(data[:size])
    assert not is_signed(data + data)
    answer = signed_answer(PASSWORD)(data)
    assert answer is not None
    assert is_authentic(answer, key)


def test_message_has_few_attributes_and_its_fingerprint_last() -> None:
    assert is_bounded(bytes(check()))
    few = b"".join(attribute(0x24, bytes(4)) for _ in range(MAX_ATTRIBUTES))
    assert is_bounded(stun(few))
    assert not is_bounded(stun(few + attribute(0x24, bytes(4))))
    mark = attribute(0x8028, bytes(4))
    assert is_bounded(stun(attribute(0x24, bytes(4)) + mark))
    assert not is_bounded(stun(mark + attribute(0x24, bytes(4))))
    assert not is_bounded(stun(mark * 2))
    assert not is_bounded(stun(struct.pack("!HH", 6, 400)))
    assert not is_bounded(bytes(1025))
    assert not is_binding_request(bytes(1025))
