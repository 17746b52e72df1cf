"""What our channels must do with any other implementation: checks against a peer that echoes.

`Peer` is how a test reaches the other side, wherever it runs; tests/test_interop.py has programs,
tests/test_page_interop.py browsers. A check gets a connection and its peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol

from dcsend.description import SdpType
from dcsend.engines.described import Endpoint, Servers
from dcsend.engines.loading import talk_peer
from dcsend.engines.talk import State, TalkChannel, TalkConnection
from dcsend.engines.transport import Parameters
from dcsend.errors import ConnectionFailed
from dcsend.signaling import blob

__all__ = ["CHECKS", "Check", "Ours", "Peer", "met"]

PATIENCE: Final = 30.0
"Seconds that anything may take; never waited in full when all is well."
SIZES: Final = (0, 1, 1159, 1160, 1161, 16_384, 65_535, 65_536, 262_144)
"Bytes of messages: around one packet of anybody, and what browsers take at most."


class Peer(Protocol):
    """The other side: it sends back all that comes, on the same channel."""

    largest: int
    "Bytes of the longest message that it takes, whatever it says."
    bulk: int
    "Bytes of a lot for it."

    async def offer(self) -> str:
        """Return its offer, with a channel `data` in it."""
        ...

    async def answer(self, offer: str) -> str:
        """Return its answer."""
        ...

    async def accept(self, answer: str) -> None:
        """Take our answer."""
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
        """Be gone, without a word."""
        ...

    async def notices_closing(self, label: str) -> None:
        """Return when it has seen a channel of that name close."""
        ...


class Ours:
    """Our side: follows its connection."""

    def __init__(self, connection: TalkConnection) -> None:
        self.connection = connection
        self.channels: dict[str, TalkChannel] = {}
        "Those that are open."
        self.states: list[State] = []
        self.news = asyncio.Condition()
        self._messages: dict[TalkChannel, asyncio.Queue[bytes | str]] = {}
        connection.follow(self)

    def announced(self, channel: TalkChannel) -> None:
        """Pass."""

    def opened(self, channel: TalkChannel) -> None:
        """Keep it."""
        self.channels[channel.label] = channel

    def closed(self, channel: TalkChannel) -> None:
        """Forget it."""
        if self.channels.get(channel.label) is channel:
            del self.channels[channel.label]

    def received(self, channel: TalkChannel, message: bytes | str) -> None:
        """Keep it."""
        self._messages.setdefault(channel, asyncio.Queue()).put_nowait(message)

    def changed(self, state: State) -> None:
        """Keep it."""
        self.states.append(state)

    async def take(self, channel: TalkChannel) -> bytes | str:
        """Return the next message of a channel."""
        return await self._messages.setdefault(channel, asyncio.Queue()).get()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what an event changes."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - many things are waited for
                await asyncio.sleep(0.005)

    async def channel(self, label: str) -> TalkChannel:
        """Wait for a channel of the other side."""
        await self.until(lambda: label in self.channels)
        return self.channels[label]

    async def open(self, label: str, **options: int | bool | None) -> TalkChannel:
        """Open a channel, and wait until it is."""
        channel = self.connection.open_channel(Parameters(label, **options))  # type: ignore[arg-type]
        await self.until(lambda: channel.is_open)
        return channel

    async def closing(self, channel: TalkChannel) -> None:
        """Wait until a channel is closed on both sides."""
        await self.until(lambda: self.channels.get(channel.label) is not channel)

    async def echo(self, channel: TalkChannel, messages: Sequence[bytes | str]) -> None:
        """Send, and get back what was sent in that order."""

        async def send() -> None:
            for message in messages:
                await channel.writable()
                channel.send(message)

        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            group.create_task(send())
            for message in messages:
                got = await self.take(channel)
                assert type(got) is type(message)
                assert got == message, f"{len(got)} instead of {len(message)}"


@contextlib.asynccontextmanager
async def met(peer: Peer, *, offers: bool) -> AsyncIterator[Ours]:
    """Connect; *offers* tells whether we do, and then we are the server of DTLS."""
    endpoint = await Endpoint.open(Servers())
    try:
        if offers:
            ours = endpoint.describe(SdpType.OFFER)
            theirs = blob.decode(await peer.answer(blob.encode_json(ours)), SdpType.ANSWER)
            connection = endpoint.prepare(ours, theirs, talk_peer)
        else:
            theirs = blob.decode(await peer.offer(), SdpType.OFFER)
            ours = endpoint.describe(SdpType.ANSWER, theirs)
            connection = endpoint.prepare(ours, theirs, talk_peer)
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
        # Little enough to be lost nowhere on loopback.
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
            await channel.writable()
            channel.send(message)

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
        await peer.notices_closing(label)
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
        await peer.notices_closing(label)
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
        await peer.notices_closing(label)


async def they_leave_in_the_middle(ours: Ours, peer: Peer) -> None:
    channel = await ours.open("cut")
    channel.send(bytes(1000))
    await ours.take(channel)
    for _ in range(100):
        channel.send(bytes(16_384))
    await peer.leave()
    async with asyncio.timeout(PATIENCE):
        assert await ours.connection.over() is None
    assert ours.states[-1] is State.CLOSED


async def we_leave_in_the_middle(ours: Ours, peer: Peer) -> None:
    channel = await ours.open("cut")
    channel.send(bytes(1000))
    await ours.take(channel)
    for _ in range(100):
        channel.send(bytes(16_384))
    await ours.connection.close()
    await peer.notices_closing("cut")


async def they_vanish(ours: Ours, peer: Peer) -> None:
    channel = await ours.open("gone")
    await ours.echo(channel, ["there"])
    await peer.vanish()
    with contextlib.suppress(ConnectionFailed):  # a browser says goodbye for its pages
        channel.send(bytes(1000))
    await ours.until(lambda: ours.connection.state in (State.DISCONNECTED, State.CLOSED))


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
