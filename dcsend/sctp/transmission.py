"""The sending half: messages in, DATA chunks out, as fast as the path and the peer allow.

First what was lost, then what is new; a congestion controller says how much may be in flight, a
pacer when. Knows no packet headers: `association` puts one around each content.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dcsend.sctp import wire
from dcsend.sctp.bbr import MIN_RTT
from dcsend.sctp.congestion import Acknowledgement, make_controller
from dcsend.sctp.flight import Flight, Sent
from dcsend.sctp.probing import Probing
from dcsend.sctp.queue import Outgoing, SendQueue
from dcsend.sctp.rate import RateSampler
from dcsend.sctp.reassembly import unwrap
from dcsend.sctp.timing import Pacer, RoundTrip
from dcsend.sctp.wire import Sack

__all__ = ["Transmission"]

_DEAD: Final = 60.0
"""Seconds without an acknowledgement after which the peer counts as gone, where RFC 9260, 16 counts
ten timers: as `timing` limits them, those expire within 25 s. It must be longer than consent lasts
(30 s, RFC 7675), which mostly ends the connection before."""
_FULL_BACKOFF: Final = 3
"How often the timer is doubled while the peer answers that it has no room: to 2.4 s and more."
_BLACK_HOLE: Final = 3
"Timers expired in a row before packets are made small again."
_PROBE_SLACK: Final = 0.02
"Seconds that a tail loss probe waits beyond two round trips (RFC 8985, 7.2): loops are slow."
_FILL: Final = 256
"Bytes that must be left in a packet for another message to begin there."


class Transmission:
    """What we send to one peer."""

    def __init__(self, first: int, congestion: str, now: float) -> None:
        """Prepare.

        Args:
            first: our first TSN.
            congestion: of `congestion.make_controller`.
            now: seconds.
        """
        self.round_trip = RoundTrip()
        self.probing = Probing()
        self.queue = SendQueue()
        self.flight = Flight(first, self.round_trip)
        self.retransmitted = 0
        "Chunks sent again."
        self.peer_window = 0
        "Bytes that the peer takes, as it last said."
        self.peer_forwards = False
        "Whether the peer understands FORWARD TSN, so that messages can be given up."
        self.is_dead = False
        "Whether the peer has not answered for too long."
        self.forward: bytes | None = None
        "A FORWARD TSN to send."
        self._controller = make_controller(congestion, self.probing.payload, now)
        self._sampler = RateSampler(now)
        self._pacer = Pacer(now)
        self._partial = False
        "Whether there ever was a message that may be given up."
        self._timeouts = 0
        "T3 expired, in a row."
        self._silent_since = 0.0
        "When the first of them expired."
        self._t3: float | None = None
        self._tail: float | None = None
        "When to send a tail loss probe."
        self._probed = False
        self._tail_probe: Sent | None = None
        self._paced: float | None = None
        "When the pacer lets more go."

    @property
    def is_drained(self) -> bool:
        """Whether the peer has acknowledged everything."""
        return not self.queue and self.flight.is_empty

    def put(self, message: Outgoing) -> None:
        """Queue a message."""
        self._partial = self._partial or not message.is_reliable
        self.queue.put(message)

    # Acknowledgements

    def acknowledge(self, sack: Sack, now: float) -> None:
        """Take a SACK.

        Raises:
            Violation: it acknowledges what was never sent.
        """
        cumulative = unwrap(sack.cumulative, self.flight.cumulative)
        if cumulative < self.flight.cumulative:
            return  # overtaken by a later one
        self.peer_window = sack.window
        if sack.window < self.probing.payload:
            # It is there, and full: an update of its window that is lost must not cost a minute.
            self._timeouts = 0
            self.round_trip.backoff = min(self.round_trip.backoff, _FULL_BACKOFF)
        gaps = [(cumulative + first, cumulative + last) for first, last in sack.gaps]
        self._learn(cumulative, gaps, now)

    def acknowledge_cumulatively(self, cumulative: int, now: float) -> None:
        """Take the TSN, as it travels, of a SHUTDOWN.

        Raises:
            Violation: as `acknowledge`.
        """
        cumulative = unwrap(cumulative, self.flight.cumulative)
        if cumulative >= self.flight.cumulative:
            self._learn(cumulative, (), now)

    def _learn(self, cumulative: int, gaps: Sequence[tuple[int, int]], now: float) -> None:
        flight = self.flight
        before = flight.bytes
        moved = cumulative > flight.cumulative
        delivered = flight.acknowledge(cumulative, gaps, now)
        lost = flight.find_losses(now)
        if delivered or lost:
            self._tell_controller(before, delivered, lost, now)
        if delivered or moved:  # over what was given up, too: the peer is there
            self._timeouts = 0
            self._probed = False
            self._restart_timers(now)
        if self._partial and (delivered or moved or lost):
            self._give_up(now, again=True)

    def _tell_controller(self, before: int, delivered: int, lost: int, now: float) -> None:
        flight = self.flight
        rate, limited, prior, rtt = 0.0, False, 0, None
        newest = flight.newest
        if newest is not None:
            self._sampler.acknowledged(newest, delivered)
            least = max(self.round_trip.minimum, MIN_RTT)
            rate, limited, prior = self._sampler.sample(now, least)
            rtt = now - newest.sent_time if newest.sends == 1 else None
        self._controller.acknowledged(
            Acknowledgement(
                now,
                delivered,
                lost,
                flight.bytes,
                before,
                rtt,
                rate,
                limited,
                prior,
                self._sampler.delivered,
            )
        )

    def _give_up(self, now: float, *, again: bool) -> None:
        """Abandon lost messages that are not to be sent again (RFC 3758).

        The peer is told what is new, or all of it *again*.
        """
        flight = self.flight
        if not self.peer_forwards or flight.is_empty:
            return
        for record in flight.hopeless(now):
            flight.abandon(record)
        before = flight.advanced
        streams = flight.advance()
        if flight.advanced > (flight.cumulative if again else before):
            self.forward = wire.forward_tsn_chunk(flight.advanced & 0xFFFFFFFF, streams)

    def proven(self) -> None:
        """Use the packet size that `probing` has found."""
        self._controller.resized(self.probing.payload)

    # Time

    def deadlines(self) -> tuple[float | None, ...]:
        """Return when `timeout` is to be called, the first of these."""
        return self._t3, self._tail, self._paced, self.flight.reorder_deadline

    def timeout(self, now: float) -> None:
        """Do what is due."""
        if self._paced is not None and now >= self._paced:
            self._paced = None
        reorder = self.flight.reorder_deadline
        if reorder is not None and now >= reorder:
            self._learn(self.flight.cumulative, self.flight.gaps, now)
        if self._tail is not None and now >= self._tail:
            self._tail = None
            self._probe_tail()
        if self._t3 is not None and now >= self._t3:
            self._t3_expired(now)

    def _restart_timers(self, now: float) -> None:
        if self.flight.is_empty:
            self._t3 = self._tail = None
            return
        self._t3 = now + self.round_trip.timeout
        self._tail = None
        smoothed = self.round_trip.smoothed
        if not (self._probed or smoothed is None or self.flight.waits):
            probe = now + 2 * smoothed + _PROBE_SLACK
            self._tail = probe if probe < self._t3 else None

    def _probe_tail(self) -> None:
        """Send the last packet again: its acknowledgement shows what is lost (RFC 8985, 7)."""
        self._probed = True
        if not self.flight.waits:
            self._tail_probe = self.flight.last()

    def _t3_expired(self, now: float) -> None:
        self._timeouts += 1
        self.round_trip.backoff += 1
        self._t3 = now + self.round_trip.timeout
        self._tail = None
        self._tail_probe = None
        if self._timeouts == 1:
            self._silent_since = now
        if now - self._silent_since >= _DEAD:
            self.is_dead = True
            return
        if self._timeouts == _BLACK_HOLE and self.probing.black_hole():
            self.proven()
        self.flight.lose_all()
        self._controller.timed_out(now)
        if self._partial:
            self._give_up(now, again=True)

    def stop(self) -> None:
        """Wait for nothing more."""
        self._t3 = self._tail = self._paced = self.flight.reorder_deadline = None

    # Packets

    def contents(self, now: float) -> list[bytes]:
        """Return what leaves now: the content of a packet each."""
        if not (self.queue or self.flight.waits or self._tail_probe is not None):
            return []
        out: list[bytes] = []
        flight = self.flight
        controller = self._controller
        pacer = self._pacer
        payload = self.probing.payload
        before = flight.bytes
        pacer.refill(now, controller.pacing_rate, payload)
        self._paced = None
        self._send_probe(out, now)
        if self._partial:
            self._give_up(now, again=False)  # what has expired while it waited
        while flight.bytes < controller.window:
            if pacer.credit <= 0:
                self._paced = pacer.ready()
                break
            in_flight = flight.bytes
            record = flight.take_lost() if flight.waits else None
            if record is not None:
                self._send_again(record, out, now)
            # One packet may go though the peer's window is closed (RFC 9260, 6.1, A).
            elif flight.outstanding + payload > self.peer_window and flight.outstanding:
                break
            elif not self._send_new(payload, out, now):
                self._sampler.limited(flight.bytes)
                break
            pacer.credit -= flight.bytes - in_flight
        if flight.bytes > before:
            controller.sent(now, flight.bytes - before, before)
        if self._t3 is None:
            self._restart_timers(now)
        return out

    def _send_probe(self, out: list[bytes], now: float) -> None:
        """Send the tail loss probe that is due, if what it repeats is still in flight."""
        probe, self._tail_probe = self._tail_probe, None
        if probe is not None and self.flight.recall(probe):
            self._send_again(probe, out, now)

    def _send_again(self, record: Sent, out: list[bytes], now: float) -> None:
        self.retransmitted += 1
        self._sampler.sent(record, now, self.flight.bytes)
        self.flight.transmitted(record, now)
        out.append(record.chunk)

    def _send_new(self, payload: int, out: list[bytes], now: float) -> bool:
        """Fill a packet with what comes next; False if nothing does."""
        flight = self.flight
        content = b""
        room = payload
        while (piece := self.queue.cut(room, now)) is not None:
            message, flags, sequence, data = piece
            if message.abandoned:
                flight.add_unsent(message)
                self._give_up(now, again=False)
                continue
            if not self.queue:
                flags |= wire.IMMEDIATE  # or the last acknowledgement is held back
            tsn = flight.next & 0xFFFFFFFF
            chunk = wire.data_chunk(flags, tsn, message.stream, sequence, message.protocol, data)
            record = flight.add(chunk, len(data), message)
            self._sampler.sent(record, now, flight.bytes)
            flight.transmitted(record, now)
            content = content + chunk if content else chunk
            room = payload - len(content)
            if room < _FILL:
                break
        if content:
            out.append(content)
        return bool(content)
