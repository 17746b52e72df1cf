"""Our transport on a loop, over a wire in place of DTLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import cast

import pytest

from dcsend.dtls.transport import DtlsTransport
from dcsend.errors import ConnectionFailed, UsageError
from dcsend.peers.channel import ChannelParameters, SctpChannel
from dcsend.peers.sctp_transport import SctpTransport
from dcsend.sctp.channels import DataChannel
from dcsend.sctp.reassembly import Limits
from tests.support.peers import until

VIRTUAL_TIME = True
"The wire has no sockets; see tests/support/virtual_time.py."

LIMITS = Limits()


class Wire:
    """One end of a wire; loses everything while it is cut."""

    def __init__(self) -> None:
        self.other: Wire
        self.cut = False
        self.sent = 0
        "Packets so far."
        self.receive: Callable[[list[bytes]], None] = lambda packets: None

    def attach(self, receiver: Callable[[list[bytes]], None]) -> None:
        """As `DtlsTransport.attach`."""
        self.receive = receiver

    def send_packets(self, packets: Sequence[bytes]) -> None:
        """As `DtlsTransport.send_packets`."""
        self.sent += len(packets)
        if not self.cut:
            asyncio.get_running_loop().call_soon(self.other.receive, list(packets))


class End:
    """A transport, and the channels of both sides."""

    def __init__(self, *, is_client: bool, limits: Limits = LIMITS) -> None:
        self.wire = Wire()
        self.violated = False
        self.announced: list[DataChannel] = []
        self.closed: list[DataChannel] = []
        self.messages: list[bytes | str] = []
        self.transport = SctpTransport(
            cast(DtlsTransport, self.wire),
            self.on_violation,
            self.on_channel,
            is_client=is_client,
            limits=limits,
            zero_checksum=False,
        )

    def take(self, channel: SctpChannel, message: bytes | str) -> None:
        """Note a message."""
        self.messages.append(message)

    def on_violation(self) -> None:
        """Note it."""
        self.violated = True

    def on_channel(self, channel: DataChannel) -> None:
        """Note a channel that the peer has opened, its messages and its end."""
        self.announced.append(channel)
        self.wrap(channel)
        channel.on_close = lambda: self.closed.append(channel)

    def open(self, parameters: ChannelParameters, high_water: int = 1024 * 1024) -> SctpChannel:
        """Open a channel."""
        return self.wrap(self.transport.open_channel(parameters), high_water)

    def wrap(
        self, channel: DataChannel, high_water: int = 1024 * 1024, *, take: bool = True
    ) -> SctpChannel:
        """Return the channel on asyncio; its messages are taken at once, or by `receive`."""
        return SctpChannel(
            self.transport,
            channel,
            max_message_size=262_144,
            high_water=high_water,
            on_message=self.take if take else None,
        )


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    left, right = End(is_client=True), End(is_client=False)
    left.wire.other, right.wire.other = right.wire, left.wire
    yield left, right
    for end in (left, right):
        await end.transport.stop()


async def start(*ends: End) -> None:
    for end in ends:
        await end.transport.start(262_144)


async def test_messages_that_expire_unsent_make_room(ends: tuple[End, End]) -> None:
    await start(*ends)
    channel = ends[0].open(ChannelParameters("brief", max_lifetime=1), high_water=100_000)
    await until(lambda: channel.is_open)
    async with asyncio.timeout(150):
        for _ in range(20):
            while channel.send(bytes(5000)):
                pass
            await channel.writable()


async def test_channel_that_is_closed_before_the_peer_is_there_is_closed_there_too(
    ends: tuple[End, End],
) -> None:
    channel = ends[0].transport.open_channel(ChannelParameters("never mind"))
    channel.on_close = lambda: ends[0].closed.append(channel)
    ends[0].wrap(channel).close()
    await start(*ends)
    await until(lambda: bool(ends[0].closed and ends[1].closed))
    assert ends[1].closed == ends[1].announced


async def test_messages_that_can_not_be_sent_are_usage_errors(ends: tuple[End, End]) -> None:
    channel = ends[0].open(ChannelParameters("a"))
    with pytest.raises(ConnectionFailed):
        channel.send("not open yet")
    await start(*ends)
    await until(lambda: channel.is_open)
    with pytest.raises(UsageError, match="longer"):
        channel.send(bytes(262_145))
    with pytest.raises(UsageError, match="not valid"):
        channel.send("\ud800")
    with pytest.raises(UsageError, match="in use"):
        ends[0].transport.open_channel(ChannelParameters("b", negotiated=channel.id))
    channel.send(bytes(262_144))
    channel.send("")
    await until(lambda: len(ends[1].messages) == 2)
    assert ends[1].messages == [bytes(262_144), ""]


@pytest.mark.full
async def test_what_is_lost_while_the_wire_is_cut_comes_after_it(ends: tuple[End, End]) -> None:
    await start(*ends)
    channel = ends[0].open(ChannelParameters("a"))
    await until(lambda: channel.is_open)
    ends[0].wire.cut = ends[1].wire.cut = True
    for number in range(100):
        channel.send(str(number))
    await asyncio.sleep(5.0)
    ends[0].wire.cut = ends[1].wire.cut = False
    await until(lambda: ends[0].transport.is_drained)
    assert ends[1].messages == [str(number) for number in range(100)]


async def test_giving_up_sends_nothing(ends: tuple[End, End]) -> None:
    await start(*ends)
    channel = ends[0].open(ChannelParameters("a"))
    await until(lambda: channel.is_open)
    ends[0].wire.cut = True
    channel.send("lost")
    await asyncio.sleep(5.0)
    sent = ends[0].wire.sent
    ends[0].transport.give_up()
    assert ends[0].transport.is_closed
    assert not channel.is_open
    await asyncio.sleep(60.0)
    assert ends[0].wire.sent == sent
    assert not ends[1].transport.is_closed
    with pytest.raises(ConnectionFailed):
        channel.send("late")


async def test_text_gives_back_the_window_in_bytes() -> None:
    left, right = End(is_client=True), End(is_client=False, limits=Limits(window=20_000))
    left.wire.other, right.wire.other = right.wire, left.wire
    await start(left, right)
    channel = left.open(ChannelParameters("a"))
    await until(lambda: channel.is_open)
    for _ in range(100):
        channel.send("ü" * 1000)
    received = right.wrap(right.announced[0], take=False)
    async with asyncio.timeout(30):
        for _ in range(100):
            assert await received.receive() == "ü" * 1000
    for end in (left, right):
        await end.transport.stop()
