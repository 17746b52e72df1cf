"""The options of an association."""

from __future__ import annotations

from dataclasses import dataclass, field

from dcsend.sctp.bbr import Bbr
from dcsend.sctp.controller import MakeController
from dcsend.sctp.handshake import EXTENSIONS
from dcsend.sctp.reassembly import Limits

__all__ = ["Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one side."""

    ports: tuple[int, int] = (5000, 5000)
    "Source and destination port."
    zero_checksum: bool = True
    """Whether packets have no checksum if the peer agrees (RFC 9653). Set it only over DTLS, which
    detects errors."""
    limits: Limits = field(default_factory=Limits)
    congestion: MakeController = Bbr
    "The class of the congestion controller, or a function that makes one."
    first_tsn: int | None = None
    "32 bits; None for a random one. Tests set it to let TSNs wrap around soon."
    extensions: frozenset[int] = EXTENSIONS
    "The chunk types that are announced as supported."
