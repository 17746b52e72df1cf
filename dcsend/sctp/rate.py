"""Delivery rate: how fast the path brings packets to the peer.

After draft-cheng-iccrg-delivery-rate-estimation.

Each packet takes a note of the counters along when it leaves. When it is acknowledged, what was
delivered in between, over the time that took, is a sample. The time is the longer one of sending
and of acknowledging, since acknowledgements may be held back and then come all at once.

`sent` runs for every packet; so the notes are plain attributes of the caller's own record of the
packet, and nothing is allocated.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Noted", "RateSampler"]


class Noted(Protocol):
    """The caller's record of a packet. The last four belong to `RateSampler`."""

    size: int
    "Bytes, as counted in flight."
    sent_time: float
    "Seconds; when it was last sent."
    delivered: int
    delivered_time: float
    first_sent_time: float
    app_limited: bool


class RateSampler:
    """Counts what is delivered, and makes samples of the rate of it.

    >>> RateSampler(now=0.0).sample(1.0, 0.0)
    (0.0, False, 0)
    """

    __slots__ = ("_limited_until", "_newest", "delivered", "delivered_time", "first_sent_time")

    def __init__(self, now: float) -> None:
        self.delivered = 0
        "Bytes acknowledged since the beginning."
        self.delivered_time = now
        "When the last of them were."
        self.first_sent_time = now
        "When the packet left that the last sample was of: sending is timed from there."
        self._limited_until = 0
        "With so many delivered, the samples are the path's again; 0 if they are now."
        self._newest: Noted | None = None
        "Of the packets acknowledged since the last sample, the one sent last."

    def sent(self, packet: Noted, now: float, in_flight: int) -> None:
        """Note the counters on a packet that leaves, for the first time or again.

        Args:
            packet: to take the notes; its `sent_time` is the caller's to set.
            now: in seconds.
            in_flight: bytes before it.
        """
        if not in_flight:  # idle time is not the path's
            self.first_sent_time = self.delivered_time = now
        packet.first_sent_time = self.first_sent_time
        packet.delivered_time = self.delivered_time
        packet.delivered = self.delivered
        packet.app_limited = self._limited_until > 0

    def acknowledged(self, packet: Noted, size: int) -> None:
        """Count what is acknowledged for the first time.

        Args:
            packet: the one of them that was sent last.
            size: bytes of all of them.
        """
        self.delivered += size
        newest = self._newest
        if newest is None or packet.sent_time >= newest.sent_time:
            self._newest = packet

    def sample(self, now: float, min_rtt: float) -> tuple[float, bool, int]:
        """Return what the packets acknowledged since the last call say.

        Args:
            now: in seconds.
            min_rtt: the least time, in seconds, that a sample can have taken. In a shorter one
                the packet had been sent twice, or many were waiting to be read at once: such
                would say too much, and counts as having taken so long.

        Returns:
            Bytes per second, 0 if there is nothing to say; whether the application had too
            little to send then; and the bytes that had been delivered when the packet left.
        """
        packet = self._newest
        if packet is None:
            return 0.0, False, 0
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
        return rate, packet.app_limited, packet.delivered

    def limited(self, in_flight: int) -> None:
        """Note that nothing is left to be sent though the window has room.

        Args:
            in_flight: bytes; until they are delivered, samples are the application's rate.
        """
        self._limited_until = self.delivered + in_flight or 1
