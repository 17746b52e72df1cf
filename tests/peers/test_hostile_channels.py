"""Channels and SCTP chunks that a hostile peer sends after DTLS is connected."""

from __future__ import annotations

import asyncio

import pytest

from dcsend.errors import (
    RemoteProtocolError,
)
from dcsend.peers.contract import LABELS
from dcsend.peers.transfer import TransferConnection
from dcsend.sctp import wire
from tests.support.page_dialer import Browser, browser
from tests.support.peers import (
    Published,
    published,
    until,
)

pytestmark = pytest.mark.usefixtures("no_warnings")


# From a page


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
    assert not here.listener.dials
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


@pytest.mark.parametrize("chunk", [*MALFORMED[:-1], pytest.param("ff000001", id="no-length")])
async def test_malformed_sctp_is_dropped(chunk: str) -> None:
    """As a packet that was damaged on its way is."""
    async with published() as here:
        hostile, victim = await here.pair()
        _send_raw(hostile, victim, _of(victim, chunk))
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
        _send_raw(hostile, victim, _of(victim, chunk))
        with pytest.raises(RemoteProtocolError):
            async with asyncio.timeout(5):
                await victim.channels["data"].receive()


@pytest.mark.parametrize(
    ("protocol", "content"),
    [(51, b"\xff\xfe"), (50, bytes.fromhex("03000000000000000002 0000 fffe"))],
    ids=["text-that-is-not-utf8", "label-that-is-not-utf8"],
)
async def test_text_that_is_not_utf8_ends_the_connection(protocol: int, content: bytes) -> None:
    async with published() as here:
        hostile, victim = await here.pair()
        stream = 0 if protocol == 51 else 8
        _send(hostile, stream, protocol, content)
        with pytest.raises(RemoteProtocolError):
            await victim.channels["data"].receive()


async def test_message_without_end_is_cut_off() -> None:
    async with published() as here:
        hostile, victim = await here.pair()
        _send(hostile, 0, 53, bytes(4_000_000))
        with pytest.raises(RemoteProtocolError):
            await victim.channels["data"].receive()


async def test_message_on_a_stream_without_channel_is_refused() -> None:
    async with published() as here:
        hostile, victim = await here.pair()
        _send(hostile, 4000, 53, b"x")
        with pytest.raises(RemoteProtocolError):
            await victim.channels["data"].receive()


def _of(victim: TransferConnection, chunk: str) -> bytes:
    """Insert the last acknowledged TSN of the victim, or a later one, into a chunk."""
    last = victim.sctp.association.transmission.flight.cumulative
    words = {"TSN": last, "LATER": last + 1000}
    for word, value in words.items():
        chunk = chunk.replace(word, f"{value & 0xFFFFFFFF:08x}")
    return bytes.fromhex(chunk)


def _send(hostile: TransferConnection, stream: int, protocol: int, content: bytes) -> None:
    """Send a message of any kind on any stream."""
    now = asyncio.get_running_loop().time()
    hostile.sctp.association.send(stream, protocol, content, now)
    hostile.sctp.send_soon()


def _send_raw(hostile: TransferConnection, victim: TransferConnection, chunk: bytes) -> None:
    """Send one SCTP packet as it is, with the right tag and checksum."""
    tag = 0 if chunk[0] == wire.INIT else victim.sctp.association.tag
    hostile.dtls.send_packets([wire.packet((5000, 5000), tag, chunk)])
