"""The interface of all displays; `--json`, `-q` and the terminal decide which one is used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from dcsend.entry import Chosen, Existing
from dcsend.session.events import Event, ManifestKnown

if TYPE_CHECKING:
    from dcsend.display.prompt import CodePrompt

__all__ = ["AnyEvent", "Display"]


class AnyEvent(Protocol):
    """An event of `dcsend.session`, or of a package above the display."""

    @property
    def event(self) -> str:
        """Its name in a line of `--json`."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Return the fields of its line of `--json`, without the envelope."""
        ...


class Display(ABC):
    """Shows a run to the user or to the calling program."""

    @abstractmethod
    def show(self, event: Event) -> None:
        """Show one event; called in order, must not block, must not raise."""

    @abstractmethod
    async def decide(self, manifest: ManifestKnown) -> bool | Existing | Chosen:
        """Ask whether to accept, and what to do about files that exist; False declines.

        Raises:
            UsageError: this display can't ask.
        """

    def code_entered(self) -> None:  # noqa: B027 - most displays show nothing
        """Show that the code of the peer, or its session description, has been entered."""

    def entered(self) -> None:  # noqa: B027 - most displays have no rows that are replaced
        """Show temporary rows again: Enter was pressed in an empty line below them."""

    def resized(self) -> None:  # noqa: B027 - most displays have no rows that are replaced
        """Show temporary rows for the new size of the window."""

    @property
    def prompt(self) -> CodePrompt | None:
        """The prompt below a code; None if this display has none."""
        return None

    def close(self) -> None:  # noqa: B027 - most displays change no terminal
        """Remove what is shown temporarily, and write what is queued; idempotent."""
