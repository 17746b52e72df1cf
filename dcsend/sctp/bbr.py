"""BBR: the path's model, not its losses, decides (draft-ietf-ccwg-bbr).

The model is two numbers, the bandwidth and the round trip without a queue. Their product (BDP)
is what the path holds; about so much is kept in flight, and packets leave at the bandwidth. Now
and then a little more is sent, to see whether there is more, and then less, to empty the queue
that made. Random loss is only sent again. Loss that is no accident, much of it and a queue
beside, bounds what may be in flight (`inflight_hi`).

    STARTUP ──▶ DRAIN ──▶ CRUISE ──▶ UP ──▶ DOWN ──▶ CRUISE …, a short one if UP found more
                                            DOWN, each fourth ──▶ LOOK ──▶ CRUISE
    any, the round trip not seen short for 10 s ──▶ PROBE_RTT ──▶ STARTUP or CRUISE

The cycle is version 1's, since that holds its own beside version 1, which Linux has; the filter of
two cycles, the allowance for aggregated acknowledgements and the bound are of 2 and 3. What keeps
it from taking the line from flows that back off is our own (`sharing`).

Where the round trip is shorter than the pause of a program that has been waiting for a processor,
it is no measure of what must be in flight: `MIN_RTT` stands in for it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from dcsend.sctp.controller import INITIAL_PACKETS, Acknowledgement
from dcsend.sctp.sharing import Sharing

__all__ = ["MIN_RTT", "Bbr", "Phase"]

MIN_RTT: Final = 0.001
"""Seconds. A shorter round trip counts as so long. Between programs in Python that read 64 packets
at once it fills the processor (simulated, 60 to 120 MB/s); of what Chromium reads, 28 MB/s, it lets
50 KB be in flight, and 80 KB if acknowledgements come in lumps: its receive buffer holds 57 to 85
packets."""

_MIN_PACKETS: Final = 4
"The least window: with it delayed acknowledgements don't stop the flow (draft: MinPipeCwnd)."
_PACING_MARGIN: Final = 0.99
"Of the bandwidth, so that a queue drains in the long run (draft: PacingMarginPercent)."

_STARTUP_GAIN: Final = 2.77
"Twice the rate each round trip: 4 ln 2 (draft: StartupPacingGain)."
_DRAIN_GAIN: Final = 0.35
"The inverse: the queue is gone in about a round trip (version 1)."
_UP_GAIN: Final = 1.25
"Enough to see, in one round trip, whether more comes through (version 1)."
_DOWN_GAIN: Final = 0.75
"Takes away again what UP put into the queue (version 1)."
_WINDOW_GAIN: Final = 1.9
"""Of the BDP in flight at most: acknowledgements may be late by most of a round trip.

