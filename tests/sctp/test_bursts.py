"""Bursts towards our own stack and towards others, over simulated paths."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final

import pytest

from dcsend.sctp.association import Options
from dcsend.sctp.timing import MAX_BURST
from tests.sctp.ends import WITHOUT_BULK, End
from tests.sctp.path import Link, Simulation

pytestmark = pytest.mark.full

GBIT: Final = 1e9 / 8
MESSAGE: Final = bytes(65_000)


class Sender(End):
    """An end with timers of milliseconds, as asyncio has; it notes the bytes of each burst."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.bursts: list[int] = []

    def deadline(self) -> float | None:
        """Return the next timer, rounded up to milliseconds."""
        deadline = super().deadline()
        return None if deadline is None else max(deadline, math.ceil(deadline * 1000) / 1000)

    def packets(self, now: float) -> list[bytes]:
        """Return what is sent, and note its length."""
        packets = super().packets(now)
        self.bursts.append(sum(map(len, packets)))
        return packets


class Flow:
    """A sender and a receiver on a path, connected, with packets of an Ethernet."""

    def __init__(self, link: Link, options: Options | None = None) -> None:
        random.seed(1)
        self.link = link
        self.sender, self.receiver = Sender(Options()), End(options or Options())
        self.simulation = Simulation()
        self.simulation.connect(self.sender, self.receiver, link, Link(delay=link.delay))
        self.sender.association.associate(0.0)
        self.run(lambda: self.sender.established and self.receiver.established)
        self.sender.association.probe([1404], self.simulation.now)

    def run(self, done: Callable[[], bool]) -> None:
        """Go on until *done*."""
        self.simulation.run(self.simulation.now + 60, done)
        assert done()

    def transfer(self, size: int) -> float:
        """Send about so many bytes; return the bytes per second."""
        count = len(self.receiver.messages) + size // len(MESSAGE)
        start = self.simulation.now
        for _ in range(size // len(MESSAGE)):
            self.sender.association.send(0, 53, MESSAGE, start)
        self.run(lambda: len(self.receiver.messages) == count)
        return size / (self.simulation.now - start)


def largest_burst_after_a_pause(receiver: Options) -> int:
    """Return the bytes that leave first, at 10 Gbit/s, when the application goes on."""
    flow = Flow(Link(10 * GBIT, 0.001, 8e6), receiver)
    flow.transfer(20_000_000)
    flow.simulation.run(flow.simulation.now + 1)
    flow.sender.bursts.clear()
    flow.transfer(2_000_000)
    return max(flow.sender.bursts)


def test_a_burst_towards_our_own_stack_has_256_kib() -> None:
    assert 128 * 1024 < largest_burst_after_a_pause(Options()) < 280 * 1024


def test_a_burst_towards_another_stack_has_64_kib() -> None:
    other = Options(extensions=WITHOUT_BULK)
    assert 32 * 1024 < largest_burst_after_a_pause(other) < 70 * 1024


@pytest.mark.parametrize("loss", [0.0, 0.01])
def test_large_bursts_fill_a_gigabit_through_a_shallow_queue(loss: float) -> None:
    flow = Flow(Link(GBIT, 0.0025, 128_000, loss=loss))
    flow.transfer(6_000_000)  # with the losses of Startup
    flow.link.dropped = flow.link.carried = 0
    assert flow.transfer(8_000_000) > 0.7 * GBIT
    assert flow.link.dropped < 0.08 * flow.link.carried


@pytest.mark.parametrize("loss", [0.0, 0.01])
def test_bursts_do_not_grow_on_slow_lines(loss: float) -> None:
    flow = Flow(Link(GBIT / 10, 0.02, 50_000, loss=loss))
    flow.transfer(2_000_000)
    flow.sender.bursts.clear()
    assert flow.transfer(4_000_000) > 0.06 * GBIT
    # Two milliseconds at 100 Mbit/s are 25 KB.
    assert sorted(flow.sender.bursts)[-5] < MAX_BURST
