"""Dialing by code: who gets in, who does not, and what each side is told."""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
from collections.abc import Iterator

import pytest

from dcsend.engines import diagnosis, dialer, stock
from dcsend.engines.addresses import Interface
from dcsend.engines.base import LABELS, Connection
from dcsend.engines.bulk import BulkTransport
from dcsend.engines.certificate import Certificate
from dcsend.engines.dialer import dial
from dcsend.engines.loading import stock as with_stock
from dcsend.engines.loading import transfer_peer
from dcsend.engines.stock import StockTransport
from dcsend.engines.transfer import TransferConnection
from dcsend.engines.udp import UdpPort
from dcsend.errors import (
    AuthenticationFailed,
    CodeExpired,
    CodeUsed,
    ConnectionFailed,
    RemoteProtocolError,
    UsageError,
)
from dcsend.sctp import wire
from tests.peers import (
    PASSWORD,
    Browser,
    MakeTransfer,
    Published,
    Relay,
    browser,
    half_open,
    has_ipv6,
    published,
    until,
)

BOTH = pytest.mark.parametrize(
    "make", [transfer_peer, with_stock(transfer_peer)], ids=["bulk", "stock"]
)
"Our SCTP, and aiortc's behind its guard."

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


async def test_wrong_secret_is_told_and_starts_no_dial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "_GRACE", 0.05)
    async with published() as here:
        with pytest.raises(AuthenticationFailed, match="secret"):
            await here.dial(password="wrong" * 5)
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


async def test_dialer_that_lies_about_its_certificate_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
    nobody = await UdpPort.open()
    loop = asyncio.get_running_loop()
    begin = loop.time()
    try:
        with pytest.raises(ConnectionFailed, match=r"no answer from 127\.0\.0\.1"):
            await dial(
                [("127.0.0.1", nobody.port)],
                password=PASSWORD,
                fingerprint=bytes(32),
                timeout=0.3,
                make=transfer_peer,
            )
        assert loop.time() - begin < 2
    finally:
        await nobody.close()


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


async def test_one_right_address_among_several_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "_GRACE", 0.0)
    nobody = await UdpPort.open()
    try:
        async with published() as here:
            addresses = [
                *[("127.0.0.2", nobody.port), ("192.0.2.1", 9), ("127.0.0.1", nobody.port)],
                ("127.0.0.1", here.number),
            ]
            if has_ipv6():
                addresses.insert(0, ("::1", nobody.port))
            connection = await here.dial(addresses=addresses)
            assert connection.route.remote == "127.0.0.1"
    finally:
        await nobody.close()


