"""Checks of our channels against another implementation that echoes each message.

`Peer` is the interface to the other implementation: programs in tests/peers/test_interop.py,
browsers in tests/pages/test_interop.py. The arguments of a check are a connection and its peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol

from dcsend.chat.connecting import chat_peer
from dcsend.chat.connection import ChatConnection, ConnectionState
from dcsend.description import SdpType
from dcsend.errors import ConnectionFailed
from dcsend.peers.channel import ChannelParameters, SctpChannel
from dcsend.peers.offer_answer import Negotiation, Servers
from dcsend.signaling import blob

__all__ = ["CHECKS", "Check", "Ours", "Peer", "connect", "they_vanish"]

PATIENCE: Final = 150.0
"Seconds after which a wait fails."
SIZES: Final = (0, 1, 1159, 1160, 1161, 16_384, 65_535, 65_536, 262_144)
"Bytes of messages: around the payload of one packet, and up to the limit of browsers."


class Peer(Protocol):
    """The other implementation: sends each message back on its channel."""

    largest: int
    "Bytes of the longest message that it accepts, whatever it negotiates."
    bulk: int
    "Bytes of a large transfer for it."

    async def offer(self) -> str:
        """Return its offer, with a channel `data`."""
        ...

    async def answer(self, offer: str) -> str:
        """Return its answer."""
        ...

    async def accept(self, answer: str) -> None:
        """Apply our answer."""
        ...

    async def open(self, label: str, negotiated: int | None = None) -> None:
        """Open a channel."""
        ...

    async def shut(self, label: str) -> None:
        """Close the channels of that name."""
        ...

    async def leave(self) -> None:
        """Close the connection."""
        ...

    async def vanish(self) -> None:
        """End without closing the connection."""
        ...

    async def sees_closing(self, label: str) -> None:
        """Return when a channel of that name has closed at the peer."""
        ...


class Ours:
    """Our end of the connection, with its open channels, states and messages."""

    def __init__(self, connection: ChatConnection) -> None:
        self.connection = connection
        self.channels: dict[str, SctpChannel] = {}
        "The open ones, by label."
        self.states: list[ConnectionState] = []
        self.news = asyncio.Condition()
        self._messages: dict[SctpChannel, asyncio.Queue[bytes | str]] = {}
        connection.observe(self)

    def announced(self, channel: SctpChannel) -> None:
        """Ignore it."""

    def opened(self, channel: SctpChannel) -> None:
        """Record it."""
        self.channels[channel.label] = channel

    def closed(self, channel: SctpChannel) -> None:
        """Remove it."""
        if self.channels.get(channel.label) is channel:
            del self.channels[channel.label]

    def received(self, channel: SctpChannel, message: bytes | str) -> None:
        """Record it."""
        self._messages.setdefault(channel, asyncio.Queue()).put_nowait(message)

    def changed(self, state: ConnectionState) -> None:
        """Record it."""
        self.states.append(state)

    async def take(self, channel: SctpChannel) -> bytes | str:
        """Return the next message of a channel."""
        return await self._messages.setdefault(channel, asyncio.Queue()).get()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition* holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - many kinds of events
                await asyncio.sleep(0.005)

    async def channel(self, label: str) -> SctpChannel:
        """Wait for a channel that the peer opens."""
        await self.until(lambda: label in self.channels)
        return self.channels[label]

    async def open(self, label: str, **options: int | bool | None) -> SctpChannel:
        """Open a channel, and wait until it is open."""
        channel = self.connection.open_channel(ChannelParameters(label, **options))  # type: ignore[arg-type]
        await self.until(lambda: channel.is_open)
        return channel

    async def closing(self, channel: SctpChannel) -> None:
        """Wait until a channel is closed on both sides."""
        await self.until(lambda: self.channels.get(channel.label) is not channel)

    async def echo(self, channel: SctpChannel, messages: Sequence[bytes | str]) -> None:
        """Send messages; check that they return in that order."""

        async def send() -> None:
            for message in messages:
                while not channel.send(message):
                    await channel.writable()

        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            group.create_task(send())
            for message in messages:
                got = await self.take(channel)
                assert type(got) is type(message)
                assert got == message, f"{len(got)} instead of {len(message)}"


@contextlib.asynccontextmanager
async def connect(peer: Peer, *, offers: bool) -> AsyncIterator[Ours]:
    """Connect; with *offers*, our side makes the offer and is the DTLS server."""
    endpoint = await Negotiation.open(Servers())
    try:
        if offers:
            ours = endpoint.describe(SdpType.OFFER)
            theirs = blob.decode(await peer.answer(blob.encode_json(ours)), SdpType.ANSWER)
            connection = endpoint.prepare(ours, theirs, chat_peer)
        else:
            theirs = blob.decode(await peer.offer(), SdpType.OFFER)
            ours = endpoint.describe(SdpType.ANSWER, theirs)
            connection = endpoint.prepare(ours, theirs, chat_peer)
            await peer.accept(blob.encode_json(ours))
    except BaseException:
        await endpoint.close()
        raise
    try:
        follower = Ours(connection)
        await endpoint.establish(connection, theirs, timeout=PATIENCE)
        yield follower
    finally:
        await connection.close()


async def messages_of_all_sizes_come_back(ours: Ours, peer: Peer) -> None:
    most = min(peer.largest, ours.connection.max_message_size or peer.largest)
    sizes = [size for size in SIZES if size <= most]
    channel = await ours.open("sizes")
    source = random.Random(1)
    messages: list[bytes | str] = [source.randbytes(size) for size in sizes]
    messages += ["ü" * (size // 2) + "x" * (size % 2) for size in sizes]
    messages += [str(number) for number in range(300)]
    messages += [bytes([number]) * (number * 29) for number in range(200)]
    source.shuffle(messages)
    await ours.echo(channel, messages)


async def channels_of_all_kinds_work(ours: Ours, peer: Peer) -> None:
    kinds: list[dict[str, int | bool | None]] = [
        {"ordered": False},
        {"max_retransmits": 0},
        {"max_lifetime": 2000},
        {"ordered": False, "max_retransmits": 5},
        {"ordered": False, "max_lifetime": 2000},
    ]
    for number, kind in enumerate(kinds):
        channel = await ours.open(f"kind {number}", **kind)
        sent = [f"{index}" * 500 for index in range(40)]
        for message in sent:
            channel.send(message)
        got: list[bytes | str] = []
        # So few messages that none is lost on loopback.
        async with asyncio.timeout(PATIENCE):
            while len(got) < len(sent):
                got.append(await ours.take(channel))
        assert got == sent if kind.get("ordered", True) else set(got) == set(sent)


async def many_channels_are_apart(ours: Ours, peer: Peer) -> None:
    channels = [await ours.open(f"one of {number}") for number in range(20)]
    await peer.open("theirs")
    channels.append(await ours.channel("theirs"))
    sent = [[f"{place} {index}" for index in range(20)] for place in range(len(channels))]
    await asyncio.gather(*map(ours.echo, channels, sent))


async def a_lot_goes_both_ways_at_once(ours: Ours, peer: Peer) -> None:
    size = min(peer.largest, 65_536)
    count = peer.bulk // size
    channel = await ours.open("bulk")
    sent, got = hashlib.sha256(), hashlib.sha256()

    async def send() -> None:
        source = random.Random(2)
        for _ in range(count):
            message = source.randbytes(size)
            sent.update(message)
            while not channel.send(message):
                await channel.writable()

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(send())
        for _ in range(count):
            message = await ours.take(channel)
            assert isinstance(message, bytes)
            got.update(message)
    assert sent.digest() == got.digest()


async def we_close_channels_and_open_others(ours: Ours, peer: Peer) -> None:
    for number in range(3):
        label = f"short {number}"
        channel = await ours.open(label)
        await ours.echo(channel, [label, bytes(3000)])
        channel.close()
        await ours.closing(channel)
        await peer.sees_closing(label)
    other = await ours.open("another")
    await ours.echo(other, ["still here"])


async def they_close_channels_and_open_others(ours: Ours, peer: Peer) -> None:
    for number in range(3):
        label = f"theirs{number}"
        await peer.open(label)
        channel = await ours.channel(label)
        await ours.echo(channel, [label, bytes(3000)])
        await peer.shut(label)
        await ours.closing(channel)
        await peer.sees_closing(label)
    other = await ours.open("another")
    await ours.echo(other, ["still here"])


async def both_close_a_channel_at_once(ours: Ours, peer: Peer) -> None:
    channel = await ours.open("both")
    await ours.echo(channel, ["both"])
    await peer.shut("both")
    channel.close()
    await ours.closing(channel)
    other = await ours.open("another")
    await ours.echo(other, ["still here"])


async def negotiated_id_can_be_used_again(ours: Ours, peer: Peer) -> None:
    for number in range(4):
        label = f"negotiated{number}"
        await peer.open(label, negotiated=101)
        channel = await ours.open(label, negotiated=101)
        assert channel.id == 101
        await ours.echo(channel, [label, bytes(3000)])
        if number % 2:
            await peer.shut(label)
        else:
            channel.close()
        await ours.closing(channel)
        await peer.sees_closing(label)


async def they_leave_in_the_middle(ours: Ours, peer: Peer) -> None:
    channel = await ours.open("cut")
    channel.send(bytes(1000))
    await ours.take(channel)
    for _ in range(100):
        channel.send(bytes(16_384))
    await peer.leave()
    async with asyncio.timeout(PATIENCE):
        assert await ours.connection.over() is None
    assert ours.states[-1] is ConnectionState.CLOSED


async def we_leave_in_the_middle(ours: Ours, peer: Peer) -> None:
    channel = await ours.open("cut")
    channel.send(bytes(1000))
    await ours.take(channel)
    for _ in range(100):
        channel.send(bytes(16_384))
    await ours.connection.close()
    await peer.sees_closing("cut")


async def they_vanish(ours: Ours, peer: Peer) -> None:
    channel = await ours.open("gone")
    await ours.echo(channel, ["there"])
    await peer.vanish()
    with contextlib.suppress(ConnectionFailed):  # a browser closes the connections of its pages
        channel.send(bytes(1000))
    await ours.until(
        lambda: ours.connection.state in (ConnectionState.DISCONNECTED, ConnectionState.CLOSED)
    )


Check = Callable[[Ours, Peer], Awaitable[None]]
CHECKS: Final[tuple[Check, ...]] = (
    messages_of_all_sizes_come_back,
    channels_of_all_kinds_work,
    many_channels_are_apart,
    a_lot_goes_both_ways_at_once,
    we_close_channels_and_open_others,
    they_close_channels_and_open_others,
    both_close_a_channel_at_once,
    negotiated_id_can_be_used_again,
    they_leave_in_the_middle,
    we_leave_in_the_middle,
    they_vanish,
)
