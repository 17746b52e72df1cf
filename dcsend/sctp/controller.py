"""The interface of congestion controllers.

A controller has no packets, sockets or clock. It affects the sender only, so both ends may use
different ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["INITIAL_PACKETS", "Acknowledgement", "Controller", "MakeController"]

INITIAL_PACKETS: Final = 10
"The initial window in packets (RFC 6928)."


@dataclass(slots=True)
class Acknowledgement:
    """The effect of one SACK, or of several that were read together."""

    now: float
    "Seconds of the caller's monotonic clock."
    delivered: int
    "Bytes newly acknowledged."
    lost: int
    "Bytes newly marked lost (RACK)."
    in_flight: int
    "Bytes in flight afterwards, before anything is sent."
    prior_in_flight: int
    "Bytes in flight before."
    rtt: float | None
    "Round trip in seconds of the newest packet that was sent once; None without one."
    rate: float
    "Delivery rate of `rate.RateSampler` in bytes per second; 0 for no sample."
    app_limited: bool
    "Whether the application had too little to send during the sample."
    prior_delivered: int
    "Bytes that were delivered when the packet of the sample was sent."
    total_delivered: int
    "Bytes delivered by now."


class Controller(Protocol):
    """Sets the congestion window and the pacing rate."""

    window: int
    "Congestion window: bytes that may be in flight."
    pacing_rate: float
    "Bytes per second; `math.inf` for no pacing."

    def acknowledged(self, ack: Acknowledgement) -> None:
        """Process a SACK, after the losses that it shows are marked."""

    def sent(self, now: float, size: int, in_flight: int) -> None:
        """Note that packets are sent.

        Args:
            now: seconds.
            size: bytes of all of them, retransmissions included.
            in_flight: bytes in flight before them.
        """

    def timed_out(self, now: float) -> None:
        """Note that T3-rtx has expired: everything in flight is marked lost."""

    def resized(self, payload: int) -> None:
        """Note the bytes of payload of a full packet from now on."""


MakeController = Callable[[int, float], Controller]
"""Makes the controller of a new association from the bytes of payload in a packet and the time in
seconds, of the clock that all later times are of."""
