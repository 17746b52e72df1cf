"""The simplest transport that a congestion controller can drive: numbered packets, without content.

`Sender` sends each number once; lost data is sent again under another number, and loss is detected
as in RACK (RFC 8985). `Receiver` acknowledges every other packet, or, as a program in Python does,
once for all packets of one iteration of its event loop.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from dataclasses import dataclass
from typing import Final

from dcsend.sctp.bbr import MIN_RTT
from dcsend.sctp.controller import Acknowledgement, Controller
from dcsend.sctp.rate import RateSampler

__all__ = ["PAYLOAD", "Receiver", "Sender"]

PAYLOAD: Final = 1400
"Bytes of every packet, headers not counted."
_NUMBER: Final = struct.Struct("!I")
_PADDING: Final = bytes(PAYLOAD - _NUMBER.size)
_QUANTUM: Final = 0.0015
"A burst in seconds of the pacing rate."
_QUANTUM_MAX: Final = 64 * 1024
"Bytes of a burst, at most."
_RTO_MIN: Final = 0.3
_RTO_INITIAL: Final = 1.0
_SACK_DELAY: Final = 0.2
"Seconds (RFC 9260, 6.2)."


@dataclass(slots=True)
class Packet:
    """The state of a packet in flight."""

    size: int
    sent_time: float
    delivered: int = 0
    delivered_time: float = 0.0
    first_sent_time: float = 0.0
    app_limited: bool = False


class Sender:
    """Sends so many bytes as the controller says.

    Args:
        controller: decides.
        total: bytes to be sent.
        start: seconds; when the first packet leaves.
        writes: times, and how many bytes the application writes then; all at *start* if none.
        timer: seconds; timers fire at multiples of it.
        cost: seconds of processor time per packet.
    """

    def __init__(
        self,
        controller: Controller,
        total: float = math.inf,
        *,
        start: float = 0.0,
        writes: list[tuple[float, int]] | None = None,
        timer: float = 0.0,
        cost: float = 0.0,
    ) -> None:
        self.controller = controller
        self.total = total if writes is None else sum(size for _, size in writes)
        self._writes = deque(writes if writes is not None else [(start, total)])
        self._timer = timer
        self._cost = cost
        self._ready: float = 0.0
        "Bytes that wait to be sent, for the first time or again."
        self._next_number = 0
        self._outstanding: dict[int, Packet] = {}
        "By number, in the order they were sent."
        self.in_flight = 0
        self.sampler = RateSampler(start)
        self._next_send = start
        "When pacing allows the next packet."
        self._busy_until = start
        self._rack_time = -math.inf
        "Time of transmission of the newest acknowledged packet."
        self._rtt = math.inf
        self.srtt = 0.0
        self._rttvar = 0.0
        self._min_rtt = math.inf
        self._rto_due = math.inf
        self._backoff = 0
        self.lost_packets = self.sent_packets = self.timeouts = 0
        self.longest_rtt = 0.0
        self.log: list[tuple[float, int, float | None, int]] = []
        "Of each SACK: the time, the bytes delivered until then, the round trip, the flight size."

    @property
    def delivered(self) -> int:
        """Bytes acknowledged."""
        return self.sampler.delivered

    @property
    def is_done(self) -> bool:
        """Whether everything is acknowledged."""
        return self.sampler.delivered >= self.total

    def rate_between(self, start: float, end: float) -> float:
        """Return the bytes per second that were acknowledged in that time."""
        at = [0, 0]
        for now, delivered, _, _ in self.log:
            if now <= start:
                at[0] = delivered
            if now <= end:
                at[1] = delivered
        return (at[1] - at[0]) / (end - start)

    def rtts_between(self, start: float, end: float) -> list[float]:
        """Return the samples of the round trip in that time, sorted."""
        return sorted(rtt for now, _, rtt, _ in self.log if rtt and start <= now <= end)

    # The endpoint

    def receive(self, packet: bytes, now: float) -> None:
        """Process a SACK: the numbers that it acknowledges."""
        prior = self.in_flight
        outstanding, acknowledged = self._outstanding, self.sampler.acknowledged
        delivered = 0
        newest: Packet | None = None
        for (number,) in _NUMBER.iter_unpack(packet):
            found = outstanding.pop(number, None)
            if found is not None:
                delivered += found.size
                acknowledged(found, found.size)
                newest = found
        self.in_flight -= delivered
        rtt = None
        if newest is not None:
            rtt = now - newest.sent_time
            self._rtt = rtt
            self._see_rtt(rtt)
            self._rack_time = max(self._rack_time, newest.sent_time)
            self._backoff = 0
        self._report_sample(now, delivered, prior, rtt)
        if delivered:
            self._rto_due = now + self._rto()
        if not outstanding:
            self._rto_due = math.inf

    def _report_sample(self, now: float, delivered: int, prior: int, rtt: float | None) -> None:
        lost = self._detect_losses(now)
        rate, app_limited, prior_delivered = self.sampler.sample(now, max(self._min_rtt, MIN_RTT))
        total = self.sampler.delivered
        if delivered or lost:
            self.controller.acknowledged(
                Acknowledgement(
                    now, delivered, lost, self.in_flight, prior, rtt, rate, app_limited,
                    prior_delivered, total,
                )
            )  # fmt: skip
        self.log.append((now, total, rtt, prior))

    def packets(self, now: float) -> list[bytes]:
        """Return the packets that window and pacing allow, one burst at most."""
        while self._writes and self._writes[0][0] <= now:
            self._ready += self._writes.popleft()[1]
        controller, prior = self.controller, self.in_flight
        if now < self._next_send or now < self._busy_until or self._ready <= 0:
            return []
        rate = controller.pacing_rate
        quantum = min(max(rate * _QUANTUM, 2 * PAYLOAD), _QUANTUM_MAX)
        if math.isinf(rate):
            quantum = rate
        room = min(controller.window - prior, quantum)
        packets: list[bytes] = []
        while room > 0 and self._ready > 0:
            packet = Packet(PAYLOAD, now)
            self.sampler.sent(packet, now, self.in_flight)
            self._outstanding[self._next_number] = packet
            packets.append(_NUMBER.pack(self._next_number) + _PADDING)
            self._next_number += 1
            self.in_flight += PAYLOAD
            self._ready -= PAYLOAD
            room -= PAYLOAD
        if self._ready <= 0 and self.in_flight < controller.window:
            self.sampler.limited(self.in_flight)
        if packets:
            self._count(len(packets), now, prior)
        return packets

    def _count(self, count: int, now: float, prior: int) -> None:
        self.sent_packets += count
        self.controller.sent(now, count * PAYLOAD, prior)
        self._busy_until = now + count * self._cost
        # A late timer is compensated, by one burst at most.
        since = max(self._next_send, now - _QUANTUM)
        self._next_send = since + count * PAYLOAD / self.controller.pacing_rate
        if math.isinf(self._rto_due):
            self._rto_due = now + self._rto()

    def deadline(self) -> float | None:
        """Return the next deadline: sending, a loss, a timeout."""
        due = [self._rto_due, self._loss_due()]
        if self._writes:
            due.append(self._writes[0][0])
        if self._ready > 0 and self.in_flight < self.controller.window:
            due.append(self._next_send)
        deadline = min(due)
        if math.isinf(deadline):
            return None
        if self._timer:
            deadline = math.ceil(deadline / self._timer) * self._timer
        return max(deadline, self._busy_until)

    def timeout(self, now: float) -> None:
        """Handle a loss timer, or a timeout."""
        if now >= self._rto_due:
            self.timeouts += 1
            self._lose(list(self._outstanding))
            self._backoff += 1
            self._rto_due = math.inf
            self.controller.timed_out(now)
        elif now >= self._loss_due():
            self._report_sample(now, 0, self.in_flight, None)

    # Loss detection

    def _window_for_reordering(self) -> float:
        return max(self._min_rtt / 4, 0.001)

    def _loss_due(self) -> float:
        oldest = next(iter(self._outstanding.values()), None)
        if oldest is None or oldest.sent_time >= self._rack_time:
            return math.inf
        return oldest.sent_time + self._rtt + self._window_for_reordering()

    def _detect_losses(self, now: float) -> int:
        """Mark packets lost that were sent well before an acknowledged one."""
        rtt, patience = self._rtt, self._window_for_reordering()
        lost = []
        for number, packet in self._outstanding.items():
            if packet.sent_time >= self._rack_time or packet.sent_time + rtt + patience > now:
                break
            lost.append(number)
        return self._lose(lost) if lost else 0

    def _lose(self, numbers: list[int]) -> int:
        lost = sum(self._outstanding.pop(number).size for number in numbers)
        self.lost_packets += len(numbers)
        self.in_flight -= lost
        self._ready += lost
        return lost

    def _see_rtt(self, rtt: float) -> None:
        self._min_rtt = min(self._min_rtt, rtt)
        self.longest_rtt = max(self.longest_rtt, rtt)
        if not self.srtt:
            self.srtt, self._rttvar = rtt, rtt / 2
            return
        self._rttvar += (abs(self.srtt - rtt) - self._rttvar) / 4
        self.srtt += (rtt - self.srtt) / 8

    def _rto(self) -> float:
        usual = self.srtt + max(_SACK_DELAY, 4 * self._rttvar) if self.srtt else _RTO_INITIAL
        return float(max(usual, _RTO_MIN) * 2 ** min(self._backoff, 6))


class Receiver:
    """Acknowledges numbers, each twice, so that one lost SACK is no loss.

    Args:
        every: packets for a SACK.
        cost: seconds to read a packet. If not 0, packets wait in a socket's buffer, are read up
            to *batch* at once, and get one SACK when that is done.
        batch: packets read at once.
        buffer: packets that may wait; those that come then are lost.
        stalls: times, and for how many seconds from then nothing is read.
    """

    def __init__(
        self,
        every: int = 2,
        *,
        cost: float = 0.0,
        batch: int = 64,
        buffer: float = math.inf,
        stalls: list[tuple[float, float]] | None = None,
    ) -> None:
        self._every = every
        self._cost = cost
        self._batch = batch
        self._buffer = buffer
        self._stalls = deque(stalls or [])
        self._waiting: deque[bytes] = deque()
        self._reading = 0
        self._read_by = math.inf
        self._new: list[bytes] = []
        self._before: list[bytes] = []
        self._sack_due = math.inf
        self._sacks: list[bytes] = []
        self.overflown = 0
        "Packets that found the buffer full."
        self.most_waiting = 0

    def receive(self, packet: bytes, now: float) -> None:
        """Read a packet, or put it into the socket buffer."""
        if not self._cost:
            self._accept(packet, now)
        elif len(self._waiting) >= self._buffer:
            self.overflown += 1
        else:
            self._waiting.append(packet)
            self.most_waiting = max(self.most_waiting, len(self._waiting))
            if math.isinf(self._read_by):
                self._read(now)

    def packets(self, now: float) -> list[bytes]:
        """Return the SACKs."""
        sacks, self._sacks = self._sacks, []
        return sacks

    def deadline(self) -> float | None:
        """Return when reading is done, or a delayed SACK is due."""
        deadline = min(self._read_by, self._sack_due)
        return None if math.isinf(deadline) else deadline

    def timeout(self, now: float) -> None:
        """Acknowledge the packets that were read, or send the delayed SACK."""
        if now >= self._read_by:
            for _ in range(self._reading):
                self._new.append(self._waiting.popleft()[: _NUMBER.size])
            self._acknowledge()
            self._read_by = math.inf
            if self._waiting:
                self._read(now)
        if now >= self._sack_due:
            self._acknowledge()

    def _read(self, now: float) -> None:
        while self._stalls and now >= sum(self._stalls[0]):
            self._stalls.popleft()
        start = now
        if self._stalls and now >= self._stalls[0][0]:
            start = sum(self._stalls[0])
        self._reading = min(len(self._waiting), self._batch)
        self._read_by = start + self._reading * self._cost

    def _accept(self, packet: bytes, now: float) -> None:
        self._new.append(packet[: _NUMBER.size])
        if len(self._new) >= self._every:
            self._acknowledge()
        elif math.isinf(self._sack_due):
            self._sack_due = now + _SACK_DELAY

    def _acknowledge(self) -> None:
        self._sacks.append(b"".join(self._before + self._new))
        self._before, self._new = self._new, []
        self._sack_due = math.inf
