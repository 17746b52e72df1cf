"""What a congestion controller is told, and what it says: the interface.

It knows no packets, no sockets and no clock, and is the sender's business alone: any peer may be
at the other end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["INITIAL_PACKETS", "Acknowledgement", "Controller"]

INITIAL_PACKETS: Final = 10
"Packets in flight before anything is known of the path (RFC 6928)."


@dataclass(slots=True)
class Acknowledgement:
    """What one SACK, or several that were read together, told."""

    now: float
    "Seconds, by the caller's monotonic clock."
    delivered: int
    "Bytes newly acknowledged."
    lost: int
    "Bytes newly declared lost (RACK) since the last one."
    in_flight: int
    "Bytes in flight after it, before anything new is sent."
    prior_in_flight: int
    "Bytes in flight before it."
    rtt: float | None
    "Seconds, of the newest packet that was not sent twice; None if there was none."
    rate: float
    "Bytes per second, as sampled by `rate.RateSampler`; 0 for no sample."
    app_limited: bool
    "Whether the sample is of a time when the application had too little to send."
    prior_delivered: int
    "Bytes delivered when the packet left that the sample is of."
    total_delivered: int
    "Bytes delivered now."


class Controller(Protocol):
    """Says how much may be in flight, and how fast it leaves."""

    window: int
    "Bytes that may be in flight."
    pacing_rate: float
    "Bytes per second; `math.inf` for no pacing."

    def acknowledged(self, ack: Acknowledgement) -> None:
        """Learn from a SACK; called after the losses it shows are known."""

    def sent(self, now: float, size: int, in_flight: int) -> None:
        """Learn that packets leave.

        Args:
            now: in seconds.
            size: bytes of all of them; retransmissions count.
            in_flight: bytes before them.
        """

    def timed_out(self, now: float) -> None:
        """Learn that the retransmission timer expired: all in flight counts as lost."""

    def resized(self, payload: int) -> None:
        """Learn that packets have so many bytes of payload from now on."""
