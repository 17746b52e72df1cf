"""Reads the other side's session description while the event loop runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from dcsend.description import SdpType
from dcsend.display.editing import MORE, Complete
from dcsend.display.quiet import show_error
from dcsend.display.streams import Stream
from dcsend.errors import DcsendError, IncompleteCode, UsageError

__all__ = ["Asker", "PasteInput"]

_PROMPTS: Final = {
    SdpType.OFFER: "paste the other side's code (its offer), then press Enter",
    SdpType.ANSWER: "paste the other side's code (its answer), then press Enter",
    None: "paste what the other side shows, then press Enter",
}


_MAX_SHORT: Final = 100
"""Characters up to which a valid text may be a short code that further words follow: Enter ends it.
Descriptions are longer."""


class PasteInput(Protocol):
    """Standard input, from which a description is read: `editing.Console` or `editing.Piped`."""

    async def paste(self, complete: Complete, more: Callable[[], None]) -> str | None:
        """Return the pasted text; None at the end of input."""
        ...


class Asker:
    """Asks until a valid description is entered; on a pipe, once."""

    def __init__(self, pasted: PasteInput | None, err: Stream, *, interactive: bool) -> None:
        """Prepare.

        Args:
            pasted: the input; None if there is none.
            err: where prompts and errors are shown.
            interactive: whether the input is a terminal.
        """
        self._input = pasted
        self._err = err
        self._interactive = interactive

    async def __call__(self, wanted: SdpType | None, validate: Callable[[str], object]) -> str:
        """Return a pasted text for which *validate* raises no DcsendError (`session.exchange.Ask`).

        Raises:
            UsageError: there is no input, or it has ended.
            DcsendError: raised by *validate*; on a terminal it is shown instead.
        """
        if self._input is None:
            raise UsageError(
                "can't ask for the other side's code: there is no terminal",
                "run dcsend in a terminal, or give the code on standard input",
            )

        while True:
            if self._interactive:
                self._err.line(_PROMPTS[wanted])
            text = await self._input.paste(
                lambda text: _is_over(text, _fault(text, validate)), self._ask_for_more
            )
            if text is None:
                raise UsageError(
                    "the input ended before the other side's code", "paste the whole code"
                )
            fault = _fault(text, validate)
            if fault is None:
                return text
            if not self._interactive:
                raise fault
            if text.strip():
                show_error(self._err, fault.message, fault.hint)

    def _ask_for_more(self) -> None:
        if self._interactive:
            self._err.line(MORE)


def _is_over(text: str, fault: DcsendError | None) -> bool:
    """Return whether *text* is a valid code, or a line that no further input can make valid."""
    if fault is None:
        return text.endswith("\n") or len(text) > _MAX_SHORT
    return not isinstance(fault, IncompleteCode) and text.endswith("\n")


def _fault(text: str, validate: Callable[[str], object]) -> DcsendError | None:
    """Return the error that *validate* raises for *text*, or None."""
    try:
        validate(text)
    except DcsendError as exc:
        return exc
    return None
