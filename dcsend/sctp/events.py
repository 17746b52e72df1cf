"""The events of an association."""

from __future__ import annotations

from dataclasses import dataclass

from dcsend.sctp.reassembly import Message
from dcsend.sctp.reset import Reset

__all__ = ["Ended", "Established", "Event", "Message", "Reset"]


@dataclass(frozen=True, slots=True)
class Established:
    """The association is established."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The association has ended."""

    reason: str
    "For a log; empty if one of the sides closed it."
    violation: bool = False
    "Whether the peer violated the protocol."
    silent: bool = False
    "Whether the peer has not responded; neither side has ended it."


Event = Established | Message | Reset | Ended
