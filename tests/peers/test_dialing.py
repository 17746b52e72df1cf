"""Dialing by code: which dialers connect, and the errors of the others."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import secrets
from collections.abc import Iterable

import pytest

from dcsend.dtls.certificate import Certificate
from dcsend.errors import (
    AuthenticationFailed,
    CodeExpired,
    CodeUsed,
    ConnectionFailed,
    UsageError,
)
from dcsend.net.udp import UdpPort
from dcsend.peers.dialer import dial
from dcsend.peers.loading import transfer_peer
from dcsend.peers.situations import Facts, RemoteAddress, Role
from tests.support.peers import (
    PASSWORD,
    HalfOpen,
    Relay,
    has_ipv6,
    published,
    until,
)

pytestmark = pytest.mark.usefixtures("no_warnings")

APPLICATION_DATA = 23
"Content type of the DTLS records with packets of SCTP."


async def test_right_secret_connects_both_ways() -> None:
    async with published() as here:
        dialer_end, listener_end = await here.pair()
        dialer_end.channels["control"].send("hello")
        assert await listener_end.channels["control"].receive() == "hello"
        listener_end.channels["control"].send("you too")
        assert await dialer_end.channels["control"].receive() == "you too"


async def test_wrong_secret_is_an_error_and_starts_no_dial() -> None:
    async with published() as here:
        with pytest.raises(AuthenticationFailed, match="secret"):
            await here.dial(password="wrong" * 5, grace=0.05)
        assert not here.listener.dials
        assert not here.errors
        await here.pair()


async def test_other_certificate_than_in_the_code_is_refused() -> None:
    async with published() as here:
        with pytest.raises(AuthenticationFailed, match="certificate"):
            await here.dial(fingerprint=secrets.token_bytes(32))
        assert not here.accepting.done()
        await here.pair()


async def test_listener_between_that_has_the_secret_is_refused() -> None:
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


async def test_second_dialer_gets_the_error_that_the_code_is_used() -> None:
    async with published() as here:
        first, accepted = await here.pair()
        with pytest.raises(CodeUsed):
            await here.dial()
        first.channels["text"].send("still here")
        assert await accepted.channels["text"].receive() == "still here"


async def test_dialer_after_the_end_of_the_first_gets_the_error_too() -> None:
    async with published() as here:
        first, accepted = await here.pair()
        await first.close()
        await accepted.close()
        with pytest.raises(CodeUsed):
            await here.dial()


async def test_expired_code_is_an_error() -> None:
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


@pytest.mark.full
async def test_error_after_a_busy_listener_has_gone_names_the_other_dialer() -> None:
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


@pytest.mark.full
async def test_another_listener_among_the_addresses_does_not_end_the_try(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Both answer; the grace after the refusal ends while DTLS is still on its way.
    caplog.set_level(logging.DEBUG, "dcsend.peers.dialer")
    grace = 0.3
    async with (
        published(password="q" * 24) as other,
        published() as here,
        Relay.open(here.number) as relay,
    ):
        relay.held = []
        dialing = asyncio.create_task(
            here.dial(
                addresses=[("127.0.0.1", other.number), ("127.0.0.1", relay.port)], grace=grace
            )
        )
        await until(lambda: bool(relay.held))
        await until(lambda: "a check was refused: error 401" in caplog.messages)
        await asyncio.sleep(grace)  # the timer of the dialer was set before this one
        relay.release()
        await dialing


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
async def test_ipv6_alone_in_any_notation_connects() -> None:
    async with published() as here:
        connection = await here.dial(host="0:0:0:0:0:0:0:1")
        assert (connection.route.family, connection.route.remote) == ("IPv6", "::1")


async def test_no_address_of_a_family_we_have_is_an_error_and_leaks_no_port() -> None:
    def examine(role: Role, theirs: Iterable[RemoteAddress]) -> Facts:
        return Facts(role, tuple(theirs), (ipaddress.ip_interface("192.168.1.7/24"),))

    with pytest.raises(ConnectionFailed, match="the code has IPv6 addresses only, and this mach"):
        await dial(
            [("2001:db8::7", 40_000)],
            password=PASSWORD,
            fingerprint=bytes(32),
            timeout=99,
            make=transfer_peer,
            examine=examine,
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
        await until(lambda: len(here.listener.dials) == 1)


@pytest.mark.full
async def test_dialer_that_is_disconnected_by_a_faster_one_dials_again() -> None:
    async with published() as here, Relay.open(here.number) as relay:
        relay.passes = lambda data: data[0] != APPLICATION_DATA
        slow = asyncio.create_task(here.dial(addresses=[("127.0.0.1", relay.port)]))
        await until(lambda: any(data[0] == APPLICATION_DATA for data in relay.seen))
        await here.pair()
        with pytest.raises(CodeUsed):
            await slow
        assert len(relay.dialers) == 2


@pytest.mark.full
async def test_dialer_that_is_disconnected_twice_gives_up() -> None:
    async with published() as here, Relay.open(here.number) as relay:
        relay.passes = lambda data: data[0] != APPLICATION_DATA
        slow = asyncio.create_task(here.dial(addresses=[("127.0.0.1", relay.port)]))
        for _ in range(2):
            await until(lambda: any(data[0] == APPLICATION_DATA for data in relay.seen))
            (losing,) = here.listener.dials
            losing.cancel()
            await until(lambda: not here.listener.dials)
            relay.seen.clear()
        with pytest.raises(ConnectionFailed, match="lost"):
            await slow
        assert len(relay.dialers) == 2


@pytest.mark.full
async def test_listener_that_answers_later_than_another_one_is_reached() -> None:
    async with (
        published(password="q" * 24) as other,
        published() as here,
        Relay.open(here.number) as relay,
    ):
        relay.delay = 0.1
        await here.dial(addresses=[("127.0.0.1", other.number), ("127.0.0.1", relay.port)])


async def test_cancelled_dial_leaves_nothing_and_the_code_usable() -> None:
    async with published() as here:
        attempt = asyncio.create_task(here.dial())
        await until(lambda: bool(here.listener.dials))
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await here.pair()


@pytest.mark.full
async def test_closing_the_listener_ends_accept_and_dials() -> None:
    async with published() as here:
        attempt = asyncio.create_task(here.dial(timeout=1))
        await until(lambda: bool(here.listener.dials))
        await here.listener.close()
        with pytest.raises(ConnectionFailed, match="closed"):
            await here.accepting
        with pytest.raises(ConnectionFailed):
            await attempt


async def test_dialer_that_never_finishes_is_dropped_in_time() -> None:
    half_open = HalfOpen()
    async with published(half_open=half_open) as here, Relay.open(here.number) as relay:
        with pytest.raises(AuthenticationFailed):
            await here.dial(addresses=[("127.0.0.1", relay.port)], fingerprint=bytes(32))
        assert not here.errors
        half_open.expire()
        await until(lambda: bool(here.errors))
        assert isinstance(here.errors[0], ConnectionFailed)
        assert not here.listener.dials
        assert here.listener.port.routed(relay.inner.get_extra_info("sockname")) is None


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
        await end.ice.close()
        with pytest.raises(ConnectionFailed, match="lost"):
            await end.channels["data"].receive()
        assert end.sctp.is_closed  # so nothing is retransmitted
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
        (dial_,) = here.listener.dials
        seen = dial_.connection.dtls.peer_certificate
        assert seen is not None
        assert Certificate(certificate.key, seen).fingerprint == certificate.fingerprint


async def test_error_names_the_seconds_after_which_consent_expired() -> None:
    async with published() as here:
        for end in await here.pair():
            ice = end.ice
            ice.expired = True
            await ice.close()
            with pytest.raises(ConnectionFailed, match="silent for 30 s") as raised:
                await end.channels["text"].receive()
            assert raised.value.hint == "run it again on both sides"
