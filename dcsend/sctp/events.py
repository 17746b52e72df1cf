"""What happens to an association, for whoever uses it."""

from __future__ import annotations

from dataclasses import dataclass

from dcsend.sctp.reassembly import Message
from dcsend.sctp.reset import Reset

__all__ = ["Ended", "Established", "Event", "Message", "Reset"]


@dataclass(frozen=True, slots=True)
class Established:
    """The association can be used."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The association is over."""

    reason: str
    "For a log; empty if one of the sides wanted it."
    violation: bool = False
    "Whether the peer broke a rule."


Event = Established | Message | Reset | Ended
