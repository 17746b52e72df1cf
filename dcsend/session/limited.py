"""The event of a changed limit. Imports nothing of dcsend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = ["Limited"]


@dataclass(frozen=True, slots=True)
class Limited:
    """The limit of the rate has been changed while the run goes on."""

    event: ClassVar = "limit"
    rate: float | None
    "Bytes of content per second; None: no limit."

    def as_json(self) -> dict[str, Any]:
        """The rate."""
        return {"rate": self.rate}
