"""Whole transfers over simulated paths: share of the rate, delay, fairness, and what goes wrong.

The paths are those dcsend is measured on, and a few that Wi-Fi and mobile networks make. Shares
are of all bytes that the bottleneck could have carried, payload and packet being the same here.
`tests/sctp/test_bbr.py` has the model's single steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import pytest

from dcsend.sctp.bbr import Bbr, Phase
from dcsend.sctp.controller import Acknowledgement, Controller, MakeController
from tests.sctp.abstract import PAYLOAD, Receiver, Sender
from tests.sctp.cubic import Cubic
from tests.sctp.path import Link, Simulation
from tests.sctp.reno import Reno

MBIT = 1e6 / 8
MB = 1_000_000


class LinuxBbr(Bbr):
    """Version 1 as in Linux: blind to loss, but for packet conservation while it recovers."""

    _recovery_end = 0
    _recovers = _conserves = False
    _before_recovery = 0

    def _check_excessive_loss(self) -> None:
        """Nothing is bounded."""

    def _set_cwnd(self, ack: Acknowledgement) -> None:
        self.window = max(self.window - ack.lost, PAYLOAD)
        if ack.lost and not self._recovers:
            self._recovers = self._conserves = True
            self._before_recovery = self.window
            self._recovery_end = ack.total_delivered
            self.window = 0
        elif self._recovers and ack.prior_delivered >= self._recovery_end:
            self._conserves = False
            if not ack.lost:
                self._recovers = False
                self.window = max(self.window, self._before_recovery)
        if self._conserves:
            self.window = max(self.window, ack.in_flight + ack.delivered)
        else:
            target = 2 * self.bdp + self._extra_acked.value
            self.window = int(min(self.window + ack.delivered, target))
        if self.phase is Phase.PROBE_RTT:
            self.window = min(self.window, 4 * PAYLOAD)
        self.window = max(self.window, 4 * PAYLOAD)


def controller(name: str, seed: int = 1) -> Controller:
    """Return the controller of that name, its random numbers from the seed."""
    if name == "bbr":
        return Bbr(PAYLOAD, 0.0, Random(seed).uniform)
    if name == "linux-bbr":
        return LinuxBbr(PAYLOAD, 0.0, Random(seed).uniform, sharing=False)
    return {"cubic": Cubic, "reno": Reno}[name](PAYLOAD, 0.0)


def transfer(
    link: Link,
    total: float = math.inf,
    *,
    until: float = 60.0,
    name: str = "bbr",
    back: Link | None = None,
    receiver: Receiver | None = None,
    writes: list[tuple[float, int]] | None = None,
    timer: float = 0.0,
    cost: float = 0.0,
) -> Sender:
    """Send over a link, until so much has arrived or so long has passed."""
    sender = Sender(controller(name), total, writes=writes, timer=timer, cost=cost)
    simulation = Simulation()
    simulation.connect(sender, receiver or Receiver(), link, back or Link(delay=link.delay))
    simulation.run(until, lambda: sender.is_done)
    return sender


def seconds(sender: Sender) -> float:
    """Return how long the transfer took."""
    assert sender.is_done
    return sender.log[-1][0]


def typical(values: Sequence[float]) -> float:
    """Return the median of sorted values."""
    return values[len(values) // 2]


@dataclass(frozen=True)
class Path:
    """A path of the measurements, 60 MB over it, and the least rate asked for."""

    rate: float
    rtt: float
    queue: float
    loss: float
    least: float
    "Bytes per second."

    def link(self) -> Link:
        """Return the way there."""
        return Link(self.rate, self.rtt / 2, self.queue, loss=self.loss)


@pytest.mark.full
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(Path(100 * MBIT, 0.04, 500e3, 0.0, 0.92 * 100 * MBIT), id="40ms-100M"),
        pytest.param(Path(100 * MBIT, 0.04, 50e3, 0.0, 0.85 * 100 * MBIT), id="40ms-100M-shallow"),
        pytest.param(Path(1000 * MBIT, 0.04, 4e6, 0.001, 50 * MB), id="40ms-1G-0.1%"),
        pytest.param(Path(1000 * MBIT, 0.04, 4e6, 0.01, 50 * MB), id="40ms-1G-1%"),
        pytest.param(Path(1000 * MBIT, 0.15, 8e6, 0.001, 18 * MB), id="150ms-1G-0.1%"),
    ],
)
def test_sixty_megabytes_are_quick(path: Path) -> None:
    sender = transfer(path.link(), 60 * MB)
    assert 60 * MB / seconds(sender) > path.least
    assert sender.timeouts == 0


@pytest.mark.full
@pytest.mark.parametrize("loss", [0.001, 0.01])
def test_a_sender_short_of_processor_time_uses_all_it_has_in_spite_of_loss(loss: float) -> None:
    cost = PAYLOAD / (33 * MB)
    sender = transfer(Link(1000 * MBIT, 0.02, 4e6, loss=loss), until=3.0, timer=0.001, cost=cost)
    assert sender.rate_between(1.0, 3.0) > 0.93 * 33 * MB


@pytest.mark.full
def test_loss_that_stops_cubic_does_not_stop_bbr() -> None:
    def rate(name: str) -> float:
        link = Link(100 * MBIT, 0.02, 500e3, loss=0.01)
        return transfer(link, until=8.0, name=name).rate_between(2.0, 8.0)

    assert rate("cubic") < 0.2 * 100 * MBIT
    assert rate("bbr") > 0.9 * 100 * MBIT


def test_three_seconds_of_buffer_are_not_filled() -> None:
    sender = transfer(Link(8 * MBIT, 0.03, 3e6), until=30.0)
    assert sender.rate_between(0.0, 30.0) > 0.95 * 8 * MBIT
    assert sender.longest_rtt < 0.06 + 0.15
    assert typical(sender.rtts_between(5.0, 30.0)) < 0.06 + 0.02
    assert sender.lost_packets == 0


def test_startup_overshoots_by_little() -> None:
    sender = transfer(Link(100 * MBIT, 0.02, 500e3), until=1.5)
    assert sender.rate_between(0.5, 1.5) > 0.9 * 100 * MBIT
    assert sender.lost_packets < 0.01 * sender.sent_packets


# Fairness


def shares(
    names: Sequence[str], *, starts: Sequence[float], until: float, queue: float = 500e3
) -> list[float]:
    """Return what each flow has of all that came through since the last began."""
    simulation = Simulation()
    link, back = Link(100 * MBIT, 0.02, queue), Link(delay=0.02)
    senders = []
    for number, (name, start) in enumerate(zip(names, starts, strict=True)):
        senders.append(Sender(controller(name, seed=number + 10), start=start))
        simulation.connect(senders[-1], Receiver(), link, back)
    simulation.run(until)
    rates = [sender.rate_between(max(starts), until) for sender in senders]
    assert sum(rates) > 0.95 * 100 * MBIT
    return [rate / sum(rates) for rate in rates]


@pytest.mark.full
@pytest.mark.parametrize("other", ["bbr", "linux-bbr", "cubic"])
def test_the_second_flow_gets_a_share(other: str) -> None:
    share, _ = shares(["bbr", other], starts=[2.0, 0.0], until=20.0)
    assert 0.3 < share < 0.7


@pytest.mark.full
def test_the_first_flow_gives_a_share() -> None:
    share, _ = shares(["bbr", "linux-bbr"], starts=[0.0, 2.0], until=20.0)
    assert 0.3 < share < 0.7


@pytest.mark.full
def test_cubic_has_its_share_in_the_long_run() -> None:
    share, _ = shares(["bbr", "cubic"], starts=[0.0, 0.1], until=30.0)
    assert 0.3 < share < 0.7


@pytest.mark.full
def test_a_short_queue_is_shared_without_losing_much() -> None:
    simulation = Simulation()
    link, back = Link(100 * MBIT, 0.02, 50e3), Link(delay=0.02)
    senders = [Sender(controller("bbr", seed), start=seed) for seed in (0, 1)]
    for sender in senders:
        simulation.connect(sender, Receiver(), link, back)
    simulation.run(12.0)
    for sender in senders:
        assert 0.3 < sender.rate_between(3.0, 12.0) / (100 * MBIT) < 0.7
        assert sender.lost_packets < 0.07 * sender.sent_packets


# Paths that change


@pytest.mark.full
def test_a_rate_that_falls_to_a_quarter_is_found_within_a_second() -> None:
    sender = transfer(Link([(0, 100 * MBIT), (4, 25 * MBIT)], 0.02, 500e3), until=8.0)
    assert sender.rate_between(4.5, 8.0) > 0.95 * 25 * MBIT
    assert typical(sender.rtts_between(5.0, 8.0)) < 0.06
    assert sender.timeouts == 0


@pytest.mark.full
def test_a_rate_that_grows_fourfold_is_found_within_a_second_and_a_half() -> None:
    sender = transfer(Link([(0, 25 * MBIT), (4, 100 * MBIT)], 0.02, 500e3), until=8.0)
    assert sender.rate_between(5.5, 8.0) > 0.95 * 100 * MBIT


@pytest.mark.full
def test_after_two_seconds_without_a_path_it_goes_on_at_the_old_rate() -> None:
    down = (3.0, 5.0)
    link = Link(100 * MBIT, 0.02, 500e3, down=down)
    sender = transfer(link, until=8.0, back=Link(delay=0.02, down=down))
    assert sender.timeouts
    # The timer has backed off for as long as the path was away, less a bit.
    assert sender.rate_between(6.0, 8.0) > 0.95 * 100 * MBIT
    assert sender.sent_packets < 1.1 * (sender.delivered / PAYLOAD)


@pytest.mark.full
def test_jitter_and_late_packets_cost_little() -> None:
    link = Link(100 * MBIT, 0.02, 500e3, jitter=0.01, reordered=0.01, late=0.01)
    sender = transfer(link, until=6.0, back=Link(delay=0.02, jitter=0.005, loss=0.01))
    assert sender.rate_between(1.0, 6.0) > 0.9 * 100 * MBIT


# What the application and the peer do


@pytest.mark.full
def test_an_application_that_pauses_finds_the_rate_again_at_once() -> None:
    trickle = [(3.0 + 0.1 * number, 20_000) for number in range(70)]
    writes = [(0.0, 20 * MB), *trickle, (12.0, 40 * MB)]
    sender = transfer(Link(100 * MBIT, 0.02, 500e3), writes=writes, until=14.0)
    assert sender.rate_between(12.2, 14.0) > 0.95 * 100 * MBIT
    assert sender.lost_packets < 0.001 * sender.sent_packets


def test_short_messages_before_a_file_do_not_slow_it_down() -> None:
    writes = [*((0.1 * number, 500) for number in range(20)), (2.5, 40 * MB)]
    sender = transfer(Link(100 * MBIT, 0.02, 500e3), writes=writes, until=5.0)
    assert sender.rate_between(3.0, 5.0) > 0.95 * 100 * MBIT


@pytest.mark.full
def test_sixty_four_packets_in_one_acknowledgement_lose_nothing_of_the_rate() -> None:
    receiver = Receiver(cost=PAYLOAD / (101 * MBIT), batch=64)
    sender = transfer(Link(100 * MBIT, 0.02, 500e3), until=5.0, receiver=receiver)
    assert sender.rate_between(1.0, 5.0) > 0.95 * 100 * MBIT


def test_the_slowest_path_gets_four_packets_at_a_time() -> None:
    sender = transfer(Link(160e3 / 8, 0.05, 20e3), until=60.0)
    assert sender.rate_between(1.0, 60.0) > 0.95 * 160e3 / 8
    assert sender.longest_rtt < 1.0


def pauses(rate: float, longest: float, until: float) -> list[tuple[float, float]]:
    """Return when a program does something else, so often a second, and for how long."""
    random = Random(3)
    count = int(rate * until)
    return [((n + random.random() / 2) / rate, random.random() * longest) for n in range(count)]


@pytest.mark.full
@pytest.mark.parametrize("stalls", [None, pauses(10, 0.01, 3.0)], ids=["steady", "pausing"])
@pytest.mark.parametrize("speed", [60 * MB, 115 * MB], ids=["60MB/s", "115MB/s"])
def test_on_a_lan_the_peers_processor_is_the_limit(
    speed: int, stalls: list[tuple[float, float]] | None
) -> None:
    # 64 packets are read at a time; 185 fit in a socket's buffer as Linux has it.
    receiver = Receiver(cost=PAYLOAD / speed, batch=64, buffer=185, stalls=stalls)
    link = Link(1000 * MBIT, 0.00005, 1e6)
    sender = transfer(link, until=1.5, receiver=receiver, timer=0.001, cost=0.00001)
    assert sender.rate_between(0.1, 1.5) > (0.9 if stalls else 0.97) * speed
    assert sender.lost_packets < 0.01 * sender.sent_packets


@pytest.mark.full
@pytest.mark.parametrize("stalls", [None, pauses(10, 0.01, 3.0)], ids=["steady", "pausing"])
@pytest.mark.parametrize("batch", [2, 16, 64])
def test_a_browsers_socket_buffer_does_not_overflow(
    batch: int, stalls: list[tuple[float, float]] | None
) -> None:
    receiver = Receiver(cost=PAYLOAD / (28 * MB), batch=batch, buffer=60, stalls=stalls)
    link = Link(1000 * MBIT, 0.00005, 1e6)
    sender = transfer(link, until=2.0, receiver=receiver, timer=0.001, cost=0.00001)
    assert sender.rate_between(0.1, 2.0) > (0.9 if stalls else 0.97) * 28 * MB
    assert receiver.overflown < 0.001 * sender.sent_packets


# The others


def acknowledgement(now: float, total: int, *, size: int, lost: int = 0) -> Acknowledgement:
    """Return one of a whole window, a round trip of 40 ms after it left."""
    return Acknowledgement(
        now,
        delivered=size,
        lost=lost,
        in_flight=0,
        prior_in_flight=size + lost,
        rtt=0.04,
        rate=size / 0.04,
        app_limited=False,
        prior_delivered=total - size,
        total_delivered=total,
    )


def rounds(control: Controller, count: int, *, now: float = 0.0, lost: int = 0) -> list[int]:
    """Let whole windows be acknowledged; return the window after each."""
    windows = []
    total = 10**9 + int(now * 10**9)
    for _ in range(count):
        now += 0.04
        total += control.window
        control.acknowledged(acknowledgement(now, total, size=control.window, lost=lost))
        windows.append(control.window)
    return windows


@pytest.mark.parametrize(("name", "part"), [("reno", 0.5), ("cubic", 0.7)])
def test_a_loss_takes_a_part_of_the_window(name: str, part: float) -> None:
    control = controller(name)
    before = rounds(control, 4)[-1]
    assert before == 16 * 10 * PAYLOAD
    assert rounds(control, 1, now=1.0, lost=PAYLOAD) == [int(before * part)]


def test_losses_of_one_round_trip_are_one_loss() -> None:
    control = controller("reno")
    before = rounds(control, 4)[-1]
    total = 10**9
    for _ in range(5):
        total += PAYLOAD
        ack = acknowledgement(1.0, total, size=PAYLOAD, lost=PAYLOAD)
        ack.prior_delivered = 10**9
        control.acknowledged(ack)
    assert control.window == before // 2


def test_reno_grows_by_a_packet_in_a_round_trip() -> None:
    control = controller("reno")
    rounds(control, 4)
    start = rounds(control, 1, now=1.0, lost=PAYLOAD)[0]
    assert rounds(control, 10, now=2.0)[-1] == pytest.approx(start + 10 * PAYLOAD, abs=PAYLOAD)


def test_cubic_is_back_where_it_was_in_time_and_slow_there() -> None:
    control = controller("cubic")
    before = rounds(control, 6)[-1]
    rounds(control, 1, now=1.0, lost=PAYLOAD)
    k = (0.3 * before / PAYLOAD / 0.4) ** (1 / 3)
    windows = rounds(control, int(1.5 * k / 0.04), now=1.04)
    back = int(k / 0.04)
    assert windows[back] == pytest.approx(before, rel=0.02)
    early, late = windows[10] - windows[0], windows[back] - windows[back - 10]
    assert early > 5 * late
    assert windows[-1] > 1.02 * before


@pytest.mark.parametrize("name", ["reno", "cubic"])
def test_a_window_that_is_not_used_does_not_grow(name: str) -> None:
    control = controller(name)
    before = rounds(control, 4)[-1]
    for number in range(10):
        control.acknowledged(acknowledgement(1.0, 2 * 10**9 + number, size=PAYLOAD))
    assert control.window == before


@pytest.mark.parametrize("name", ["reno", "cubic"])
def test_after_a_timeout_one_packet_goes(name: str) -> None:
    control = controller(name)
    rounds(control, 4)
    control.timed_out(1.0)
    assert control.window == PAYLOAD
    assert rounds(control, 3, now=2.0) == [2 * PAYLOAD, 4 * PAYLOAD, 8 * PAYLOAD]


@pytest.mark.parametrize("name", ["reno", "cubic"])
def test_slow_start_ends_before_a_deep_queue_is_full(name: str) -> None:
    sender = transfer(Link(100 * MBIT, 0.02, 2e6), until=2.0, name=name)
    assert sender.rate_between(1.0, 2.0) > 0.8 * 100 * MBIT
    assert sender.lost_packets == 0


@pytest.mark.parametrize("make", [Bbr, Cubic, Reno])
def test_the_first_window_is_ten_packets_of_any_size(make: MakeController) -> None:
    control = make(1200, 5.0)
    assert control.window == 12_000
    control.resized(1400)
    assert control.window == 14_000
    control.sent(5.0, 1400, 0)
