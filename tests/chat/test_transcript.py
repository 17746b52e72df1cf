"""The display of a chat: nothing of the peer reaches the terminal unescaped."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from dcsend.chat.events import ChannelAnnounced, ChannelClosed, ChannelOpened, MessageExchanged
from dcsend.chat.transcript import ChatDisplay, ChatOptions
from dcsend.display.streams import Stream
from dcsend.session.events import Warned
from tests.display.seats import HOSTILE


def shown(*events: ChannelAnnounced | MessageExchanged) -> str:
    """Return what is written to standard output."""
    out = io.StringIO()
    display = ChatDisplay(Stream(out), Stream(None), ChatOptions())
    for event in events:
        display.show(event)
    return out.getvalue()


@pytest.mark.parametrize(
    "event",
    [
        ChannelAnnounced(HOSTILE, 1),
        ChannelOpened(HOSTILE, 1),
        ChannelClosed(HOSTILE, 1),
        MessageExchanged("data", HOSTILE, sent=False),
        MessageExchanged("data", f"{HOSTILE}\r\nforged line", sent=False),
        MessageExchanged(HOSTILE, b"x", sent=False),
        MessageExchanged("data", b"x", sent=False, saved=Path(HOSTILE)),
    ],
)
def test_text_of_the_peer_is_one_escaped_line(
    event: ChannelAnnounced | MessageExchanged,
) -> None:
    text = shown(event)
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    assert "\\x1b[2J" in text


def test_long_binary_message_is_cut_after_32_bytes() -> None:
    whole, cut = (shown(MessageExchanged("data", bytes(size), sent=False)) for size in (32, 33))
    assert whole.endswith(f"32 bytes {'00' * 32}\n")
    assert f"33 bytes {'00' * 32}" in cut
    assert "00" * 33 not in cut


class Window(io.StringIO):
    """A terminal; `COLUMNS` has its width."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def test_note_in_a_terminal_breaks_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    err = Window()
    display = ChatDisplay(Stream(io.StringIO()), Stream(err), ChatOptions())
    display.show(Warned("network", "no STUN server can be found, as without internet", "go on"))
    assert err.getvalue().splitlines() == [
        "note: no STUN server can be found, as",
        "  without internet",
        "hint: go on",
    ]
