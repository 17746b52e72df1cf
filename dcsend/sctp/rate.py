"""Delivery rate estimation (draft-cheng-iccrg-delivery-rate-estimation).

Each packet stores the counters of the connection when it is sent. When it is acknowledged, the
bytes delivered in between, divided by the time, are a rate sample. The time is the longer one of
the send interval and the ACK interval, since acknowledgements may be delayed and arrive together.

`sent` runs for every packet, so the state is stored in the caller's own record of the packet, and
no object is allocated.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["PacketState", "RateSample", "RateSampler"]


class PacketState(Protocol):
    """The state of a packet, in a record of the caller. `RateSampler` sets the last four."""

    size: int
    "Bytes that count as in flight."
    sent_time: float
    "Time of the last transmission, in seconds."
    delivered: int
    delivered_time: float
    first_sent_time: float
    app_limited: bool


class RateSample(NamedTuple):
    """One estimate of the delivery rate."""

    rate: float = 0.0
    "Bytes per second; 0 if no packet was acknowledged."
    app_limited: bool = False
    "Whether the application had too little to send."
    prior_delivered: int = 0
    "Bytes that had been delivered when the packet of the sample was sent."


class RateSampler:
    """Counts delivered bytes and computes rate samples.

    >>> RateSampler(now=0.0).sample(1.0, 0.0).rate
    0.0
    """

    __slots__ = ("_limited_until", "_newest", "delivered", "delivered_time", "first_sent_time")

    def __init__(self, now: float) -> None:
        self.delivered = 0
        "C.delivered: bytes acknowledged since the beginning."
        self.delivered_time = now
        "C.delivered_time: when the last of them were acknowledged."
        self.first_sent_time = now
        "C.first_sent_time: when the packet of the last sample was sent."
        self._limited_until = 0
        """C.app_limited: samples are limited by the application until so many bytes are delivered;
        0 for none."""
        self._newest: PacketState | None = None
        "The packet sent last of those acknowledged since the last sample."

    def sent(self, packet: PacketState, now: float, in_flight: int) -> None:
        """Store the counters in a packet that is sent, for the first time or again.

        Args:
            packet: its `sent_time` is set by the caller.
            now: seconds.
            in_flight: bytes in flight before it.
        """
        if not in_flight:  # idle time does not count
            self.first_sent_time = self.delivered_time = now
        packet.first_sent_time = self.first_sent_time
        packet.delivered_time = self.delivered_time
        packet.delivered = self.delivered
        packet.app_limited = self._limited_until > 0

    def acknowledged(self, packet: PacketState, size: int) -> None:
        """Count bytes that are acknowledged for the first time.

        Args:
            packet: the one of their packets that was sent last.
            size: bytes of all of them.
        """
        self.delivered += size
        newest = self._newest
        if newest is None or packet.sent_time >= newest.sent_time:
            self._newest = packet

    def sample(self, now: float, min_rtt: float) -> RateSample:
        """Return the rate sample of the packets acknowledged since the last call.

        Args:
            now: seconds.
            min_rtt: the shortest interval of a sample, in seconds. A shorter one is an artefact:
                the
                packet was sent twice, or several acknowledgements were read together.
        """
        packet = self._newest
        if packet is None:
            return RateSample()
        self._newest = None
        delivered = self.delivered
        self.delivered_time = now
        self.first_sent_time = packet.sent_time
        if delivered > self._limited_until:
            self._limited_until = 0
        interval = max(
            packet.sent_time - packet.first_sent_time, now - packet.delivered_time, min_rtt
        )
        rate = (delivered - packet.delivered) / interval if interval > 0 else 0.0
        return RateSample(rate, packet.app_limited, packet.delivered)

    def limited(self, in_flight: int) -> None:
        """Note that the send queue is empty though the window has room (C.app_limited).

        Args:
            in_flight: bytes; until they are delivered, samples are limited by the application.
        """
        self._limited_until = self.delivered + in_flight or 1
