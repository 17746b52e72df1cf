"""What strangers send to a listener, and what they can't make it do.

Everything comes over real sockets on loopback, each stranger from one of its own.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aioice.stun import Message, parse_message

from dcsend.engines import listener
from dcsend.engines.base import Connection
from dcsend.engines.certificate import Certificate
from dcsend.engines.checks import Refusal, parse_check, refuse
from dcsend.engines.listener import Listener
from dcsend.engines.quota import Budget, SeenChecks
from dcsend.engines.stun import binding_request, is_binding_request
from dcsend.engines.udp import UdpPort
from dcsend.errors import ConnectionFailed
from tests.peers import (
    PASSWORD,
    Published,
    Relay,
    Stranger,
    check,
    published,
    signed_answer,
    until,
)


@pytest.fixture(autouse=True)
async def _nothing_raised(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Fail a test in which a datagram raised into the loop, or logged what a person would see."""
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: raised.append(context))
    yield
    assert not raised
    assert not [r.getMessage() for r in caplog.get_records("call") if r.levelno >= logging.WARNING]


def stun(body: bytes, *, kind: int = 1, length: int | None = None) -> bytes:
    """Return a STUN message with any attributes."""
    size = len(body) if length is None else length
    return struct.pack("!HHI", kind, size, 0x2112A442) + secrets.token_bytes(12) + body


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def spoiled(kind: int, value: bytes) -> bytes:
    """Return a request, without MESSAGE-INTEGRITY first, that has one strange attribute."""
    return stun(attribute(6, b"dc1/") + attribute(kind, value))


JUNK = {
    "empty": b"",
    "one-byte": b"\x00",
    "text": b"hello",
    "short-header": stun(b"")[:19],
    "bare-request": binding_request(bytes(12)),
    "length-too-long": stun(b"", length=8),
    "length-too-short": stun(bytes(8), length=4),
    "attribute-cut": stun(struct.pack("!HH", 6, 400)),
    "username-not-utf8": spoiled(6, b"\xff\xfe\xfd"),
    "username-alone": spoiled(6, b"dc1/" + b"A" * 67 + b":abcd"),
    "priority-short": spoiled(0x24, b"\x00"),
    "role-long": spoiled(0x802A, bytes(9)),
    "address-short": spoiled(0x20, b"\x00"),
    "error-code-not-utf8": spoiled(9, b"\x00\x00\x04\x00\xff"),
    "wrong-fingerprint": spoiled(0x8028, bytes(4)),
    "method-unknown": stun(b"", kind=0x0EEF),
    "response": stun(b"", kind=0x0101),
    "indication": stun(b"", kind=0x0011),
    "huge-stun": stun(attribute(0x8022, bytes(60_000))),
    "many-attributes": stun(attribute(0x24, bytes(4)) * 5000),
    "client-hello": bytes.fromhex("16feff0000000000000000000401000000"),
    "rtp": bytes([128]) + bytes(40),
}


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
        routes, seen = len(here.listener.port._routes), len(here.listener._seen)
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
        assert len(here.listener._seen) <= seen + 10
        assert not here.listener._tasks


async def transfer(source: Connection, target: Connection, count: int) -> None:
    """Send large messages and see them arrive."""

    async def send() -> None:
        for number in range(count):
            while not source.channels["data"].send(bytes([number]) * 64_960):
                await source.channels["data"].writable()

    async with asyncio.timeout(30):
        sending = asyncio.create_task(send())
        for number in range(count):
            assert await target.channels["data"].receive() == bytes([number]) * 64_960
        await sending


async def test_half_open_dials_are_few_and_end_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HALF_OPEN_SECONDS", 0.3)
    async with published() as here, Stranger.open() as stranger:
        for _ in range(100):
            stranger.send(bytes(check()), here.number)
        await stranger.silence(here.number, here.listener)
        assert len(here.listener._dials) == listener.MAX_HALF_OPEN
        await until(lambda: not here.listener._tasks)
        assert not here.listener._dials
        assert not here.listener.port._routes
        assert {type(e) for e in here.errors} == {ConnectionFailed}
        assert len(here.errors) == listener.MAX_HALF_OPEN
        await here.pair()


