"""Recorded and forged datagrams, from other addresses or with the address of the peer.

Real sockets on loopback, one for each unknown host.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from aioice.stun import parse_message

from dcsend.ice import endpoint
from dcsend.ice.agent import nominated
from dcsend.ice.checks import parse_check
from dcsend.ice.connection import MAX_QUEUED
from dcsend.ice.stun import is_binding_request
from dcsend.net.address import Address
from tests.support.junk import JUNK, stun
from tests.support.peers import (
    HalfOpen,
    Published,
    Relay,
    UdpClient,
    check,
    published,
    signed_answer,
    transfer,
    until,
)

pytestmark = pytest.mark.usefixtures("nothing_raised")


async def replayers(stack: AsyncExitStack, count: int, password: str) -> list[UdpClient]:
    """Open hosts that have the password of the dialer, which each of its checks contains."""
    opened = [await stack.enter_async_context(UdpClient.open()) for _ in range(count)]
    for client in opened:
        client.answer = signed_answer(password)
    return opened


def password_in(data: bytes) -> str:
    parsed = parse_check(data)
    assert parsed is not None
    return parsed.credentials.password


async def test_replayed_checks_neither_open_dials_nor_draw_the_transfer_away() -> None:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published())
        relay = await stack.enter_async_context(Relay.open(here.number))
        clients = await stack.enter_async_context(_Replay(relay, here))
        # During: each check goes out again from many addresses as soon as it is seen.
        dialer, accepted = await here.pair_over(relay)
        await clients.replay()
        assert len(here.listener.dials) == 1
        # After: with and without the flag that nominates.
        await transfer(dialer, accepted, 10)
        await clients.replay()
        await transfer(accepted, dialer, 10)
        assert len(here.listener.dials) == 1
        assert here.listener.dials[0].endpoint.has_route(relay.inner.get_extra_info("sockname"))
        assert accepted.route.remote == "127.0.0.1"
        assert not clients.have_route
        assert not clients.got_dtls


async def test_replay_from_a_source_that_came_in_before_does_not_draw_the_dial_away() -> None:
    username = check().attributes["USERNAME"]
    answer = signed_answer(password_in(bytes(check(username=username))))
    async with published() as here, UdpClient.open() as dialer, UdpClient.open() as other:
        dialer.answer = other.answer = answer
        other.send(bytes(check(username=username, without="USE-CANDIDATE")), here.number)
        await until(lambda: bool(here.listener.dials))
        (dial,) = here.listener.dials
        nominating = bytes(check(username=username))
        dialer.send(nominating, here.number)
        await until(lambda: dial.endpoint.is_settled)
        await until(lambda: len(other.received) > 1)
        other.send(nominating, here.number)
        await dialer.silence(here.number, here.listener)
        pair = nominated(dial.endpoint.connection)
        assert pair is not None
        assert pair.remote_addr == dialer.address


async def test_new_source_of_a_settled_dial_is_checked_and_gets_no_data() -> None:
    username = check().attributes["USERNAME"]
    answer = signed_answer(password_in(bytes(check(username=username))))
    async with published() as here, UdpClient.open() as dialer, UdpClient.open() as other:
        dialer.answer = other.answer = answer
        dialer.send(bytes(check(username=username)), here.number)
        await until(lambda: bool(here.listener.dials))
        (dial,) = here.listener.dials
        await until(lambda: dial.endpoint.is_settled)
        before = len(dialer.received)
        other.send(bytes(check(username=username)), here.number)
        await until(lambda: any(is_binding_request(data) for data, _ in other.received))
        await until(lambda: any(is_binding_request(data) for data, _ in dialer.received[before:]))
        await dialer.silence(here.number, here.listener)
        pair = nominated(dial.endpoint.connection)
        assert pair is not None
        assert pair.remote_addr == dialer.address
        assert not any(20 <= data[0] <= 63 for data, _ in other.received)


async def test_few_of_the_addresses_that_a_peer_had_keep_a_route() -> None:
    username = check().attributes["USERNAME"]
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published())
        clients = [await stack.enter_async_context(UdpClient.open()) for _ in range(20)]
        answer = signed_answer(password_in(bytes(check(username=username))))
        clients[0].answer = answer
        clients[0].send(bytes(check(username=username)), here.number)
        await until(lambda: bool(here.listener.dials))
        (dial,) = here.listener.dials
        await until(lambda: dial.endpoint.is_settled)
        for client in clients[1:]:
            client.send(bytes(check(username=username)), here.number)
            await until(lambda client=client: bool(client.received))  # type: ignore[misc]
        routed = [dial.endpoint.has_route(client.address) for client in clients]
        assert routed == [True] + [False] * (19 - endpoint.MAX_LATER) + [True] * endpoint.MAX_LATER


async def test_replayed_check_of_an_ended_try_opens_no_dial() -> None:
    half_open = HalfOpen()
    async with published(half_open=half_open) as here, AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(UdpClient.open()) for _ in range(2)]
        recorded = bytes(check())
        first.send(recorded, here.number)
        await until(lambda: bool(here.listener.dials))
        half_open.expire()
        await until(lambda: bool(here.errors))
        for client in (first, second):
            client.received.clear()
            client.send(recorded, here.number)
            await client.silence(here.number, here.listener)
            assert client.received == []
        assert not here.listener.dials
        await here.pair()


async def test_replayed_check_asks_for_no_place() -> None:
    """Otherwise a replay could replace the connected dialer."""
    async with published() as here, UdpClient.open() as other:
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
        sources: list[Address] = []
        for _ in range(endpoint.MAX_SOURCES + 5):
            client = await stack.enter_async_context(UdpClient.open())
            client.send(bytes(check(username=username)), here.number)
            await client.silence(here.number, here.listener)
            sources.append(client.address)
        (dial,) = here.listener.dials
        assert sum(map(dial.endpoint.has_route, sources)) == endpoint.MAX_SOURCES
        assert len(dial.endpoint.connection.remote_candidates) <= endpoint.MAX_SOURCES


# Datagrams with the address of the peer


async def test_spoofed_datagrams_from_the_peers_address_do_not_end_the_transfer() -> None:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published())
        relay = await stack.enter_async_context(Relay.open(here.number))
        dialer, accepted = await here.pair_over(relay)
        (dial,) = here.listener.dials
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
        assert here.listener.dials == (dial,)
        assert len(dial.endpoint.connection.remote_candidates) == 1


async def test_datagrams_that_are_not_authentic_are_not_counted_as_of_the_peer() -> None:
    async with published() as here, UdpClient.open() as peer:
        genuine = bytes(check())
        peer.send(genuine, here.number)
        await until(lambda: bool(here.listener.dials))
        (dial,) = here.listener.dials
        await until(lambda: any(is_binding_request(data) for data, _ in peer.received))
        triggered = next(data for data, _ in peer.received if is_binding_request(data))
        ice = dial.endpoint.connection
        assert ice.arrived == 1
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
        assert ice.arrived == 1


async def test_datagrams_before_dtls_are_kept_only_so_many() -> None:
    async with published() as here, UdpClient.open() as client:
        client.send(bytes(check()), here.number)
        await until(lambda: bool(here.listener.dials))
        (dial,) = here.listener.dials
        received, ice = here.listener.port.received, dial.endpoint.connection
        for _ in range(20_000):
            received(bytes([22]) * 60_000, client.address)
        assert ice.queued == 0
        for _ in range(20_000):
            received(bytes([22]) * 1500, client.address)
        assert ice.queued == MAX_QUEUED


class _Replay:
    """Sends copies of the checks of a dialer from other addresses."""

    def __init__(self, relay: Relay, here: Published) -> None:
        self._relay = relay
        self._here = here
        self._stack = AsyncExitStack()
        self._clients: list[UdpClient] = []

    async def __aenter__(self) -> _Replay:
        self._clients = await replayers(self._stack, 20, "unknown yet+unknown yet")
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
        for client in self._clients:
            client.answer = signed_answer(password_in(data))
            client.send(data, self._here.number)

    async def replay(self) -> None:
        """Send a copy of every check of the dialer, and wait until the listener has read it."""
        for data in self._relay.checks:
            self._send(data)
        await self._clients[0].silence(self._here.number, self._here.listener)

    @property
    def have_route(self) -> bool:
        """Whether one of them has a route on the port of the listener."""
        return any(self._here.listener.port.routed(one.address) for one in self._clients)

    @property
    def got_dtls(self) -> bool:
        """Whether one of them has received DTLS for the dialer."""
        return any(d[0] >= 20 for s in self._clients for d, _ in s.received)
