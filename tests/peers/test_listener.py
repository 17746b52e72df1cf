"""A listener and datagrams of unknown hosts: limits, refusals and half-open dials.

Real sockets on loopback, one for each unknown host.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aioice.stun import Message, parse_message

from dcsend.dtls.certificate import Certificate
from dcsend.errors import ConnectionFailed
from dcsend.ice.checks import Refusal, parse_check, refuse
from dcsend.ice.rate_limits import ReplayCache, TokenBucket
from dcsend.ice.stun import is_binding_request
from dcsend.net.address import Address
from dcsend.net.udp import UdpPort
from dcsend.peers import listener
from dcsend.peers.listener import Listener
from dcsend.peers.loading import transfer_peer
from dcsend.peers.transfer import TransferConnection
from tests.support.junk import JUNK
from tests.support.peers import (
    PASSWORD,
    HalfOpen,
    Relay,
    UdpClient,
    check,
    published,
    transfer,
    until,
)

pytestmark = pytest.mark.usefixtures("nothing_raised")


@pytest.mark.parametrize("name", JUNK)
async def test_junk_is_not_answered(name: str) -> None:
    async with published() as here, UdpClient.open() as client:
        client.send(JUNK[name], here.number)
        await client.silence(here.number, here.listener)
        assert client.received == []
        assert not here.listener.dials
        assert here.listener.port.routed(client.address) is None


MALFORMED: dict[str, Message] = {
    "no-priority": check(without="PRIORITY"),
    "role-of-the-listener": check(role="ICE-CONTROLLED"),
    "other-scheme": check(username="alice:bob"),
    "no-colon": check(username="dc1/" + "A" * 43 + "p" * 24),
    "fingerprint-too-short": check(username="dc1/" + "A" * 30 + ":abcd"),
    "not-ice-chars": check(username="dc1/" + "A" * 43 + "p-_%" * 6 + ":abcd"),
    "too-large": check(software="x" * 2000),
    "too-long": check(username="dc1/" + "A" * 43 + "p" * 200 + ":abcd"),
}


@pytest.mark.parametrize("malformed", MALFORMED)
async def test_signed_check_that_is_no_dial_is_not_answered(malformed: str) -> None:
    async with published() as here, UdpClient.open() as client:
        client.send(bytes(MALFORMED[malformed]), here.number)
        await client.silence(here.number, here.listener)
        assert client.received == []
        assert not here.listener.dials


@pytest.mark.parametrize("refusal", Refusal)
@pytest.mark.parametrize("username", [None, "dc1/" + "A" * 43 + "p" * 22 + ":abcd"])
def test_refusal_is_never_longer_than_the_request(refusal: Refusal, username: str | None) -> None:
    request = check(username=username, without="USE-CANDIDATE")
    request.attributes.pop("FINGERPRINT")
    parsed = parse_check(bytes(request))
    assert parsed is not None
    assert len(refuse(parsed, refusal, PASSWORD)) <= len(bytes(request))


async def test_answers_to_a_dial_that_never_finishes_stay_few() -> None:
    async with published() as here, UdpClient.open() as client:
        request = bytes(check())
        client.send(request, here.number)
        await until(lambda: len(client.received) >= 2)
        answer, triggered = (data for data, _ in client.received[:2])
        assert len(answer) <= len(request)
        assert is_binding_request(triggered)


async def test_flood_of_junk_leaves_a_running_transfer_alone() -> None:
    noise = random.Random(1)
    junk = [*JUNK.values(), *(noise.randbytes(noise.randrange(1, 200)) for _ in range(200))]
    junk += [bytes(check(password="x" * 24)) for _ in range(50)]
    junk += [bytes(check()) for _ in range(50)]
    async with published() as here, UdpClient.open() as client:
        dialer, accepted = await here.pair()
        sent = 0

        async def flood() -> None:
            nonlocal sent
            while sent < 20_000:
                for data in noise.choices(junk, k=100):
                    client.send(data, here.number)
                sent += 100
                await asyncio.sleep(0)

        flooding = asyncio.create_task(flood())
        await transfer(dialer, accepted, 40)
        await flooding
        await transfer(accepted, dialer, 10)
        assert len(here.listener.dials) == 1
        assert here.listener.port.routed(client.address) is None
        assert not here.errors


async def test_half_open_dials_are_few_and_end_by_time() -> None:
    half_open = HalfOpen()
    async with published(half_open=half_open) as here, AsyncExitStack() as stack:
        clients: list[UdpClient] = []
        for _ in range(100):
            client = await stack.enter_async_context(UdpClient.open())
            client.send(bytes(check()), here.number)
            clients.append(client)
        await client.silence(here.number, here.listener)
        assert len(here.listener.dials) == listener.MAX_HALF_OPEN
        assert not here.errors
        half_open.expire()
        await until(lambda: len(here.errors) == listener.MAX_HALF_OPEN)
        assert {type(e) for e in here.errors} == {ConnectionFailed}
        assert not here.listener.dials
        assert not any(here.listener.port.routed(one.address) for one in clients)
        await here.pair()


async def test_one_source_has_one_half_open_dial() -> None:
    async with published(half_open=HalfOpen()) as here, UdpClient.open() as client:
        for _ in range(100):
            client.send(bytes(check()), here.number)
        await client.silence(here.number, here.listener)
        await until(lambda: len(here.listener.dials) == 1)
        assert not here.errors
        await here.pair()


async def test_dial_that_found_no_room_begins_when_there_is_some() -> None:
    half_open = HalfOpen()
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published(half_open=half_open, max_half_open=1))
        client = await stack.enter_async_context(UdpClient.open())
        relay = await stack.enter_async_context(Relay.open(here.number))
        client.send(bytes(check()), here.number)
        await until(lambda: bool(here.listener.dials))
        pairing = asyncio.create_task(here.pair_over(relay))
        await until(lambda: bool(relay.checks))
        await client.silence(here.number, here.listener)
        # Repeats its check with the same transaction id until the slot is free.
        half_open.expire()
        await pairing


async def test_check_is_not_refused_while_the_code_is_given_back() -> None:
    """Firefox sends no more checks to an address that has refused one."""
    closing = asyncio.Event()

    class ClosesLate(TransferConnection):
        async def close(self) -> None:
            await closing.wait()
            await super().close()

    async with published(ClosesLate) as here, UdpClient.open() as client:
        here.listener.use_up = lambda: None  # type: ignore[method-assign]
        _, accepted = await here.pair()
        giving_back = asyncio.create_task(here.listener.give_back(accepted))
        await asyncio.sleep(0)
        request = bytes(check())
        try:
            client.send(request, here.number)
            await client.silence(here.number, here.listener)
            assert client.received == []
        finally:
            closing.set()
            await giving_back
        client.send(request, here.number)
        await until(lambda: bool(client.received))
        assert parse_message(client.received[0][0]).error_code is None


async def test_expiry_and_close_end_half_open_dials() -> None:
    async with published() as here, UdpClient.open() as client:
        client.send(bytes(check()), here.number)
        await until(lambda: bool(here.listener.dials))
        await here.listener.expire()
        assert not here.listener.dials
        assert here.listener.port.routed(client.address) is None
        assert not here.errors
        client.received.clear()
        client.send(bytes(check()), here.number)
        await until(lambda: bool(client.received))
        assert parse_message(client.received[0][0]).error_code == 430


async def test_dial_that_is_ended_before_it_began_is_closed() -> None:
    async with published() as here:
        source = ("127.0.0.1", 9)
        here.listener.port.received(bytes(check()), source)
        assert len(here.listener.dials) == 1
        async with asyncio.timeout(listener.HALF_OPEN_SECONDS / 2):
            await here.listener.expire()
        assert not here.listener.dials
        assert here.listener.port.routed(source) is None


# Before aiortc is loaded, and the parts


@asynccontextmanager
async def unloaded() -> AsyncIterator[tuple[Listener[TransferConnection], list[Address]]]:
    """Yield a listener that does not accept yet, and the sources of all datagrams so far."""
    sources: list[Address] = []
    instance = Listener(
        await UdpPort.open(),
        certificate=Certificate.generate(),
        password=PASSWORD,
        make=transfer_peer,
        max_half_open=100,
    )
    unknown = instance.port.unknown

    def counted(data: bytes, source: Address) -> None:
        sources.append(source)
        unknown(data, source)

    instance.port.route_unknown(counted)
    try:
        yield instance, sources
    finally:
        await instance.close()
        await instance.close()


@asynccontextmanager
async def accepting(instance: Listener[TransferConnection]) -> AsyncIterator[None]:
    """Let a listener accept until the end of the block."""
    task = asyncio.create_task(instance.accept())
    yield
    task.cancel()
    await asyncio.wait({task})


async def test_checks_that_come_before_aiortc_is_loaded_are_few_and_not_lost() -> None:
    async with unloaded() as (instance, sources), AsyncExitStack() as stack:
        count = listener.MAX_EARLY + 20
        for _ in range(count):
            client = await stack.enter_async_context(UdpClient.open())
            client.send(bytes(check()), instance.port.port)
        await until(lambda: len(sources) == count)
        async with accepting(instance):
            await until(lambda: len(instance.dials) == listener.MAX_EARLY)
            await client.silence(instance.port.port, instance)
            assert len(instance.dials) == listener.MAX_EARLY


async def test_copies_and_junk_before_aiortc_is_loaded_displace_no_check() -> None:
    async with unloaded() as (instance, sources), AsyncExitStack() as stack:
        first, client = [await stack.enter_async_context(UdpClient.open()) for _ in range(2)]
        first.send(bytes(check()), instance.port.port)
        copies = [bytes(check())] * 40
        others = [*copies, *filter(None, JUNK.values()), bytes(check(password="x" * 24))]
        for data in others:
            client.send(data, instance.port.port)
        await until(lambda: len(sources) == 1 + len(others))
        assert first.received == client.received == []
        async with accepting(instance):
            await until(lambda: len(instance.dials) == 2)
            assert all(instance.port.routed(one.address) for one in (first, client))


async def test_cancelled_accept_can_be_called_again() -> None:
    async with published() as here:
        here.accepting.cancel()
        await asyncio.wait({here.accepting})
        again = asyncio.create_task(here.listener.accept())
        await here.dial()
        assert set((await again).channels) == {"control", "data", "text"}


async def test_dial_has_ten_seconds_until_its_channels_are_open() -> None:
    async with listener.half_open_timeout() as timeout:
        deadline = timeout.when()
        assert deadline is not None
        assert 9 < deadline - asyncio.get_running_loop().time() <= listener.HALF_OPEN_SECONDS


def test_token_bucket_gives_a_seconds_worth_at_once_and_fills_up() -> None:
    bucket = TokenBucket(10)
    assert [bucket.take(100.0) for _ in range(11)] == [True] * 10 + [False]
    assert [bucket.take(100.25) for _ in range(3)] == [True, True, False]
    assert [bucket.take(500.0) for _ in range(11)] == [True] * 10 + [False]


def test_replay_cache_has_the_first_source_and_discards_the_oldest_entry() -> None:
    cache = ReplayCache(limit=3)
    here, there = ("192.0.2.1", 1), ("192.0.2.1", 2)
    assert cache.is_new(b"a")
    cache.add(b"a", here)
    cache.add(b"a", there)
    assert cache.first(b"a") == here
    for name in (b"b", b"c", b"d"):
        cache.add(name, there)
    assert len(cache) == 3
    assert cache.is_new(b"a")
    assert cache.first(b"d") == there
