"""What is fuzzed: an association that receives anything, and the parsers.

Bytes are a script: a state to begin in, then steps. A step is a packet for the association, mostly
with a right header and checksum so that it gets through, or something that the program around does.
Needs nothing of dcsend but `dcsend.sctp`, so that the fuzzer can run it without all of dcsend.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import Final

from dcsend.sctp import wire
from dcsend.sctp.association import Association, Options
from dcsend.sctp.bbr import Bbr
from dcsend.sctp.channels import ChannelParameters, ChannelState, DataChannel, DataChannels
from dcsend.sctp.events import Message
from dcsend.sctp.handshake import Handshake, Peer
from dcsend.sctp.queue import Reliability
from dcsend.sctp.reassembly import Limits, Violation
from dcsend.sctp.states import State
from dcsend.sctp.wire import Init, Malformed
from tests.fuzz.script import Script
from tests.sctp.cubic import Cubic

__all__ = ["run"]

_PORTS: Final = (5000, 5000)
_LIMITS: Final = Limits(window=4000, message=3000, streams=8, stream_ids=16)
_STEPS: Final = 200
"Of a script, at most."
_PARSERS: Final[tuple[Callable[[bytes], object], ...]] = (
    Init.parse,
    wire.parse_sack,
    wire.parse_forward_tsn,
    wire.parse_shutdown,
    lambda value: list(wire.parameters(value)),
    lambda value: list(wire.chunks(value)),
    wire.has_checksum,
)


def run(data: bytes) -> None:
    """Do what a script says.

    Raises:
        AssertionError: something that must always be so was not.
    """
    random.seed(0)
    script = Script(data)
    how = script.byte()
    if how == 0xFF:
        _parse(script)
    else:
        _Play(script, how).run()


def _parse(script: Script) -> None:
    parser = _PARSERS[script.byte() % len(_PARSERS)]
    with contextlib.suppress(Malformed):
        parser(script.take(1 << 16))


class _Play:
    """One association, and a peer that sends what the script has."""

    def __init__(self, script: Script, how: int) -> None:
        self._script = script
        self._now = 10.0
        zero_checksum = bool(how & 0x80)
        options = Options(_PORTS, zero_checksum, _LIMITS, (Bbr, Cubic)[how >> 5 & 1], 0)
        self.association = Association(options, self._now)
        self._takes = bool(how & 0x10)
        self._zero_checksum = zero_checksum
        self._cookie = b""
        self._tag = self.association.tag
        self._channels = DataChannels(self.association, is_client=True, on_channel=self._announced)
        self._opened: list[DataChannel] = []
        self._begin(how & 0x0F)

    def run(self) -> None:
        """Take every step."""
        for _ in range(_STEPS):
            if not self._script:
                break
            self._step(self._script.byte())
            self._poll()
            self._check()

    # Where it begins

    def _begin(self, stage: int) -> None:
        """Bring the association into the state that the script has."""
        association = self.association
        peer = Handshake(100_000, zero_checksum=self._zero_checksum, tsn=0)
        if stage == 0:
            return
        sent = []
        if stage != 1:
            association.associate(self._now)
            sent = association.packets(self._now)
        if stage <= 2:
            self._hear(peer.init(), tag=0)
            self._poll()
            return
        [(_, _, init)] = wire.chunks(sent[0])
        ours = Init.parse(init)
        self._hear(peer.init_ack(Peer.of(ours)))
        self._poll()
        if stage == 3:
            return
        self._hear(wire.chunk(wire.COOKIE_ACK, 0))
        self._poll()
        assert association.state is State.ESTABLISHED
        if stage == 4:
            return
        self._now += 1  # the pacer lets nothing go at once
        for size in (1, 3000, 10_000):
            association.send(1, 53, bytes(size), self._now, Reliability(stage & 1 == 0, stage & 2))
        association.packets(self._now)
        if stage == 8:
            self._hear(wire.shutdown_chunk(0xFFFFFFFF))
        elif stage in (9, 10):
            association.close(self._now)
        if stage == 10:
            last = association.transmission.flight.next - 1
            self._hear(wire.sack_chunk(last, 9000, (), ()))
        self._poll()

    # What can happen

    def _step(self, what: int) -> None:
        steps = (
            self._any,
            self._anything,
            self._pause,
            self._wait,
            self._send,
            self._close,
            self._abort,
            self._reset,
            self._probe,
            self._associate,
            self._echo,
            self._turn,
            self._open_or_close,
            self._acknowledge,
        )
        if what < len(steps):
            steps[what]()
        else:
            self._say(what)

    def _any(self) -> None:
        """Hear any packet."""
        script = self._script
        self.association.receive(script.take(script.byte() << 8 | script.byte()), self._now)

    def _anything(self) -> None:
        """Hear a packet with a right header, and anything in it."""
        self._hear(self._script.take(self._script.byte() << 8 | self._script.byte()))

    def _pause(self) -> None:
        self._now += self._script.byte() / 100

    def _send(self) -> None:
        how = self._script.byte()
        kind = Reliability(not how & 1, (how >> 1 & 3) or None, how / 64 if how > 99 else None)
        data = bytes(self._script.byte() << 4 | 1)
        self.association.send(how >> 3 & 7, 51, data, self._now, kind)

    def _close(self) -> None:
        self.association.close(self._now)

    def _abort(self) -> None:
        if self._script.byte() == 6:  # seldom, since it ends the play
            self.association.abort()

    def _reset(self) -> None:
        self.association.reset(self._script.byte() & 7)

    def _probe(self) -> None:
        self.association.probe([1404, 1300], self._now)

    def _associate(self) -> None:
        self.association.associate(self._now)

    def _echo(self) -> None:
        """Hear the last cookie that was given."""
        self._hear(wire.chunk(wire.COOKIE_ECHO, 0, self._cookie))

    def _turn(self) -> None:
        """Stop taking messages, or take them again."""
        self._takes = not self._takes

    def _acknowledge(self) -> None:
        """Hear that all that was sent has arrived."""
        last = self.association.transmission.flight.next - 1
        self._hear(wire.sack_chunk(last & 0xFFFFFFFF, self._script.byte() << 6, (), ()))

    def _say(self, what: int) -> None:
        """Receive chunks with right lengths, bundled if the script has that."""
        content = b""
        while True:
            flags, size = self._script.byte(), self._script.byte()
            if what == wire.DATA + 16:
                head = self._script.take(6).ljust(6, b"\0")
                content += wire.data_chunk(
                    flags & 15, head[0] + (head[1] << 13), head[2], head[3], head[4], bytes(size)
                )
            else:
                content += wire.chunk(what - 16 & 0xFF, flags, self._script.take(size))
            if not self._script or self._script.byte() & 1 or len(content) > 3000:
                break
            what = self._script.byte()
        self._hear(content)

    def _hear(self, content: bytes, tag: int | None = None) -> None:
        tag = self._tag if tag is None else tag
        self.association.receive(wire.packet(_PORTS, tag, content), self._now)

    def _wait(self) -> None:
        deadline = self.association.deadline()
        if deadline is not None:
            assert deadline > self._now - 100
            self._now = max(self._now, deadline)
            self.association.timeout(self._now)

    def _open_or_close(self) -> None:
        number = self._script.byte()
        if self._opened and number & 1:
            self._opened.pop().close()
        elif self.association.state is not State.ENDED:
            parameters = ChannelParameters("", number & 2 == 0, number >> 2 & 3)
            self._opened.append(self._channels.open(parameters, self._now))

    # What comes of it

    def _announced(self, channel: DataChannel) -> None:
        self._opened.append(channel)

    def _poll(self) -> None:
        """Do what `peers.sctp_transport` does after every call."""
        association = self.association
        deadline = association.deadline()
        if deadline is not None and deadline <= self._now:
            association.timeout(self._now)
        while association.events:
            event = association.events.popleft()
            try:
                self._channels.handle(event, self._now)
            except Violation as exc:
                association.reject(exc)
            if isinstance(event, Message) and self._takes and event.protocol in (51, 53, 56, 57):
                live = (one for one in self._opened if one.state is not ChannelState.CLOSED)
                if event.stream in (one.id for one in live):
                    association.release(len(event.data))
        for packet in association.packets(self._now):
            for kind, _, value in wire.chunks(packet):
                if kind == wire.INIT_ACK:
                    self._cookie = Init.parse(value).cookie

    def _check(self) -> None:
        """See that it costs no more than its limits."""
        association = self.association
        # `_poll` has taken all packets; one may follow because of what they changed.
        more = [association.packets(self._now) for _ in range(3)]
        assert not more[-1], "packets without end"
        deadline = association.deadline()
        assert deadline is None or deadline > self._now, "a timer that never rests"
        flight = association.transmission.flight
        assert flight.bytes >= 0
        assert flight.outstanding >= flight.bytes
        if association.state is not State.ENDED:
            assert 0 <= association.held <= 4 * (_LIMITS.window + _LIMITS.message) + 4096
