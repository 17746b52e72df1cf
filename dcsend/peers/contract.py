"""The contract of a connected peer: ordered, reliable channels, and nothing else.

`session` uses peers through these types only. tests/support/check_channel.py checks them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from dcsend.errors import ConnectionFailed

__all__ = ["LABELS", "MAX_QUEUED", "Channel", "Connection", "ConnectionLost", "Path", "Route"]

LABELS: Final = ("control", "data", "text")
"The channels of every transfer, in the order in which the dialer opens them."

MAX_QUEUED: Final = 32 * 1024 * 1024
"""Most bytes in the receive queue of one channel. The receive window of SCTP stops a peer at half
of it. The window of the protocol is a quarter of it; the largest manifest fits, too."""


class ConnectionLost(ConnectionFailed):
    """Nothing of the peer arrives any more, and neither side has closed the connection."""


class Path(enum.StrEnum):
    """How the datagrams travel."""

    DIRECT = "direct"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class Route:
    """The path of a connection."""

    path: Path
    family: str
    "`IPv4`, `IPv6`, or empty."
    remote: str
    "IP address of the peer as seen in its datagrams; empty if there is none."
    rtt: float | None
    "Smoothed round trip in seconds; None before the first measurement."


class Channel(Protocol):
    """One ordered, reliable, bidirectional channel of messages (RFC 8831)."""

    label: str
    max_message_size: int
    "Most bytes of a message that the peer accepts."

    def send(self, message: bytes | str) -> bool:
        """Queue a message, or queue nothing and return False because the send queue is full.

        After False, await `writable()` and send the same message again. True does not mean that
        the message is delivered.

        Raises:
            ConnectionFailed: the connection has ended.
            UsageError: the message is too long, or a string that UTF-8 cannot encode.
        """
        ...

    async def writable(self) -> None:
        """Return when `send` can succeed; may return early, never late.

        Raises:
            ConnectionFailed: the connection has ended.
        """
        ...

    async def receive(self) -> bytes | str:
        """Return the next message; messages that arrived before the end are returned first.

        A cancelled call loses no message. One caller at a time.

        Raises:
            ConnectionFailed: the connection has ended and no message is left.
            RemoteProtocolError: the peer exceeded `MAX_QUEUED`.
        """
        ...


class Connection(Protocol):
    """A connected peer: its channels and its path."""

    @property
    def channels(self) -> Mapping[str, Channel]:
        """By label; exactly `LABELS`."""
        ...

    @property
    def route(self) -> Route:
        """The path in use."""
        ...

    async def close(self) -> None:
        """End the connection at once and drop what is queued; idempotent."""
        ...
