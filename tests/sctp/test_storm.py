"""Any weather between two associations: what must arrive does, once and in order.

Hypothesis invents the weather, the messages and the moments; the simulator has the time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcsend.sctp.association import Options
from dcsend.sctp.bbr import Bbr
from dcsend.sctp.queue import RELIABLE, Reliability
from dcsend.sctp.reassembly import Limits
from dcsend.sctp.states import State
from tests.sctp.cubic import Cubic
from tests.sctp.ends import End, Storm, check_books
from tests.sctp.path import Link, Simulation
from tests.sctp.reno import Reno

FAIR = 5.0
"Seconds until the weather is fair."

reliabilities = st.one_of(
    st.just(RELIABLE),
    st.builds(Reliability, ordered=st.booleans()),
    st.builds(Reliability, ordered=st.booleans(), max_retransmits=st.sampled_from([0, 1, 3])),
    st.builds(Reliability, ordered=st.booleans(), max_lifetime=st.sampled_from([0.01, 0.2, 2.0])),
)
sizes = st.one_of(st.integers(1, 40), st.integers(1, 6000), st.sampled_from([1160, 20_000]))


@dataclass(frozen=True)
class Burst:
    """Messages sent at once."""

    time: float
    stream: int
    sizes: list[int]
    how: int
    "Index of how reliable: of its stream."


@dataclass(frozen=True)
class Weather:
    """What the network does until it is fair."""

    seed: int
    lost: float
    repeated: float
    kept: float
    flipped: float
    delay: float
    jitter: float


weathers = st.builds(
    Weather,
    seed=st.integers(0, 2**16),
    lost=st.sampled_from([0.0, 0.0, 0.02, 0.2, 0.5]),
    repeated=st.sampled_from([0.0, 0.1]),
    kept=st.sampled_from([0.0, 0.02, 0.2]),
    flipped=st.sampled_from([0.0, 0.1]),
    delay=st.sampled_from([0.0, 0.001, 0.04]),
    jitter=st.sampled_from([0.0, 0.002]),
)
bursts = st.builds(
    Burst,
    time=st.floats(0.0, FAIR, width=16),
    stream=st.integers(0, 3),
    sizes=st.lists(sizes, min_size=1, max_size=25),
    how=st.integers(0, 3),
)
tsns = st.one_of(st.integers(2**32 - 40, 2**32 - 1), st.integers(0, 2**32 - 1), st.just(2**31 - 5))
windows = st.sampled_from([1, 2000, 20_000, 16 * 1024 * 1024])


@st.composite
def options(draw: st.DrawFn, *, zero_checksum: bool | None = None) -> Options:
    """Return how an end behaves."""
    return Options(
        zero_checksum=draw(st.booleans()) if zero_checksum is None else zero_checksum,
        limits=Limits(window=draw(windows), message=30_000),
        congestion=draw(st.sampled_from([Bbr, Cubic, Reno])),
        first_tsn=draw(tsns),
    )


@dataclass
class Traffic:
    """What one end sends, and what must become of it."""

    end: End
    hows: list[Reliability]
    bursts: list[Burst]
    sent: list[tuple[int, bytes]] = field(default_factory=list)

    def send(self, now: float) -> None:
        """Send what is due."""
        while self.bursts and self.bursts[0].time <= now:
            burst = self.bursts.pop(0)
            for size in burst.sizes:
                number = len(self.sent).to_bytes(4)
                data = (number * (size // 4 + 1))[: max(size, 4)]
                self.sent.append((burst.stream, data))
                self.end.association.send(burst.stream, 53, data, now, self.hows[burst.stream])

    def check(self, got: End) -> None:
        """Compare with what the other end got."""
        for stream, how in enumerate(self.hows):
            sent = [data for number, data in self.sent if number == stream]
            came = [m.data for m in got.messages if m.stream == stream]
            assert set(came) <= set(sent)
            assert len(set(came)) == len(came), "a message came twice"
            if how.ordered:
                assert came == sorted(came, key=lambda data: data[:4]), "out of order"
            if how.max_retransmits is None and how.max_lifetime is None:
                assert len(came) == len(sent), "a message is missing"


def run(
    left: Options,
    right: Options,
    weather: tuple[Weather, Weather],
    traffic: tuple[list[Burst], list[Burst]],
    hows: list[Reliability],
    *,
    starts: tuple[bool, bool] = (True, True),
    sleeps: tuple[float, float] = (0.0, 0.0),
) -> tuple[Traffic, Traffic]:
    """Let two ends talk until all has arrived, close, and return what they have sent.

    Args:
        left: one end.
        right: the other.
        weather: of the way to each.
        traffic: of each.
        hows: how each stream is sent.
        starts: who associates.
        sleeps: from when to when the right application takes nothing.
    """
    random.seed(0)  # BBR draws the times of its probes from there
    ends = End(left), End(right, lambda now: not sleeps[0] <= now < sleeps[1])
    plans = [sorted(bursts, key=lambda burst: burst.time) for bursts in traffic]
    both = Traffic(ends[0], hows, plans[0]), Traffic(ends[1], hows, plans[1])
    flips = not (left.zero_checksum and right.zero_checksum)  # or DTLS keeps broken ones out
    storms = [
        Storm(
            end,
            w.seed,
            until=FAIR,
            lost=w.lost,
            repeated=w.repeated,
            kept=w.kept,
            flipped=w.flipped if flips else 0.0,
        )
        for end, w in zip(ends, weather, strict=True)
    ]
    links = [
        Link(4e6, w.delay, 300_000, jitter=w.jitter, reordered=w.kept, late=0.01, seed=w.seed)
        for w in reversed(weather)
    ]
    simulation = Simulation()
    simulation.connect(storms[0], storms[1], links[0], links[1])
    for end, begins in zip(ends, starts, strict=True):
        if begins:
            end.association.associate(0.0)
    times = sorted({burst.time for plan in plans for burst in plan})
    for time in times:
        simulation.run(until=time)
        for one in both:
            one.send(time)
    simulation.run(until=FAIR)

    def drained() -> bool:
        for end in ends:
            check_books(end.association)
        return all(end.association.is_drained for end in ends)

    simulation.run(until=FAIR + 300.0, done=drained)
    for end in ends:
        assert end.ended is None, end.ended
        assert end.association.is_drained, "not all has arrived after five minutes"
    simulation.run(until=simulation.now + 30.0)
    for end in ends:
        assert end.wakes < 1000 * simulation.now + 1000, "a timer storm"
        limits = end.options.limits
        assert end.most_held <= 2 * limits.window + 2 * limits.message + 200_000
    return both


def close(ends: tuple[End, End]) -> None:
    """Close both over a path without faults, and see both end."""
    simulation = Simulation()
    simulation.now = 1000.0
    simulation.connect(ends[0], ends[1], Link(delay=0.01), Link(delay=0.01))
    ends[0].association.close(1000.0)
    simulation.run(until=1100.0)
    for end in ends:
        assert end.association.state is State.ENDED
        assert end.ended is not None
        assert end.ended.reason == ""


slow_but_sure = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.full
@pytest.mark.parametrize("zero_checksum", [False, True])
@slow_but_sure
@given(data=st.data())
def test_what_is_sent_arrives_as_promised_in_any_weather(
    data: st.DataObject, zero_checksum: bool
) -> None:
    left, right = (
        data.draw(options(zero_checksum=zero_checksum)),
        data.draw(options(zero_checksum=zero_checksum)),
    )
    both = run(
        left,
        right,
        data.draw(st.tuples(weathers, weathers)),
        data.draw(st.tuples(st.lists(bursts, max_size=6), st.lists(bursts, max_size=6))),
        data.draw(st.lists(reliabilities, min_size=4, max_size=4)),
        starts=data.draw(st.sampled_from([(True, True), (True, False), (False, True)])),
        sleeps=data.draw(st.sampled_from([(0.0, 0.0), (1.0, 4.0), (0.0, 40.0)])),
    )
    both[0].check(both[1].end)
    both[1].check(both[0].end)
    close((both[0].end, both[1].end))
