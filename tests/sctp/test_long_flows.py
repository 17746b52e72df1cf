"""Flows of many seconds over paths of every kind, with applications that pause at both ends.

Long enough for every phase of BBR, which the storms are not: what a controller divides by may be
nothing in the hundredth round, when a reader has stopped and all that is in flight was sent again.
"""

from __future__ import annotations

import math
from random import Random

import pytest

from dcsend.sctp.association import Options
from tests.sctp.ends import End
from tests.sctp.path import Link, Simulation

_PAUSES = (0.05, 0.3, 1.5, 4.0)
"Seconds."
_QUEUED = 2_000_000
"Bytes that an application lets wait, at most."


class _Flow:
    """One flow, made of a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random = Random(seed)
        self._seconds = random.uniform(3, 12)
        self._rate = 10 ** random.uniform(5, 7.7)
        self._rtt = random.choice((0.0002, 0.002, 0.01, 0.04, 0.15))
        self._down = random.uniform(0, self._seconds)
        self._stops = [
            (random.uniform(0, self._seconds), random.choice(_PAUSES))
            for _ in range(random.choice((0, 2, 6)))
        ]
        self.left = End(Options(zero_checksum=True))
        self.right = End(Options(zero_checksum=True), self._takes)
        self.sent: list[bytes] = []
        self._simulation = Simulation()
        there, back = self._link(random.choice((2e4, 2e5, 4e6))), self._link(1e6)
        self._simulation.connect(self.left, self.right, there, back)

    def _takes(self, now: float) -> bool:
        return not any(start <= now < start + pause for start, pause in self._stops)

    def _link(self, queue: float) -> Link:
        random = self._random
        changes = sorted(random.uniform(0, self._seconds) for _ in range(random.choice((0, 3))))
        rates = [(at, self._rate * random.choice((0.25, 1, 4))) for at in changes]
        away = random.choice((0.0, 0.0, 0.2, 2.0))
        return Link(
            [(0.0, self._rate), *rates],
            self._rtt / 2,
            queue,
            loss=random.choice((0, 0, 0.001, 0.01, 0.1)),
            jitter=random.choice((0, 0, 0.002, 0.03)),
            reordered=random.choice((0, 0, 0.01)),
            late=self._rtt,
            down=(self._down, self._down + away) if away else (math.inf, math.inf),
            seed=random.randrange(1000),
        )

    def run(self) -> None:
        """Connect, send for some seconds, then wait until all has arrived."""
        random, simulation, association = self._random, self._simulation, self.left.association
        association.associate(0.0)
        simulation.run(60, lambda: self.left.established and self.right.established)
        if random.random() < 0.5:
            association.probe([1404], simulation.now)
        sizes, steps = random.choice(
            (
                ((65_000,), (0.0001, 0.01)),
                ((1, 100, 4152, 65_000), (0.0001, 0.01)),
                ((1, 100, 4152, 65_000), (0.0001, 0.01, 0.5, 2.0)),
            )
        )
        now = simulation.now
        until, budget = now + self._seconds, min(self._rate * self._seconds, 25e6)
        while now < until and budget > 0:
            for _ in range(random.choice((1, 3, 30))):
                if association.queued(0) < _QUEUED:
                    self.sent.append(len(self.sent).to_bytes(4) * (random.choice(sizes) // 4 + 1))
                    association.send(0, 53, self.sent[-1], now)
                    budget -= len(self.sent[-1])
            now += random.choice(steps)
            simulation.run(now)
        simulation.run(now + 300, lambda: association.is_drained)


# The last three divided by zero once, in a look of `sharing` after a reader had stopped.
@pytest.mark.full
@pytest.mark.parametrize("seed", [*range(12), 113, 276, 279])
def test_a_long_flow_arrives_whatever_pauses_and_changes(seed: int) -> None:
    flow = _Flow(seed)
    flow.run()
    assert flow.left.ended is flow.right.ended is None
    assert [message.data for message in flow.right.messages] == flow.sent
