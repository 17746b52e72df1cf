"""The accepted dialer connects again, and no other device does; real sockets, on loopback."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from dcsend.dtls.certificate import Certificate
from dcsend.errors import CodeUsed, ConnectionFailed
from dcsend.ice.checks import parse_check
from dcsend.ice.ufrag import encode_ufrag
from dcsend.net.address import Address
from dcsend.peers.listener import MAX_HALF_OPEN
from dcsend.peers.loading import transfer_peer
from dcsend.peers.redialing import redial
from dcsend.peers.transfer import TransferConnection
from dcsend.protocol.messages import RECONNECT, Hello, encode
from dcsend.session import interruption
from dcsend.session.lasting import LastingConnection
from dcsend.session.ways_back import Dialing, Listening
from dcsend.signaling.address import Address as CodeAddress
from dcsend.signaling.dialcode import DialCode, ice_password
from tests.support.peers import (
    LOCAL,
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

pytestmark = [pytest.mark.usefixtures("nothing_raised"), pytest.mark.full]


@dataclass
class HalfOpenSeconds:
    """Timeouts of dials."""

    seconds: float = 3.0

    def __call__(self) -> asyncio.Timeout:
        """Return the timeout of one dial."""
        return asyncio.timeout(self.seconds)


@dataclass
class Accepted:
    """A dialer that is accepted, over a relay, and may connect again."""

    here: Published
    relay: Relay
    certificate: Certificate
    dialer: TransferConnection
    accepted: TransferConnection
    half_open: HalfOpenSeconds
    stack: AsyncExitStack

    async def again(self, addresses: list[Address] | None = None) -> TransferConnection:
        """Dial again; return the new connection."""
        connection = await redial(
            addresses or [(LOCAL, self.here.number)],
            password=PASSWORD,
            fingerprint=self.here.certificate.fingerprint,
            certificate=self.certificate,
            make=transfer_peer,
            often=1.0,
        )
        self.here.dialed.append(connection)
        return connection


@pytest.fixture
async def pair() -> AsyncIterator[Accepted]:
    """Connect a dialer over a relay; the code is used."""
    half_open = HalfOpenSeconds()
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published(half_open=half_open))
        relay = await stack.enter_async_context(Relay.open(here.number))
        certificate = Certificate.generate()
        dialer = await here.dial(addresses=[(LOCAL, relay.port)], certificate=certificate)
        accepted = await here.accepting
        here.listener.let_return(accepted)
        yield Accepted(here, relay, certificate, dialer, accepted, half_open, stack)


async def test_dialer_with_the_same_certificate_connects_again(pair: Accepted) -> None:
    listener = pair.here.listener
    again = await pair.again()
    another = await listener.returned(pair.accepted)
    # The former connection goes on until it is replaced.
    await transfer(pair.dialer, pair.accepted, 3)
    listener.replace(pair.accepted, another)
    await pair.accepted.discard()
    await transfer(again, another, 3)
    await transfer(another, again, 3)
    # It can return once more.
    third = await pair.again()
    await transfer(third, await listener.returned(another), 3)
    assert not pair.here.errors


async def test_former_connection_is_discarded_without_a_datagram(pair: Accepted) -> None:
    await pair.again()
    pair.here.listener.replace(pair.accepted, await pair.here.listener.returned(pair.accepted))
    passed: list[bytes] = []

    def noting(data: bytes) -> bool:
        passed.append(data)
        return True

    pair.relay.passes = noting
    await pair.accepted.discard()
    # A datagram in order shows that there was none before it.
    pair.dialer.channels["text"].send("on the former path")
    await until(lambda: bool(passed))
    assert pair.dialer.channels["text"].is_open


async def test_other_device_with_a_used_code_is_refused_while_the_dialer_may_return(
    pair: Accepted,
) -> None:
    with pytest.raises(CodeUsed):
        await pair.here.dial()
    await transfer(pair.dialer, pair.accepted, 3)


async def test_other_device_that_names_the_certificate_of_the_dialer_does_not_connect(
    pair: Accepted,
) -> None:
    with pytest.raises(ConnectionFailed):
        await pair.here.dial(announced=pair.certificate.fingerprint, timeout=3)
    await until(lambda: len(pair.here.listener.dials) == 1)
    await transfer(pair.dialer, pair.accepted, 3)
    # It isn't reported either: the transfer goes on.
    assert not pair.here.errors


async def test_recorded_first_checks_do_not_disturb_the_connection(pair: Accepted) -> None:
    here, relay = pair.here, pair.relay
    # Checks that were recorded on the path, and have never arrived.
    other = await pair.stack.enter_async_context(Relay.open(here.number))
    other.passes = lambda data: False
    dialing = asyncio.create_task(pair.again([(LOCAL, other.port)]))
    recorded: list[bytes] = []

    def names() -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for data in other.checks:
            check = parse_check(data)
            assert check is not None
            found.setdefault(check.credentials.local_ufrag, data)
        return found

    async with asyncio.timeout(60):
        while len(recorded) < 4:
            await asyncio.sleep(0.1)
            recorded = list(names().values())
    dialing.cancel()
    await asyncio.wait({dialing})
    first = parse_check(recorded[0])
    assert first is not None
    host = await pair.stack.enter_async_context(UdpClient.open())
    host.answer = signed_answer(first.credentials.password)
    transferring = asyncio.create_task(transfer(pair.dialer, pair.accepted, 50))
    # From the address of the dialer: not answered, and the route of the connection stays.
    relay.spoof(recorded[0])
    for data in recorded[1:]:
        host.send(data, here.number)
        host.send(data, here.number)
    await until(lambda: len(here.listener.dials) > 1)
    assert len(here.listener.dials) <= MAX_HALF_OPEN
    await transferring
    await transfer(pair.accepted, pair.dialer, 10)
    # The dialer itself can return meanwhile.
    again = await pair.again()
    await transfer(again, await here.listener.returned(pair.accepted), 3)


async def test_many_half_open_returns_make_room_for_the_newest(pair: Accepted) -> None:
    listener = pair.here.listener
    names = []
    pair.half_open.seconds = 60
    # As after an outage of the direction from the listener: its answers do not arrive.
    for _ in range(MAX_HALF_OPEN + 4):
        host = await pair.stack.enter_async_context(UdpClient.open())
        ufrag = encode_ufrag(pair.certificate.fingerprint, secrets.token_hex(12))
        host.send(bytes(check(username=f"{ufrag}:{secrets.token_hex(4)}")), pair.here.number)
        names.append(ufrag)
        await until(lambda: names[-1] in {dial.name for dial in listener.dials})
        await asyncio.sleep(0)
    await until(lambda: len(listener.dials) == MAX_HALF_OPEN + 1)
    again = await pair.again()
    await transfer(again, await listener.returned(pair.accepted), 3)


async def test_of_the_attempts_that_wait_in_the_socket_only_the_last_is_answered(
    pair: Accepted,
) -> None:
    """As after a time in which the listener was stopped, and the dialer has dialed many times."""
    listener = pair.here.listener
    hosts = [await pair.stack.enter_async_context(UdpClient.open()) for _ in range(12)]
    ufrags = [encode_ufrag(pair.certificate.fingerprint, secrets.token_hex(12)) for _ in range(12)]
    for host, ufrag in zip(hosts, ufrags, strict=True):
        for _ in range(3):
            host.send(bytes(check(username=f"{ufrag}:{secrets.token_hex(4)}")), pair.here.number)
    await until(lambda: len(listener.dials) > 1)
    assert [dial.name for dial in listener.dials[1:]] == ufrags[-1:]
    await transfer(pair.dialer, pair.accepted, 3)


async def test_listener_with_another_certificate_is_not_the_same(pair: Accepted) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await redial(
                [(LOCAL, pair.here.number)],
                password=PASSWORD,
                fingerprint=bytes(32),
                certificate=pair.certificate,
                make=transfer_peer,
            )


async def test_nothing_is_lost_while_the_path_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends of the session layer, over sockets; one of two paths loses everything."""
    monkeypatch.setattr(interruption, "DOUBT", 1.0)
    secret = bytes(16)
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(published(password=ice_password(secret)))
        relay = await stack.enter_async_context(Relay.open(here.number))
        another = await stack.enter_async_context(Relay.open(here.number))
        another.passes = lambda data: False
        certificate = Certificate.generate()
        dialed = await here.dial(
            addresses=[(LOCAL, relay.port)],
            password=ice_password(secret),
            certificate=certificate,
        )
        code = DialCode(
            secret,
            here.certificate.fingerprint,
            relay.port,
            (CodeAddress(LOCAL, relay.port), CodeAddress(LOCAL, another.port)),
            int(time.time()) + 60,
        )
        accepted = await here.accepting
        ends = (
            LastingConnection(dialed, Dialing(code, certificate), lambda event: None, 60),
            LastingConnection(accepted, Listening(here.listener, accepted), lambda event: None, 60),
        )
        for end in ends:
            end.channels["control"].send(encode(Hello((1,), "test", "sender", (RECONNECT,))))
        for end in ends:
            await end.channels["control"].receive()
            end.accepted()
        following = [asyncio.create_task(end.channels["control"].receive()) for end in ends]
        sending = asyncio.create_task(transfer(ends[1], ends[0], 200))
        former = ends[0].link
        await asyncio.sleep(0.2)
        relay.passes = lambda data: False
        await until(lambda: bool(another.checks))
        another.passes = lambda data: True
        await sending
        await transfer(ends[0], ends[1], 20)
        assert ends[0].link is not former
        for task in following:
            task.cancel()
        await asyncio.wait(following)
        for end in ends:
            await end.close()
