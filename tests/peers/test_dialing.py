"""Dialing by code: which dialers connect, and the errors of the others."""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
from collections.abc import Iterator

import pytest

from dcsend.dtls.certificate import Certificate
from dcsend.errors import (
    AuthenticationFailed,
    CodeExpired,
    CodeUsed,
    ConnectionFailed,
    UsageError,
)
from dcsend.net.interfaces import Interface
from dcsend.net.udp import UdpPort
from dcsend.peers import diagnosis
from dcsend.peers.contract import Connection
from dcsend.peers.dialer import dial
from dcsend.peers.loading import transfer_peer
from dcsend.peers.sctp_transport import SctpTransport
from dcsend.peers.transfer import TransferConnection
from tests.support.load import Stopwatch
from tests.support.peers import (
    AGES,
    PASSWORD,
    Relay,
    half_open,
    has_ipv6,
    published,
    until,
)

pytestmark = pytest.mark.usefixtures("_no_traceback")


@pytest.fixture
def _no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test after which something was logged that a person would see."""
    yield
    seen = [r for r in caplog.get_records("call") if r.levelno >= logging.WARNING]
    assert not seen, [record.getMessage() for record in seen]


async def test_right_secret_connects_both_ways() -> None:
    async with published() as here:
        dialer_end, listener_end = await here.pair()
        dialer_end.channels["control"].send("hello")
        assert await listener_end.channels["control"].receive() == "hello"
        listener_end.channels["control"].send("you too")
        assert await dialer_end.channels["control"].receive() == "you too"


async def test_wrong_secret_is_told_and_starts_no_dial() -> None:
    async with published() as here:
        with pytest.raises(AuthenticationFailed, match="secret"):
            await here.dial(password="wrong" * 5, grace=0.05)
        assert not here.listener._dials
        assert not here.listener._tasks
        assert not here.errors
        await here.pair()


async def test_other_certificate_than_in_the_code_is_refused() -> None:
    async with published() as here:
        with pytest.raises(AuthenticationFailed, match="certificate"):
            await here.dial(fingerprint=secrets.token_bytes(32))
        assert not here.accepting.done()
        await here.pair()


async def test_listener_between_that_knows_the_secret_is_refused() -> None:
    async with published() as honest, published() as between:
        with pytest.raises(AuthenticationFailed, match="certificate"):
            await between.dial(fingerprint=honest.certificate.fingerprint)
        await honest.pair()


async def test_dialer_that_lies_about_its_certificate_is_refused() -> None:
    async with published() as here:
        liar = asyncio.create_task(here.dial(announced=secrets.token_bytes(32)))
        await until(lambda: bool(here.errors))
        assert isinstance(here.errors[0], AuthenticationFailed)
        assert "announced" in here.errors[0].message
        assert not here.accepting.done()
        await here.pair()
        liar.cancel()
        await asyncio.wait({liar})


async def test_second_dialer_is_told_that_the_code_is_used() -> None:
    async with published() as here:
        first, accepted = await here.pair()
        with pytest.raises(CodeUsed):
            await here.dial()
        first.channels["text"].send("still here")
        assert await accepted.channels["text"].receive() == "still here"


async def test_dialer_after_the_end_of_the_first_is_told_too() -> None:
    async with published() as here:
        first, accepted = await here.pair()
        await first.close()
        await accepted.close()
        with pytest.raises(CodeUsed):
            await here.dial()


async def test_expired_code_is_told() -> None:
    async with published() as here:
        await here.listener.expire()
        with pytest.raises(CodeExpired):
            await here.dial()
        assert not here.accepting.done()


async def test_expiry_leaves_the_accepted_connection_alone() -> None:
    async with published() as here:
        first, accepted = await here.pair()
        await here.listener.expire()
        first.channels["text"].send("still here")
        assert await accepted.channels["text"].receive() == "still here"
        with pytest.raises(CodeUsed):
            await here.dial()


async def test_nobody_there_is_told_within_the_timeout() -> None:
    silent = await UdpPort.open()
    watch = Stopwatch()
    try:
        with pytest.raises(ConnectionFailed, match=r"no answer from 127\.0\.0\.1"):
            await dial(
                [("127.0.0.1", silent.port)],
                password=PASSWORD,
                fingerprint=bytes(32),
                timeout=0.3,
                make=transfer_peer,
            )
        watch.assert_within(2)
    finally:
        await silent.close()


async def test_dialer_after_a_busy_listener_has_gone_is_told_of_the_other_one() -> None:
    async with published() as here:
        here.accepting.cancel()  # which would use the code up
        winning = asyncio.create_task(here.listener.accept())
        await here.dial()
        await winning
        late = asyncio.create_task(here.dial(timeout=4.0))
        async with asyncio.timeout(8):
            await here.listener.asked.wait()
        await here.listener.close()
        with pytest.raises(ConnectionFailed, match="another device was connected") as raised:
            await late
        assert "it has probably used the code" in raised.value.hint


async def test_one_right_address_among_several_is_found() -> None:
    silent = await UdpPort.open()
    try:
        async with published() as here:
            addresses = [
                *[("127.0.0.2", silent.port), ("192.0.2.1", 9), ("127.0.0.1", silent.port)],
                ("127.0.0.1", here.number),
            ]
            if has_ipv6():
                addresses.insert(0, ("::1", silent.port))
            connection = await here.dial(addresses=addresses, grace=0.0)
            assert connection.route.remote == "127.0.0.1"
    finally:
        await silent.close()


async def test_another_listener_among_the_addresses_does_not_end_the_try() -> None:
    # Both answer; the grace after the refusal ends while DTLS is still on its way.
    loop = asyncio.get_running_loop()
    async with (
        published(password="q" * 24) as other,
        published() as here,
        Relay.open(here.number) as relay,
    ):
        relay.held = []
        dialing = asyncio.create_task(
            here.dial(addresses=[("127.0.0.1", other.number), ("127.0.0.1", relay.port)], grace=0.3)
        )
        await until(lambda: bool(relay.held))
        settled = loop.time()
        await until(lambda: loop.time() > settled + 0.4)
        relay.release()
        await dialing


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
async def test_ipv6_alone_in_any_notation_connects() -> None:
    async with published() as here:
        connection = await here.dial(host="0:0:0:0:0:0:0:1")
        assert (connection.route.family, connection.route.remote) == ("IPv6", "::1")


async def test_no_address_of_a_family_we_have_is_told_and_leaks_no_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    only = [Interface("eth0", "192.168.1.7", 24)]
    monkeypatch.setattr(diagnosis, "interfaces", lambda: only)
    monkeypatch.setattr(diagnosis, "route_sources", list)
    monkeypatch.setattr(diagnosis, "has_route", lambda host: False)
    place = ("2001:db8::7", 40_000)
    with pytest.raises(ConnectionFailed, match="the code has IPv6 addresses only, and this mach"):
        await dial(
            [place], password=PASSWORD, fingerprint=bytes(32), timeout=99, make=transfer_peer
        )


async def test_port_that_is_taken_is_a_usage_error() -> None:
    async with published() as here:
        with pytest.raises(UsageError, match=str(here.number)):
            await here.dial(port=here.number)


async def test_of_racing_dialers_exactly_one_wins() -> None:
    async with published() as here:
        tries = [asyncio.create_task(here.dial(timeout=15)) for _ in range(4)]
        accepted = await here.accepting
        accepted.channels["text"].send("you")
        winners = 0
        for attempt in tries:
            # The others are refused, or cut off when they have just connected.
            try:
                connection = await attempt
                assert await connection.channels["text"].receive() == "you"
            except (CodeUsed, ConnectionFailed):
                continue
            winners += 1
        assert winners == 1
        await until(lambda: not here.listener._tasks)
        assert len(here.listener._dials) == 1


async def test_cancelled_dial_leaves_nothing_and_the_code_usable() -> None:
    async with published() as here:
        attempt = asyncio.create_task(here.dial())
        await until(lambda: bool(here.listener._dials))
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await here.pair()


async def test_closing_the_listener_ends_accept_and_dials() -> None:
    async with published() as here:
        attempt = asyncio.create_task(here.dial(timeout=1))
        await until(lambda: bool(here.listener._dials))
        await here.listener.close()
        with pytest.raises(ConnectionFailed, match="closed"):
            await here.accepting
        with pytest.raises(ConnectionFailed):
            await attempt
        assert not here.listener._tasks


async def test_dialer_that_never_finishes_is_dropped_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expire = half_open(monkeypatch)
    async with published(half_open_seconds=AGES) as here:
        with pytest.raises(AuthenticationFailed):
            await here.dial(fingerprint=bytes(32))
        assert not here.errors
        expire()
        await until(lambda: bool(here.errors))
        assert isinstance(here.errors[0], ConnectionFailed)
        assert not here.listener._dials
        assert not here.listener.port._routes


@pytest.mark.parametrize("lost_at", ["dialer", "listener"])
async def test_path_that_is_lost_ends_the_channels_in_silence(
    lost_at: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with published() as here:
        dialer_end, listener_end = await here.pair()
        end = dialer_end if lost_at == "dialer" else listener_end
        while end.channels["data"].send(bytes(64_960)):
            pass
        # What ICE does when the other side has not answered for half a minute.
        await _transfer(end)._ice_connection.close()
        with pytest.raises(ConnectionFailed, match="lost"):
            await end.channels["data"].receive()
        assert _bulk(end)._timer is None
        del end
    gc.collect()  # a task that failed unseen is reported when it goes
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


async def test_certificate_of_the_caller_is_used() -> None:
    certificate = Certificate.generate()
    async with published() as here:
        connection = await dial(
            [("127.0.0.1", here.number)],
            password=PASSWORD,
            fingerprint=here.certificate.fingerprint,
            timeout=5,
            make=transfer_peer,
            certificate=certificate,
        )
        here.dialed.append(connection)
        (dial_,) = here.listener._dials.values()
        ssl = dial_.connection._dtls._ssl
        seen = ssl.get_peer_certificate(as_cryptography=True) if ssl else None
        assert seen is not None
        assert Certificate(certificate.key, seen).fingerprint == certificate.fingerprint


async def test_error_names_the_seconds_after_which_consent_expired() -> None:
    async with published() as here:
        for end in await here.pair():
            ice = _transfer(end)._ice_connection
            ice.expired = True
            await ice.close()
            with pytest.raises(ConnectionFailed, match="silent for 30 s") as raised:
                await end.channels["text"].receive()
            assert raised.value.hint == "run it again on both sides"


def _transfer(connection: Connection) -> TransferConnection:
    assert isinstance(connection, TransferConnection)
    return connection


def _bulk(connection: Connection) -> SctpTransport:
    transport = _transfer(connection)._sctp
    assert isinstance(transport, SctpTransport)
    return transport
