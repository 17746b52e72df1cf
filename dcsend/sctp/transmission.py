"""The sender: takes messages, and returns the contents of packets as fast as path and peer allow.

Lost chunks are retransmitted before new ones are sent. The congestion controller limits the bytes
in flight, the pacer the rate. `association` adds the packet headers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Final

from dcsend.sctp import wire
from dcsend.sctp.bbr import MIN_RTT
from dcsend.sctp.controller import Acknowledgement, MakeController
from dcsend.sctp.flight import Flight, Sent
from dcsend.sctp.parts import split
from dcsend.sctp.probing import BASE_PAYLOAD, MAX_PAYLOAD, MAX_STANDARD_PAYLOAD, Probing
from dcsend.sctp.queue import QueuedMessage, SendQueue
from dcsend.sctp.rate import RateSample, RateSampler
from dcsend.sctp.reassembly import unwrap
from dcsend.sctp.timing import MAX_BURST, MAX_BURST_BULK, Pacer, RoundTrip
from dcsend.sctp.wire import Sack

__all__ = ["Transmission"]

logger = logging.getLogger(__name__)

_DEAD: Final = 60.0
"""Seconds without an acknowledgement after which the peer counts as unreachable. RFC 9260, 16
counts ten timeouts, which are over within 25 s with the limits of `timing`. It must be longer than
ICE consent lasts (30 s, RFC 7675), which mostly ends the connection before."""
_FULL_BACKOFF: Final = 3
"Doublings of the timeout, at most, while the peer reports a full window: to 2.4 s and more."
_SMALL: Final = wire.DATA_HEADER.size + BASE_PAYLOAD
"Bytes of chunks in a packet that every path takes; a packet with more is large."
_PROBE_SLACK: Final = 0.02
"Seconds added to the timer of tail loss probes (RFC 8985, 7.2), for the delay of event loops."
_FILL: Final = 256
"Room in a packet, in bytes, from which on another message is added."


class Transmission:
    """The data that is sent to one peer."""

    def __init__(self, first: int, congestion: MakeController, now: float) -> None:
        """Prepare.

        Args:
            first: our first TSN.
            congestion: makes the congestion controller.
            now: seconds.
        """
        self.round_trip = RoundTrip()
        self.probing = Probing()
        self.queue = SendQueue()
        self.flight = Flight(first, self.round_trip)
        self.retransmitted = 0
        "Chunks that were retransmitted."
        self.peer_window = 0
        "The last a_rwnd of the peer, in bytes."
        self._peer_forward_tsn = False
        "Whether the peer supports FORWARD TSN, so that messages can be abandoned."
        self._bulk_extension = False
        "Whether the peer supports PART, so that a chunk may be as large as a packet."
        self.is_unreachable = False
        "Whether the peer has not acknowledged anything for too long."
        self._forward_tsn: tuple[bytes, ...] = ()
        "The FORWARD TSN chunk to send, if there is one."
        self._make_controller = congestion
        self._controller = congestion(self.probing.payload, now)
        self._sampler = RateSampler(now)
        self._pacer = Pacer(now)
        self._may_abandon = False
        "Whether a message that may be abandoned was ever queued."
        self._max_fragment = self.probing.payload
        "Bytes of a message in one chunk, at most."
        self.timeouts = 0
        "Expirations of T3-rtx in a row."
        self._silent_since = 0.0
        "When the first of them was."
        self._t3: float | None = None
        self._probe_at: float | None = None
        "When a tail loss probe is due."
        self._probed = False
        self._tail_probe: Sent | None = None
        self._log_at = math.inf
        "When the next congestion sample may be logged."
        self._pacing_at: float | None = None
        "When the pacer allows the next burst."

    def set_peer(self, window: int, *, forward_tsn: bool, bulk_extension: bool) -> None:
        """Use the parameters that the peer has sent in its INIT or INIT ACK.

        Args:
            window: a_rwnd, bytes.
            forward_tsn: whether it supports FORWARD TSN (RFC 3758).
            bulk_extension: see `handshake.BULK_EXTENSION`.
        """
        self.peer_window = window
        self._peer_forward_tsn = forward_tsn
        self._bulk_extension = bulk_extension
        self._pacer.allow_bursts(MAX_BURST_BULK if bulk_extension else MAX_BURST)
        # Checked once here, since `_log_at` is compared for every SACK.
        self._log_at = 0.0 if logger.isEnabledFor(logging.DEBUG) else math.inf

    @property
    def is_drained(self) -> bool:
        """Whether the peer has acknowledged everything."""
        return not self.queue and self.flight.is_empty

    def put(self, message: QueuedMessage) -> None:
        """Queue a message."""
        self._may_abandon = self._may_abandon or not message.is_reliable
        self.queue.put(message)

    # Acknowledgements

    def acknowledge(self, sack: Sack, now: float) -> None:
        """Process a SACK.

        Raises:
            Violation: it acknowledges a TSN that was never sent.
        """
        cumulative = unwrap(sack.cumulative, self.flight.cumulative)
        if cumulative < self.flight.cumulative:
            return  # older than the last one
        self.peer_window = sack.window
        if sack.window < self.probing.payload:
            # The peer is reachable and its window is full. If the SACK that opens the window is
            # lost, the next try must follow soon.
            self.timeouts = 0
            self.round_trip.limit_backoff(_FULL_BACKOFF)
        gaps = [(cumulative + first, cumulative + last) for first, last in sack.gaps]
        self._update(cumulative, gaps, now)

    def acknowledge_cumulatively(self, cumulative: int, now: float) -> None:
        """Process the cumulative TSN of a SHUTDOWN, 32 bits.

        Raises:
            Violation: as in `acknowledge`.
        """
        cumulative = unwrap(cumulative, self.flight.cumulative)
        if cumulative >= self.flight.cumulative:
            self._update(cumulative, (), now)

    def _update(self, cumulative: int, gaps: Sequence[tuple[int, int]], now: float) -> None:
        flight = self.flight
        before = flight.bytes
        moved = cumulative > flight.cumulative
        delivered = flight.acknowledge(cumulative, gaps, now)
        if (newest := flight.newest) is not None and newest.packet:
            self.probing.arrived(newest.sent_time, newest.packet)
        lost = flight.find_losses(now)
        if delivered or lost:
            self._update_controller(before, delivered, lost, now)
        if delivered or moved:  # it may move over abandoned chunks
            self.timeouts = 0
            # A second probe after an ambiguous answer would postpone T3-rtx.
            self._probed = self._probed and flight.is_ambiguous
            self._restart_timers(now)
        if self._may_abandon and (delivered or moved or lost):
            self._abandon_expired(now, again=True)

    def _update_controller(self, before: int, delivered: int, lost: int, now: float) -> None:
        flight = self.flight
        sample, rtt = RateSample(), None
        newest = flight.newest
        if newest is not None:
            self._sampler.acknowledged(newest, delivered)
            sample = self._sampler.sample(now, max(self.round_trip.minimum, MIN_RTT))
            rtt = now - newest.sent_time if newest.sends == 1 else None
        self._controller.acknowledged(
            Acknowledgement(
                now,
                delivered,
                lost,
                flight.bytes,
                before,
                rtt,
                *sample,
                self._sampler.delivered,
            )
        )
        if now >= self._log_at:
            self._log_sample(sample, rtt, now)

    def _log_sample(self, sample: RateSample, rtt: float | None, now: float) -> None:
        """Log a congestion sample, at most one for each round trip."""
        self._log_at = now + (self.round_trip.smoothed or 0.0)
        logger.debug(
            "rate %.0f B/s, rtt %s s, window %d, in flight %d, delivered %d, retransmitted %d",
            sample.rate,
            "-" if rtt is None else f"{rtt:.4f}",
            self._controller.window,
            self.flight.bytes,
            self._sampler.delivered,
            self.retransmitted,
        )

    def _abandon_expired(self, now: float, *, again: bool) -> None:
        """Abandon lost messages that must not be retransmitted (RFC 3758).

        The next FORWARD TSN contains the new ones, or all of them if *again*.
        """
        flight = self.flight
        if not self._peer_forward_tsn or flight.is_empty:
            return
        for record in flight.to_abandon(now):
            self._check_black_hole(record, now)
            flight.abandon(record)
        before = flight.advanced
        streams = flight.advance()
        if flight.advanced > (flight.cumulative if again else before):
            self._forward_tsn = (wire.forward_tsn_chunk(flight.advanced & 0xFFFFFFFF, streams),)

    def probe(self, sizes: Sequence[int], now: float) -> None:
        """Probe which of these payloads, in bytes, largest first, reach the peer."""
        most = MAX_PAYLOAD if self._bulk_extension else MAX_STANDARD_PAYLOAD
        self.probing.begin([size for size in sizes if size <= most], now)

    def use_proven_size(self) -> None:
        """Use the packet size that `probing` has confirmed, or has gone back to."""
        payload = self.probing.payload
        logger.debug("payload of a packet: %d bytes", payload)
        self._max_fragment = payload
        if payload > BASE_PAYLOAD and not self._bulk_extension:
            # Two chunks of equal length, which can be retransmitted one by one; a multiple of 4.
            self._max_fragment = (payload - wire.DATA_HEADER.size) // 2 & ~3
        self._controller.resized(payload)

    def _check_black_hole(self, lost: Sent, now: float) -> None:
        """Use small packets if large ones are lost in every transmission."""
        if lost.packet and self.probing.lost(lost.sent_time, lost.packet, lost.sends, now):
            self.use_proven_size()

    # Timers

    def deadlines(self) -> tuple[float | None, ...]:
        """Return the times at which `timeout` must be called; None for never."""
        return self._t3, self._probe_at, self._pacing_at, self.flight.reorder_deadline

    def timeout(self, now: float) -> None:
        """Handle the timers that have expired."""
        if self._pacing_at is not None and now >= self._pacing_at:
            self._pacing_at = None
        reorder = self.flight.reorder_deadline
        if reorder is not None and now >= reorder:
            self._update(self.flight.cumulative, self.flight.gaps, now)
        if self._probe_at is not None and now >= self._probe_at:
            self._probe_at = None
            self._probe_tail()
        if self._t3 is not None and now >= self._t3:
            self._t3_expired(now)

    def _restart_timers(self, now: float) -> None:
        if self.flight.is_empty:
            self._t3 = self._probe_at = None
            return
        self._t3 = now + self.round_trip.timeout
        self._probe_at = None
        smoothed = self.round_trip.smoothed
        if not (self._probed or smoothed is None or self.flight.has_lost):
            probe = now + 2 * smoothed + _PROBE_SLACK
            self._probe_at = probe if probe < self._t3 else None

    def _probe_tail(self) -> None:
        """Retransmit the last packet; its SACK shows what is lost (TLP, RFC 8985, 7)."""
        self._probed = True
        if not self.flight.has_lost:
            self._tail_probe = self.flight.last()

    def _t3_expired(self, now: float) -> None:
        self.timeouts += 1
        logger.debug("T3-rtx expired (%d), %d bytes in flight", self.timeouts, self.flight.bytes)
        self.round_trip.back_off()
        if self.timeouts == 1:
            self._silent_since = now
        if now - self._silent_since >= _DEAD:
            self.is_unreachable = True
            return
        self._lose_all(now)
        self._controller.timed_out(now)

    def resume(self, now: float) -> None:
        """Let T3-rtx expire now if it has expired before: the path works again."""
        if self.timeouts and self._t3 is not None:
            self.round_trip.limit_backoff(0)
            self._t3 = now

    def move(self, now: float, *, port_only: bool) -> None:
        """Send again at once what is in flight: it was sent on a path that the peer has left.

        RFC 9000, 9.4: on another path the congestion controller and the round trip begin anew,
        unless only the port of the peer is another one. Then they may be kept, since a NAT has
        mostly assigned another port on the same path.
        """
        if not port_only:
            self.round_trip.forget()
            self._controller = self._make_controller(self.probing.payload, now)
        self.round_trip.limit_backoff(0)
        self.probing.moved(now)
        if not self.flight.is_empty:
            self._lose_all(now)

    def _lose_all(self, now: float) -> None:
        """Mark everything in flight lost, and restart T3-rtx."""
        self._t3 = now + self.round_trip.timeout
        self._probe_at = None
        self._tail_probe = None
        self.flight.mark_all_lost()
        if self._may_abandon:
            self._abandon_expired(now, again=True)

    def stop(self) -> None:
        """Stop all timers."""
        self._t3 = self._probe_at = self._pacing_at = None
        self.flight.stop()

    # Packets to send

    def take_forward_tsn(self) -> tuple[bytes, ...]:
        """Return the FORWARD TSN chunk to send, if there is one, and remove it."""
        chunks, self._forward_tsn = self._forward_tsn, ()
        return chunks

    def contents(self, now: float) -> list[bytes]:
        """Return the contents of the packets to send now."""
        if not (self.queue or self.flight.has_lost or self._tail_probe is not None):
            return []
        out: list[bytes] = []
        flight = self.flight
        controller = self._controller
        pacer = self._pacer
        before = flight.bytes
        pacer.refill(now, controller.pacing_rate, self.probing.payload)
        self._pacing_at = None
        self._send_probe(out, now)
        if self._may_abandon:
            self._abandon_expired(now, again=False)  # messages that have expired in the queue
        while flight.bytes < controller.window:
            if pacer.credit <= 0:
                self._pacing_at = pacer.ready()
                break
            in_flight = flight.bytes
            payload = self.probing.payload
            record = flight.take_lost() if flight.has_lost else None
            if record is not None:
                self._check_black_hole(record, now)
                self._retransmit(record, out, now)
            # One packet may be sent when the window of the peer is closed (RFC 9260, 6.1, A).
            elif flight.outstanding + payload > self.peer_window and flight.outstanding:
                break
            elif not self._send_new(payload, out, now):
                self._sampler.limited(flight.bytes)
                break
            pacer.spend(flight.bytes - in_flight)
        if flight.bytes > before:
            controller.sent(now, flight.bytes - before, before)
        if self._t3 is None:
            self._restart_timers(now)
        return out

    def _send_probe(self, out: list[bytes], now: float) -> None:
        """Send the tail loss probe that is due, if its chunk is still in flight."""
        probe, self._tail_probe = self._tail_probe, None
        if probe is not None and self.flight.recall(probe):
            self._retransmit(probe, out, now)

    def _retransmit(self, record: Sent, out: list[bytes], now: float) -> None:
        payload = self.probing.payload
        self.retransmitted += 1
        self._sampler.sent(record, now, self.flight.bytes)
        packet = len(record.chunk) if BASE_PAYLOAD < record.size <= payload else 0
        self.flight.transmitted(record, now, packet)
        if record.size > payload:
            out += split(record.chunk)
        else:
            out.append(record.chunk)

    def _send_new(self, payload: int, out: list[bytes], now: float) -> bool:
        """Fill a packet with new chunks; return False if the queue is empty."""
        flight = self.flight
        content = b""
        room, most, first = payload, self._max_fragment, flight.next
        while (piece := self.queue.cut(room if room < most else most, now)) is not None:
            message, flags, sequence, data = piece
            if message.abandoned:
                flight.add_unsent(message)
                self._abandon_expired(now, again=False)
                continue
            if not self.queue:
                flags |= wire.IMMEDIATE  # the peer must not delay its SACK
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
            if len(content) > _SMALL:
                flight.mark_large(first, len(content))
        return bool(content)
