"""An SCTP association over DTLS, for bulk (RFC 9260, 8261), sans-I/O.

Feed packets to `receive`, call `timeout` when `deadline` has come, and after either, and after
every other call, send what `packets` gives. Time is an argument, in seconds of any clock that
never goes back. `events` has what happened.

Who gets here has shown a certificate, and may be hostile still: a packet that is malformed is
dropped, a rule broken on purpose ends the association, and what a peer can make us keep is
bounded by `Limits`.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from dcsend.sctp import wire
from dcsend.sctp.congestion import Acknowledgement, make_controller
from dcsend.sctp.flight import Flight, Sent
from dcsend.sctp.handshake import Handshake, Peer
from dcsend.sctp.probing import BASE_PAYLOAD, Probing
from dcsend.sctp.queue import RELIABLE, Outgoing, Reliability, SendQueue
from dcsend.sctp.rate import RateSampler
from dcsend.sctp.reassembly import Limits, Message, Reassembly, Violation, unwrap
from dcsend.sctp.reset import Reset, StreamResets
from dcsend.sctp.timing import Pacer, RoundTrip
from dcsend.sctp.wire import DATA_HEADER, Init, Malformed

__all__ = ["TRANSITIONS", "Association", "Ended", "Established", "Event", "Options", "State"]


class State(enum.Enum):
    """The states of RFC 9260, 4; ENDED is CLOSED again, for good."""

    CLOSED = enum.auto()
    COOKIE_WAIT = enum.auto()
    COOKIE_ECHOED = enum.auto()
    ESTABLISHED = enum.auto()
    SHUTDOWN_PENDING = enum.auto()
    SHUTDOWN_SENT = enum.auto()
    SHUTDOWN_RECEIVED = enum.auto()
    SHUTDOWN_ACK_SENT = enum.auto()
    ENDED = enum.auto()


class Input(enum.Enum):
    """What moves it from one to another."""

    ASSOCIATE = enum.auto()
    INIT_ACK = enum.auto()
    COOKIE_ECHO = enum.auto()
    COOKIE_ACK = enum.auto()
    CLOSE = enum.auto()
    SHUTDOWN = enum.auto()
    SHUTDOWN_ACK = enum.auto()
    SHUTDOWN_COMPLETE = enum.auto()
    DRAINED = enum.auto()
    "All that was sent is acknowledged."
    ABORT = enum.auto()
    "Of either side, or given up."


_S = State
TRANSITIONS: Final[dict[State, dict[Input, State]]] = {
    _S.CLOSED: {
        Input.ASSOCIATE: _S.COOKIE_WAIT,
        Input.COOKIE_ECHO: _S.ESTABLISHED,
        Input.ABORT: _S.ENDED,
    },
    _S.COOKIE_WAIT: {
        Input.INIT_ACK: _S.COOKIE_ECHOED,
        Input.COOKIE_ECHO: _S.ESTABLISHED,
        Input.ABORT: _S.ENDED,
    },
    _S.COOKIE_ECHOED: {
        Input.COOKIE_ECHO: _S.ESTABLISHED,
        Input.COOKIE_ACK: _S.ESTABLISHED,
        Input.ABORT: _S.ENDED,
    },
    _S.ESTABLISHED: {
        Input.CLOSE: _S.SHUTDOWN_PENDING,
        Input.SHUTDOWN: _S.SHUTDOWN_RECEIVED,
        Input.ABORT: _S.ENDED,
    },
    _S.SHUTDOWN_PENDING: {
        Input.DRAINED: _S.SHUTDOWN_SENT,
        Input.SHUTDOWN: _S.SHUTDOWN_RECEIVED,
        Input.ABORT: _S.ENDED,
    },
    _S.SHUTDOWN_SENT: {
        Input.SHUTDOWN: _S.SHUTDOWN_ACK_SENT,
        Input.SHUTDOWN_ACK: _S.ENDED,
        Input.ABORT: _S.ENDED,
    },
    _S.SHUTDOWN_RECEIVED: {
        Input.DRAINED: _S.SHUTDOWN_ACK_SENT,
        Input.ABORT: _S.ENDED,
    },
    _S.SHUTDOWN_ACK_SENT: {
        Input.SHUTDOWN_ACK: _S.ENDED,
        Input.SHUTDOWN_COMPLETE: _S.ENDED,
        Input.ABORT: _S.ENDED,
    },
    _S.ENDED: {},
}
"What is not in here changes nothing."

_SENDING: Final = frozenset({_S.ESTABLISHED, _S.SHUTDOWN_PENDING, _S.SHUTDOWN_RECEIVED})
"States in which DATA may leave."
_RECEIVING: Final = frozenset({_S.ESTABLISHED, _S.SHUTDOWN_PENDING, _S.SHUTDOWN_SENT})
_MAX_INIT: Final = 8
_MAX_SHUTDOWN: Final = 5
_MAX_TIMEOUTS: Final = 10
"Expired timers in a row before the peer counts as gone (RFC 9260, 16); ICE mostly knows before."
_T1: Final = 0.5
"""Seconds until INIT or COOKIE ECHO go again, then doubled. The RFC's second is for the open
Internet; here DTLS has just shown a round trip, and what is lost mostly is our first packet to a
peer whose SCTP has not begun."""
_T1_MAX: Final = 4.0
_SACK_DELAY: Final = 0.04
"Seconds that one packet alone waits for its acknowledgement, as Linux's TCP has it; 0.2 by RFC."
_SACK_EVERY: Final = 2
"Packets that a foreign sender has acknowledged at once, at most (RFC 9260, 6.2)."
_PROBE_SLACK: Final = 0.02
"Seconds that a tail loss probe waits beyond two round trips (RFC 8985, 7.2): loops are slow."
_FILL: Final = 256
"Bytes that must be left in a packet for another message to begin there."
_MAX_CONTROL: Final = 64
"Chunks that wait to be sent in answer to others; a peer that asks for more is not answered."
_REOPENED: Final = 4
"A window that was below a quarter, and is above it, is told at once."


@dataclass(frozen=True, slots=True)
class Options:
    """How this side behaves."""

    ports: tuple[int, int] = (5000, 5000)
    "Ours and the peer's."
    bulk: bool = True
    "Whether to do without checksums where the peer agrees (see `Handshake`)."
    limits: Limits = field(default_factory=Limits)
    congestion: str = "bbr"
    "Of `congestion.make_controller`."


@dataclass(frozen=True, slots=True)
class Established:
    """The association can be used."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The association is over."""

    reason: str
    "For a log; empty if one of the sides wanted it."
    violation: bool = False
    "Whether the peer broke a rule."


