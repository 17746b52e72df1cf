"""Pairs of connections in memory that are lost at a chosen message, and the way to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.net.address import Address
from dcsend.peers.contract import MAX_QUEUED, ConnectionLost
from dcsend.protocol.messages import RECONNECT, Hello, encode
from dcsend.session.events import Event
from dcsend.session.lasting import LastingConnection
from dcsend.session.links import PeerLink
from tests.support.memory import MemoryConnection, join

__all__ = ["LostLink", "Ways", "lasting_pair"]


class LostLink(MemoryConnection):
    """One end of a connection in memory, with what `lasting.Link` has besides."""

    address: Address | None = ("192.0.2.1", 4)
    silent_since: float | None = None

    @property
    def received_at(self) -> float:
        """Now, until it is silent."""
        now = asyncio.get_running_loop().time()
        return now if self.silent_since is None else self.silent_since

    async def discard(self) -> None:
        """End this side only."""
        self.end(ConnectionFailed("the connection is closed"))

    def end(self, error: DcsendError) -> None:
        """End this side with *error*."""
        if self.silent_since is None:
            self.silent_since = asyncio.get_running_loop().time()
        for channel in self.memory_channels.values():
            channel.end(error)


class Ways:
    """Both ends of the way to the next connection, each of which may be cut.

    Args:
        cuts: after how many messages each connection is lost; those after the last one are not.
    """

    def __init__(self, cuts: Sequence[int] = ()) -> None:
        self._cuts = list(cuts)
        self.waiting: asyncio.Queue[LostLink] = asyncio.Queue()
        self.pairs: list[tuple[LostLink, LostLink]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.dials = 0
        self.refusal: DcsendError | None = None
        self.delivered: list[bytes | str] = []
        self.losses = [0, 0]
        "How many interruptions of the dialer and of the listener go on."

    def pair(self) -> tuple[LostLink, LostLink]:
        """Return both ends of a new connection, the dialer's first."""
        left = self._cuts.pop(0) if self._cuts else None

        def count(message: bytes | str) -> bytes | str:
            nonlocal left
            self.delivered.append(message)
            if left is not None:
                left -= 1
                if left < 0:
                    self.lose(pair)
            return message

        pair = LostLink(count, MAX_QUEUED), LostLink(count, MAX_QUEUED)
        join(*pair)
        self.pairs.append(pair)
        return pair

    def lose(self, pair: tuple[LostLink, LostLink] | None = None) -> None:
        """Let a connection be lost, without a message of either side; the newest by default."""
        for end in pair or self.pairs[-1]:
            end.end(ConnectionLost("lost"))


class DialerWay:
    """The dialer's side."""

    dials = True
    allows_anew = True

    def __init__(self, ways: Ways) -> None:
        self._ways = ways

    def open(self) -> None:
        """Do nothing."""

    async def another(self, seen: Address | None) -> PeerLink:
        """Make a connection while the way is open."""
        ways = self._ways
        ways.dials += 1
        if ways.refusal is not None:
            raise ways.refusal
        await ways.open.wait()
        ours, theirs = ways.pair()
        ways.waiting.put_nowait(theirs)
        return ours

    def replaced(self, link: PeerLink) -> None:
        """Do nothing."""

    async def drop(self, link: PeerLink) -> None:
        """Close it."""
        await link.close()

    def lost(self) -> None:
        """Count it."""
        self._ways.losses[not self.dials] += 1

    def regained(self) -> None:
        """Count it."""
        self._ways.losses[not self.dials] -= 1

    async def close(self) -> None:
        """Do nothing."""


class ListenerWay(DialerWay):
    """The listener's side."""

    dials = False

    async def another(self, seen: Address | None) -> PeerLink:
        """Wait for a connection."""
        return await self._ways.waiting.get()


async def lasting_pair(
    ways: Ways,
    emits: tuple[Callable[[Event], None], Callable[[Event], None]] = (
        lambda e: None,
        lambda e: None,
    ),
    *,
    limit: float = 600.0,
    features: tuple[str, ...] = (RECONNECT,),
    roles: tuple[str, str] = ("sender", "receiver"),
) -> tuple[LastingConnection, LastingConnection]:
    """Return both ends of a lasting connection, the dialer's first, after Hello and Accept."""
    first = ways.pair()
    made = (DialerWay(ways), ListenerWay(ways))
    ends = [
        LastingConnection(link, way, emit, limit)
        for link, way, emit in zip(first, made, emits, strict=True)
    ]
    for end, role in zip(ends, roles, strict=True):
        assert end.channels["control"].send(encode(Hello((1,), "test", role, features)))
    for end in ends:
        await end.channels["control"].receive()
        end.accepted()
    return ends[0], ends[1]
