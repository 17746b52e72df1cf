"""What a peer connection needs of SCTP: data channels over DTLS. Two modules have it.

`bulk` is ours; `stock` is aiortc's, to compare with and to fall back to (`--engine`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from dcsend.sctp.channels import Parameters

__all__ = ["DataChannel", "DataTransport", "Parameters"]


class DataChannel(Protocol):
    """One data channel (W3C `RTCDataChannel`); its owner sets the `on_…` attributes.

    They are called on the loop's thread, in order, and must not block.
    """

    on_open: Callable[[], None]
    on_message: Callable[[bytes | str], None]
    on_close: Callable[[], None]
    on_room: Callable[[], None]
    "Less is queued than before."

    @property
    def parameters(self) -> Parameters:
        """What it was opened with; label and protocol are a stranger's text if the peer did."""
        ...

    @property
    def id(self) -> int | None:
        """Stream id, 0 to 65534; None if it is not known yet."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        ...

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent (W3C `bufferedAmount`, but for what is in flight)."""
        ...

    def send(self, message: bytes | str) -> None:
        """Queue a message, however many wait.

        Raises:
            ConnectionFailed: the channel is not open.
            UsageError: it is longer than the peer takes, or no text.
        """
        ...

    def taken(self, message: bytes | str) -> None:
        """Note that a message of `on_message` waits no more: the peer may send as much again."""
        ...

    def close(self) -> None:
        """Close it, after what is queued."""
        ...


class DataTransport(Protocol):
    """SCTP to one peer."""

    on_channel: Callable[[DataChannel], None]
    "Takes a channel that the peer opens; synchronously, or its first messages are lost."

    @property
    def is_closed(self) -> bool:
        """Whether it has ended, for whatever reason."""
        ...

    @property
    def is_drained(self) -> bool:
        """Whether the peer has acknowledged all that was sent."""
        ...

    @property
    def round_trip(self) -> float | None:
        """Smoothed round trip in seconds (RFC 9260, 6.3.1); None if none was measured."""
        ...

    async def start(self, max_message_size: int) -> None:
        """Begin, over DTLS that is connected.

        Args:
            max_message_size: bytes that the peer takes in one message; 0 for any number.
        """
        ...

    def open_channel(self, parameters: Parameters) -> DataChannel:
        """Open a channel.

        Raises:
            UsageError: the stream id is taken.
        """
        ...

    def probe(self, payloads: Sequence[int]) -> None:
        """Find out which of these payloads of a packet, in bytes, reach the peer."""
        ...

    def give_up(self) -> None:
        """End, and close all channels, without a word to the peer."""
        ...

    async def stop(self) -> None:
        """Abort: end, and tell the peer."""
        ...