Event = Established | Message | Reset | Ended


class Association:
    """One end."""

    def __init__(self, options: Options, now: float) -> None:
        self.state = State.CLOSED
        self.events: deque[Event] = deque()
        self.round_trip = RoundTrip()
        self.probing = Probing()
        self.retransmitted = 0
        "Chunks sent again."
        self._options = options
        self._handshake = Handshake(options.limits.window, bulk=options.bulk)
        self._flight = Flight(self._handshake.tsn, self.round_trip)
        self._queue = SendQueue()
        self._controller = make_controller(options.congestion, self.probing.payload, now)
        self._sampler = RateSampler(now)
        self._pacer = Pacer(now)
        self._peer: Peer | None = None
        self._peer_window = 0
        self._reassembly: Reassembly | None = None
        self._resets: StreamResets | None = None
        self._partial = False
        "Whether there ever was a message that may be given up."
        self._cookie = b""
        self._head = b""
        "Common header of a packet without a checksum."
        self._checksums = True
        self._alone: list[bytes] = []
        "Packets that are ready."
        self._control: list[bytes] = []
        "Chunks to send before any DATA."
        self._tries = 0
        "Of the handshake's or shutdown's timer, or T3 in a row."
        self._timer: float | None = None
        "T1 or T2, by state."
        self._t3: float | None = None
        self._tail: float | None = None
        "When to send a tail loss probe."
        self._probed = False
        self._tail_probe: Sent | None = None
        self._barriers: dict[int, int] = {}
        "Last TSN of each stream that shall be reset."
        self._reset_tsn = 0
        self._reset_timer: float | None = None
        self._paced: float | None = None
        "When the pacer lets more go."
        self._unacknowledged = 0
        "Packets with DATA since the last SACK."
        self._sack_due = False
        self._sack_timer: float | None = None
        self._told_window = options.limits.window
        "The window that the last SACK had."
        self._handlers: dict[int, Callable[[int, bytes, float], None]] = {
            wire.INIT: self._on_init,
            wire.INIT_ACK: self._on_init_ack,
            wire.SACK: self._on_sack,
            wire.HEARTBEAT: self._on_heartbeat,
            wire.HEARTBEAT_ACK: self._on_heartbeat_ack,
            wire.ABORT: self._on_abort,
            wire.SHUTDOWN: self._on_shutdown,
            wire.SHUTDOWN_ACK: self._on_shutdown_ack,
            wire.ERROR: lambda flags, value, now: None,
            wire.COOKIE_ECHO: self._on_cookie_echo,
            wire.COOKIE_ACK: self._on_cookie_ack,
            wire.SHUTDOWN_COMPLETE: self._on_shutdown_complete,
            wire.RE_CONFIG: self._on_re_config,
            wire.PAD: lambda flags, value, now: None,
            wire.FORWARD_TSN: self._on_forward_tsn,
        }

    # What the application does

    def associate(self, now: float) -> None:
        """Begin; the peer may do the same at the same time, or only answer."""
        if self._enter(Input.ASSOCIATE):
            self._start_timer(now)
            self._control.append(self._handshake.init())

    def send(
        self, stream: int, protocol: int, data: bytes, now: float, how: Reliability = RELIABLE
    ) -> None:
        """Queue a message of at least one byte; before the association is established, too."""
        if self.state not in (_S.ENDED, _S.SHUTDOWN_PENDING, _S.SHUTDOWN_RECEIVED):
            message = Outgoing(stream, protocol, data, how, now)
            self._partial = self._partial or not message.is_reliable
            self._queue.put(message)

    def queued(self, stream: int) -> int:
        """Return the bytes of a stream that no packet has taken yet."""
        return self._queue.queued(stream)

    @property
    def is_drained(self) -> bool:
        """Whether the peer has acknowledged everything that was sent."""
        return not self._queue and self._flight.is_empty

    @property
    def has_news(self) -> bool:
        """Whether the peer is to be told something at once."""
        return self._sack_due

    def release(self, size: int) -> None:
        """Note that the application has taken a message of so many bytes from `events`."""
        if self._reassembly is None:
            return
        self._reassembly.release(size)
        window = self._options.limits.window
        least = window // _REOPENED
        if self._told_window < least <= self._reassembly.window:
            self._sack_due = True  # or the peer would ask with single packets

    def reset(self, stream: int) -> bool:
        """Send no more on a stream, after what is queued; the peer is told then.

        Returns:
            False if the peer can't be told: it does not know RFC 6525, or is not there yet.
        """
        if self._resets is None or self._peer is None or not self._peer.re_config:
            return False
        self._resets.want(stream)
        return True

    def probe(self, sizes: Sequence[int], now: float) -> None:
        """Find out which of these payloads, in bytes, largest first, packets can have."""
        self.probing.begin(sizes, now)

    def close(self, now: float) -> None:
        """Shut down in order: after all that is queued has arrived."""
        if self._enter(Input.CLOSE):
            self._when_drained(now)
        elif self.state in (_S.CLOSED, _S.COOKIE_WAIT, _S.COOKIE_ECHOED):
            self.abort()

    def abort(self) -> None:
        """End at once, and tell the peer; what is queued is lost."""
        if self.state in (_S.CLOSED, _S.ENDED):
            self._end("")
            return
        if self._peer is not None:
            self._control = [wire.chunk(wire.ABORT, 0, wire.parameter(wire.USER_ABORT, b""))]
        self._end("")

    def violate(self, violation: Violation) -> None:
        """End since the peer broke a rule, here or in what its messages say."""
        if self._peer is not None and self.state is not State.ENDED:
            cause = wire.parameter(wire.PROTOCOL_VIOLATION, str(violation).encode())
            self._control = [wire.chunk(wire.ABORT, 0, cause)]
        self._end(str(violation), violation=True)

    # Packets in

    def receive(self, data: bytes, now: float) -> None:
        """Take a packet, whatever it holds."""
        try:
            self._receive(data, now)
        except Malformed:
            return
        except Violation as exc:
            self.violate(exc)

    def _receive(self, data: bytes, now: float) -> None:
        if self.state is State.ENDED or len(data) < wire.COMMON.size + wire.HEADER.size:
            return
        source, destination, tag, checksum = wire.COMMON.unpack_from(data)
        ours, theirs = self._options.ports
        if destination != ours or source != theirs:
            return
        kind = data[12]
        flags = data[13]
        if tag != self._handshake.tag and not self._is_tagged(kind, flags, tag):
            return
        if (checksum or not self._takes_zero(kind)) and not wire.has_checksum(data):
            return
        if kind == wire.DATA:
            length = data[14] << 8 | data[15]
            if length + 12 == len(data):  # mostly: one fragment fills the packet
                self._on_data(data, 12, length)
                self._arrived(now)
                return
        self._receive_chunks(data, now)

    def _is_tagged(self, kind: int, flags: int, tag: int) -> bool:
        """Judge a tag that is not ours (RFC 9260, 8.5.1)."""
        if kind == wire.INIT:
            return tag == 0
        reflected = kind in (wire.ABORT, wire.SHUTDOWN_COMPLETE) and flags & wire.REFLECTED
        return bool(reflected) and self._peer is not None and tag == self._peer.tag

    def _takes_zero(self, kind: int) -> bool:
        """Tell whether the packet may come without a checksum (RFC 9653, 5.2)."""
        return self._options.bulk and kind not in (wire.INIT, wire.COOKIE_ECHO)

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
                self._arrived(now)

    def _on_unknown(self, kind: int, flags: int, value: bytes) -> bool:
        """Do what its two highest bits say (RFC 9260, 3.2); False: don't look at the rest."""
        if kind & 0x40:
            self._reply(
                wire.chunk(
                    wire.ERROR,
                    0,
                    wire.parameter(wire.UNRECOGNIZED_CHUNK, wire.chunk(kind, flags, value[:64])),
                )
            )
        return bool(kind & 0x80)

    def _reply(self, chunk: bytes) -> None:
        if len(self._control) < _MAX_CONTROL:
            self._control.append(chunk)

    def _on_data(self, data: bytes, at: int, length: int) -> None:
        if self._reassembly is None or self.state not in _RECEIVING:
            return
        if length <= DATA_HEADER.size:
            raise Violation("DATA without data")  # RFC 9260, 6.2
        _, flags, _, tsn, stream, sequence, protocol = DATA_HEADER.unpack_from(data, at)
        reassembly = self._reassembly
        near = reassembly.cumulative
        tsn = near + ((tsn - near + 0x80000000) & 0xFFFFFFFF) - 0x80000000  # `unwrap`, quickly
        content = data[at + 16 : at + length]
        if not reassembly.add(flags, tsn, stream, sequence, protocol, content) or (
            flags & wire.IMMEDIATE
        ):
            self._sack_due = True

    def _arrived(self, now: float) -> None:
        """Decide when to acknowledge (RFC 9260, 6.2)."""
        self._unacknowledged += 1
        reassembly = self._reassembly
        if reassembly is None or self._peer is None:
            return
        if reassembly.gaps or reassembly.duplicates:
            self._sack_due = True
        elif self._unacknowledged >= _SACK_EVERY:
            self._sack_due = True
            # A foreign sender's window may grow by the number of acknowledgements.
            if not self._peer.rare_sacks:
                self._reply(self._sack())
        elif self._sack_timer is None:
            self._sack_timer = now + _SACK_DELAY

    def _sack(self) -> bytes:
        reassembly = self._reassembly
        assert reassembly is not None
        self._sack_due = False
        self._sack_timer = None
        self._unacknowledged = 0
        cumulative = reassembly.cumulative
        self._told_window = reassembly.window
        gaps = [(first - cumulative, last - cumulative) for first, last in reassembly.gaps]
        duplicates = [tsn & 0xFFFFFFFF for tsn in reassembly.duplicates]
        reassembly.duplicates.clear()
        window = min(self._told_window, 0xFFFFFFFF)
        return wire.sack_chunk(cumulative & 0xFFFFFFFF, window, gaps, duplicates)

    # The handshake

    def _on_init(self, flags: int, value: bytes, now: float) -> None:
        peer = Peer.of(Init.parse(value))
        # In every state: with our one tag, so that both sides may begin (RFC 9260, 5.2.1), and
        # changing nothing, so that an old INIT that comes late does no harm (5.2.2).
        self._send_alone(self._handshake.init_ack(peer), peer.tag)

    def _on_init_ack(self, flags: int, value: bytes, now: float) -> None:
        if self.state is not State.COOKIE_WAIT:
            return
        init = Init.parse(value)
        if not init.cookie:
            raise Malformed("INIT ACK without a cookie")
        self._meet(Peer.of(init))
        self._cookie = init.cookie
        self._enter(Input.INIT_ACK)
        self._start_timer(now)
        self._control = [wire.chunk(wire.COOKIE_ECHO, 0, init.cookie)]

    def _on_cookie_echo(self, flags: int, value: bytes, now: float) -> None:
        peer = self._handshake.open_cookie(value)
        if peer is None:
            return
        if self._peer is not None and peer.tag != self._peer.tag:
            if self.state in (_S.COOKIE_WAIT, _S.COOKIE_ECHOED):
                return  # of an older try (RFC 9260, 5.2.4, C)
            raise Violation("the peer began again")
        if self.state is not State.COOKIE_ECHOED and self._peer is None:
            self._meet(peer)
        if self._enter(Input.COOKIE_ECHO):
            self._established()
        self._control = [c for c in self._control if c[0] not in (wire.INIT, wire.COOKIE_ECHO)]
        self._control.insert(0, wire.chunk(wire.COOKIE_ACK, 0))

    def _on_cookie_ack(self, flags: int, value: bytes, now: float) -> None:
        if self._enter(Input.COOKIE_ACK):
            self._established()

    def _meet(self, peer: Peer) -> None:
        """Take what the peer has said of itself."""
        self._peer = peer
        self._peer_window = peer.window
        self._reassembly = Reassembly(peer.tsn, self._options.limits, self.events.append)
        self._resets = StreamResets(self._handshake.tsn, peer.tsn)
        self._checksums = not (self._options.bulk and peer.zero_checksum)
        self._head = wire.packet(self._options.ports, peer.tag, b"", checksum=False)

    def _established(self) -> None:
        self._timer = None
        self._tries = 0
        self.events.append(Established())

    # Acknowledgements

    def _on_sack(self, flags: int, value: bytes, now: float) -> None:
        if self.state not in _SENDING:
            return
        flight = self._flight
        sack = wire.parse_sack(value)
        cumulative = unwrap(sack.cumulative, flight.cumulative)
        if cumulative < flight.cumulative:
            return  # overtaken by a later one
        gaps = [(cumulative + first, cumulative + last) for first, last in sack.gaps]
        self._peer_window = sack.window
        if not sack.window:
            self._tries = 0  # it is there, and full
        self._acknowledge(cumulative, gaps, now)

    def _acknowledge(self, cumulative: int, gaps: Sequence[tuple[int, int]], now: float) -> None:
        flight = self._flight
        before = flight.bytes
        advances = cumulative > flight.cumulative
        delivered = flight.acknowledge(cumulative, gaps, now)
        lost = flight.find_losses(now)
        if delivered or lost:
            newest = flight.newest
            rate, limited, prior = 0.0, False, 0
            rtt = None
            if newest is not None:
                self._sampler.acknowledged(newest, flight.total)
                rate, limited, prior = self._sampler.sample(now, self.round_trip.minimum)
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
                    flight.total,
                )
            )
        if advances or delivered:
            self._tries = 0
            self._probed = False
            self._restart_t3(now)
        if self._partial:
            self._give_up(now)
        self._when_drained(now)

    def _restart_t3(self, now: float) -> None:
        flight = self._flight
        if flight.is_empty:
            self._t3 = self._tail = None
            return
        timeout = self.round_trip.timeout
        self._t3 = now + timeout
        smoothed = self.round_trip.smoothed
        if self._probed or smoothed is None or flight.waits:
            self._tail = None
        else:
            probe = now + 2 * smoothed + _PROBE_SLACK
            self._tail = probe if probe < self._t3 else None

    def _give_up(self, now: float) -> None:
        """Abandon lost messages that are not to be sent again, if the peer understands."""
        if self._peer is None or not self._peer.forward_tsn:
            return
        flight = self._flight
        for record in flight.hopeless(now):
            flight.abandon(record)
        streams = flight.advance()
        if flight.advanced > flight.cumulative:
            self._reply(wire.forward_tsn_chunk(flight.advanced & 0xFFFFFFFF, streams))

    # Other chunks

    def _on_heartbeat(self, flags: int, value: bytes, now: float) -> None:
        self._reply(wire.chunk(wire.HEARTBEAT_ACK, 0, value))

    def _on_heartbeat_ack(self, flags: int, value: bytes, now: float) -> None:
        if self.probing.echoed(value):
            self._controller.resized(self.probing.payload)

    def _on_forward_tsn(self, flags: int, value: bytes, now: float) -> None:
        if self._reassembly is None or self.state not in _RECEIVING:
            return
        cumulative, streams = wire.parse_forward_tsn(value)
        reassembly = self._reassembly
        reassembly.skip(unwrap(cumulative, reassembly.cumulative), streams)
        self._sack_due = True

    def _on_re_config(self, flags: int, value: bytes, now: float) -> None:
        if self._reassembly is None or self._resets is None:
            return
        cumulative = self._reassembly.cumulative & 0xFFFFFFFF
        replies, resets = self._resets.received(value, cumulative)
        for reply in replies:
            self._reply(reply)
        for reset in resets:
            if reset.by_peer:
                self._reassembly.restart_stream(reset.stream)
            else:
                self._queue.restart_stream(reset.stream)
            self.events.append(reset)
        if not self._resets.is_asking:
            self._reset_timer = None

    def _ask_for_resets(self, now: float) -> None:
        """Ask for those streams of which all has arrived."""
        resets = self._resets
        if resets is None or self._peer is None or not self._peer.re_config:
            return
        flight = self._flight
        ready = []
        for stream in resets.wanted():
            if not self._queue.queued(stream):
                # What has been sent on it is not behind this one; others may go on meanwhile.
                last = self._barriers.setdefault(stream, flight.next - 1)
                if flight.cumulative >= last:
                    ready.append(stream)
        if ready:
            self._reset_tsn = max(self._barriers.pop(stream) for stream in ready)
            resets.ask(ready)
            self._send_reset(now)

    def _send_reset(self, now: float) -> None:
        assert self._resets is not None
        self._control.append(self._resets.request(self._reset_tsn & 0xFFFFFFFF))
        self._reset_timer = now + self.round_trip.timeout

    def _on_abort(self, flags: int, value: bytes, now: float) -> None:
        self._end("the peer aborted the association")

    def _on_shutdown(self, flags: int, value: bytes, now: float) -> None:
        cumulative = unwrap(wire.parse_shutdown(value), self._flight.cumulative)
        if self.state in _SENDING and cumulative >= self._flight.cumulative:
            self._acknowledge(cumulative, (), now)
        if self._enter(Input.SHUTDOWN):
            if self.state is State.SHUTDOWN_ACK_SENT:
                self._begin_closing(wire.chunk(wire.SHUTDOWN_ACK, 0), now)
            else:
                self._when_drained(now)

    def _on_shutdown_ack(self, flags: int, value: bytes, now: float) -> None:
        if self.state in (_S.SHUTDOWN_SENT, _S.SHUTDOWN_ACK_SENT):
            self._control = [wire.chunk(wire.SHUTDOWN_COMPLETE, 0)]
            self._end("")

    def _on_shutdown_complete(self, flags: int, value: bytes, now: float) -> None:
        if self.state is State.SHUTDOWN_ACK_SENT:
            self._end("")

    def _when_drained(self, now: float) -> None:
        if self.state not in (_S.SHUTDOWN_PENDING, _S.SHUTDOWN_RECEIVED) or not self.is_drained:
            return
        self._enter(Input.DRAINED)
        self._begin_closing(self._closing_chunk(), now)

    def _closing_chunk(self) -> bytes:
        if self.state is State.SHUTDOWN_SENT and self._reassembly is not None:
            return wire.shutdown_chunk(self._reassembly.cumulative & 0xFFFFFFFF)
        return wire.chunk(wire.SHUTDOWN_ACK, 0)

    def _begin_closing(self, chunk: bytes, now: float) -> None:
        self._tries = 0
        self._start_timer(now)
        self._control.append(chunk)

    # Time

    def deadline(self) -> float | None:
        """Return when `timeout` is to be called; None for never."""
        times = (
            self._timer,
            self._t3,
            self._tail,
            self._reset_timer,
            self._sack_timer,
            self._paced,
            self._flight.reorder_deadline,
            self.probing.deadline if self.state is State.ESTABLISHED else None,
        )
        return min((time for time in times if time is not None), default=None)

    def timeout(self, now: float) -> None:
        """Do what is due."""
        if self._timer is not None and now >= self._timer:
            self._timer_expired(now)
        if self._sack_timer is not None and now >= self._sack_timer:
            self._sack_timer = None
            self._sack_due = True
        if self._paced is not None and now >= self._paced:
            self._paced = None
        reorder = self._flight.reorder_deadline
        if reorder is not None and now >= reorder:
            self._acknowledge(self._flight.cumulative, self._flight.gaps, now)
        if self._reset_timer is not None and now >= self._reset_timer:
            self._send_reset(now)
        if self._tail is not None and now >= self._tail:
            self._tail = None
            self._probe_tail(now)
        if self._t3 is not None and now >= self._t3:
            self._t3_expired(now)

    def _start_timer(self, now: float) -> None:
        wait: float
        if self.state in (_S.COOKIE_WAIT, _S.COOKIE_ECHOED):
            wait = min(_T1 * 2**self._tries, _T1_MAX)
        else:
            wait = self.round_trip.timeout
        self._timer = now + wait

    def _timer_expired(self, now: float) -> None:
        """T1 or T2: say it again."""
        self._timer = None
        self._tries += 1
        if self.state is State.COOKIE_WAIT:
            chunk, most = self._handshake.init(), _MAX_INIT
        elif self.state is State.COOKIE_ECHOED:
            chunk, most = wire.chunk(wire.COOKIE_ECHO, 0, self._cookie), _MAX_INIT
        else:
            chunk, most = self._closing_chunk(), _MAX_SHUTDOWN
        if self._tries > most:
            self._end("the peer does not answer")
            return
        if chunk not in self._control:
            self._control.append(chunk)
        self._start_timer(now)

    def _probe_tail(self, now: float) -> None:
        """Send the last packet again: its acknowledgement shows what is lost (RFC 8985, 7)."""
        self._probed = True
        record = None if self._flight.waits else self._flight.last()
        if record is not None:
            self._tail_probe = record

    def _t3_expired(self, now: float) -> None:
        self._tries += 1
        self.round_trip.backoff += 1
        self._t3 = now + self.round_trip.timeout
        self._tail = None
        if self._tries > _MAX_TIMEOUTS:
            self._end("the peer does not acknowledge anything")
            return
        if self._tries == 3 and self.probing.black_hole():
            self._controller.resized(self.probing.payload)
        self._flight.lose_all()
        self._controller.timed_out(now)
        self._give_up(now)

    # Packets out

    def packets(self, now: float) -> list[bytes]:
        """Return the packets that leave now, and forget them."""
        out, self._alone = self._alone, []
        if self._sack_due and self.state in _RECEIVING:
            self._control.append(self._sack())
        if self.state is State.ESTABLISHED:
            self._ask_for_resets(now)
        if self._control:
            out += self._bundle()
        if self.state in _SENDING:
            if self._queue or self._flight.waits or self._tail_probe is not None:
                self._send_data(out, now)
            if self.probing.deadline is not None and self.state is State.ESTABLISHED:
                out += map(self._packet, self.probing.probes(now))
        return out

    def _bundle(self) -> list[bytes]:
        """Put the chunks that wait into packets that every path takes."""
        contents = [b""]
        for chunk in self._control:
            if len(contents[-1]) + len(chunk) > BASE_PAYLOAD and contents[-1]:
                contents.append(b"")
            contents[-1] += chunk
        self._control = []
        return [self._packet(content) for content in contents]

    def _packet(self, content: bytes) -> bytes:
        # Before the peer's answer there is no tag and no agreement (RFC 9653, 5.1).
        if self._checksums or content[0] in (wire.INIT, wire.COOKIE_ECHO):
            tag = self._peer.tag if self._peer is not None else 0
            return wire.packet(self._options.ports, tag, content)
        return self._head + content

    def _send_alone(self, chunk: bytes, tag: int) -> None:
        """Send a chunk in a packet of its own, with a tag that is not agreed on."""
        if len(self._alone) < _MAX_CONTROL:
            self._alone.append(wire.packet(self._options.ports, tag, chunk))

    def _send_data(self, out: list[bytes], now: float) -> None:
        """Let leave what the windows and the pacer allow: first what was lost."""
        flight = self._flight
        controller = self._controller
        pacer = self._pacer
        payload = self.probing.payload
        before = flight.bytes
        pacer.refill(now, controller.pacing_rate, payload)
        self._paced = None
        if self._tail_probe is not None:
            self._again(self._tail_probe, out, now)
            self._tail_probe = None
        while flight.bytes < controller.window:
            if pacer.credit <= 0:
                self._paced = pacer.ready()
                break
            in_flight = flight.bytes
            record = flight.take_lost() if flight.waits else None
            if record is not None:
                self._again(record, out, now)
            # One packet may go though the peer's window is closed (RFC 9260, 6.1, A).
            elif flight.outstanding + payload > self._peer_window and flight.outstanding:
                break
            elif not self._send_new(payload, out, now):
                self._sampler.limited(flight.bytes)
                break
            pacer.credit -= flight.bytes - in_flight
        if flight.bytes > before:
            controller.sent(now, flight.bytes - before, before)
        if self._t3 is None and not flight.is_empty:
            self._restart_t3(now)

    def _again(self, record: Sent, out: list[bytes], now: float) -> None:
        """Send a chunk once more."""
        self.retransmitted += 1
        self._sampler.sent(record, now, self._flight.bytes)
        self._flight.transmitted(record, now)
        out.append(self._packet(record.chunk))

    def _send_new(self, payload: int, out: list[bytes], now: float) -> bool:
        """Send a packet with what comes next; False if nothing does."""
        flight = self._flight
        content = b""
        room = payload
        while (piece := self._queue.cut(room, now)) is not None:
            message, flags, sequence, data = piece
            if not self._queue:
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
            out.append(self._packet(content))
        return bool(content)

    # The end

    def _enter(self, what: Input) -> bool:
        """Take a step of the table; False if there is none."""
        state = TRANSITIONS[self.state].get(what)
        if state is None:
            return False
        self.state = state
        return True

    def _end(self, reason: str, *, violation: bool = False) -> None:
        if self.state is State.ENDED:
            return
        self.state = State.ENDED
        self._timer = self._t3 = self._tail = self._reset_timer = None
        self._sack_timer = self._paced = self._flight.reorder_deadline = None
        self.events.append(Ended(reason, violation))
