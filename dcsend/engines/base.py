"""The contract of an engine: connected, ordered, reliable channels, and nothing more.

Imports nothing of any engine. tests/check_channel.py holds every engine to it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["LABELS", "MAX_QUEUED", "Channel", "Connection", "Path", "Route"]

LABELS: Final = ("control", "data", "text")
"The channels of every connection, in the order in which the dialer opens them."

MAX_QUEUED: Final = 32 * 1024 * 1024
"""Bytes received but not yet taken, for one channel. Our SCTP holds a peer back at half of
it, aiortc's does not: who ignores the protocol's window is cut off here, at four times the 8 MiB
window, which also holds the largest manifest that arrives in one go."""


class Path(enum.StrEnum):
    """How the datagrams travel."""

    DIRECT = "direct"
    RELAYED = "relayed"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Route:
    """The path a connection has taken."""

    path: Path
    family: str
    "`IPv4`, `IPv6`, or empty."
    remote: str
    "The peer's address as datagrams show it, without the port; empty if there is none."
    rtt: float | None
    "Round trip in seconds as first measured by the transport; None if not measured yet."


class Channel(Protocol):
    """One ordered, reliable, bidirectional channel of messages (RFC 8831)."""

    label: str
    max_message_size: int
    "Bytes; what the peer takes at most."

    def send(self, message: bytes | str) -> bool:
        """Queue a message, or return False and queue nothing because the buffer is full.

        After False, await `writable()` and send the same message again. True promises
        nothing about delivery.

        Raises:
            ConnectionFailed: the connection has ended.
        """
        ...

    async def writable(self) -> None:
        """Return when `send` may succeed; may return early, must not return late.

        Raises:
            ConnectionFailed: the connection has ended.
        """
        ...

    async def receive(self) -> bytes | str:
        """Return the next message; what arrived before the end is handed out first.

        A cancelled call loses nothing. One caller at a time.

        Raises:
            ConnectionFailed: the connection has ended and nothing is left.
            RemoteProtocolError: the peer sent more than `MAX_QUEUED` ahead.
        """
        ...


class Connection(Protocol):
    """A connected peer: its channels, and the way to them."""

    @property
    def channels(self) -> Mapping[str, Channel]:
        """By label; exactly `LABELS`."""
        ...

    @property
    def route(self) -> Route:
        """The path that is used now."""
        ...

    async def close(self) -> None:
        """End the connection at once; idempotent; drops what is still buffered."""
        ...
