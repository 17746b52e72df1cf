"""`-q`: the code on standard output, what went wrong on standard error, and nothing else."""

from __future__ import annotations

from typing import Final

from dcsend.display.streams import Stream
from dcsend.errors import UsageError
from dcsend.printable import printable
from dcsend.session.events import (
    CodeReady,
    DescriptionReady,
    Event,
    Failed,
    ManifestKnown,
    TextExchanged,
    Warned,
)

__all__ = ["QuietDisplay", "complain", "show_snippet"]

_LONGEST: Final = 1000
"Columns of a sentence."


def complain(err: Stream, message: str, hint: str = "") -> None:
    """Say what went wrong, and what to do; a line each, broken between words on a terminal."""
    _say(err, f"dcsend: {_bounded(message)}")
    if hint:
        _say(err, f"dcsend: hint: {_bounded(hint)}")


def _bounded(text: str) -> str:
    """Escape a sentence; one that a peer has made very long is cut in the middle."""
    if len(text) <= _LONGEST // 10:  # each character may become ten
        return printable(text)
    # Where everything went well this is never needed.
    from dcsend.display.wording import short

    return short(text, _LONGEST)


def _say(err: Stream, text: str) -> None:
    if not err.terminal:
        err.line(text)
        return
    # Where everything went well this is never needed.
    from dcsend.display.wording import wrapped

    for row in wrapped(text, err.window[0]):
        err.line(row)


def show_snippet(out: Stream, text: str) -> None:
    """Write a received text: escaped to a person, as it is to a program."""
    if not out.terminal:
        out.write(text if text.endswith("\n") else text + "\n")
        return
    # At once: there may be a million of them.
    out.write("".join(f"{printable(line)}\n" for line in text.splitlines()))


class QuietDisplay:
    """Says only what can't be left out."""

    def __init__(self, out: Stream | None, err: Stream) -> None:
        """Args: *out* is None where standard output carries the received bytes."""
        self._out = out
        self._err = err

    def show(self, event: Event) -> None:
        """Show a code, a received text, a failure."""
        match event:
            case CodeReady():
                (self._out or self._err).line(event.code)
            case DescriptionReady():
                (self._out or self._err).line(event.text)
            case TextExchanged(sent=False, kind="snippet") if self._out:
                show_snippet(self._out, event.text)
            case Failed():
                complain(self._err, event.error.message, event.error.hint)
            case Warned(kind="refused" | "skipped"):
                complain(self._err, event.message, event.hint)
            case _:
                pass

    async def decide(self, manifest: ManifestKnown) -> bool:
        """Refuse: who wants silence says `-y`."""
        raise UsageError("nobody can be asked with -q", "add -y to accept what comes")

    def close(self) -> None:
        """Nothing to tidy up."""