async def test_another_listener_among_the_addresses_does_not_end_the_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Both answer; the grace after the refusal ends while DTLS is still on its way.
    monkeypatch.setattr(dialer, "_GRACE", 0.3)
    loop = asyncio.get_running_loop()
    async with published() as other, published() as here, Relay.open(here.number) as relay:
        other.listener._password = "q" * 24
        relay.held = []
        dialing = asyncio.create_task(
            here.dial(addresses=[("127.0.0.1", other.number), ("127.0.0.1", relay.port)])
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
    async with published() as here:
        with pytest.raises(AuthenticationFailed):
            await here.dial(fingerprint=bytes(32))
        assert not here.errors
        expire()
        await until(lambda: bool(here.errors))
        assert isinstance(here.errors[0], ConnectionFailed)
        assert not here.listener._dials
        assert not here.listener.port._routes


@pytest.mark.parametrize("lost_at", ["dialer", "listener"])
@BOTH
async def test_path_that_is_lost_ends_the_channels_in_silence(
    lost_at: str, make: MakeTransfer, caplog: pytest.LogCaptureFixture
) -> None:
    async with published(make) as here:
        dialer_end, listener_end = await here.pair(make=make)
        end = dialer_end if lost_at == "dialer" else listener_end
        while end.channels["data"].send(bytes(64_960)):
            pass
        # What ICE does when the other side has not answered for half a minute.
        await _transfer(end)._ice_connection.close()
        with pytest.raises(ConnectionFailed, match="lost"):
            await end.channels["data"].receive()
        assert not _waits(end)
        del end
    gc.collect()  # a task that failed unseen is reported when it goes
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


# As a browser does it


async def test_ordinary_peer_connection_with_a_made_up_answer_connects() -> None:
    async with published() as here, browser() as page:
        page.open_channels()
        await page.dial(here)
        connection = await here.accepting
        got: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        page.channels[0].on("message", got.set_result)
        connection.channels[LABELS[0]].send("from the listener")
        assert await got == "from the listener"
        page.channels[1].send(b"from the page")
        assert await connection.channels[LABELS[1]].receive() == b"from the page"


async def _refused(here: Published, page: Browser) -> RemoteProtocolError:
    await page.dial(here)
    await until(lambda: bool(here.errors))
    error = here.errors[0]
    assert isinstance(error, RemoteProtocolError)
    assert not here.accepting.done()
    assert not here.listener._dials
    await here.pair()
    return error


async def test_unexpected_channel_is_refused_and_its_name_escaped() -> None:
    async with published() as here, browser() as page:
        page.open_channels("evil\x1b[2J")
        error = await _refused(here, page)
        assert "\x1b" not in error.message
        assert "evil" in error.message


async def test_channel_twice_is_refused() -> None:
    async with published() as here, browser() as page:
        page.open_channels("control", times=2)
        await _refused(here, page)


async def test_unordered_channel_is_refused() -> None:
    async with published() as here, browser() as page:
        page.open_channels("data", ordered=False)
        await _refused(here, page)


async def test_thousand_channels_are_refused() -> None:
    async with published() as here, browser() as page:
        page.open_channels(*LABELS[:2])
        page.open_channels("more", times=1000)
        await _refused(here, page)


async def test_fourth_channel_ends_a_running_connection() -> None:
    async with published() as here, browser() as page:
        page.open_channels()
        await page.dial(here)
        connection = await here.accepting
        page.open_channels("fourth")
        with pytest.raises(RemoteProtocolError, match="fourth"):
            await connection.channels["data"].receive()


# What only a hostile peer sends: raw SCTP chunks over the established DTLS


MALFORMED = [
    pytest.param("04000008 00070000", id="parameter-without-end"),
    pytest.param("01000018" + "00" * 16 + "80080000", id="init-parameter-without-end"),
    pytest.param("03000014 TSN 00100000 00010000 00050001", id="gap-that-ends-before-it-begins"),
    pytest.param("03000018 TSN 00100000 00020000 0000ffff 0000ffff", id="endless-gaps"),
    pytest.param("c0000008 00000000", id="forward-tsn"),
    pytest.param("82000008 000d0004", id="reset-without-content"),
    pytest.param("0000000c 00000000 00000000", id="data-too-short"),
]


@pytest.mark.parametrize("chunk", MALFORMED)
async def test_malformed_sctp_ends_the_connection_without_a_traceback(chunk: str) -> None:
    """aiortc's: what it would have done is not known."""
    async with published(with_stock(transfer_peer)) as here:
        hostile, victim = await here.pair()
        _send_raw(hostile, _of(victim, chunk))
        with pytest.raises(RemoteProtocolError):
            async with asyncio.timeout(5):
                await victim.channels["data"].receive()


@pytest.mark.parametrize("chunk", [*MALFORMED[:-1], pytest.param("ff000001", id="no-length")])
async def test_malformed_sctp_is_dropped(chunk: str) -> None:
    """Ours: like a packet that was damaged on its way."""
    async with published() as here:
        hostile, victim = await here.pair()
        _send_raw(hostile, _of(victim, chunk))
        hostile.channels["control"].send("still")
        assert await victim.channels["control"].receive() == "still"
        victim.channels["control"].send("here")
        assert await hostile.channels["control"].receive() == "here"


@pytest.mark.parametrize(
    "chunk",
    [
        MALFORMED[-1],
        pytest.param("03000010 LATER 00100000 00000000", id="acknowledges-what-was-not-sent"),
    ],
)
async def test_broken_rule_ends_the_connection(chunk: str) -> None:
    async with published() as here:
        hostile, victim = await here.pair()
        _send_raw(hostile, _of(victim, chunk))
        with pytest.raises(RemoteProtocolError):
            async with asyncio.timeout(5):
                await victim.channels["data"].receive()


@pytest.mark.parametrize(
    ("protocol", "content"),
    [(51, b"\xff\xfe"), (50, bytes.fromhex("03000000000000000002 0000 fffe"))],
    ids=["text-that-is-not-utf8", "label-that-is-not-utf8"],
)
@BOTH
async def test_text_that_is_not_utf8_ends_the_connection(
    protocol: int, content: bytes, make: MakeTransfer
) -> None:
    async with published(make) as here:
        hostile, victim = await here.pair()
        stream = 0 if protocol == 51 else 8
        _send(hostile, stream, protocol, content)
        with pytest.raises(RemoteProtocolError):
            await victim.channels["data"].receive()


@BOTH
async def test_message_without_end_is_cut_off(
    make: MakeTransfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "_MAX_HELD", 100_000)
    async with published(make) as here:
        hostile, victim = await here.pair()
        _send(hostile, 0, 53, bytes(4_000_000))
        with pytest.raises(RemoteProtocolError):
            await victim.channels["data"].receive()


@BOTH
async def test_stream_that_nobody_needs_is_cut_off(make: MakeTransfer) -> None:
    async with published(make) as here:
        hostile, victim = await here.pair()
        _send(hostile, 4000, 53, b"x")
        with pytest.raises(RemoteProtocolError):
            await victim.channels["data"].receive()


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


def _transfer(connection: Connection) -> TransferConnection:
    assert isinstance(connection, TransferConnection)
    return connection


def _bulk(connection: Connection) -> BulkTransport:
    transport = _transfer(connection)._sctp
    assert isinstance(transport, BulkTransport)
    return transport


def _waits(connection: Connection) -> bool:
    """Tell whether a timer of SCTP is running."""
    transport = _transfer(connection)._sctp
    if isinstance(transport, BulkTransport):
        return transport._timer is not None
    assert isinstance(transport, StockTransport)
    return transport._sctp._t3_handle is not None


def _of(victim: Connection, chunk: str) -> bytes:
    """Put the last TSN that the victim knows as acknowledged, or a later one, into a chunk."""
    transport = _transfer(victim)._sctp
    if isinstance(transport, BulkTransport):
        last = transport._association.transmission.flight.cumulative
    else:
        assert isinstance(transport, StockTransport)
        last = transport._sctp._last_sacked_tsn
    words = {"TSN": last, "LATER": last + 1000}
    for word, value in words.items():
        chunk = chunk.replace(word, f"{value & 0xFFFFFFFF:08x}")
    return bytes.fromhex(chunk)


def _send(hostile: Connection, stream: int, protocol: int, content: bytes) -> None:
    """Send a message of any kind on any stream."""
    transport = _bulk(hostile)
    now = asyncio.get_running_loop().time()
    transport._association.send(stream, protocol, content, now)
    transport.soon()


def _send_raw(hostile: Connection, chunk: bytes) -> None:
    """Send one SCTP packet as it is, with the right tag and checksum."""
    transport = _bulk(hostile)
    peer = transport._association._peer
    assert peer is not None
    tag = 0 if chunk[0] == wire.INIT else peer.tag
    transport._dtls.send_packets([wire.packet((5000, 5000), tag, chunk)])
