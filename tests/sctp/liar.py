"""A peer that can send anything, and what that costs, for the tests of it.

Its certificate is valid. Costs are counted in instructions of the interpreter,
not in seconds, so that a busy machine changes nothing.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Final, Protocol

from dcsend.sctp import wire
from dcsend.sctp.association import Association, Options
from dcsend.sctp.bbr import Bbr
from dcsend.sctp.controller import MakeController
from dcsend.sctp.events import Message
from dcsend.sctp.handshake import Handshake, Peer
from dcsend.sctp.reassembly import Limits
from dcsend.sctp.states import State
from dcsend.sctp.wire import FIRST, LAST, Init
from tests.sctp.ends import check_books

__all__ = ["PORTS", "RECORD", "WHOLE", "Liar", "sack", "steps"]

WHOLE: Final = FIRST | LAST
PORTS: Final = (5000, 5000)
RECORD: Final = 16_384 - 12
"Bytes of chunks in one packet: DTLS has no longer records."


class Liar:
    """An association and a peer that sends arbitrary chunks."""

    def __init__(self, limits: Limits | None = None, *, congestion: MakeController = Bbr) -> None:
        self.now = 10.0
        options = Options(
            limits=limits or Limits(window=100_000, message=30_000),
            congestion=congestion,
            first_tsn=0,
        )
        self.association = Association(options, 0.0)
        peer = Handshake(1 << 20, zero_checksum=True, tsn=0)
        self.association.associate(0.0)
        [packet] = self.association.packets(0.0)
        [(_, _, init)] = wire.chunks(packet)
        ours = Init.parse(init)
        self.tag = ours.tag
        self.send(peer.init_ack(Peer.of(ours)))
        self.send(wire.chunk(wire.COOKIE_ACK, 0))
        assert self.association.state is State.ESTABLISHED
        self.association.events.clear()

    def send(self, *chunks: bytes, answer: bool = True) -> list[bytes]:
        """Send chunks in one packet; return the packets that come back."""
        packet = wire.packet(PORTS, self.tag, b"".join(chunks), checksum=True)
        self.association.receive(packet, self.now)
        return self.association.packets(self.now) if answer else []

    def data(
        self, tsn: int, content: bytes = b"x", flags: int = WHOLE, stream: int = 0, number: int = 0
    ) -> None:
        """Send a DATA chunk."""
        self.send(wire.data_chunk(flags, tsn & 0xFFFFFFFF, stream, number & 0xFFFF, 53, content))

    def take(self) -> list[bytes]:
        """Take all messages, as an application does."""
        events, taken = self.association.events, []
        while events:
            event = events.popleft()
            if isinstance(event, Message):
                taken.append(event.data)
                self.association.release(len(event.data))
        return taken

    @property
    def held(self) -> int:
        """The value of `Association.held`."""
        return self.association.held

    @property
    def is_well(self) -> bool:
        """Whether the association has not ended."""
        check_books(self.association)
        return self.association.state is State.ESTABLISHED


def sack(cumulative: int, window: int = 1 << 20, gaps: Iterable[tuple[int, int]] = ()) -> bytes:
    """Return a SACK with arbitrary fields."""
    runs = list(gaps)
    value = struct.pack("!LLHH", cumulative & 0xFFFFFFFF, window, len(runs), 0)
    return wire.chunk(wire.SACK, 0, value + b"".join(struct.pack("!HH", *run) for run in runs))


class TraceFunction(Protocol):
    """The type of a trace function of `sys.settrace`."""

    def __call__(self, frame: FrameType, event: str, arg: object, /) -> TraceFunction:
        """Count a line; return the trace function of the next."""


def steps(work: Callable[[], object]) -> int:
    """Count the instructions that the interpreter runs for a call."""
    count = 0

    def trace(frame: FrameType, event: str, arg: object) -> TraceFunction:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count
