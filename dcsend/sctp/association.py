"""An SCTP association over DTLS, for bulk (RFC 9260, 8261), sans-I/O.

Feed packets to `receive`, call `timeout` when `deadline` has come, and after either, and after
every other call, send what `packets` gives. Time is an argument, in seconds of any clock that
never goes back. `events` has what happened.

Who gets here has shown a certificate, and may be hostile still: a packet that is malformed is
dropped, a rule broken on purpose ends the association, and what a peer can make us keep is
bounded by `Limits`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from dcsend.sctp import wire
from dcsend.sctp.events import Ended, Established, Event
from dcsend.sctp.framing import Framing
from dcsend.sctp.handshake import Handshake, Peer
from dcsend.sctp.options import Options
from dcsend.sctp.probing import FOREIGN_PAYLOAD
from dcsend.sctp.queue import RELIABLE, Outgoing, Reliability
from dcsend.sctp.reassembly import Violation
from dcsend.sctp.reception import Reception
from dcsend.sctp.reset import StreamResets
from dcsend.sctp.states import TRANSITIONS, Input, State
from dcsend.sctp.timing import Repetition
from dcsend.sctp.transmission import Transmission
from dcsend.sctp.wire import Init, Malformed

__all__ = ["Association", "Options"]

_S = State
_SENDING: Final = frozenset({_S.ESTABLISHED, _S.SHUTDOWN_PENDING, _S.SHUTDOWN_RECEIVED})
"States in which DATA may leave."
_RECEIVING: Final = frozenset({_S.ESTABLISHED, _S.SHUTDOWN_PENDING, _S.SHUTDOWN_SENT})
_COMPLETE: Final = wire.chunk(wire.SHUTDOWN_COMPLETE, 0)
_MAX_INIT: Final = 8
_MAX_SHUTDOWN: Final = 5
"Expired timers in a row before the peer counts as gone (RFC 9260, 16)."
_T1: Final = 0.5
"""Seconds until INIT or COOKIE ECHO go again, then doubled. The RFC's second is for the open
Internet; here DTLS has just shown a round trip, and what is lost mostly is our first packet to a
peer whose SCTP has not begun."""
_T1_MAX: Final = 4.0
_T2_MAX: Final = 10.0
"Seconds until SHUTDOWN or SHUTDOWN ACK go again, at most."
_MAX_CONTROL: Final = 64
"Chunks that wait to be sent in answer to others; a peer that asks for more is not answered."


class Association:
    """One end."""

    def __init__(self, options: Options, now: float) -> None:
        self.state = State.CLOSED
        self.events: deque[Event] = deque()
        self._options = options
        self._handshake = Handshake(options.limits.window, bulk=options.bulk, tsn=options.first_tsn)
        self._framing = Framing(options.ports, self._handshake.tag, zero_checksum=options.bulk)
        self.transmission = Transmission(self._handshake.tsn, options.congestion, now)
        self._reception: Reception | None = None
        self._resets: StreamResets | None = None
        self._peer: Peer | None = None
        self._cookie = b""
        self._alone: list[bytes] = []
        "Packets that are ready."
        self._control: list[bytes] = []
        "Chunks to send before any DATA."
        self._unanswered = Repetition()
        "The chunk that begins or ends the association, by state."
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

    @property
    def is_drained(self) -> bool:
        """Whether the peer has acknowledged everything that was sent."""
        return self.transmission.is_drained

    @property
    def has_news(self) -> bool:
        """Whether the peer is to be told something at once."""
        return self._reception is not None and self._reception.is_due

    def associate(self, now: float) -> None:
        """Begin; the peer may do the same at the same time, or only answer."""
        if self._enter(Input.ASSOCIATE):
            self._unanswered.start(now, _T1, _T1_MAX, _MAX_INIT)
            self._control.append(self._handshake.init())

    def send(
        self, stream: int, protocol: int, data: bytes, now: float, how: Reliability = RELIABLE
    ) -> None:
        """Queue a message of at least one byte; before the association is established, too."""
        if self.state in (_S.CLOSED, _S.COOKIE_WAIT, _S.COOKIE_ECHOED, _S.ESTABLISHED):
            self.transmission.put(Outgoing(stream, protocol, data, how, now))

    def queued(self, stream: int) -> int:
        """Return the bytes of a stream that no packet has taken yet."""
        return self.transmission.queue.queued(stream)

    def release(self, size: int) -> None:
        """Note that the application has taken a message of so many bytes from `events`."""
        if self._reception is not None:
            self._reception.release(size)

    def reset(self, stream: int) -> bool:
        """Send no more on a stream, after what is queued; the peer is told then.

        Returns:
            False if the peer can't be told: it does not know RFC 6525, or is not there yet.
        """
        if self._resets is None or self._peer is None or not self._peer.re_config:
            return False
        self._resets.want(stream)
        return True

    def assume_reset(self, stream: int) -> None:
        """Take it that the peer has answered `reset`, though the answer has not come."""
        if self._resets is not None:
            self._resets.assume(stream)
            self.transmission.queue.restart_stream(stream)

    def probe(self, sizes: Sequence[int], now: float) -> None:
        """Find out which of these payloads, in bytes, largest first, packets can have.

        Those that no Ethernet takes are tried with our own kind only: aiortc reads 1500 bytes of a
        record and takes the rest for the next packet, Pion ends at more than 8192.
        """
        if self._peer is None or not self._peer.rare_sacks:
            sizes = [size for size in sizes if size <= FOREIGN_PAYLOAD]
        self.transmission.probing.begin(sizes, now)

    def close(self, now: float) -> None:
        """Shut down in order: after all that is queued has arrived."""
        if self._enter(Input.CLOSE):
            self._when_drained(now)
        elif self.state in (_S.CLOSED, _S.COOKIE_WAIT, _S.COOKIE_ECHOED):
            self.abort()

    def abort(self) -> None:
        """End at once, and tell the peer; what is queued is lost."""
        self._end("", last=wire.chunk(wire.ABORT, 0, wire.parameter(wire.USER_ABORT, b"")))

    def violate(self, violation: Violation) -> None:
        """End since the peer broke a rule, here or in what its messages say."""
        cause = wire.parameter(wire.PROTOCOL_VIOLATION, str(violation).encode(), last=True)
        self._end(str(violation), last=wire.chunk(wire.ABORT, 0, cause), violation=True)

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
        if not self._framing.accepts(data):
            return
        if self.state is State.ENDED:
            if data[12] == wire.SHUTDOWN_ACK and self._peer is not None:
                self._control = [_COMPLETE]  # ours was lost (RFC 9260, 8.4)
            return
        if data[12] == wire.DATA:
            length = data[14] << 8 | data[15]
            if length + 12 == len(data):  # mostly: one fragment fills the packet
                self._on_data(data, 12, length)
                self._data_ended(now)
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
                self._data_ended(now)

    def _on_data(self, data: bytes, at: int, length: int) -> None:
        if self._reception is not None and self.state in _RECEIVING:
            self._reception.data(data, at, length)

    def _data_ended(self, now: float) -> None:
        if self._reception is None or self.state not in _RECEIVING:
            return
        # Of too many, the last one must not be missing: it stays due.
        if self._reception.packet_ended(now) and len(self._control) < _MAX_CONTROL:
            self._control.append(self._reception.sack())
        if self.state is State.SHUTDOWN_SENT:
            # The peer still has something to send, so it is there (RFC 9260, 9.2).
            self._wait_for_goodbye(now)

    def _on_unknown(self, kind: int, flags: int, value: bytes) -> bool:
        """Do what its two highest bits say (RFC 9260, 3.2); False: don't look at the rest."""
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
        # In every state: with our one tag, so that both sides may begin (RFC 9260, 5.2.1), and
        # changing nothing, so that an old INIT that comes late does no harm (5.2.2).
        if len(self._alone) < _MAX_CONTROL:
            answer = self._handshake.init_ack(peer)
            self._alone.append(wire.packet(self._options.ports, peer.tag, answer))

    def _on_init_ack(self, flags: int, value: bytes, now: float) -> None:
        if self.state is not State.COOKIE_WAIT:
            return
        init = Init.parse(value)
        if not init.cookie:
            raise Malformed("INIT ACK without a cookie")
        self._meet(Peer.of(init))
        self._cookie = init.cookie
        self._enter(Input.INIT_ACK)
        self._unanswered.start(now, _T1, _T1_MAX, _MAX_INIT)
        self._control = [wire.chunk(wire.COOKIE_ECHO, 0, init.cookie)]

    def _on_cookie_echo(self, flags: int, value: bytes, now: float) -> None:
        peer = self._handshake.open_cookie(value)
        if peer is None:
            return
        if self._peer is None:
            self._meet(peer)
        elif peer.tag != self._peer.tag:
            if self.state is State.COOKIE_ECHOED:
                return  # of an older try (RFC 9260, 5.2.4, C)
            raise Violation("the peer began again")
        if self._enter(Input.COOKIE_ECHO):
            self._established()
        begun = (wire.INIT, wire.COOKIE_ECHO, wire.COOKIE_ACK)
        self._control = [c for c in self._control if c[0] not in begun]
        self._control.insert(0, wire.chunk(wire.COOKIE_ACK, 0))

    def _on_cookie_ack(self, flags: int, value: bytes, now: float) -> None:
        if self._enter(Input.COOKIE_ACK):
            self._established()

    def _meet(self, peer: Peer) -> None:
        """Take what the peer has said of itself."""
        self._peer = peer
        self.transmission.peer_window = peer.window
        self.transmission.peer_forwards = peer.forward_tsn
        self._reception = Reception(
            peer.tsn, self._options.limits, self.events.append, rare=peer.rare_sacks
        )
        self._resets = StreamResets(self._handshake.tsn, peer.tsn)
        zero = self._options.bulk and peer.zero_checksum
        self._framing.meet(peer.tag, checksums=not zero)

    def _established(self) -> None:
        self._unanswered.stop()
        self.events.append(Established())

    # Other chunks

    def _on_sack(self, flags: int, value: bytes, now: float) -> None:
        if self.state in _SENDING:
            self.transmission.acknowledge(wire.parse_sack(value), now)
            self._when_drained(now)

    def _on_heartbeat(self, flags: int, value: bytes, now: float) -> None:
        self._reply(wire.chunk(wire.HEARTBEAT_ACK, 0, value))

    def _on_heartbeat_ack(self, flags: int, value: bytes, now: float) -> None:
        if self.transmission.probing.echoed(value):
            self.transmission.proven()

    def _on_forward_tsn(self, flags: int, value: bytes, now: float) -> None:
        if self._reception is not None and self.state in _RECEIVING:
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

    # The end

    def _on_abort(self, flags: int, value: bytes, now: float) -> None:
        self._end("the peer aborted the association")

    def _on_shutdown(self, flags: int, value: bytes, now: float) -> None:
        cumulative = wire.parse_shutdown(value)
        if self.state in _SENDING:
            self.transmission.acknowledge_cumulatively(cumulative, now)
        if self._enter(Input.SHUTDOWN) and self.state is State.SHUTDOWN_ACK_SENT:
            self._say_goodbye(now)
        else:
            self._when_drained(now)  # a repeated one may acknowledge the rest

    def _on_shutdown_ack(self, flags: int, value: bytes, now: float) -> None:
        if self.state in (_S.SHUTDOWN_SENT, _S.SHUTDOWN_ACK_SENT):
            self._end("", last=_COMPLETE)

    def _on_shutdown_complete(self, flags: int, value: bytes, now: float) -> None:
        if self.state is State.SHUTDOWN_ACK_SENT:
            self._end("")

    def _when_drained(self, now: float) -> None:
        if self.is_drained and self._enter(Input.DRAINED):
            self._say_goodbye(now)

    def _say_goodbye(self, now: float) -> None:
        self._wait_for_goodbye(now)
        self._control.append(self._goodbye())

    def _wait_for_goodbye(self, now: float) -> None:
        wait = self.transmission.round_trip.timeout
        self._unanswered.start(now, min(wait, _T2_MAX), _T2_MAX, _MAX_SHUTDOWN)

    def _goodbye(self) -> bytes:
        if self.state is State.SHUTDOWN_SENT and self._reception is not None:
            return wire.shutdown_chunk(self._reception.cumulative)
        return wire.chunk(wire.SHUTDOWN_ACK, 0)

    def _end(self, reason: str, *, last: bytes = b"", violation: bool = False) -> None:
        if self._enter(Input.ABORT):
            self._unanswered.stop()
            self.transmission.stop()
            self._alone.clear()
            self._control = [last] if last and self._peer is not None else []
            self.events.append(Ended(reason, violation))

    def _enter(self, what: Input) -> bool:
        """Take a step of the table; False if there is none."""
        state = TRANSITIONS[self.state].get(what)
        if state is None:
            return False
        self.state = state
        return True

    # Time

    def deadline(self) -> float | None:
        """Return when `timeout` is to be called; None for never."""
        times = (
            self._unanswered.deadline,
            self._reception.deadline if self._reception is not None else None,
            *self.transmission.deadlines(),
        )
        if self.state is State.ENDED:
            return None
        if self.state is State.ESTABLISHED and self._resets is not None:
            # In other states nobody does what is due then.
            times += (self._resets.deadline, self.transmission.probing.deadline)
        return min((time for time in times if time is not None), default=None)

    def timeout(self, now: float) -> None:
        """Do what is due."""
        if self.state is State.ENDED:
            return
        if self._unanswered.deadline is not None and now >= self._unanswered.deadline:
            self._say_again(now)
        if self._reception is not None:
            self._reception.timeout(now)
        self.transmission.timeout(now)
        if self.transmission.is_dead:
            self._end("the peer does not acknowledge anything")

    def _say_again(self, now: float) -> None:
        if not self._unanswered.again(now):
            self._end("the peer does not answer")
            return
        if self.state is State.COOKIE_WAIT:
            chunk = self._handshake.init()
        elif self.state is State.COOKIE_ECHOED:
            chunk = wire.chunk(wire.COOKIE_ECHO, 0, self._cookie)
        else:
            chunk = self._goodbye()
        if chunk not in self._control:
            self._control.insert(0, chunk)  # where COOKIE ECHO has to be (RFC 9260, 5.1)

    # Packets out

    def packets(self, now: float) -> list[bytes]:
        """Return the packets that leave now, and forget them."""
        out, self._alone = self._alone, []
        if self.has_news and self.state in _RECEIVING and self._reception is not None:
            self._control.append(self._reception.sack())
            if self.state is State.SHUTDOWN_SENT:
                self._control.append(self._goodbye())  # RFC 9260, 9.2
        if self.state is State.ESTABLISHED and self._resets is not None:
            self._control += self._resets.requests(self.transmission, now)
        contents: list[bytes] = []
        if self.state in _SENDING:
            contents = self.transmission.contents(now)
            if self.transmission.forward is not None:
                self._control.append(self.transmission.forward)
                self.transmission.forward = None
            if self.state is State.ESTABLISHED:
                contents += self.transmission.probing.probes(now)
            self._when_drained(now)  # nothing is left if the rest has expired
        if self._control:
            out += self._framing.bundle(self._control)
            self._control = []
        if contents:
            out += self._framing.wrap(contents)
        return out
