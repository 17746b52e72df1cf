"""Asking for the other side's session description, while the event loop runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from dcsend.description import SdpType
from dcsend.display.editing import MORE, Complete
from dcsend.display.quiet import complain
from dcsend.display.streams import Stream
from dcsend.errors import DcsendError, IncompleteCode, UsageError

__all__ = ["Asker", "Source"]

_PROMPTS: Final = {
    SdpType.OFFER: "paste the other side's offer, then press Enter",
    SdpType.ANSWER: "paste the other side's answer, then press Enter",
    None: "paste what the other side shows, then press Enter",
}


class Source(Protocol):
    """What a description can be read from: `editing.Console` or `editing.Piped`."""

    async def paste(self, complete: Complete, more: Callable[[], None]) -> str | None:
        """Return what is pasted; None at the end of input."""
        ...


class Asker:
    """Asks again and again at a terminal; elsewhere once."""

    def __init__(self, source: Source | None, err: Stream, *, interactive: bool) -> None:
        """Prepare.

        Args:
            source: None where nobody can be asked.
            err: where the person is asked.
            interactive: whether a person sits there, who can try again.
        """
        self._source = source
        self._err = err
        self._interactive = interactive

    async def __call__(self, wanted: SdpType | None, judge: Callable[[str], object]) -> str:
        """Return a pasted text that *judge* accepts; see `session.exchange.Ask`.

        Raises:
            UsageError: there is nobody to ask, or the input has ended.
            DcsendError: off a terminal, what *judge* raised.
        """
        if self._source is None:
            raise UsageError(
                "nobody can be asked for the other side's code",
                "run it in a terminal, or give it on standard input",
            )

        while True:
            if self._interactive:
                self._err.line(_PROMPTS[wanted])
            text = await self._source.paste(
                lambda text: _is_over(text, _refusal(text, judge)), self._ask_for_more
            )
            if text is None:
                raise UsageError(
                    "the input ended before the other side's code came", "paste all of it"
                )
            refusal = _refusal(text, judge)
            if refusal is None:
                return text
            if not self._interactive:
                raise refusal
            if text.strip():
                complain(self._err, refusal.message, refusal.hint)

    def _ask_for_more(self) -> None:
        if self._interactive:
            self._err.line(MORE)


def _is_over(text: str, refusal: DcsendError | None) -> bool:
    """Tell whether no more is to come: a good code, or a line that more of it can't mend."""
    hopeless = refusal is not None and not isinstance(refusal, IncompleteCode)
    return refusal is None or (hopeless and text.endswith("\n"))


def _refusal(text: str, judge: Callable[[str], object]) -> DcsendError | None:
    """Return why *judge* does not take *text*, or None if it does."""
    try:
        judge(text)
    except DcsendError as exc:
        return exc
    return None
