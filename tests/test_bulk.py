"""Our transport on a loop, over a wire in place of DTLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import cast

import pytest

from dcsend.engines.bulk import BulkTransport
from dcsend.engines.dtls import Dtls
from dcsend.engines.transport import DataChannel, Parameters
from dcsend.errors import ConnectionFailed, UsageError
from dcsend.sctp.reassembly import Limits
from tests.peers import until


class Wire:
    """One end of a wire; loses everything while it is cut."""

    def __init__(self) -> None:
        self.other: Wire
        self.cut = False
        self._receive: Callable[[list[bytes]], None] = lambda packets: None

    def attach(self, receiver: Callable[[list[bytes]], None]) -> None:
        """As `Dtls.attach`."""
        self._receive = receiver

    def send_packets(self, packets: Sequence[bytes]) -> None:
        """As `Dtls.send_packets`."""
        if not self.cut:
            asyncio.get_running_loop().call_soon(self.other._receive, list(packets))


class End:
    """A transport, and the channels that its peer has opened."""

    def __init__(self, *, is_client: bool) -> None:
        self.wire = Wire()
        self.violated = False
        self.announced: list[DataChannel] = []
        self.closed: list[DataChannel] = []
        self.messages: list[bytes | str] = []
        self.transport = BulkTransport(
            cast(Dtls, self.wire), self.broken, is_client=is_client, limits=Limits(), bulk=False
        )
        self.transport.on_channel = self.announce

    def broken(self) -> None:
        """Note it."""
        self.violated = True

    def announce(self, channel: DataChannel) -> None:
        """Follow it."""
        self.announced.append(channel)

        def received(message: bytes | str) -> None:
            channel.taken(message)
            self.messages.append(message)

        channel.on_message = received
        channel.on_close = lambda: self.closed.append(channel)


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


async def test_room_is_told_when_messages_expire_unsent(ends: tuple[End, End]) -> None:
    await start(*ends)
    channel = ends[0].transport.open_channel(Parameters("brief", max_lifetime=1))
    await until(lambda: channel.is_open)
    room = asyncio.Event()
    channel.on_room = room.set
    async with asyncio.timeout(10):
        for _ in range(20):
            for _ in range(200):
                channel.send(bytes(5000))
            while channel.queued:
                room.clear()
                await room.wait()


async def test_channel_that_is_closed_before_the_peer_is_there_is_closed_there_too(
    ends: tuple[End, End],
) -> None:
    channel = ends[0].transport.open_channel(Parameters("never mind"))
    channel.on_close = lambda: ends[0].closed.append(channel)
    channel.close()
    await start(*ends)
    await until(lambda: bool(ends[0].closed and ends[1].closed))
    assert ends[1].closed == ends[1].announced


async def test_messages_that_can_not_be_sent_are_usage_errors(ends: tuple[End, End]) -> None:
    channel = ends[0].transport.open_channel(Parameters("a"))
    with pytest.raises(ConnectionFailed):
        channel.send("not open yet")
    await start(*ends)
    await until(lambda: channel.is_open)
    with pytest.raises(UsageError, match="longer"):
        channel.send(bytes(262_145))
    with pytest.raises(UsageError, match="no text"):
        channel.send("\ud800")
    with pytest.raises(UsageError, match="in use"):
        ends[0].transport.open_channel(Parameters("b", negotiated=channel.id))
    channel.send(bytes(262_144))
    channel.send("")
    await until(lambda: len(ends[1].messages) == 2)
    assert ends[1].messages == [bytes(262_144), ""]


async def test_what_is_lost_while_the_wire_is_cut_comes_after_it(ends: tuple[End, End]) -> None:
    await start(*ends)
    channel = ends[0].transport.open_channel(Parameters("a"))
    await until(lambda: channel.is_open)
    ends[0].wire.cut = ends[1].wire.cut = True
    for number in range(100):
        channel.send(str(number))
    await asyncio.sleep(0.5)
    ends[0].wire.cut = ends[1].wire.cut = False
    await until(lambda: ends[0].transport.is_drained)
    assert ends[1].messages == [str(number) for number in range(100)]


async def test_giving_up_tells_the_peer_nothing(ends: tuple[End, End]) -> None:
    await start(*ends)
    channel = ends[0].transport.open_channel(Parameters("a"))
    await until(lambda: channel.is_open)
    closed: list[bool] = []
    channel.on_close = lambda: closed.append(True)
    ends[0].transport.give_up()
    assert ends[0].transport.is_closed
    assert closed == [True]
    assert ends[0].transport._timer is None
    await asyncio.sleep(0.05)
    assert not ends[1].transport.is_closed
    with pytest.raises(ConnectionFailed):
        channel.send("late")
