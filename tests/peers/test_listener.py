"""A listener and datagrams of unknown hosts: limits, refusals and half-open dials.

Real sockets on loopback, one for each unknown host.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aioice.stun import Message, parse_message

from dcsend.dtls.certificate import Certificate
from dcsend.errors import ConnectionFailed
from dcsend.ice.checks import Refusal, parse_check, refuse
from dcsend.ice.rate_limits import ReplayCache, TokenBucket
from dcsend.ice.stun import is_binding_request
from dcsend.net.udp import UdpPort
from dcsend.peers import listener
from dcsend.peers.listener import Listener
from dcsend.peers.loading import transfer_peer
from tests.support.junk import JUNK
from tests.support.peers import (
    AGES,
    PASSWORD,
    Relay,
    Stranger,
    check,
    half_open,
    published,
    transfer,
    until,
)


@pytest.fixture(autouse=True)
async def _nothing_raised(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Fail a test in which a datagram raised into the loop, or logged a warning."""
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: raised.append(context))
    yield
    assert not raised
    assert not [r.getMessage() for r in caplog.get_records("call") if r.levelno >= logging.WARNING]


@pytest.mark.parametrize("name", JUNK)
async def test_junk_is_not_answered(name: str) -> None:
    async with published() as here, Stranger.open() as stranger:
        stranger.send(JUNK[name], here.number)
        await stranger.silence(here.number, here.listener)
        assert stranger.received == []
        assert not here.listener._dials
        assert not here.listener.port._routes


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
    async with published() as here, Stranger.open() as stranger:
        stranger.send(bytes(MALFORMED[malformed]), here.number)
        await stranger.silence(here.number, here.listener)
        assert stranger.received == []
        assert not here.listener._dials


@pytest.mark.parametrize("refusal", Refusal)
@pytest.mark.parametrize("username", [None, "dc1/" + "A" * 43 + "p" * 22 + ":abcd"])
def test_refusal_is_never_longer_than_the_request(refusal: Refusal, username: str | None) -> None:
    request = check(username=username, without="USE-CANDIDATE")
    request.attributes.pop("FINGERPRINT")
    parsed = parse_check(bytes(request))
    assert parsed is not None
    assert len(refuse(parsed, refusal, PASSWORD)) <= len(bytes(request))


async def test_answers_to_a_dial_that_never_finishes_stay_few() -> None:
    async with published() as here, Stranger.open() as stranger:
        request = bytes(check())
        stranger.send(request, here.number)
        await until(lambda: len(stranger.received) >= 2)
        answer, triggered = (data for data, _ in stranger.received[:2])
        assert len(answer) <= len(request)
        assert is_binding_request(triggered)


async def test_flood_of_junk_leaves_a_running_transfer_alone() -> None:
    noise = random.Random(1)
    junk = [*JUNK.values(), *(noise.randbytes(noise.randrange(1, 200)) for _ in range(200))]
    junk += [bytes(check(password="x" * 24)) for _ in range(50)]
    junk += [bytes(check()) for _ in range(50)]
    async with published() as here, Stranger.open() as stranger:
        dialer, accepted = await here.pair()
        routes, seen = len(here.listener.port._routes), len(here.listener._cache)
        sent = 0

        async def flood() -> None:
            nonlocal sent
            while sent < 20_000:
                for data in noise.choices(junk, k=100):
                    stranger.send(data, here.number)
                sent += 100
                await asyncio.sleep(0)

        flooding = asyncio.create_task(flood())
        await transfer(dialer, accepted, 40)
        await flooding
        await transfer(accepted, dialer, 10)
        assert len(here.listener._dials) == 1
        assert len(here.listener.port._routes) == routes
        assert len(here.listener._cache) <= seen + 60  # the authentic ones, and the dialer
        assert not here.listener._tasks


async def test_half_open_dials_are_few_and_end_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    expire = half_open(monkeypatch)
    async with published(half_open_seconds=AGES) as here, AsyncExitStack() as stack:
        for _ in range(100):
            stranger = await stack.enter_async_context(Stranger.open())
            stranger.send(bytes(check()), here.number)
        await stranger.silence(here.number, here.listener)
        assert len(here.listener._dials) == listener.MAX_HALF_OPEN
        assert not here.errors
        expire()
        await until(lambda: not here.listener._tasks)
        assert not here.listener._dials
        assert not here.listener.port._routes
        assert {type(e) for e in here.errors} == {ConnectionFailed}
        assert len(here.errors) == listener.MAX_HALF_OPEN
        await here.pair()


