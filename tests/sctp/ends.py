"""Two associations and what is between them: the tests' verbs.

`Pair` moves packets by hand, so that a test can look at each, lose it, or send it again. `End` is
an endpoint for the simulator in `path`, with an application that takes what arrives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Final

from dcsend.sctp import wire
from dcsend.sctp.association import Association, Options
from dcsend.sctp.controller import Controller
from dcsend.sctp.events import Ended, Established, Event, Message, Reset
from dcsend.sctp.handshake import BULK_EXTENSION, EXTENSIONS
from dcsend.sctp.queue import RELIABLE, Reliability
from dcsend.sctp.states import State
from dcsend.sctp.wire import Init
from tests.sctp.reno import Reno

__all__ = [
    *("WITHOUT_BULK", "End", "Pair", "Storm", "check_books", "cookie_of", "kinds", "make_pair"),
    "probe_token",
]

BINARY: Final = 53
PLAIN: Final = Options(congestion=Reno)
WITHOUT_BULK: Final = EXTENSIONS - {BULK_EXTENSION}
"What a stack other than dcsend's announces."


def kinds(packets: Iterable[bytes]) -> list[int]:
    """Return the types of all chunks in some packets."""
    return [kind for packet in packets for kind, _, _ in wire.chunks(packet)]


def probe_token(packet: bytes) -> bytes:
    """Return what a probe has in front of its size; empty if a packet is no probe."""
    for kind, _, value in wire.chunks(packet):
        if kind == wire.HEARTBEAT:
            return next(info[:-4] for _, info in wire.parameters(value))
    return b""


def cookie_of(init_ack: bytes) -> bytes:
    """Return the cookie in an INIT ACK chunk."""
    [(_, _, value)] = wire.chunks(bytes(12) + init_ack)
    return Init.parse(value).cookie


class Pair:
    """Two associations, and the packets between them.

    `left` and `right` are indices 0 and 1; what one sends waits in `wire` for the other.
    """

    def __init__(self, left: Options, right: Options) -> None:
        self.now = 100.0
        self.controllers: list[Controller] = []
        "The congestion controller of each end."
        self.ends = (
            Association(self._kept(left), self.now),
            Association(self._kept(right), self.now),
        )
        self.wire: tuple[list[bytes], list[bytes]] = ([], [])
        "Packets on their way to `ends[0]` and to `ends[1]`."
        self.events: tuple[list[Event], list[Event]] = ([], [])
        self.takes = True
        "Whether the applications take their messages."

    def _kept(self, options: Options) -> Options:
        """Return options with which the controller is added to `controllers`."""

        def make(payload: int, now: float) -> Controller:
            self.controllers.append(options.congestion(payload, now))
            return self.controllers[-1]

        return replace(options, congestion=make)

    @property
    def states(self) -> tuple[State, State]:
        """The states of both ends."""
        return self.ends[0].state, self.ends[1].state

    def poll(self, which: int) -> list[bytes]:
        """Process the events of an end; return the packets that it sends."""
        end = self.ends[which]
        while end.events:
            event = end.events.popleft()
            self.events[which].append(event)
            if self.takes and isinstance(event, Message):
                end.release(len(event.data))
        packets = end.packets(self.now)
        self.wire[1 - which].extend(packets)
        return packets

    def deliver(self, which: int) -> list[bytes]:
        """Deliver all packets in flight to an end; return the packets that it sends then."""
        packets = self.wire[which][:]
        self.wire[which].clear()
        for packet in packets:
            self.ends[which].receive(packet, self.now)
        return self.poll(which)

    def lose(self, which: int) -> list[bytes]:
        """Drop all packets in flight to an end; return them."""
        packets = self.wire[which][:]
        self.wire[which].clear()
        return packets

    def settle(self) -> None:
        """Deliver packets at one instant until none is in flight."""
        for _ in range(10_000):
            self.poll(0)
            self.poll(1)
            if not (self.wire[0] or self.wire[1]):
                return
            self.deliver(0)
            self.deliver(1)
        raise AssertionError("packets are exchanged endlessly")

    def wait(self, seconds: float = 0.0) -> None:
        """Advance to the next timer of either end, or by some seconds, and let it expire."""
        due = [end.deadline() for end in self.ends]
        soonest = min((time for time in due if time is not None), default=math.inf)
        self.now = max(self.now, soonest) if not seconds else self.now + seconds
        for end in self.ends:
            deadline = end.deadline()
            if deadline is not None and deadline <= self.now:
                end.timeout(self.now)

    def run(self, seconds: float = 60.0) -> None:
        """Alternate `settle` and `wait` until no timer is set, or for some seconds."""
        until = self.now + seconds
        for _ in range(10_000):
            self.settle()
            due = [time for end in self.ends if (time := end.deadline()) is not None]
            if not due or min(due) > until:
                return
            self.wait()
        raise AssertionError("timers expire endlessly")

    def messages(self, which: int) -> list[bytes]:
        """Return the messages that an end has received."""
        return [event.data for event in self.events[which] if isinstance(event, Message)]

    def resets(self, which: int) -> list[Reset]:
        """Return the streams that were reset."""
        return [event for event in self.events[which] if isinstance(event, Reset)]

    def endings(self, which: int) -> list[Ended]:
        """Return how an end has ended."""
        return [event for event in self.events[which] if isinstance(event, Ended)]

    def send(
        self, which: int, data: bytes, stream: int = 0, how: Reliability = RELIABLE
    ) -> list[bytes]:
        """Send a message; return the packets that leave at once."""
        self.ends[which].send(stream, BINARY, data, self.now, how)
        return self.poll(which)


def make_pair(
    left: Options | None = None, right: Options | None = None, *, established: bool = True
) -> Pair:
    """Return two associations, mostly with the handshake behind them.

    Reno does not pace, so that what may leave does so at once.
    """
    pair = Pair(left or PLAIN, right or PLAIN)
    if established:
        pair.ends[0].associate(pair.now)
        pair.ends[1].associate(pair.now)
        pair.settle()
        assert pair.states == (State.ESTABLISHED, State.ESTABLISHED)
    return pair


def check_books(association: Association) -> None:
    """Compare the counters of an association with its queues."""
    flight = association.transmission.flight
    here = [r for r in flight if not r.acknowledged]
    assert flight.outstanding == sum(r.size for r in here)
    assert flight.bytes == sum(r.size for r in here if not r.lost)
    assert [r.tsn for r in flight] == list(range(flight.cumulative + 1, flight.next))
    assert association.held >= 0


class Storm:
    """What happens to packets that arrive at one end, until the weather is fair.

    The simulator loses and delays; this loses more, repeats, keeps some back until later ones have
    come, and flips bits. An `End` stands behind it.
    """

    def __init__(
        self,
        end: End,
        seed: int,
        *,
        until: float,
        lost: float = 0.0,
        repeated: float = 0.0,
        kept: float = 0.0,
        flipped: float = 0.0,
    ) -> None:
        self._end = end
        self._random = Random(seed)
        self._until = until
        self._chances = (lost, repeated, kept, flipped)
        self._kept: list[bytes] = []

    def receive(self, packet: bytes, now: float) -> None:
        """Deliver, drop, damage or delay a packet."""
        if now >= self._until:
            self._release(now)
            self._end.receive(packet, now)
            return
        chance = self._random.random
        lost, repeated, kept, flipped = self._chances
        if chance() < lost:
            return
        if chance() < flipped:
            at = self._random.randrange(len(packet) * 8)
            broken = bytearray(packet)
            broken[at // 8] ^= 1 << at % 8
            packet = bytes(broken)
        if chance() < kept:
            self._kept.append(packet)
            return
        self._end.receive(packet, now)
        if chance() < repeated:
            self._end.receive(packet, now)
            self._kept.append(packet)  # and a late duplicate
        if chance() < 0.2:
            self._release(now)

    def _release(self, now: float) -> None:
        kept, self._kept = self._kept, []
        self._random.shuffle(kept)
        for packet in kept:
            self._end.receive(packet, now)

    def packets(self, now: float) -> list[bytes]:
        """Return what the end sends."""
        return self._end.packets(now)

    def deadline(self) -> float | None:
        """Return the deadline of the end."""
        return self._end.deadline()

    def timeout(self, now: float) -> None:
        """Call `timeout` of the end."""
        self._end.timeout(now)


class End:
    """One association with its application, for the simulator.

    Args:
        options: of the association.
        takes: returns whether the application takes messages at a time; otherwise they wait.
    """

    def __init__(self, options: Options, takes: Callable[[float], bool] = lambda now: True) -> None:
        self.options = options
        self.association = Association(options, 0.0)
        self.messages: list[Message] = []
        self.sent: list[State] = []
        "The state before each message that a test has sent."
        self.established = False
        self.ended: Ended | None = None
        self.wakes = 0
        "How often `timeout` was called."
        self.most_held = 0
        "The largest value of `Association.held`."
        self._takes = takes
        self._waiting: list[Message] = []
        self._now = 0.0

    def receive(self, packet: bytes, now: float) -> None:
        """Take a packet."""
        self.association.receive(packet, now)
        self._look(now)

    def packets(self, now: float) -> list[bytes]:
        """Return what is to be sent."""
        self._look(now)
        return self.association.packets(now)

    def deadline(self) -> float | None:
        """Return the deadline: of its timers, or of the application."""
        deadline = self.association.deadline()
        if self._waiting:
            tick = math.floor(self._now * 10 + 1) / 10 + 1e-6
            deadline = tick if deadline is None else min(deadline, tick)
        return deadline

    def timeout(self, now: float) -> None:
        """Call `timeout`."""
        deadline = self.association.deadline()
        if deadline is not None and now >= deadline:
            self.wakes += 1
            self.association.timeout(now)
        self._look(now)

    def _look(self, now: float) -> None:
        """Process the events."""
        self._now = now
        self.most_held = max(self.most_held, self.association.held)
        events = self.association.events
        while events:
            event = events.popleft()
            if isinstance(event, Message):
                self.messages.append(event)
                self._waiting.append(event)
            elif isinstance(event, Established):
                assert not self.established
                self.established = True
            elif isinstance(event, Ended):
                assert self.ended is None
                self.ended = event
        if self._takes(now):
            for message in self._waiting:
                self.association.release(len(message.data))
            self._waiting.clear()
