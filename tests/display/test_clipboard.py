"""Copying to the clipboard by an escape sequence, on the terminals that understand it."""

from __future__ import annotations

import base64
import io

import pytest

from dcsend.display.clipboard import copy
from dcsend.display.streams import Stream
from tests.display.seats import Seat

CODE = "dc0 ünïcode"
SEQUENCE = f"\x1b]52;c;{base64.b64encode(CODE.encode()).decode()}\a"


@pytest.mark.parametrize(
    ("variables", "copied"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "screen", "TMUX": "/tmp/tmux-0/default,1,0"}, True),
        ({"TERM": "screen.xterm-256color"}, False),
        ({"TERM": "dumb"}, False),
    ],
    ids=["xterm", "tmux", "GNU screen", "dumb"],
)
def test_text_is_copied_on_terminals_that_do_not_show_the_sequence(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], copied: bool
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert copy(CODE, Stream(seat.pty.file)) == copied
    seat.pty.look()
    assert (SEQUENCE in seat.pty.written) == copied


def test_nothing_is_written_off_a_terminal() -> None:
    out = io.StringIO()
    assert not copy(CODE, Stream(out))
    assert out.getvalue() == ""


def test_text_that_is_longer_than_terminals_accept_is_not_copied(seat: Seat) -> None:
    assert not copy("x" * 50_001, Stream(seat.pty.file))
    seat.pty.look()
    assert seat.pty.written == ""
