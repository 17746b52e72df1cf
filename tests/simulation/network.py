"""A network in memory: messages are late, paths fail, and another connection may follow.

The order of messages within a channel stays, that between channels does not.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.net.address import Address
from dcsend.peers.contract import LABELS, MAX_QUEUED, ConnectionLost
from dcsend.session.links import PeerLink
from tests.simulation.process import Log, Process
from tests.support.links import LostLink
from tests.support.memory import MemoryChannel, join

__all__ = ["End", "Network", "WayBack"]

_CONSENT: Final = 30.0
"Seconds after which a silent path is given up, at most."


class _Channel(MemoryChannel):
    """One end of a channel, with delays."""

    def __init__(self, label: str, end: End) -> None:
        super().__init__(label, lambda message: message, MAX_QUEUED)
        self._owner = end
        self._last = 0.0
        "When the last message arrives."

    def _carry(self, message: bytes | str) -> None:
        owner, loop = self._owner, asyncio.get_running_loop()
        due = loop.time() + owner.network.delay()
        self._last = max(self._last + 1e-6, due)
        loop.call_at(self._last, self._arrive, message)

    def _arrive(self, message: bytes | str) -> None:
        if self._owner.network.count(self._owner, self.label, message):
            self._deliver(message)


class End(LostLink):
    """One end of a connection."""

    def __init__(self, network: Network, name: str, dialer: int) -> None:
        self.network = network
        self.name = name
        self.dialer = dialer
        "Number of the process that dials: its certificate."
        self.memory_channels = {label: _Channel(label, self) for label in LABELS}
        self.channels = self.memory_channels
        self.lost = False
        self.left: int | None = None
        "Messages until the path fails; at one end of a pair."
        self.other: End

    async def close(self) -> None:
        """End this side now, and the other one a moment later; what is on the way may be lost."""
        self.end(ConnectionFailed("the connection is closed"))
        if not self.lost:
            self.lost = self.other.lost = True
            delay = self.network.delay() * self.network.rng.choice((1, 1, 3))
            error = ConnectionFailed("the other side closed the connection")
            asyncio.get_running_loop().call_later(delay, self.other.end, error)

    async def discard(self) -> None:
        """End this side only; the other one gets nothing any more."""
        self.end(ConnectionFailed("the connection is closed"))
        if not self.lost:
            self.lost = self.other.lost = True
            self.other.be_silent()

    def be_silent(self) -> None:
        """Let this side hear nothing any more, and notice that later."""
        loop, rng = asyncio.get_running_loop(), self.network.rng
        if self.silent_since is None:
            self.silent_since = loop.time()
        error: DcsendError = ConnectionLost("lost")
        loop.call_later(rng.choice((0.0, rng.uniform(0, 8), _CONSENT)), self.end, error)


class Network:
    """All connections of two runs.

    Args:
        rng: chooses everything.
        log: gets what happens.
        cuts: after how many messages the path of each connection fails; those after the last do
            not.
        outage: seconds for which no connection can be made after that, at most.
    """

    def __init__(self, rng: random.Random, log: Log, cuts: list[int], outage: float) -> None:
        self.rng = rng
        self._log = log
        self._cuts = cuts
        self._outage = outage
        self._open_at = 0.0
        self._latency = rng.choice((1e-4, 5e-3, 0.1))
        self.waiting: defaultdict[int, asyncio.Queue[End]] = defaultdict(asyncio.Queue)
        "New connections of each dialer, for the listener, if it has accepted that one."
        self.dialed: asyncio.Queue[End] = asyncio.Queue()
        "Those with another one."
        self.on_message: Callable[[int], None] = lambda number: None
        self._messages = 0

    def delay(self) -> float:
        """Return how long a message takes, in seconds."""
        return self._latency * (1 + self.rng.random() * self.rng.choice((0.1, 1, 10)))

    def pair(self, dialer: int = 0) -> tuple[End, End]:
        """Return both ends of a new connection of a dialer, whose end is the first."""
        ends = End(self, "dialer", dialer), End(self, "listener", dialer)
        join(*ends)
        ends[0].other, ends[1].other = ends[1], ends[0]
        ends[0].left = self._cuts.pop(0) if self._cuts else None
        self._log.note("network", "connected", ends[0].left)
        return ends

    def count(self, end: End, label: str, message: bytes | str) -> bool:
        """Note that a message of one end arrives; return whether it does."""
        first = end if end.left is not None else end.other
        if end.lost:
            return False
        self._messages += 1
        self._log.note(end.name, label, len(message), message[:60])
        self.on_message(self._messages)
        if first.left is not None:
            first.left -= 1
            if first.left < 0:
                first.left = None
                return self.fail(end)
        return True

    def fail(self, end: End) -> bool:
        """Let the path of a connection fail; return whether what is on the way is only late."""
        loop = asyncio.get_running_loop()
        self._log.note("network", "path lost")
        kind = self.rng.random()
        self._open_at = loop.time() + self.rng.random() * self._outage
        if kind < 0.25:  # it comes back, and what was on the way is sent again
            self._pause(end)
            loop.call_later(self.rng.uniform(0, 12), self._resume, end)
            return True
        end.lost = end.other.lost = True
        for one in (end, end.other):
            one.be_silent()
        return False

    def _pause(self, end: End) -> None:
        for one in (end, end.other):
            one.silent_since = asyncio.get_running_loop().time()
            for channel in one.memory_channels.values():
                channel.clog()

    def _resume(self, end: End) -> None:
        self._log.note("network", "path answers again")
        for one in (end, end.other):
            one.silent_since = None
            for channel in one.memory_channels.values():
                channel.unclog()

    def leave(self, ends: list[End]) -> None:
        """Let a process end: nothing comes from it any more."""
        for end in ends:
            if not end.lost:
                end.lost = end.other.lost = True
                end.other.be_silent()

    async def open(self) -> None:
        """Wait until a connection can be made."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._open_at - loop.time()))
        await asyncio.sleep(self.delay() * 3)


class WayBack:
    """How one side connects again; see `session.lasting.Way`."""

    def __init__(self, network: Network, process: Process, ends: list[End]) -> None:
        self.dials = ends[0].name == "dialer"
        self.allows_anew = not self.dials
        self._dialer = ends[-1].dialer
        self._network = network
        self._process = process
        self._ends = ends
        "Those of this process."

    def open(self) -> None:
        """Do nothing."""

    async def another(self, seen: Address | None) -> End:
        """Return the next connection."""
        if self.dials:
            await self._network.open()
        arrived = None if self.dials else await self._network.waiting[self._dialer].get()
        if self._process.dead:
            await asyncio.Event().wait()
        if arrived is None:
            end, theirs = self._network.pair(self._dialer)
            self._network.waiting[self._dialer].put_nowait(theirs)
        else:
            end = arrived
        self._ends.append(end)
        return end

    def replaced(self, link: PeerLink) -> None:
        """Do nothing."""

    async def drop(self, link: PeerLink) -> None:
        """Close it."""
        await link.close()

    def lost(self) -> None:
        """Do nothing."""

    def regained(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
