"""Notes beside a short code, on a pseudo-terminal whose screen is rendered."""

from __future__ import annotations

import sys
from dataclasses import replace

import pyte
import pytest

from dcsend.session.events import Event, Warned
from tests.display.seats import LOCAL_PAGE, Seat, code
from tests.display.test_terminal_short_code import SIZES, announced, plain_text, short, shown
from tests.support.screens import Pty

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")


@pytest.mark.parametrize(("columns", "rows"), [*SIZES, (40, 24), (40, 30), (30, 24)])
@pytest.mark.parametrize("page", [LOCAL_PAGE, "dcsend:"])
def test_each_note_is_on_the_screen_once(columns: int, rows: int, page: str) -> None:
    pty = Pty(columns, rows)
    display = Seat(pty).display()
    first = replace(code(page), words=("walrus", "umbrella"))
    shown(display, pty, first, short(), replace(first, code=f"9{first.code[1:]}"))
    wrong = Warned(
        "short-code",
        "a wrong code was entered, which used the last code up; this is a new one",
        "go on",
    )
    text = plain_text(shown(display, pty, wrong, short("12-asparagus-wasp")))
    assert text.count("a wrong code was entered") == 1
    assert text.count("no QR code") <= 1
    assert "12-asparagus-wasp" in text
    pty.close()


@pytest.mark.parametrize(("columns", "rows"), [*SIZES, (40, 24), (40, 30), (60, 20)])
@pytest.mark.parametrize("is_late", [False, True])
def test_link_can_be_found_after_a_note(columns: int, rows: int, is_late: bool) -> None:
    """In the window or above it, also if the note takes the place of the link."""
    pty = Pty(columns, rows)
    display = Seat(pty).display()
    note = Warned("network", "no STUN server can be found (no internet connection?)", "go on")
    events: list[Event] = [announced(), note, short()]
    if is_late:
        events = [announced(), short(), note]
    shown(display, pty, *events)
    screen = pyte.HistoryScreen(columns, rows, history=1000)
    pyte.Stream(screen).feed(pty.written)
    above = ["".join(row[x].data for x in range(columns)) for row in screen.history.top]
    text = "".join("".join([*above, *screen.display]).split())
    assert announced().link[:60] in text
    pty.close()