async def test_one_source_has_one_half_open_dial() -> None:
    async with published(half_open_seconds=AGES) as here, Stranger.open() as stranger:
        for _ in range(100):
            stranger.send(bytes(check()), here.number)
        await stranger.silence(here.number, here.listener)
        await until(lambda: len(here.listener._tasks) == 1)
        assert len(here.listener._dials) == 1
        assert not here.errors
        await here.pair()


async def test_dial_that_found_no_room_comes_in_when_there_is_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expire = half_open(monkeypatch)
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published(half_open_seconds=AGES, max_half_open=1))
        stranger = await stack.enter_async_context(Stranger.open())
        relay = await stack.enter_async_context(Relay.open(here.number))
        stranger.send(bytes(check()), here.number)
        await until(lambda: bool(here.listener._dials))
        pairing = asyncio.create_task(here.pair_over(relay))
        await until(lambda: bool(relay.checks))
        await stranger.silence(here.number, here.listener)
        # Repeats its check with the same transaction id until the slot is free.
        expire()
        await pairing


async def test_check_is_not_refused_while_the_code_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Firefox sends no more checks to an address that has refused one."""
    async with published() as here, Stranger.open() as stranger:
        _, accepted = await here.pair()
        closing, close = asyncio.Event(), accepted.close

        async def close_late() -> None:
            await closing.wait()
            await close()

        monkeypatch.setattr(accepted, "close", close_late)
        giving_back = asyncio.create_task(here.listener.give_back())
        request = bytes(check())
        try:
            stranger.send(request, here.number)
            await stranger.silence(here.number, here.listener)
            assert stranger.received == []
        finally:
            closing.set()
            await giving_back
        stranger.send(request, here.number)
        await until(lambda: bool(stranger.received))
        assert parse_message(stranger.received[0][0]).error_code is None


async def test_expiry_and_close_end_half_open_dials() -> None:
    async with published() as here, Stranger.open() as stranger:
        stranger.send(bytes(check()), here.number)
        await until(lambda: bool(here.listener._dials))
        await here.listener.expire()
        assert not here.listener._dials
        assert not here.listener.port._routes
        assert not here.errors
        stranger.received.clear()
        stranger.send(bytes(check()), here.number)
        await until(lambda: bool(stranger.received))
        assert parse_message(stranger.received[0][0]).error_code == 430


async def test_dial_that_is_ended_before_it_began_is_closed() -> None:
    async with published() as here:
        parsed = parse_check(bytes(check()))
        assert parsed is not None
        here.listener._begin(parsed, ("127.0.0.1", 9))
        async with asyncio.timeout(listener.HALF_OPEN_SECONDS / 2):
            await here.listener.expire()
        assert not here.listener._dials
        assert not here.listener.port._routes


# Before aiortc is loaded, and the parts


async def test_checks_that_come_before_aiortc_is_loaded_are_few_and_not_lost() -> None:
    instance = Listener(
        await UdpPort.open(),
        certificate=Certificate.generate(),
        password=PASSWORD,
        make=transfer_peer,
    )
    async with Stranger.open() as stranger:
        recorded = bytes(check())
        for data in (recorded, *(recorded,) * 40, *JUNK.values(), bytes(check(password="x" * 24))):
            stranger.send(data, instance.port.port)
        for _ in range(listener.MAX_EARLY + 20):
            stranger.send(bytes(check()), instance.port.port)
        await until(lambda: len(instance._early) == listener.MAX_EARLY)
        early = [data for data, *_ in instance._early]
        assert len(set(early)) == listener.MAX_EARLY
        assert stranger.received == []
        accepting = asyncio.create_task(instance.accept())
        await until(lambda: len(instance._dials) == 1)
        assert not instance._early
        accepting.cancel()
        await asyncio.wait({accepting})
    await instance.close()
    await instance.close()


async def test_cancelled_accept_can_be_called_again() -> None:
    async with published() as here:
        here.accepting.cancel()
        await asyncio.wait({here.accepting})
        again = asyncio.create_task(here.listener.accept())
        await here.dial()
        assert set((await again).channels) == {"control", "data", "text"}


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
