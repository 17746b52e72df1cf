"""Recorded and forged datagrams, from other addresses or with the address of the peer.

Real sockets on loopback, one for each unknown host.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aioice.stun import parse_message

from dcsend.ice import endpoint
from dcsend.ice.checks import parse_check
from dcsend.ice.stun import is_binding_request
from tests.support.junk import JUNK, stun
from tests.support.peers import (
    AGES,
    Published,
    Relay,
    Stranger,
    check,
    half_open,
    published,
    signed_answer,
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


async def replayers(stack: AsyncExitStack, count: int, password: str) -> list[Stranger]:
    """Open hosts that have the password of the dialer, which each of its checks contains."""
    opened = [await stack.enter_async_context(Stranger.open()) for _ in range(count)]
    for stranger in opened:
        stranger.answer = signed_answer(password)
    return opened


def password_in(data: bytes) -> str:
    parsed = parse_check(data)
    assert parsed is not None
    return parsed.credentials.password


async def test_replayed_checks_neither_open_dials_nor_draw_the_transfer_away() -> None:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published())
        relay = await stack.enter_async_context(Relay.open(here.number))
        strangers = await stack.enter_async_context(_Replay(relay, here))
        # During: each check goes out again from many addresses as soon as it is seen.
        dialer, accepted = await here.pair_over(relay)
        await strangers.replay()
        assert len(here.listener._dials) == 1
        # After: with and without the flag that nominates.
        await transfer(dialer, accepted, 10)
        await strangers.replay()
        await transfer(accepted, dialer, 10)
        assert len(here.listener._dials) == 1
        assert set(here.listener.port._routes) == {relay.inner.get_extra_info("sockname")}
        assert accepted.route.remote == "127.0.0.1"
        assert not strangers.got_dtls


async def test_replay_from_a_source_that_came_in_before_does_not_draw_the_dial_away() -> None:
    username = check().attributes["USERNAME"]
    answer = signed_answer(password_in(bytes(check(username=username))))
    async with published() as here, Stranger.open() as dialer, Stranger.open() as other:
        dialer.answer = other.answer = answer
        other.send(bytes(check(username=username, without="USE-CANDIDATE")), here.number)
        await until(lambda: bool(here.listener._dials))
        (dial,) = here.listener._dials.values()
        nominating = bytes(check(username=username))
        dialer.send(nominating, here.number)
        await until(lambda: dial.endpoint.is_settled)
        await until(lambda: len(other.received) > 1)
        other.send(nominating, here.number)
        await dialer.silence(here.number, here.listener)
        (pair,) = dial.endpoint.connection._nominated.values()
        assert pair.remote_addr == dialer.address


async def test_new_source_of_a_settled_dial_is_ignored() -> None:
    username = check().attributes["USERNAME"]
    answer = signed_answer(password_in(bytes(check(username=username))))
    async with published() as here, Stranger.open() as dialer, Stranger.open() as other:
        dialer.answer = other.answer = answer
        dialer.send(bytes(check(username=username)), here.number)
        await until(lambda: bool(here.listener._dials))
        (dial,) = here.listener._dials.values()
        await until(lambda: dial.endpoint.is_settled)
        other.send(bytes(check(username=username)), here.number)
        await other.silence(here.number, here.listener)
        assert other.received == []
        assert set(here.listener.port._routes) == {dialer.address}


async def test_replayed_check_of_an_ended_try_opens_no_dial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expire = half_open(monkeypatch)
    async with published(half_open_seconds=AGES) as here, AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(Stranger.open()) for _ in range(2)]
        recorded = bytes(check())
        first.send(recorded, here.number)
        await until(lambda: bool(here.listener._dials))
        expire()
        await until(lambda: bool(here.errors))
        for stranger in (first, second):
            stranger.received.clear()
            stranger.send(recorded, here.number)
            await stranger.silence(here.number, here.listener)
            assert stranger.received == []
        assert not here.listener._dials
        await here.pair()


async def test_replayed_check_asks_for_no_place() -> None:
    """Otherwise a replay could replace the connected dialer."""
    async with published() as here, Stranger.open() as other:
        here.accepting.cancel()
        await asyncio.wait({here.accepting})
        await asyncio.gather(here.dial(), here.listener.accept())
        recorded = bytes(check())
        other.send(recorded, here.number)
        await until(lambda: len(other.received) == 1)
        assert here.listener.asked.is_set()
        here.listener.asked.clear()
        other.send(recorded, here.number)
        await until(lambda: len(other.received) == 2)
        assert not here.listener.asked.is_set()
        other.send(bytes(check()), here.number)
        await until(here.listener.asked.is_set)


async def test_sources_of_one_dial_are_few() -> None:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published())
        username = check().attributes["USERNAME"]
        for _ in range(endpoint.MAX_SOURCES + 5):
            stranger = await stack.enter_async_context(Stranger.open())
            stranger.send(bytes(check(username=username)), here.number)
            await stranger.silence(here.number, here.listener)
        assert len(here.listener._dials) == 1
        assert len(here.listener.port._routes) == endpoint.MAX_SOURCES
        (dial,) = here.listener._dials.values()
        assert len(dial.endpoint.connection._remote_candidates) <= endpoint.MAX_SOURCES


# Datagrams with the address of the peer


async def test_spoofed_datagrams_from_the_peers_address_do_not_end_the_transfer() -> None:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published())
        relay = await stack.enter_async_context(Relay.open(here.number))
        dialer, accepted = await here.pair_over(relay)
        (dial,) = here.listener._dials.values()
        genuine = relay.checks[0]
        dtls = next(d for d in relay.seen if d and d[0] == 23)
        forged = [
            *JUNK.values(),
            bytes(check(password="x" * 24, username=parse_message(genuine).attributes["USERNAME"])),
            bytes(check()),
            genuine,
            genuine[:-4] + bytes(4),
            dtls,
            dtls[:-1] + bytes([dtls[-1] ^ 1]),
            dtls[:11] + b"\xff\xff" + dtls[13:],
            bytes.fromhex("15fefd00000000000000090002 0228"),  # a fatal alert, unencrypted
            bytes.fromhex("15fefd00010000000000090002 0100"),  # like close_notify, unprotected
            bytes([20]) + bytes(30),
            bytes([63]) * 60_000,
            stun(b"", kind=0x0111),
        ]
        sending = asyncio.create_task(transfer(dialer, accepted, 30))
        for _ in range(20):
            for data in forged:
                relay.spoof(data)
            await asyncio.sleep(0)
        await sending
        await transfer(accepted, dialer, 10)
        assert list(here.listener._dials.values()) == [dial]
        assert len(dial.endpoint.connection._remote_candidates) == 1
        assert len(dial.endpoint.connection._check_list) == 1


async def test_what_anybody_could_have_sent_is_no_sign_of_life() -> None:
    async with published() as here, Stranger.open() as peer:
        genuine = bytes(check())
        peer.send(genuine, here.number)
        await until(lambda: bool(here.listener._dials))
        (dial,) = here.listener._dials.values()
        await until(lambda: any(is_binding_request(data) for data, _ in peer.received))
        triggered = next(data for data, _ in peer.received if is_binding_request(data))
        protocol = dial.endpoint._protocols[socket.AF_INET]
        before = protocol.arrived
        assert before == 1
        forged = [
            *JUNK.values(),
            bytes(check(password="x" * 24, username=parse_message(genuine).attributes["USERNAME"])),
            genuine[:-9] + bytes([genuine[-9] ^ 1]) + genuine[-8:],
            signed_answer("x" * 24)(triggered) or b"",
            bytes.fromhex("17fefd00010000000000090028") + bytes(40),
        ]
        for data in forged:
            peer.send(data, here.number)
        await peer.silence(here.number, here.listener)
        assert protocol.arrived == before


async def test_datagrams_before_dtls_are_kept_only_so_many() -> None:
    async with published() as here, Stranger.open() as stranger:
        stranger.send(bytes(check()), here.number)
        await until(lambda: bool(here.listener._dials))
        (dial,) = here.listener._dials.values()
        (protocol,) = {h.__self__ for h in here.listener.port._routes.values()}  # type: ignore[attr-defined]
        for _ in range(20_000):
            protocol.datagram_received(bytes([22]) * 60_000, stranger.address)
        assert dial.endpoint.connection._queue.qsize() == 0
        for _ in range(20_000):
            protocol.datagram_received(bytes([22]) * 1500, stranger.address)
        assert dial.endpoint.connection._queue.qsize() == 8192


class _Replay:
    """Sends copies of the checks of a dialer from other addresses."""

    def __init__(self, relay: Relay, here: Published) -> None:
        self._relay = relay
        self._here = here
        self._stack = AsyncExitStack()
        self._strangers: list[Stranger] = []

    async def __aenter__(self) -> _Replay:
        self._strangers = await replayers(self._stack, 20, "unknown yet+unknown yet")
        pass_on = self._relay.inner.sendto

        def both(data: bytes, target: tuple[str, int]) -> None:
            pass_on(data, target)
            if is_binding_request(data):
                self._send(data)

        self._relay.inner.sendto = both  # type: ignore[method-assign, assignment]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    def _send(self, data: bytes) -> None:
        for stranger in self._strangers:
            stranger.answer = signed_answer(password_in(data))
            stranger.send(data, self._here.number)

    async def replay(self) -> None:
        """Send a copy of every check of the dialer, and wait until the listener has read it."""
        for data in self._relay.checks:
            self._send(data)
        await self._strangers[0].silence(self._here.number, self._here.listener)

    @property
    def got_dtls(self) -> bool:
        """Whether one of them has received DTLS for the dialer."""
        return any(d[0] >= 20 for s in self._strangers for d, _ in s.received)
