"""Notes beside a short code, on a pseudo-terminal whose screen is rendered."""

from __future__ import annotations

import sys
from dataclasses import replace

import pyte
import pytest

from dcsend.session.events import Event, ShortCodeServer, ShortCodeUsed, Warned
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


WRONG = Warned(
    "short-code", "a wrong code was entered, which used the last code up; this is a new one"
)


@pytest.mark.parametrize("prompted", [False, True])
def test_note_that_has_no_room_is_in_the_first_row_and_the_status_stays(*, prompted: bool) -> None:
    pty = Pty(60, 24)
    display = Seat(pty).display()
    before = shown(display, pty, announced(), short())
    if prompted:
        display._codes.prompt(lambda status: f"{status}; or enter a code: ")
        before = pty.look()
    rows = shown(display, pty, WRONG)
    assert rows[0] == "note: a wrong code was entered, which used... (more above)"
    assert rows[1:] == before[1:]
    pty.close()


def test_note_of_the_last_of_three_wrong_codes_is_not_beside_the_next_code() -> None:
    pty = Pty(80, 24)
    display = Seat(pty).display()
    last = "a wrong code was entered, which used the last code up; the dial code still works"
    shown(display, pty, announced(), short(), ShortCodeUsed("7-walrus-umbrella"))
    display._codes.suspend(is_suspended=True)
    assert last in plain_text(shown(display, pty, Warned("short-code", last)))
    display._codes.suspend(is_suspended=False)
    text = plain_text(shown(display, pty, short("12-asparagus-wasp")))
    assert "12-asparagus-wasp" in text
    assert "a wrong code was entered" not in text
    pty.close()


def test_lost_server_is_in_the_status_in_place_of_a_note() -> None:
    pty = Pty(60, 23)
    display = Seat(pty).display()
    shown(display, pty, announced(), short("7-walrus-umbrella", "example.org"), WRONG)
    assert "note: a wrong code" in pty.look()[-1]
    rows = shown(display, pty, ShortCodeServer("example.org", connected=False, local=False))
    assert rows[-1] == "the server can't be reached: the code does not work now"
    pty.close()


def test_codes_are_drawn_for_a_window_of_another_size() -> None:
    pty = Pty(100, 50)
    display = Seat(pty).display()
    shown(display, pty, announced(), short(), WRONG)
    pty.resize(60, 24)
    rows = pty.during(display.resized)
    assert rows[-1] == "waiting; works once, until 14:30"
    assert rows[-23] == "dcsend receive 7-walrus-umbrella"
    pty.close()


def test_prompt_of_a_program_that_was_stopped_is_drawn_for_a_window_of_another_size() -> None:
    pty = Pty(80, 24)
    display = Seat(pty).display()
    shown(display, pty, announced(), short())
    display._codes.prompt(lambda status: "x" * (pty.screen.columns - 1))
    display._screen.redraw()
    assert pty.look()[-1] == "x" * 79
    pty.resize(60, 24)
    assert pty.during(display.resized)[-1] == "x" * 59
    pty.close()


@pytest.mark.parametrize("columns", [30, 40, 41, 60, 80])
def test_status_leaves_room_for_the_echo_of_control_c(columns: int) -> None:
    pty = Pty(columns, 24)
    rows = shown(Seat(pty).display(), pty, announced(), short())
    assert len(rows[-1]) <= columns - 2
    pty.close()
