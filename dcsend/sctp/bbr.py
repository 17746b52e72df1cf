"""BBR congestion control: rate and window follow a model of the path (draft-cardwell-ccwg-bbr).

The model has two parameters: the bottleneck bandwidth and the round trip without a queue. Their
product (BDP) is what the path holds without a queue; about so much is in flight, paced at the
bandwidth. Now and then more is sent, to find more bandwidth, and then less, to drain the queue.
Random losses are retransmitted without a change of the rate. A high loss rate bounds the bytes in
flight (`inflight_hi`).

    STARTUP ──▶ DRAIN ──▶ CRUISE ──▶ UP ──▶ DOWN ──▶ CRUISE …, a short one if UP found more
                                            DOWN, each fourth ──▶ PROBE_QUEUE ──▶ CRUISE
    any, without a short round trip for 10 s ──▶ PROBE_RTT ──▶ STARTUP or CRUISE

The cycle is that of version 1, which Linux has, so that both share a line; the bandwidth filter of
two cycles, the compensation for ACK aggregation and `inflight_hi` are those of versions 2 and 3.
`sharing` leaves bandwidth to loss-based flows. docs/congestion.md has the model, its differences
from the draft, and how it was evaluated.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from dcsend.sctp.controller import INITIAL_PACKETS, Acknowledgement
from dcsend.sctp.sharing import Sharing

__all__ = ["MIN_RTT", "Bbr", "Phase"]

logger = logging.getLogger(__name__)

MIN_RTT: Final = 0.001
"""Seconds: lower bound of the round trip in the model. The round trip on a LAN is shorter than the
scheduling delays of a program, so it does not describe what must be in flight. Between programs in
Python that read 64 packets at once 1 ms fills the processor (simulated, 60 to 120 MB/s). At the 28
MB/s of Chromium it allows 50 KB in flight, and 80 KB with ACK aggregation, which its receive buffer
of 57 to 85 packets holds."""

_MIN_PACKETS: Final = 4
"MinPipeCwnd in packets: delayed SACKs do not stop a flow with it."
_PACING_MARGIN: Final = 0.99
"PacingMarginPercent: below the bandwidth, so that a queue drains in the long run."

_STARTUP_PACING_GAIN: Final = 2.77
"StartupPacingGain: 4 ln 2 doubles the rate in each round trip."
_DRAIN_PACING_GAIN: Final = 0.35
"DrainPacingGain: drains the queue in about one round trip (version 1)."
_PROBE_BW_UP_PACING_GAIN: Final = 1.25
"ProbeBW_UP pacing gain: shows within one round trip whether more is delivered (version 1)."
_PROBE_BW_DOWN_PACING_GAIN: Final = 0.75
"ProbeBW_DOWN pacing gain: drains the queue that UP has made (version 1)."
_CWND_GAIN: Final = 1.9
"""cwnd_gain: acknowledgements may be late by most of a round trip.

