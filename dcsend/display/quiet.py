"""`-q`: the dial code on standard output, short codes and errors on standard error."""

from __future__ import annotations

from typing import Final

from dcsend.display.base import Display
from dcsend.display.streams import Stream
from dcsend.errors import DcsendError, UsageError
from dcsend.printable import printable
from dcsend.session.events import (
    CodeReady,
    DescriptionReady,
    Event,
    Failed,
    ManifestKnown,
    OfPeer,
    PeerFinished,
    ShortCodeOver,
    ShortCodeReady,
    TextExchanged,
    Warned,
)

__all__ = ["QuietDisplay", "show_error", "show_snippet", "write_broken"]

_LONGEST: Final = 1000
"Columns of a sentence."


def show_error(err: Stream, message: str, hint: str = "") -> None:
    """Write an error and its hint, a line each, which are broken between words on a terminal."""
    write_broken(err, f"dcsend: {_bounded(message)}")
    if hint:
        text, _, command = hint.partition("\n")
        write_broken(err, f"dcsend: hint: {_bounded(text)}")
        if command:  # to be pasted: not broken
            err.line(f"  {printable(command)}")


def _bounded(text: str) -> str:
    """Escape a sentence, and cut one that a peer has made very long."""
    if len(text) <= _LONGEST // 10:  # an escaped character has up to ten columns
        return printable(text)
    # Imported here because it is needed for errors only.
    from dcsend.display.wording import sentence

    return sentence(text)


def write_broken(err: Stream, text: str) -> None:
    """Write a line, which is broken between words on a terminal."""
    if not err.terminal:
        err.line(text)
        return
    # Imported here because it is needed for errors only.
    from dcsend.display.wording import wrapped

    for row in wrapped(text, err.window[0]):
        err.line(row)


def show_snippet(out: Stream, text: str) -> None:
    """Write a received text: escaped on a terminal, unchanged elsewhere."""
    if not out.terminal:
        out.write(text if text.endswith("\n") else text + "\n")
        return
    # One write, because there may be a million lines.
    out.write("".join(f"{printable(line)}\n" for line in text.splitlines()))


class QuietDisplay(Display):
    """Shows codes, received texts and errors."""

    def __init__(self, out: Stream | None, err: Stream) -> None:
        """Prepare; *out* is None if the received file is written to standard output."""
        self._out = out
        self._err = err

    def show(self, event: Event) -> None:
        """Show a code, a received text, or an error."""
        match event:
            case CodeReady():
                (self._out or self._err).line(event.code)
            case ShortCodeReady():
                # Programs take the dial code from standard output, and there may be several.
                self._err.line(event.code)
            case DescriptionReady():
                (self._out or self._err).line(event.text)
            case TextExchanged(sent=False, kind="snippet") if self._out:
                show_snippet(self._out, event.text)
            case OfPeer(number, PeerFinished(error=DcsendError() as error)):
                show_error(self._err, f"{event.role} {number}: {error.message}")
            case OfPeer(inner=TextExchanged(sent=False, kind="snippet", text=text)) if self._out:
                show_snippet(self._out, text)
            case Failed() | ShortCodeOver():
                show_error(self._err, event.error.message, event.error.hint)
            case Warned(kind="refused"):
                show_error(self._err, event.message, event.hint)
            case _:
                pass

    async def decide(self, manifest: ManifestKnown) -> bool:
        """Raise UsageError: `-q` needs `-y`."""
        raise UsageError("-q can't ask whether to accept", "add -y to accept every offer")
