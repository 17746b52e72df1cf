"""The settings of a chat; see `dcsend.settings` for those that a transfer has, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ChatSettings"]


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """The additional settings of a chat.

    Args:
        offers: With session descriptions: create the offer, and wait for the answer.
        listens: Publish a dial code; a code to dial is in `Settings.code`.
        channels: Labels of the channels to open; if empty, `data` on the side that offers or dials,
            and none on the other side.
        ordered: Whether messages are delivered in order (RFC 8831, 6.1).
        max_retransmits: Retransmissions of a lost message, 0 to 65535; None for no limit
            (RFC 3758).
        max_lifetime: Milliseconds for which a lost message is retransmitted, 1 to 65535; not with
            `max_retransmits`.
        protocol: Name of a subprotocol (RFC 8832, 5.1).
        negotiated: Stream id, 0 to 65534, of the only channel, which both sides open without
            in-band negotiation.
        interval: Seconds between random messages on each channel, as in the Pion demo.
        save: Folder for binary messages.
        shows_json: Show the local description as base64 of JSON, which all programs read; otherwise
            in the compact form.
    """

    offers: bool = False
    listens: bool = False
    channels: Sequence[str] = ()
    ordered: bool = True
    max_retransmits: int | None = None
    max_lifetime: int | None = None
    protocol: str = ""
    negotiated: int | None = None
    interval: float = 5.0
    save: Path | None = None
    shows_json: bool = True