On 100 Mbit/s, 40 ms and a queue of one BDP, dcsend has 0.4 of the line beside Linux' BBR (which
uses 2.0), and 0.3 with a gain of 1.7. `sharing` corrects the share that it leaves to CUBIC, 0.15
(`bench.fairness`, 2026-11)."""

_FULL_BW_GROWTH: Final = 1.25
"Growth of the bandwidth in a round from which on the path counts as not full (draft)."
_FULL_BW_COUNT: Final = 3
"Rounds with less growth after which full_bw_reached is set."
_CRUISE_RTTS: Final = (4, 8)
"""Round trips between DOWN and UP, at random; six in version 1. Flows that always probe at the same
time cannot measure their shares."""
_UP_RTTS: Final = 3
"Longest UP in round trips, if the sender cannot fill the window."
_DOWN_RTTS: Final = 1.0
"Longest DOWN in round trips: beside a flow that fills the queue it never drains."
_PROBE_QUEUE_RTTS: Final = 6.0
"Longest PROBE_QUEUE in round trips: one to drain our part of the queue, two to measure."
_PROBE_QUEUE_PACKETS: Final = 2 * _MIN_PACKETS
"With a smaller BDP the smallest window alone makes a queue."
_UP_AGAIN_GROWTH: Final = 1.15
"Growth of the bandwidth in UP after which the next UP follows at once."

_MIN_RTT_FILTER_LEN: Final = 10.0
"MinRTTFilterLen: seconds after which the minimum must be measured again."
_RTT_TOLERANCE: Final = 17 / 16
"Ratio to the minimum up to which a round trip confirms it: jitter is no queue."
_MIN_RTT_GROWTH: Final = 1.1
"""Growth of the minimum in one PROBE_RTT, at most: the queue of a competing flow does not drain in
it."""
_PROBE_RTT_DURATION: Final = 0.2
"ProbeRTTDuration in seconds with half of the BDP in flight; the phases of all flows overlap."
_PROBE_RTT_CWND_GAIN: Final = 0.5

_LOSS_WITH_QUEUE: Final = 0.15
"""Loss rate of a round with a queue from which on it is excessive: well above random loss. With 2 %
a competing flow of version 1, which causes losses, leaves 0.2 of the line (`bench.fairness`)."""
_LOSS_WITHOUT_QUEUE: Final = 0.2
"The same without a queue: it may be a short queue, or a policer."
_LOST_PACKETS: Final = 6
"Fewer lost packets are never excessive (draft: StartupFullLossCnt)."
_QUEUE_RTT: Final = 1.05
"""Ratio of the shortest round trip of a round to the minimum that shows a queue. With 1.1 a queue
of a tenth of the BDP is hardly seen, and two flows lose half as much again in it (simulated)."""
_INFLIGHT_GROWTH: Final = 1.25
"Growth of `inflight_hi` in a round of UP without excessive loss."

_EXTRA_ROUNDS: Final = 5
"Rounds in each half of the ACK aggregation filter (version 1)."


class Phase(Enum):
    """The phases. PROBE_QUEUE is not in the draft."""

    STARTUP = auto()
    "Finds the bandwidth by doubling the rate."
    DRAIN = auto()
    "Drains the queue of STARTUP."
    PROBE_BW_CRUISE = auto()
    "Sends at the bandwidth."
    PROBE_BW_UP = auto()
    "Probes for more bandwidth."
    PROBE_BW_DOWN = auto()
    "Drains the queue of UP."
    PROBE_QUEUE = auto()
    "Measures whether the queue belongs to other flows."
    PROBE_RTT = auto()
    "Measures the round trip without a queue."


_PACING_GAINS: Final = {
    Phase.STARTUP: _STARTUP_PACING_GAIN,
    Phase.DRAIN: _DRAIN_PACING_GAIN,
    Phase.PROBE_BW_CRUISE: 1.0,
    Phase.PROBE_BW_UP: _PROBE_BW_UP_PACING_GAIN,
    Phase.PROBE_BW_DOWN: _PROBE_BW_DOWN_PACING_GAIN,
    Phase.PROBE_QUEUE: 1.0,
    Phase.PROBE_RTT: 1.0,
}


class _MaxFilter:
    """The largest value of this period and the previous one."""

    __slots__ = ("_this", "value")

    def __init__(self) -> None:
        self.value = self._this = 0.0

    def add(self, value: float) -> None:
        """Add a value of this period."""
        if value > self._this:
            self._this = value
            if value > self.value:
                self.value = value

    def rotate(self) -> None:
        """Begin the next period, unless this one had no value."""
        if self._this:
            self.value = self._this
            self._this = 0.0


class Bbr:
    """BBR: bottleneck bandwidth and round-trip propagation time."""

    def __init__(
        self,
        payload: int,
        now: float,
        uniform: Callable[[float, float], float] = random.uniform,
        *,
        sharing: bool = True,
    ) -> None:
        """Begin; *sharing* leaves bandwidth to loss-based flows (`sharing`)."""
        self.payload = payload
        self.window = INITIAL_PACKETS * payload
        self.pacing_rate = _STARTUP_PACING_GAIN * self.window / MIN_RTT
        self.phase = Phase.STARTUP
        self.min_rtt = math.inf
        "BBR.min_rtt in seconds, at least `MIN_RTT`."
        self.inflight_hi = math.inf
        "BBR.inflight_hi: bytes that may be in flight without excessive loss."
        self._uniform = uniform
        self._shares = sharing
        self.sharing = Sharing(now, uniform)
        self._max_bw_filter = _MaxFilter()
        self._phase_start = now
        self._phase_end = math.inf
        self._max_bw_before_up = math.inf
        "BBR.max_bw before UP."

        self._next_round_delivered = 0
        "BBR.next_round_delivered: a packet sent with so many bytes delivered ends the round."
        self._delivered_in_round = self._delivered_in_last_round = 0
        self._lost_in_round = 0
        self._round_rtt = self._last_round_rtt = math.inf
        self._loss_is_excessive = False
        "Whether the loss of the last round was excessive."

        self._full_bw_reached = False
        "BBR.full_bw_reached."
        self._full_bw = 0.0
        self._full_bw_count = 0

        self._min_rtt_stamp = now
        self._idle_restart = False
        "BBR.idle_restart: whether nothing was in flight before the present packets."
        self._probe_rtt_min_delay = self._probe_rtt_done_stamp = math.inf
        self._prior_cwnd = 0
        "BBR.prior_cwnd: bytes; before PROBE_RTT or a timeout."
        self._restores_cwnd = False
        "Whether the next round restores the window after a timeout."

        self._extra_acked = _MaxFilter()
        "BBR.extra_acked: bytes acknowledged beyond those that the bandwidth explains."
        self._extra_acked_interval_start = now
        self._extra_acked_delivered = self._extra_acked_rounds = 0

    @property
    def max_bw(self) -> float:
        """BBR.max_bw: bytes per second, the maximum of the last two cycles."""
        return self._max_bw_filter.value

    @property
    def bdp(self) -> float:
        """BBR.bdp in bytes; infinite before the first sample."""
        bandwidth = self._max_bw_filter.value
        return bandwidth * self.min_rtt if bandwidth else math.inf

    def acknowledged(self, ack: Acknowledgement) -> None:
        """Update the model, the phase, the pacing rate and the window."""
        self._delivered_in_round += ack.delivered
        self._lost_in_round += ack.lost
        if ack.rate and (not ack.app_limited or ack.rate > self._max_bw_filter.value):
            self._max_bw_filter.add(ack.rate)
        if ack.rtt is not None:
            self._update_min_rtt(ack.rtt, ack)
        self._update_ack_aggregation(ack)
        if ack.prior_delivered >= self._next_round_delivered and ack.delivered:
            self._update_round(ack)
        self._update_phase(ack)
        self._set_pacing_rate()
        self._set_cwnd(ack)
        self._idle_restart = False

    def sent(self, now: float, size: int, in_flight: int) -> None:
        """Continue at the bandwidth after idle time, without probing."""
        if in_flight:
            return
        self._idle_restart = True
        self._extra_acked_interval_start, self._extra_acked_delivered = now, 0
        if self.phase in (Phase.PROBE_BW_UP, Phase.PROBE_BW_DOWN, Phase.PROBE_BW_CRUISE):
            self._start_cruise(now)
            self._set_pacing_rate()

    def timed_out(self, now: float) -> None:
        """Reduce the window to its minimum; the next round restores it."""
        if not self._restores_cwnd:
            self._prior_cwnd = max(self.window, self._prior_cwnd)
            self._restores_cwnd = True
        self.window = _MIN_PACKETS * self.payload
        self._extra_acked_interval_start, self._extra_acked_delivered = now, 0

    def resized(self, payload: int) -> None:
        """Note the bytes of payload of a full packet from now on."""
        if not self._max_bw_filter.value:
            self.window = INITIAL_PACKETS * payload
        self.payload = payload
        self.window = max(self.window, _MIN_PACKETS * payload)

    # The model of the path

    def _update_min_rtt(self, rtt: float, ack: Acknowledgement) -> None:
        first = self.min_rtt == math.inf
        rtt = max(rtt, MIN_RTT)
        self._round_rtt = min(self._round_rtt, rtt)
        self._probe_rtt_min_delay = min(self._probe_rtt_min_delay, rtt)
        stale = ack.now > self._min_rtt_stamp + _MIN_RTT_FILTER_LEN
        if rtt <= self.min_rtt * _RTT_TOLERANCE or (stale and self._idle_restart):
            self._min_rtt_stamp = ack.now
            if rtt < self.min_rtt or stale:
                self.min_rtt = rtt
        elif (stale or self.sharing.min_rtt_is_doubtful) and self.phase is not Phase.PROBE_RTT:
            self.sharing.clear_doubt()
            self._enter(Phase.PROBE_RTT, ack.now)
            self._prior_cwnd = max(self.window, self._prior_cwnd)
            self._probe_rtt_min_delay = rtt
            self._probe_rtt_done_stamp = math.inf
        if first:
            self.pacing_rate = _STARTUP_PACING_GAIN * self.window / self.min_rtt

    def _update_ack_aggregation(self, ack: Acknowledgement) -> None:
        """Update BBR.extra_acked."""
        bandwidth = self._max_bw_filter.value
        expected = bandwidth * (ack.now - self._extra_acked_interval_start)
        if self._extra_acked_delivered <= expected:
            self._extra_acked_interval_start, self._extra_acked_delivered = ack.now, 0
            expected = 0.0
        self._extra_acked_delivered += ack.delivered
        if self._full_bw_reached:
            # At most the BDP: a pause of this program looks like ACK aggregation as large as the
            # window, and would let the window grow without limit.
            self._extra_acked.add(min(self._extra_acked_delivered - expected, self.bdp))

    def _update_round(self, ack: Acknowledgement) -> None:
        self._next_round_delivered = ack.total_delivered
        if self._restores_cwnd:
            self._restores_cwnd = False
            self.window = max(self.window, self._prior_cwnd)
            self._prior_cwnd = 0
        self._check_excessive_loss()
        self.sharing.round_ended(ack.now, self._round_rtt, self.min_rtt)
        self._last_round_rtt = self._round_rtt
        self._delivered_in_last_round = self._delivered_in_round
        if not self._full_bw_reached and not ack.app_limited:
            self._check_full_bw_reached()
        self._extra_acked_rounds += 1
        if self._extra_acked_rounds >= _EXTRA_ROUNDS:
            self._extra_acked_rounds = 0
            self._extra_acked.rotate()
        self._delivered_in_round = self._lost_in_round = 0
        self._round_rtt = math.inf

    def _check_excessive_loss(self) -> None:
        """Set `inflight_hi` after excessive loss, and let it grow in UP."""
        # Losses found now may belong to the packets of the last round: after a pause of the
        # application a round has few packets, and their loss rate would be too high.
        lost = self._lost_in_round
        total = lost + max(self._delivered_in_round, self._delivered_in_last_round)
        queue = self._round_rtt > self.min_rtt * _QUEUE_RTT
        limit = _LOSS_WITH_QUEUE if queue else _LOSS_WITHOUT_QUEUE
        self._loss_is_excessive = lost >= _LOST_PACKETS * self.payload and lost > limit * total
        if self._loss_is_excessive:
            self.inflight_hi = max(self._delivered_in_round, _MIN_PACKETS * self.payload)
            self._full_bw_reached = True
        elif self.phase is Phase.PROBE_BW_UP:
            self.inflight_hi *= _INFLIGHT_GROWTH
            if self.inflight_hi > _CWND_GAIN * self.bdp:
                self.inflight_hi = math.inf

    def _check_full_bw_reached(self) -> None:
        bandwidth = self._max_bw_filter.value
        if bandwidth >= self._full_bw * _FULL_BW_GROWTH:
            self._full_bw = bandwidth
            self._full_bw_count = 0
            return
        self._full_bw_count += 1
        self._full_bw_reached = self._full_bw_count >= _FULL_BW_COUNT

    # The phases

    def _enter(self, phase: Phase, now: float, rtts: float = math.inf) -> None:
        logger.debug("%s, %.0f B/s, min_rtt %.4f s", phase.name, self.max_bw, self.min_rtt)
        self.phase = phase
        self._phase_start = now
        self._phase_end = now + rtts * self.min_rtt

    def _start_cruise(self, now: float) -> None:
        self._enter(Phase.PROBE_BW_CRUISE, now, self._uniform(*_CRUISE_RTTS))

    def _update_phase(self, ack: Acknowledgement) -> None:
        """Change the phase if its condition is met."""
        now = ack.now
        match self.phase:
            case Phase.STARTUP if self._full_bw_reached:
                self._enter(Phase.DRAIN, now)
            case Phase.DRAIN if ack.in_flight <= self.bdp:
                self._start_cruise(now)
            case Phase.PROBE_BW_CRUISE if self._is_time_to_probe_bw(now):
                self._max_bw_before_up = self._max_bw_filter.value
                self.sharing.set_baseline(self._last_round_rtt, ack.in_flight)
                self._enter(Phase.PROBE_BW_UP, now, _UP_RTTS)
            case Phase.PROBE_BW_UP if self._is_time_to_go_down(ack):
                self._enter(Phase.PROBE_BW_DOWN, now, _DOWN_RTTS)
            case Phase.PROBE_BW_DOWN if ack.in_flight <= self.bdp or now >= self._phase_end:
                self._max_bw_filter.rotate()
                if self._is_time_to_probe_queue():
                    self._enter(Phase.PROBE_QUEUE, now, _PROBE_QUEUE_RTTS)
                else:
                    self._start_cruise(now)
            case Phase.PROBE_QUEUE:
                if self.sharing.probe(ack, self.bdp, self.min_rtt) or now >= self._phase_end:
                    self._start_cruise(now)
            case Phase.PROBE_RTT:
                self._check_probe_rtt(ack)

    def _is_time_to_probe_queue(self) -> bool:
        """Return whether PROBE_QUEUE follows."""
        is_large = self.bdp > _PROBE_QUEUE_PACKETS * self.payload
        return self._shares and is_large and self.sharing.is_due()

    def _is_time_to_probe_bw(self, now: float) -> bool:
        """Return whether UP follows; soon, if the last one found more bandwidth."""
        if self._max_bw_filter.value > _UP_AGAIN_GROWTH * self._max_bw_before_up:
            return now >= self._phase_start + self.min_rtt
        return now >= self._phase_end

    def _is_time_to_go_down(self, ack: Acknowledgement) -> bool:
        """Return whether UP is visible in the acknowledgements."""
        if ack.now < self._phase_start + self.min_rtt:
            return False
        enough = ack.in_flight >= min(_PROBE_BW_UP_PACING_GAIN * self.bdp, self.inflight_hi)
        return enough or self._loss_is_excessive or ack.now >= self._phase_end

    def _check_probe_rtt(self, ack: Acknowledgement) -> None:
        """Handle PROBE_RTT: wait for a small flight, then measure."""
        if self._probe_rtt_done_stamp == math.inf:
            if ack.in_flight <= self._probe_rtt_cwnd():
                self._probe_rtt_done_stamp = ack.now + max(_PROBE_RTT_DURATION, self.min_rtt)
                self._probe_rtt_min_delay = math.inf
            return
        if ack.now < self._probe_rtt_done_stamp or self._probe_rtt_min_delay == math.inf:
            return
        rtt = self._probe_rtt_min_delay
        # A larger value would make the window shrink without limit.
        if rtt < _CWND_GAIN * self.min_rtt:
            rtt = min(rtt, _MIN_RTT_GROWTH * self.min_rtt)
        self.min_rtt = rtt
        self._min_rtt_stamp = ack.now
        self.window = max(self.window, self._prior_cwnd)
        self._prior_cwnd = 0
        if self._full_bw_reached:
            self._start_cruise(ack.now)
        else:
            self._enter(Phase.STARTUP, ack.now)

    def _probe_rtt_cwnd(self) -> float:
        return max(_PROBE_RTT_CWND_GAIN * self.bdp, _MIN_PACKETS * self.payload)

    # Pacing rate and window

    def _set_pacing_rate(self) -> None:
        rate = min(_PACING_GAINS[self.phase] * self._max_bw_filter.value, self.sharing.ceiling)
        rate *= _PACING_MARGIN
        if rate and (self._full_bw_reached or rate > self.pacing_rate):
            self.pacing_rate = rate

    def _set_cwnd(self, ack: Acknowledgement) -> None:
        target = _CWND_GAIN * self.bdp + self._extra_acked.value
        window: float = self.window + ack.delivered
        if self._full_bw_reached:
            window = min(window, target)
        elif self.window >= target:
            window = self.window
        window = min(window, self.inflight_hi)
        if self.phase is Phase.PROBE_RTT:
            window = min(window, self._probe_rtt_cwnd())
        elif self.phase is Phase.PROBE_QUEUE:
            window = min(window, self.bdp)
        self.window = max(int(window), _MIN_PACKETS * self.payload)
