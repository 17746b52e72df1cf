"""The receiving half: DATA chunks in, messages out, and when to acknowledge (RFC 9260, 6.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dcsend.sctp import wire
from dcsend.sctp.reassembly import Limits, Message, Reassembly, Violation, unwrap
from dcsend.sctp.wire import DATA_HEADER

__all__ = ["Reception"]

_DELAY: Final = 0.04
"Seconds that one packet alone waits for its acknowledgement, as Linux's TCP has it; 0.2 by RFC."
_EVERY: Final = 2
"Packets for one acknowledgement, at most, towards a foreign sender."
_REOPENED: Final = 4
"A window that was below a quarter, and is above it, is told at once."


class Reception:
    """What one peer has sent us."""

    def __init__(
        self, first: int, limits: Limits, deliver: Callable[[Message], None], *, rare: bool
    ) -> None:
        """Wait for DATA.

        Args:
            first: TSN of the peer's first chunk, as it travels.
            limits: what it may cost.
            deliver: called with each message in its turn.
            rare: whether one acknowledgement is enough for all packets of a wake-up.
        """
        self.is_due = False
        "Whether an acknowledgement is to be sent now."
        self.deadline: float | None = None
        "When it will be."
        self._limits = limits
        self._rare = rare
        self._reassembly = Reassembly(first, limits, deliver)
        self._packets = 0
        "With DATA, since the last acknowledgement."
        self._told = limits.window
        "The window that the last acknowledgement had."

    @property
    def cumulative(self) -> int:
        """Last TSN up to which all has come, as it travels."""
        return self._reassembly.cumulative & 0xFFFFFFFF

    def data(self, packet: bytes, at: int, length: int) -> None:
        """Take the DATA chunk in *packet* at an offset.

        Raises:
            Violation: it breaks a rule.
        """
        if length <= DATA_HEADER.size:
            raise Violation("DATA without data")  # RFC 9260, 6.2
        _, flags, _, tsn, stream, sequence, protocol = DATA_HEADER.unpack_from(packet, at)
        reassembly = self._reassembly
        near = reassembly.cumulative
        tsn = near + ((tsn - near + 0x80000000) & 0xFFFFFFFF) - 0x80000000  # `unwrap`, quickly
        content = packet[at + DATA_HEADER.size : at + length]
        if not reassembly.add(flags, tsn, stream, sequence, protocol, content) or (
            flags & wire.IMMEDIATE
        ):
            self.is_due = True

    def packet_ended(self, now: float) -> bool:
        """Note the end of a packet with DATA; tell whether to acknowledge before the next one."""
        self._packets += 1
        if self._reassembly.gaps or self._reassembly.duplicates:
            self.is_due = True
        elif self._packets >= _EVERY:
            self.is_due = True
            # A foreign sender's window may grow by the number of acknowledgements.
            return not self._rare
        elif self.deadline is None:
            self.deadline = now + _DELAY
        return False

    def skip(self, cumulative: int, streams: list[tuple[int, int]]) -> None:
        """Take a FORWARD TSN: the new cumulative TSN as it travels, and the streams."""
        near = self._reassembly.cumulative
        self._reassembly.skip(unwrap(cumulative, near), streams)
        self.is_due = True

    def release(self, size: int) -> None:
        """Note that the application has taken a message of *size* bytes."""
        reassembly = self._reassembly
        reassembly.release(size)
        if self._told < self._limits.window // _REOPENED <= reassembly.window:
            self.is_due = True  # or the peer would ask with single packets

    def restart_stream(self, stream: int) -> None:
        """Expect sequence number 0, since the peer has reset a stream."""
        self._reassembly.restart_stream(stream)

    def timeout(self, now: float) -> None:
        """Do what is due."""
        if self.deadline is not None and now >= self.deadline:
            self.deadline = None
            self.is_due = True

    def sack(self) -> bytes:
        """Return an acknowledgement of everything."""
        reassembly = self._reassembly
        self.is_due = False
        self.deadline = None
        self._packets = 0
        self._told = reassembly.window
        cumulative = reassembly.cumulative
        # No more of them than go in: a peer may make thousands, and each packet is answered.
        told = reassembly.gaps[: wire.MAX_GAPS]
        gaps = [(first - cumulative, last - cumulative) for first, last in told]
        duplicates = [tsn & 0xFFFFFFFF for tsn in reassembly.duplicates]
        reassembly.duplicates.clear()
        window = min(self._told, 0xFFFFFFFF)
        return wire.sack_chunk(cumulative & 0xFFFFFFFF, window, gaps, duplicates)
