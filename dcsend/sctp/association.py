"""An SCTP association over DTLS (RFC 9260, RFC 8261), without input, output or a clock.

Pass received packets to `receive`, and call `timeout` when `deadline` has come. After both, and
after every other call, send the packets that `packets` returns. Times are seconds of any clock that
never goes back. `events` contains what has happened.

The peer is authenticated by DTLS but may be malicious: a malformed packet is dropped, a protocol
violation ends the association, and `Limits` bounds what is kept for the peer.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from dcsend.sctp import wire
from dcsend.sctp.events import Ended, Established, Event
from dcsend.sctp.framing import Framing
from dcsend.sctp.handshake import Handshake, Peer
from dcsend.sctp.options import Options
from dcsend.sctp.queue import RELIABLE, QueuedMessage, Reliability
from dcsend.sctp.reassembly import Violation
from dcsend.sctp.reception import Reception
from dcsend.sctp.reset import StreamResets
from dcsend.sctp.states import RECEIVING, SENDING, TRANSITIONS, Input, State
from dcsend.sctp.timing import RetransmissionTimer
from dcsend.sctp.transmission import Transmission
from dcsend.sctp.wire import Init, Malformed

__all__ = ["Association", "Options"]

logger = logging.getLogger(__name__)

_S = State
_COMPLETE: Final = wire.chunk(wire.SHUTDOWN_COMPLETE, 0)
_MAX_CONTROL: Final = 64
"Replies that are queued, at most; further chunks of the peer are not answered."


class Association:
    """One end of an association."""

    def __init__(self, options: Options, now: float) -> None:
        self.state = State.CLOSED
        self.events: deque[Event] = deque()
        self._options = options
        self._handshake = Handshake(
            options.limits.window,
            zero_checksum=options.zero_checksum,
            extensions=options.extensions,
            tsn=options.first_tsn,
        )
        self.tag = self._handshake.tag
        "Our verification tag: that of the packets from the peer (RFC 9260, 3.1)."
        self._framing = Framing(options.ports, self.tag, zero_checksum=options.zero_checksum)
        self.transmission = Transmission(self._handshake.tsn, options.congestion, now)
        self._reception: Reception | None = None
        self._resets: StreamResets | None = None
        self._peer: Peer | None = None
        self._cookie = b""
        self._ready: list[bytes] = []
        "Complete packets to send."
        self._control: list[bytes] = []
        "Control chunks to send before DATA."
        self._retransmission = RetransmissionTimer()
        "T1 or T2, by state."
        self._handlers: dict[int, Callable[[int, bytes, float], None]] = {
            wire.INIT: self._on_init,
            wire.INIT_ACK: self._on_init_ack,
            wire.SACK: self._on_sack,
            wire.HEARTBEAT: lambda _, value, __: self._reply(
                wire.chunk(wire.HEARTBEAT_ACK, 0, value)
            ),
            wire.HEARTBEAT_ACK: self._on_heartbeat_ack,
            wire.ABORT: lambda *_: self._end("the peer aborted the association"),
            wire.SHUTDOWN: self._on_shutdown,
            wire.SHUTDOWN_ACK: self._on_shutdown_ack,
            wire.ERROR: lambda *_: None,
            wire.COOKIE_ECHO: self._on_cookie_echo,
            wire.COOKIE_ACK: self._on_cookie_ack,
            wire.SHUTDOWN_COMPLETE: self._on_shutdown_complete,
            wire.RE_CONFIG: self._on_re_config,
            wire.PART: self._on_part,
            wire.FORWARD_TSN: self._on_forward_tsn,
        }

    # Calls of the application

    @property
    def held(self) -> int:
        """Bytes that are kept of the data of the peer, delivered ones until `release`."""
        return 0 if self._reception is None else self._reception.held

    @property
    def is_drained(self) -> bool:
        """Whether the peer has acknowledged everything that was sent."""
        return self.transmission.is_drained

    @property
    def needs_sack(self) -> bool:
        """Whether a SACK must be sent now."""
        return self._reception is not None and self._reception.is_due

    def associate(self, now: float) -> None:
        """Send INIT. The peer may do the same, or only answer."""
        if self._enter(Input.ASSOCIATE):
            self._retransmission.start_t1(now)
            self._control.append(self._handshake.init())

    def send(
        self, stream: int, protocol: int, data: bytes, now: float, how: Reliability = RELIABLE
    ) -> None:
        """Queue a message of at least one byte; possible before the handshake, too."""
        if self.state in (_S.CLOSED, _S.COOKIE_WAIT, _S.COOKIE_ECHOED, _S.ESTABLISHED):
            self.transmission.put(QueuedMessage(stream, protocol, data, how, now))

    def queued(self, stream: int) -> int:
        """Return the queued bytes of a stream, which no packet contains yet."""
        return self.transmission.queue.queued(stream)

    def release(self, size: int) -> None:
        """Note that the application has taken a message of *size* bytes from `events`."""
        if self._reception is not None:
            self._reception.release(size)

    def reset(self, stream: int) -> bool:
        """Reset the outgoing stream after its queued messages are sent (RFC 6525).

        Returns:
            False if the peer does not support it, or before the association is established.
        """
        if self._resets is None or self._peer is None or not self._peer.re_config:
            return False
        self._resets.request(stream)
        return True

    def assume_reset(self, stream: int) -> None:
        """Treat `reset` of a stream as done, although the response has not arrived."""
        if self._resets is not None:
            self._resets.assume(stream)
            self.transmission.queue.restart_stream(stream)

    def probe(self, sizes: Sequence[int], now: float) -> None:
        """Probe which of these payloads, in bytes, largest first, reach the peer."""
        if self._peer is not None:
            self.transmission.probe(sizes, now)

    def move(self, now: float, *, port_only: bool) -> None:
        """Send again at once what is in flight; see `Transmission.move`."""
        self.transmission.move(now, port_only=port_only)
        if self._reception is not None:
            self._reception.move()

    def close(self, now: float) -> None:
        """Send SHUTDOWN when all queued messages are acknowledged."""
        if self._enter(Input.CLOSE):
            self._check_drained(now)
        elif self.state in (_S.CLOSED, _S.COOKIE_WAIT, _S.COOKIE_ECHOED):
            self.abort()

    def abort(self) -> None:
        """Send ABORT; queued messages are lost."""
        self._end("", last=wire.chunk(wire.ABORT, 0, wire.parameter(wire.USER_ABORT, b"")))

    def reject(self, violation: Violation) -> None:
        """Send ABORT with the cause Protocol Violation, for a violation here or in a message."""
        cause = wire.parameter(wire.PROTOCOL_VIOLATION, str(violation).encode(), last=True)
        self._end(str(violation), last=wire.chunk(wire.ABORT, 0, cause), violation=True)

    # Received packets

    def receive(self, data: bytes, now: float) -> None:
        """Process a packet with any content."""
        try:
            self._receive(data, now)
        except Malformed:
            return
        except Violation as exc:
            self.reject(exc)

    def _receive(self, data: bytes, now: float) -> None:
        if not self._framing.accepts(data):
            return
        if self.state is State.ENDED:
            if data[12] == wire.SHUTDOWN_ACK and self._peer is not None:
                self._control = [_COMPLETE]  # our SHUTDOWN COMPLETE was lost
            return
        if data[12] == wire.DATA:
            length = data[14] << 8 | data[15]
            if length + 12 == len(data):  # the most frequent packet: one DATA chunk
                self._on_data(data, 12, length)
                self._on_packet_end(now)
                return
        self._receive_chunks(data, now)

    def _receive_chunks(self, data: bytes, now: float) -> None:
        has_data = False
        at = wire.COMMON.size
        try:
            for kind, flags, value in wire.chunks(data):
                if kind == wire.DATA:
                    self._on_data(data, at, len(value) + 4)
                    has_data = True
                elif kind in self._handlers:
                    self._handlers[kind](flags, value, now)
                elif not self._on_unknown(kind, flags, value):
                    return
                at += len(value) + 4 + -len(value) % 4
                if self.state is State.ENDED:
                    return
        finally:
            if has_data:
                self._on_packet_end(now)

    def _on_data(self, data: bytes, at: int, length: int) -> None:
        if self._reception is not None and self.state in RECEIVING:
            self._reception.data(data, at, length)

    def _on_part(self, flags: int, value: bytes, now: float) -> None:
        if self._reception is not None and self.state in RECEIVING:
            self._reception.part(flags, value)
            self._on_packet_end(now)

    def _on_packet_end(self, now: float) -> None:
        if self._reception is None or self.state not in RECEIVING:
            return
        # If the queue is full, the SACK stays due.
        if self._reception.on_packet_end(now) and len(self._control) < _MAX_CONTROL:
            self._control.append(self._reception.sack())
        if self.state is State.SHUTDOWN_SENT:
            # The peer still sends DATA, so it is reachable (RFC 9260, 9.2).
            self._retransmission.start_t2(now, self.transmission.round_trip.timeout)

    def _on_unknown(self, kind: int, flags: int, value: bytes) -> bool:
        """Act on the highest two bits of the type (RFC 9260, 3.2); False: ignore the rest."""
        if kind & 0x40:
            cause = wire.parameter(wire.UNRECOGNIZED_CHUNK, wire.chunk(kind, flags, value[:64]))
            self._reply(wire.chunk(wire.ERROR, 0, cause))
        return bool(kind & 0x80)

    def _reply(self, chunk: bytes) -> None:
        if len(self._control) < _MAX_CONTROL and self._peer is not None:
            self._control.append(chunk)

    # The handshake

    def _on_init(self, flags: int, value: bytes, now: float) -> None:
        peer = Peer.of(Init.parse(value))
        # In every state the answer contains our only tag, so that both sides may begin (RFC 9260,
        # 5.2.1), and changes no state, so that a delayed INIT has no effect (5.2.2).
        if len(self._ready) < _MAX_CONTROL:
            answer = self._handshake.init_ack(peer)
            self._ready.append(wire.packet(self._options.ports, peer.tag, answer))

    def _on_init_ack(self, flags: int, value: bytes, now: float) -> None:
        if self.state is not State.COOKIE_WAIT:
            return
        init = Init.parse(value)
        if not init.cookie:
            raise Malformed("INIT ACK without a cookie")
        self._set_peer(Peer.of(init))
        self._cookie = init.cookie
        self._enter(Input.INIT_ACK)
        self._retransmission.start_t1(now)
        self._control = [wire.chunk(wire.COOKIE_ECHO, 0, init.cookie)]

    def _on_cookie_echo(self, flags: int, value: bytes, now: float) -> None:
        peer = self._handshake.open_cookie(value)
        if peer is None:
            return
        if self._peer is None:
            self._set_peer(peer)
        elif peer.tag != self._peer.tag:
            if self.state is State.COOKIE_ECHOED:
                return  # of an earlier attempt (RFC 9260, 5.2.4, C)
            raise Violation("the peer restarted the association")
        if self._enter(Input.COOKIE_ECHO):
            self._established()
        begun = (wire.INIT, wire.COOKIE_ECHO, wire.COOKIE_ACK)
        self._control = [c for c in self._control if c[0] not in begun]
        self._control.insert(0, wire.chunk(wire.COOKIE_ACK, 0))

    def _on_cookie_ack(self, flags: int, value: bytes, now: float) -> None:
        if self._enter(Input.COOKIE_ACK):
            self._established()

    def _set_peer(self, peer: Peer) -> None:
        """Use the parameters of the peer."""
        self._peer = peer
        self.transmission.set_peer(
            peer.window, forward_tsn=peer.forward_tsn, bulk_extension=peer.bulk_extension
        )
        self._reception = Reception(
            peer.tsn, self._options.limits, self.events.append, sack_each_read=peer.bulk_extension
        )
        self._resets = StreamResets(self._handshake.tsn, peer.tsn)
        zero = self._options.zero_checksum and peer.zero_checksum
        self._framing.set_peer(peer.tag, checksums=not zero)
        features = f"bulk extension {peer.bulk_extension}, zero checksums {zero}"
        logger.debug("peer: window %d, %d streams, %s", peer.window, peer.streams, features)

    def _established(self) -> None:
        self._retransmission.stop()
        self.events.append(Established())

    # Other chunks

    def _on_sack(self, flags: int, value: bytes, now: float) -> None:
        if self.state in SENDING:
            self.transmission.acknowledge(wire.parse_sack(value), now)
            self._check_drained(now)

    def _on_heartbeat_ack(self, flags: int, value: bytes, now: float) -> None:
        if self.transmission.probing.on_heartbeat_ack(value):
            self.transmission.use_proven_size()

    def _on_forward_tsn(self, flags: int, value: bytes, now: float) -> None:
        if self._reception is not None and self.state in RECEIVING:
            self._reception.skip(*wire.parse_forward_tsn(value))

    def _on_re_config(self, flags: int, value: bytes, now: float) -> None:
        if self._reception is None or self._resets is None:
            return
        replies, resets = self._resets.received(value, self._reception.cumulative)
        for reply in replies:
            self._reply(reply)
        for reset in resets:
            if reset.by_peer:
                self._reception.restart_stream(reset.stream)
            else:
                self.transmission.queue.restart_stream(reset.stream)
            self.events.append(reset)

    # Shutdown and abort

    def _on_shutdown(self, flags: int, value: bytes, now: float) -> None:
        cumulative = wire.parse_shutdown(value)
        if self.state in SENDING:
            self.transmission.acknowledge_cumulatively(cumulative, now)
        if self._enter(Input.SHUTDOWN) and self.state is State.SHUTDOWN_ACK_SENT:
            self._send_shutdown(now)
        else:
            self._check_drained(now)  # a retransmission may acknowledge the rest

    def _on_shutdown_ack(self, flags: int, value: bytes, now: float) -> None:
        if self.state in (_S.SHUTDOWN_SENT, _S.SHUTDOWN_ACK_SENT):
            self._end("", last=_COMPLETE)

    def _on_shutdown_complete(self, flags: int, value: bytes, now: float) -> None:
        if self.state is State.SHUTDOWN_ACK_SENT:
            self._end("")

    def _check_drained(self, now: float) -> None:
        if self.is_drained and self._enter(Input.DRAINED):
            self._send_shutdown(now)

    def _send_shutdown(self, now: float) -> None:
        self._retransmission.start_t2(now, self.transmission.round_trip.timeout)
        self._control.append(self._shutdown_chunk())

    def _shutdown_chunk(self) -> bytes:
        if self.state is State.SHUTDOWN_SENT and self._reception is not None:
            return wire.shutdown_chunk(self._reception.cumulative)
        return wire.chunk(wire.SHUTDOWN_ACK, 0)

    def _end(
        self, reason: str, *, last: bytes = b"", violation: bool = False, silent: bool = False
    ) -> None:
        if self._enter(Input.ABORT):
            self._retransmission.stop()
            self.transmission.stop()
            self._ready.clear()
            self._control = [last] if last and self._peer is not None else []
            self.events.append(Ended(reason, violation, silent))
            logger.debug("ended: %s", reason or "in order")

    def _enter(self, what: Input) -> bool:
        """Change the state as the table says; return False if there is no transition."""
        state = TRANSITIONS[self.state].get(what)
        if state is None:
            return False
        logger.debug("%s: %s -> %s", what.name, self.state.name, state.name)
        self.state = state
        return True

    # Timers

    def deadline(self) -> float | None:
        """Return when `timeout` must be called; None for never."""
        sack = self._reception.deadline if self._reception is not None else None
        times = (self._retransmission.deadline, sack, *self.transmission.deadlines())
        if self.state is State.ENDED:
            return None
        if self.state is State.ESTABLISHED and self._resets is not None:
            # In other states no resets and probes are sent.
            times += (self._resets.deadline, self.transmission.probing.deadline)
        return min((time for time in times if time is not None), default=None)

    def timeout(self, now: float) -> None:
        """Handle the timers that have expired."""
        if self.state is State.ENDED:
            return
        if self._retransmission.deadline is not None and now >= self._retransmission.deadline:
            self._retransmit_control(now)
        if self._reception is not None:
            self._reception.timeout(now)
        self.transmission.timeout(now)
        if self.transmission.is_unreachable:
            self._end("the peer does not acknowledge any data", silent=True)

    def _retransmit_control(self, now: float) -> None:
        if not self._retransmission.back_off(now):
            self._end("the peer does not answer", silent=True)
            return
        logger.debug("%s: T1 or T2 expired", self.state.name)
        if self.state is State.COOKIE_WAIT:
            chunk = self._handshake.init()
        elif self.state is State.COOKIE_ECHOED:
            chunk = wire.chunk(wire.COOKIE_ECHO, 0, self._cookie)
        else:
            chunk = self._shutdown_chunk()
        if chunk not in self._control:
            self._control.insert(0, chunk)  # COOKIE ECHO must be first (RFC 9260, 5.1)

    # Packets to send

    def packets(self, now: float) -> list[bytes]:
        """Return the packets to send now, and remove them."""
        out, self._ready = self._ready, []
        if self.needs_sack and self.state in RECEIVING and self._reception is not None:
            self._control.append(self._reception.sack())
            if self.state is State.SHUTDOWN_SENT:
                self._control.append(self._shutdown_chunk())  # RFC 9260, 9.2
        if self.state is State.ESTABLISHED and self._resets is not None:
            self._control += self._resets.requests(self.transmission, now)
        contents: list[bytes] = []
        if self.state in SENDING:
            contents = self.transmission.contents(now)
            self._control += self.transmission.take_forward_tsn()
            if self.state is State.ESTABLISHED:
                contents += self.transmission.probing.probes(now)
            self._check_drained(now)  # messages may have expired
        if self._control:
            out += self._framing.bundle(self._control)
            self._control = []
        if contents:
            out += self._framing.packets(contents)
        return out
