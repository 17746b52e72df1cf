"""How one side of an association behaves."""

from __future__ import annotations

from dataclasses import dataclass, field

from dcsend.sctp.reassembly import Limits

__all__ = ["Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """How this side behaves."""

    ports: tuple[int, int] = (5000, 5000)
    "Ours and the peer's."
    bulk: bool = True
    "Whether to do without checksums where the peer agrees (see `Handshake`)."
    limits: Limits = field(default_factory=Limits)
    congestion: str = "bbr"
    "Of `congestion.make_controller`."
    first_tsn: int | None = None
    "32 bits; None for one that nobody can guess. Tests let it wrap around soon."
