"""The receiver: reassembles messages, and decides when to send a SACK (RFC 9260, 6.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dcsend.sctp import wire
from dcsend.sctp.parts import Parts
from dcsend.sctp.reassembly import Limits, Message, Reassembly, Violation, unwrap
from dcsend.sctp.wire import DATA_HEADER

__all__ = ["Reception"]

_DELAY: Final = 0.04
"Seconds for which the SACK of a single packet is delayed, as in Linux's TCP; RFC 9260 allows 0.2."
_EVERY: Final = 2
"Packets for one SACK, at most, towards peers without the bulk extension."
_REOPENED: Final = 4
"A SACK is sent at once when the window has grown from below one quarter of its size to above it."


class Reception:
    """The data that one peer sends."""

    def __init__(
        self,
        first: int,
        limits: Limits,
        deliver: Callable[[Message], None],
        *,
        sack_each_read: bool,
    ) -> None:
        """Wait for DATA.

        Args:
            first: TSN of the peer's first chunk, 32 bits.
            limits: limits of what is kept for the peer.
            deliver: called with each message in its order.
            sack_each_read: whether the peer needs one SACK only for all packets that are read
                together,
                in place of one for every second packet.
        """
        self.is_due = False
        "Whether a SACK must be sent now."
        self.deadline: float | None = None
        "When a delayed SACK must be sent; None if there is none."
        self._limits = limits
        self._sack_each_read = sack_each_read
        self._reassembly = Reassembly(first, limits, deliver)
        self._parts = Parts()
        self._packets = 0
        "Packets with DATA since the last SACK."
        self._advertised = limits.window
        "The a_rwnd of the last SACK."

    @property
    def held(self) -> int:
        """Bytes that are kept; see `Reassembly.held`."""
        return self._reassembly.held

    @property
    def cumulative(self) -> int:
        """Cumulative TSN, 32 bits."""
        return self._reassembly.cumulative & 0xFFFFFFFF

    def data(self, packet: bytes, at: int, length: int) -> None:
        """Process the DATA chunk at an offset of *packet*.

        Raises:
            Violation: it violates the protocol.
        """
        if length <= DATA_HEADER.size:
            raise Violation("DATA without data")  # RFC 9260, 6.2
        _, flags, _, tsn, stream, sequence, protocol = DATA_HEADER.unpack_from(packet, at)
        reassembly = self._reassembly
        near = reassembly.cumulative
        tsn = near + ((tsn - near + 0x80000000) & 0xFFFFFFFF) - 0x80000000  # `unwrap`, inline
        content = packet[at + DATA_HEADER.size : at + length]
        if not reassembly.add(flags, tsn, stream, sequence, protocol, content) or (
            flags & wire.IMMEDIATE
        ):
            self.is_due = True

    def part(self, flags: int, value: bytes) -> None:
        """Process a PART chunk.

        Raises:
            Malformed: it is invalid.
            Violation: the DATA chunk that it completes violates the protocol.
        """
        chunk = self._parts.add(flags, value)
        if chunk is not None:
            self.data(chunk, 0, len(chunk))

    def on_packet_end(self, now: float) -> bool:
        """Note the end of a packet with DATA; return whether a SACK is due before the next."""
        self._packets += 1
        if self._reassembly.gaps or self._reassembly.duplicates:
            self.is_due = True
        elif self._packets >= _EVERY:
            self.is_due = True
            # The congestion window of other senders may grow with the number of SACKs.
            return not self._sack_each_read
        elif self.deadline is None:
            self.deadline = now + _DELAY
        return False

    def skip(self, cumulative: int, streams: list[tuple[int, int]]) -> None:
        """Process a FORWARD TSN: the new cumulative TSN, 32 bits, and the streams."""
        near = self._reassembly.cumulative
        self._reassembly.skip(unwrap(cumulative, near), streams)
        self.is_due = True

    def release(self, size: int) -> None:
        """Note that the application has taken a message of *size* bytes."""
        reassembly = self._reassembly
        reassembly.release(size)
        if self._advertised < self._limits.window // _REOPENED <= reassembly.window:
            self.is_due = True  # otherwise the peer probes the window with single packets

    def restart_stream(self, stream: int) -> None:
        """Expect sequence number 0, after the peer has reset a stream."""
        self._reassembly.restart_stream(stream)

    def move(self) -> None:
        """Let a SACK be sent at once: those on the former path are lost."""
        self.is_due = True

    def timeout(self, now: float) -> None:
        """Handle the timer."""
        if self.deadline is not None and now >= self.deadline:
            self.deadline = None
            self.is_due = True

    def sack(self) -> bytes:
        """Return a SACK chunk."""
        reassembly = self._reassembly
        self.is_due = False
        self.deadline = None
        self._packets = 0
        self._advertised = reassembly.window
        cumulative = reassembly.cumulative
        # A hostile peer can cause thousands of gaps, and each packet is answered.
        reported = reassembly.gaps[: wire.MAX_GAPS]
        gaps = [(first - cumulative, last - cumulative) for first, last in reported]
        duplicates = [tsn & 0xFFFFFFFF for tsn in reassembly.duplicates]
        reassembly.duplicates.clear()
        window = min(self._advertised, 0xFFFFFFFF)
        return wire.sack_chunk(cumulative & 0xFFFFFFFF, window, gaps, duplicates)