async def test_dial_that_found_no_room_comes_in_when_there_is_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "HALF_OPEN_SECONDS", 1.0)
    monkeypatch.setattr(listener, "MAX_HALF_OPEN", 1)
    async with published() as here, Stranger.open() as stranger:
        stranger.send(bytes(check()), here.number)
        await until(lambda: bool(here.listener._dials))
        # Repeats its check with the same transaction id until the slot is free.
        await here.pair()


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
        await here.listener.expire()
        assert not here.listener._dials
        assert not here.listener.port._routes


# Replayed checks


async def replayers(stack: AsyncExitStack, count: int, password: str) -> list[Stranger]:
    """Open strangers that know the dialer's password, which any check shows."""
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


async def test_replayed_check_of_an_ended_try_opens_no_dial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "HALF_OPEN_SECONDS", 0.2)
    async with published() as here, Stranger.open() as first, Stranger.open() as second:
        recorded = bytes(check())
        first.send(recorded, here.number)
        await until(lambda: bool(here.errors))
        for stranger in (first, second):
            stranger.received.clear()
            stranger.send(recorded, here.number)
            await stranger.silence(here.number, here.listener)
            assert stranger.received == []
        assert not here.listener._dials
        await here.pair()


async def test_sources_of_one_dial_are_few() -> None:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published())
        username = check().attributes["USERNAME"]
        for _ in range(listener.MAX_SOURCES + 5):
            stranger = await stack.enter_async_context(Stranger.open())
            stranger.send(bytes(check(username=username)), here.number)
            await stranger.silence(here.number, here.listener)
        assert len(here.listener._dials) == 1
        assert len(here.listener.port._routes) == listener.MAX_SOURCES
        (dial,) = here.listener._dials.values()
        assert len(dial._ice._remote_candidates) <= listener.MAX_SOURCES


# Datagrams that claim to come from the peer itself


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
            bytes.fromhex("15fefd00010000000000090002 0100"),  # close_notify, so to say
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
        assert len(dial._ice._remote_candidates) == 1
        assert len(dial._ice._check_list) == 1


async def test_datagrams_before_dtls_are_kept_only_so_many() -> None:
    async with published() as here, Stranger.open() as stranger:
        stranger.send(bytes(check()), here.number)
        await until(lambda: bool(here.listener._dials))
        (dial,) = here.listener._dials.values()
        (protocol,) = {h.__self__ for h in here.listener.port._routes.values()}  # type: ignore[attr-defined]
        for _ in range(20_000):
            protocol.datagram_received(bytes([22]) * 100, stranger.address)
        assert dial._ice._queue.qsize() == 8192


# Before and beside


async def test_checks_that_come_before_aiortc_is_loaded_are_few_and_not_lost() -> None:
    instance = Listener(await UdpPort.open(), certificate=Certificate.generate(), password=PASSWORD)
    async with Stranger.open() as stranger:
        for _ in range(listener.MAX_EARLY + 20):
            stranger.send(bytes(check(password="x" * 24)), instance.port.port)
        await until(lambda: len(instance._early) == listener.MAX_EARLY)
        assert stranger.received == []
        accepting = asyncio.create_task(instance.accept())
        await until(lambda: len(stranger.received) >= listener.MAX_EARLY)
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


def test_budget_gives_a_seconds_worth_at_once_and_fills_up() -> None:
    budget = Budget(10)
    assert [budget.take(100.0) for _ in range(11)] == [True] * 10 + [False]
    assert [budget.take(100.25) for _ in range(3)] == [True, True, False]
    assert [budget.take(500.0) for _ in range(11)] == [True] * 10 + [False]


def test_seen_checks_tell_replays_and_forget_the_oldest() -> None:
    seen = SeenChecks(limit=3)
    here, there = ("192.0.2.1", 1), ("192.0.2.1", 2)
    assert seen.is_new(b"a")
    assert seen.add(b"a", here)
    assert seen.add(b"a", here)
    assert not seen.add(b"a", there)
    for name in (b"b", b"c", b"d"):
        assert seen.add(name, there)
    assert len(seen) == 3
    assert seen.is_new(b"a")
    assert not seen.add(b"d", here)


class _Replay:
    """Sends what a relay has seen again, from addresses of its own."""

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
        """Send every check of the dialer again, and wait until the listener has read it."""
        for data in self._relay.checks:
            self._send(data)
        await self._strangers[0].silence(self._here.number, self._here.listener)

    @property
    def got_dtls(self) -> bool:
        """Whether one of them was sent what is for the dialer."""
        return any(d[0] >= 20 for s in self._strangers for d, _ in s.received)