On 100 Mbit/s, 40 ms, a queue of one BDP, beside Linux' BBR (2.0) we have 0.4, and with 1.7 0.3.
What it would leave to CUBIC, 0.15, is the business of `sharing` (`bench.fairness`, 2026-11)."""

_FULL_GROWTH: Final = 1.25
"Growth of the bandwidth in a round trip that tells of a path that is not full (draft)."
_FULL_ROUNDS: Final = 3
"Round trips with less growth after which it is."
_CRUISE_RTTS: Final = (4, 8)
"""Round trips between DOWN and UP, at random: six in version 1. Flows that always probe at the
same time never see who has how much."""
_UP_RTTS: Final = 3
"Round trips that UP takes at most, if never so much gets in flight: the sender is the limit."
_DOWN_RTTS: Final = 1.0
"Round trips that DOWN takes at most; beside a flow that fills the queue it never empties."
_LOOK_RTTS: Final = 6.0
"Round trips that LOOK takes at most: one to take back what is in the queue, two to see."
_LOOK_PACKETS: Final = 2 * _MIN_PACKETS
"In a smaller BDP the least window alone makes a queue."
_UP_AGAIN: Final = 1.15
"Growth of the bandwidth by one UP that makes another worth it at once."

_MIN_RTT_WINDOW: Final = 10.0
"Seconds after which the least round trip must be seen again (draft: MinRTTFilterLen)."
_RTT_TOLERANCE: Final = 17 / 16
"How much longer than the least a round trip may be to count as seen: jitter is no queue."
_MIN_RTT_GROWTH: Final = 1.1
"How much longer PROBE_RTT may find it: the queue of a flow that fills it does not run empty then."
_PROBE_RTT_TIME: Final = 0.2
"Seconds with half the BDP in flight (draft: ProbeRTTDuration); all flows overlap in it."
_PROBE_RTT_GAIN: Final = 0.5

_LOSS_WITH_QUEUE: Final = 0.15
"""Of a round's packets, lost while there was a queue: well above what is lost at random. With 2 %
a flow of version 1, which makes others lose, leaves us 0.2 of the line (`bench.fairness`)."""
_LOSS_WITHOUT_QUEUE: Final = 0.2
"Lost while no queue was seen: it may be a short one, or a policer."
_LOST_PACKETS: Final = 6
"Fewer are an accident, whatever part of the round they are (draft: StartupFullLossCnt)."
_QUEUE_RTT: Final = 1.05
"""The shortest round trip of a round, in that of an empty path, that tells of a queue. With 1.1 one
of a tenth of the BDP hardly shows, and two flows lose half as much again there (simulated)."""
_INFLIGHT_GROWTH: Final = 1.25
"Growth of the bound in a round of UP without much loss."

_EXTRA_ROUNDS: Final = 5
"Rounds after which the older half of what is known of aggregation is forgotten (version 1)."


class Phase(Enum):
    """What the sender is after."""

    STARTUP = auto()
    "The bandwidth, by doubling the rate."
    DRAIN = auto()
    "An empty queue, after STARTUP."
    CRUISE = auto()
    "Sending at the bandwidth."
    UP = auto()
    "More bandwidth."
    DOWN = auto()
    "An empty queue, after UP."
    LOOK = auto()
    "Whether the queue is empty then, now and then."
    PROBE_RTT = auto()
    "The round trip of an empty path."


_PACING_GAINS: Final = {
    Phase.STARTUP: _STARTUP_GAIN,
    Phase.DRAIN: _DRAIN_GAIN,
    Phase.CRUISE: 1.0,
    Phase.UP: _UP_GAIN,
    Phase.DOWN: _DOWN_GAIN,
    Phase.LOOK: 1.0,
    Phase.PROBE_RTT: 1.0,
}


class _Maximum:
    """The largest value of this period and the last."""

    __slots__ = ("_this", "value")

    def __init__(self) -> None:
        self.value = self._this = 0.0

    def add(self, value: float) -> None:
        """Take a value of this period."""
        if value > self._this:
            self._this = value
            if value > self.value:
                self.value = value

    def rotate(self) -> None:
        """Begin another period, unless this one had no value: silence is no measurement."""
        if self._this:
            self.value = self._this
            self._this = 0.0


class Bbr:
    """Bottleneck bandwidth and round-trip propagation time."""

    def __init__(
        self, payload: int, now: float, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self.payload = payload
        self.window = INITIAL_PACKETS * payload
        self.pacing_rate = _STARTUP_GAIN * self.window / MIN_RTT
        self.phase = Phase.STARTUP
        self.min_rtt = math.inf
        "Seconds; of the path without a queue, `MIN_RTT` at least."
        self.inflight_hi = math.inf
        "Bytes; what may be in flight without much being lost."
        self._uniform = uniform
        self._sharing = Sharing(now, uniform)
        self._bandwidth = _Maximum()
        self._phase_start = now
        self._phase_end = math.inf
        self._bandwidth_before = math.inf
        "Bytes per second; before UP."

        self._next_round = 0
        "A round ends when a packet is acknowledged that left with so many bytes delivered."
        self._round_delivered = self._last_round_delivered = 0
        self._round_lost = 0
        self._round_rtt = self._last_round_rtt = math.inf
        self._congested = False
        "Whether much was lost in the last round."

        self._full = False
        "Whether STARTUP has found the bandwidth."
        self._full_bandwidth = 0.0
        self._full_rounds = 0

        self._min_rtt_seen = now
        self._idle = False
        "Whether what is in flight began with nothing in flight."
        self._probed_rtt = math.inf
        self._probe_end = math.inf
        self._window_before = 0
        "Bytes; before PROBE_RTT or a timeout took the window down."
        self._restores = False
        "Whether the window goes back there when a round trip shows that the path is alive."

        self._extra = _Maximum()
        "Bytes acknowledged beyond what the bandwidth would have brought."
        self._extra_rounds = 0
        self._epoch_start = now
        self._epoch_delivered = 0

    @property
    def bandwidth(self) -> float:
        """Bytes per second, the most of the last two cycles."""
        return self._bandwidth.value

    @property
    def bdp(self) -> float:
        """Bytes that fill the path without a queue; infinite while nothing is known."""
        bandwidth = self._bandwidth.value
        return bandwidth * self.min_rtt if bandwidth else math.inf

    def acknowledged(self, ack: Acknowledgement) -> None:
        """Refine the model, and what follows from it."""
        self._round_delivered += ack.delivered
        self._round_lost += ack.lost
        if ack.rate and (not ack.app_limited or ack.rate > self._bandwidth.value):
            self._bandwidth.add(ack.rate)
        if ack.rtt is not None:
            self._see_rtt(ack.rtt, ack)
        self._see_extra(ack)
        if ack.prior_delivered >= self._next_round and ack.delivered:
            self._end_round(ack)
        self._advance(ack)
        self._set_pacing_rate()
        self._set_window(ack)
        self._idle = False

    def sent(self, now: float, size: int, in_flight: int) -> None:
        """After a pause go on at the bandwidth, whatever was being probed."""
        if in_flight:
            return
        self._idle = True
        self._epoch_start, self._epoch_delivered = now, 0
        if self.phase in (Phase.UP, Phase.DOWN, Phase.CRUISE):
            self._cruise(now)
            self._set_pacing_rate()

    def timed_out(self, now: float) -> None:
        """Send next to nothing until the path is seen to be alive; then go on as before."""
        if not self._restores:
            self._window_before = max(self.window, self._window_before)
            self._restores = True
        self.window = _MIN_PACKETS * self.payload
        self._epoch_start, self._epoch_delivered = now, 0

    def resized(self, payload: int) -> None:
        """Count windows in packets of that size."""
        if not self._bandwidth.value:
            self.window = INITIAL_PACKETS * payload
        self.payload = payload
        self.window = max(self.window, _MIN_PACKETS * payload)

    # The model

    def _see_rtt(self, rtt: float, ack: Acknowledgement) -> None:
        first = self.min_rtt == math.inf
        rtt = max(rtt, MIN_RTT)
        self._round_rtt = min(self._round_rtt, rtt)
        self._probed_rtt = min(self._probed_rtt, rtt)
        stale = ack.now > self._min_rtt_seen + _MIN_RTT_WINDOW
        if rtt <= self.min_rtt * _RTT_TOLERANCE or (stale and self._idle):
            self._min_rtt_seen = ack.now
            if rtt < self.min_rtt or stale:
                self.min_rtt = rtt
        elif (stale or self._sharing.doubts) and self.phase is not Phase.PROBE_RTT:
            self._sharing.doubts = False
            self._enter(Phase.PROBE_RTT, ack.now)
            self._window_before = max(self.window, self._window_before)
            self._probed_rtt = rtt
            self._probe_end = math.inf
        if first:
            self.pacing_rate = _STARTUP_GAIN * self.window / self.min_rtt

    def _see_extra(self, ack: Acknowledgement) -> None:
        """Measure how far acknowledgements run ahead of the bandwidth when they come."""
        bandwidth = self._bandwidth.value
        expected = bandwidth * (ack.now - self._epoch_start)
        if self._epoch_delivered <= expected:
            self._epoch_start, self._epoch_delivered = ack.now, 0
            expected = 0.0
        self._epoch_delivered += ack.delivered
        if self._full:
            # No more than the BDP: a pause of our own looks like an aggregate as large as the
            # window, and would let the window grow without end.
            self._extra.add(min(self._epoch_delivered - expected, self.bdp))

    def _end_round(self, ack: Acknowledgement) -> None:
        self._next_round = ack.total_delivered
        if self._restores:
            self._restores = False
            self.window = max(self.window, self._window_before)
            self._window_before = 0
        self._judge_losses()
        self._sharing.round_ended(ack.now, self._round_rtt, self.min_rtt)
        self._last_round_rtt = self._round_rtt
        self._last_round_delivered = self._round_delivered
        if not self._full and not ack.app_limited:
            self._look_for_full()
        self._extra_rounds += 1
        if self._extra_rounds >= _EXTRA_ROUNDS:
            self._extra_rounds = 0
            self._extra.rotate()
        self._round_delivered = self._round_lost = 0
        self._round_rtt = math.inf

    def _judge_losses(self) -> None:
        """Bound what is in flight by what came through, if the rest was too much."""
        # What is found lost now may have left with the many of the last round: after a pause of
        # the application a round has few, and their losses would seem to be most of it.
        lost = self._round_lost
        total = lost + max(self._round_delivered, self._last_round_delivered)
        queue = self._round_rtt > self.min_rtt * _QUEUE_RTT
        limit = _LOSS_WITH_QUEUE if queue else _LOSS_WITHOUT_QUEUE
        self._congested = lost >= _LOST_PACKETS * self.payload and lost > limit * total
        if self._congested:
            self.inflight_hi = max(self._round_delivered, _MIN_PACKETS * self.payload)
            self._full = True
        elif self.phase is Phase.UP:
            self.inflight_hi *= _INFLIGHT_GROWTH
            if self.inflight_hi > _WINDOW_GAIN * self.bdp:
                self.inflight_hi = math.inf

    def _look_for_full(self) -> None:
        bandwidth = self._bandwidth.value
        if bandwidth >= self._full_bandwidth * _FULL_GROWTH:
            self._full_bandwidth = bandwidth
            self._full_rounds = 0
            return
        self._full_rounds += 1
        self._full = self._full_rounds >= _FULL_ROUNDS

    # The phases

    def _enter(self, phase: Phase, now: float, rtts: float = math.inf) -> None:
        self.phase = phase
        self._phase_start = now
        self._phase_end = now + rtts * self.min_rtt

    def _cruise(self, now: float) -> None:
        self._enter(Phase.CRUISE, now, self._uniform(*_CRUISE_RTTS))

    def _advance(self, ack: Acknowledgement) -> None:
        """Enter the next phase if this one has done its work."""
        now = ack.now
        match self.phase:
            case Phase.STARTUP if self._full:
                self._enter(Phase.DRAIN, now)
            case Phase.DRAIN if ack.in_flight <= self.bdp:
                self._cruise(now)
            case Phase.CRUISE if self._has_cruised(now):
                self._bandwidth_before = self._bandwidth.value
                self._sharing.usual(self._last_round_rtt, ack.in_flight)
                self._enter(Phase.UP, now, _UP_RTTS)
            case Phase.UP if self._is_up(ack):
                self._enter(Phase.DOWN, now, _DOWN_RTTS)
            case Phase.DOWN if ack.in_flight <= self.bdp or now >= self._phase_end:
                self._bandwidth.rotate()
                if self._looks():
                    self._enter(Phase.LOOK, now, _LOOK_RTTS)
                else:
                    self._cruise(now)
            case Phase.LOOK:
                if self._sharing.look(ack, self.bdp, self.min_rtt) or now >= self._phase_end:
                    self._cruise(now)
            case Phase.PROBE_RTT:
                self._probe_rtt(ack)

    def _looks(self) -> bool:
        """Tell whether it is time to look who else is there."""
        return self.bdp > _LOOK_PACKETS * self.payload and self._sharing.is_due()

    def _has_cruised(self, now: float) -> bool:
        """Tell whether it is time for UP; soon, if the last one found more."""
        if self._bandwidth.value > _UP_AGAIN * self._bandwidth_before:
            return now >= self._phase_start + self.min_rtt
        return now >= self._phase_end

    def _is_up(self, ack: Acknowledgement) -> bool:
        """Tell whether UP has gone on long enough to show in the acknowledgements."""
        if ack.now < self._phase_start + self.min_rtt:
            return False
        enough = ack.in_flight >= min(_UP_GAIN * self.bdp, self.inflight_hi)
        return enough or self._congested or ack.now >= self._phase_end

    def _probe_rtt(self, ack: Acknowledgement) -> None:
        """Stay until little has been in flight for a while, then take the round trip as it is."""
        if self._probe_end == math.inf:
            if ack.in_flight <= self._probe_rtt_window():
                self._probe_end = ack.now + max(_PROBE_RTT_TIME, self.min_rtt)
                self._probed_rtt = math.inf
            return
        if ack.now < self._probe_end or self._probed_rtt == math.inf:
            return
        rtt = self._probed_rtt
        # What is longer than the window is large would let the window shrink without end.
        if rtt < _WINDOW_GAIN * self.min_rtt:
            rtt = min(rtt, _MIN_RTT_GROWTH * self.min_rtt)
        self.min_rtt = rtt
        self._min_rtt_seen = ack.now
        self.window = max(self.window, self._window_before)
        self._window_before = 0
        if self._full:
            self._cruise(ack.now)
        else:
            self._enter(Phase.STARTUP, ack.now)

    def _probe_rtt_window(self) -> float:
        return max(_PROBE_RTT_GAIN * self.bdp, _MIN_PACKETS * self.payload)

    # What follows

    def _set_pacing_rate(self) -> None:
        rate = min(_PACING_GAINS[self.phase] * self._bandwidth.value, self._sharing.ceiling)
        rate *= _PACING_MARGIN
        if rate and (self._full or rate > self.pacing_rate):
            self.pacing_rate = rate

    def _set_window(self, ack: Acknowledgement) -> None:
        target = _WINDOW_GAIN * self.bdp + self._extra.value
        window: float = self.window + ack.delivered
        if self._full:
            window = min(window, target)
        elif self.window >= target:
            window = self.window
        window = min(window, self.inflight_hi)
        if self.phase is Phase.PROBE_RTT:
            window = min(window, self._probe_rtt_window())
        elif self.phase is Phase.LOOK:
            window = min(window, self.bdp)
        self.window = max(int(window), _MIN_PACKETS * self.payload)
