"""Events of a chat that a transfer does not have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from dcsend.session.events import Event
from dcsend.session.verdicts import named

__all__ = [
    "ChannelAnnounced",
    "ChannelClosed",
    "ChannelOpened",
    "ChatEvent",
    "Emit",
    "MessageExchanged",
    "StateChanged",
]

JsonObject = dict[str, Any]

_Data = str | bytes
"An alias, since `bytes` is the name of a field below."


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The state of a chat's connection has changed (W3C `RTCPeerConnectionState`)."""

    event: ClassVar = "state"
    state: str
    "`connecting`, `connected`, `disconnected`, `failed` or `closed`."

    def as_json(self) -> JsonObject:
        """The state."""
        return {"state": self.state}


@dataclass(frozen=True, slots=True)
class ChannelAnnounced:
    """The peer has opened a data channel."""

    event: ClassVar = "channel"
    label: str
    "Untrusted text of the peer."
    id: int
    "Stream id, 0 to 65534."

    def as_json(self) -> JsonObject:
        """Label and stream id."""
        return {"label": self.label, "id": self.id}


@dataclass(frozen=True, slots=True)
class ChannelOpened(ChannelAnnounced):
    """A data channel is open, opened by either side."""

    event: ClassVar = "open"


@dataclass(frozen=True, slots=True)
class ChannelClosed(ChannelAnnounced):
    """A data channel is closed; the connection may stay."""

    event: ClassVar = "close"


@dataclass(frozen=True, slots=True)
class MessageExchanged:
    """A message of a chat."""

    event: ClassVar = "message"
    label: str
    "Of the channel."
    data: _Data
    "Text or bytes; untrusted unless `sent`."
    sent: bool
    "Whether this side sent it."
    random: bool = False
    "Whether it is one of the random messages of this side."
    saved: Path | None = None
    "Path of a saved binary message."

    @property
    def text(self) -> str | None:
        """The message, if it is a text."""
        return self.data if isinstance(self.data, str) else None

    @property
    def bytes(self) -> int | None:
        """The size of the message, if it is binary."""
        return None if isinstance(self.data, str) else len(self.data)

    @property
    def hex(self) -> str | None:
        """The message in hexadecimal, if it is binary."""
        return None if isinstance(self.data, str) else self.data.hex()

    def as_json(self) -> JsonObject:
        """Channel, direction, and the text, or the size and hexadecimal bytes."""
        fields: JsonObject = {"label": self.label, "sent": self.sent, "random": self.random}
        if isinstance(self.data, str):
            return {**fields, "text": self.text}
        saved = named("saved", None if self.saved is None else str(self.saved))
        return {**fields, "bytes": self.bytes, "hex": self.hex, **saved}


ChatEvent = ChannelAnnounced | ChannelClosed | ChannelOpened | MessageExchanged | StateChanged
Emit = Callable[[Event | ChatEvent], None]
"Called with each event of a chat, in order, in the thread of the loop; must not block."
