"""The display of a chat: the transcript of the Pion demo on standard output, the rest on stderr.

All text from the peer is escaped.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dcsend.chat.events import (
    ChannelAnnounced,
    ChannelClosed,
    ChannelOpened,
    ChatEvent,
    MessageExchanged,
    StateChanged,
)
from dcsend.display import wording
from dcsend.display.base import Display
from dcsend.display.clipboard import COPIED, copy
from dcsend.display.qr import choose_mode, qr_lines
from dcsend.display.quiet import show_error
from dcsend.display.streams import Stream
from dcsend.errors import UsageError
from dcsend.printable import printable
from dcsend.session.events import (
    CodeReady,
    DescriptionReady,
    Event,
    Failed,
    ManifestKnown,
    Warned,
)

__all__ = ["ChatDisplay", "ChatOptions", "Transcript"]

_HEX_BYTES: Final = 32
"Bytes of a binary message that are shown."
_LAST: Final = frozenset({"failed", "closed"})
"States that end a chat."
_LABEL: Final = 40
"Columns of a channel label in the line of a message; a label may have 65 535 bytes."


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """The options of `chat` that concern the display."""

    interval: float = 5.0
    "Seconds between random messages; 0 for none."
    qr: bool = False
    "Also show the local code as a QR code."
    copies: bool = True
    "Copy the local description to the clipboard."


class Transcript:
    """Writes lines above an unfinished typed line, which is redrawn below them."""

    def __init__(self, stream: Stream, pending: Callable[[], str]) -> None:
        """Prepare.

        Args:
            stream: output.
            pending: returns the unfinished line.
        """
        self._stream = stream
        self._pending = pending

    def line(self, text: str) -> None:
        """Write a line."""
        typed = self._pending()
        if not typed or not self._stream.movable:
            self._stream.line(text)
            return
        above = (wording.width(typed) - 1) // self._stream.window[0]
        up = f"\x1b[{above}A" if above else ""
        self._stream.write(f"{up}\r\x1b[J{text}\n{typed}")


class ChatDisplay(Display):
    """Shows events in the words of the Pion demo."""

    def __init__(
        self,
        out: Stream,
        err: Stream,
        options: ChatOptions,
        pending: Callable[[], str] = lambda: "",
    ) -> None:
        """Prepare.

        Args:
            out: standard output, for the transcript.
            err: standard error, for everything else.
            options: see `ChatOptions`.
            pending: returns the unfinished line.
        """
        self._out = out
        self._err = err
        self._options = options
        self._transcript = Transcript(out, pending)
        self._notes = Transcript(err, pending)

    def show(self, event: Event | ChatEvent) -> None:
        """Show one event."""
        match event:
            case CodeReady():
                self._show_code(event)
            case DescriptionReady():
                self._show_description(event)
            case StateChanged(state):
                self._transcript.line(f"Peer Connection State has changed: {state}")
                if state in _LAST:
                    self._transcript.line(f"Peer Connection has gone to {state} exiting")
            case ChannelAnnounced():
                self._show_channel(event)
            case MessageExchanged():
                self._transcript.line(_describe(event))
            case Warned():
                message = wording.sentence(event.message)
                self._note(f"note: {message}", event.hint)
            case Failed():
                show_error(self._err, event.error.message, event.error.hint)
            case _:
                pass

    async def decide(self, manifest: ManifestKnown) -> bool:
        """Raise UsageError: a chat offers no files."""
        raise UsageError("a chat has nothing to accept")

    def _show_channel(self, event: ChannelAnnounced) -> None:
        label = wording.short(event.label, _LABEL)
        match event:
            case ChannelOpened():
                opened = f"Data channel '{label}'-'{event.id}' open."
                self._transcript.line(f"{opened} {self._random_messages()}")
            case ChannelClosed():
                self._transcript.line(f"Data channel '{label}'-'{event.id}' closed")
            case _:
                whole = wording.short(event.label, wording.LONGEST_MESSAGE)
                self._transcript.line(f"New DataChannel {whole} {event.id}")

    def _random_messages(self) -> str:
        seconds = self._options.interval
        if not seconds:
            return "No random messages will be sent"
        return (
            "Random messages will now be sent to any connected DataChannels"
            f" every {seconds:g} second{'' if seconds == 1 else 's'}"
        )

    def _show_code(self, event: CodeReady) -> None:
        # In one piece, since it is copied.
        self._notes.line(f"on the other side, run: dcsend chat {event.code}")
        if not (self._out.terminal and self._err.terminal):  # otherwise the line above has it
            self._out.line(event.code)
        self._draw(event.link)
        until = wording.until(event.expires, datetime.datetime.now().astimezone())
        self._note(f"waiting for the other side; the code works once, until {until}")

    def _show_description(self, event: DescriptionReady) -> None:
        self._note(f"give this {event.type} to the other side:")
        self._out.line(event.text)
        self._draw(event.text)
        if self._options.copies and copy(event.text, self._err):
            self._note(COPIED)

    def _draw(self, text: str) -> None:
        if not self._options.qr:
            return
        columns, rows = self._err.window
        choice = choose_mode(
            text,
            "auto",
            columns=columns,
            rows=rows,
            encoding=self._err.encoding,
            is_tty=self._err.terminal,
            no_color=bool(os.environ.get("NO_COLOR")),
            term=os.environ.get("TERM", ""),
        )
        if choice.mode is None:
            self._note(f"note: {choice.reason or 'there is no terminal for a QR code'}")
            return
        for line in qr_lines(text, mode=choice.mode, columns=columns, rows=rows):
            self._err.line(line)

    def _note(self, text: str, hint: str = "") -> None:
        for line in [text, f"hint: {printable(hint)}"] if hint else [text]:
            rows = wording.wrapped(line, self._err.window[0]) if self._err.terminal else [line]
            for row in rows:
                self._notes.line(row)


def _describe(event: MessageExchanged) -> str:
    """Return the line of a message.

    >>> _describe(MessageExchanged("foo", "hello", sent=False))
    "Message from DataChannel 'foo': 'hello'"
    >>> _describe(MessageExchanged("foo", b"hello", sent=False))
    "Message from DataChannel 'foo': 5 bytes 68656c6c6f"
    >>> _describe(MessageExchanged("foo", "hello", sent=True))
    "Sending 'hello'"
    """
    if isinstance(event.data, str):
        content = f"'{printable(event.data)}'"
    else:
        more = "…" if len(event.data) > _HEX_BYTES else ""
        count = wording.counted(len(event.data), "byte")
        content = f"{count} {event.data[:_HEX_BYTES].hex()}{more}".rstrip()
        if event.saved is not None:
            content += f", saved as {printable(str(event.saved))}"
    if event.sent:
        return f"Sending {content}"
    return f"Message from DataChannel '{wording.short(event.label, _LABEL)}': {content}"
