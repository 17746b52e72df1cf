"""What every display can do; which one is used depends on `--json`, `-q` and the terminal."""

from __future__ import annotations

from typing import Protocol

from dcsend.session.events import Event, ManifestKnown

__all__ = ["Display"]


class Display(Protocol):
    """Shows a run to whoever started it."""

    def show(self, event: Event) -> None:
        """Show one event; called in order, must not block, must not raise."""
        ...

    async def decide(self, manifest: ManifestKnown) -> bool:
        """Ask whether to accept; False declines.

        Raises:
            UsageError: there is nobody to ask.
        """
        ...

    def close(self) -> None:
        """Leave the terminal in order; idempotent."""
        ...
