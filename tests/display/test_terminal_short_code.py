"""A short code on a pseudo-terminal whose screen is rendered, and off a terminal."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest

from dcsend.display.terminal import TerminalDisplay
from dcsend.errors import ConnectionFailed
from dcsend.session.events import (
    CodeReady,
    Event,
    Left,
    Link,
    ShortCodeOver,
    ShortCodeReady,
    ShortCodeServer,
    ShortCodeUsed,
    Warned,
)
from dcsend.signaling.link import link_of_both
from tests.display.seats import CONNECTED, DIAL, LOCAL_PAGE, NOW, Seat, code, plainly
from tests.display.test_qr import photographed, scanned
from tests.support.screens import Pty

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")

FIRST = "dcsend receive 7-walrus-umbrella"
WORKS = f"works once, until {NOW:%H:%M}"
SIZES = [(80, 24), (80, 31), (100, 50), (60, 24), (40, 40), (40, 20), (80, 22)]
"Columns and rows of windows for which the layouts differ."


def announced(role: str = "sender", host: str = "") -> CodeReady:
    """Return the event of a code whose short code is awaited."""
    return replace(code(LOCAL_PAGE, role), words=("walrus", "umbrella"), host=host)


def short(text: str = "7-walrus-umbrella", server: str = "") -> ShortCodeReady:
    """Return the event of a short code."""
    return ShortCodeReady(text, server, NOW)


def shown(display: TerminalDisplay, pty: Pty, *events: Event) -> list[str]:
    """Return the rows after further events."""

    def show() -> None:
        for event in events:
            display.show(event)

    return pty.during(show)


def plain_text(rows: Sequence[str]) -> str:
    """Return the text of rows, without that of a QR code."""
    return " ".join(" ".join(re.sub("[▀▄█ ]+", " ", row) for row in rows).split())


def changed(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Return the rows that differ, as they are afterwards."""
    assert len(before) == len(after)
    return [new for old, new in zip(before, after, strict=True) if old != new]


def test_ordinary_window_has_the_command_first_and_the_qr_code_below(seat: Seat) -> None:
    rows = seat.after(announced(), short())
    assert rows[:2] == ["on the other machine, run, or enter the code on the page:", FIRST]
    assert rows[-1] == "waiting for the other side; Ctrl-C ends"
    assert len(rows) == 24
    beside = " ".join(" ".join(row[41:] for row in rows[2:-1]).split())
    assert beside == (
        f"{WORKS}, in this network only; for others, add --server public copied to the clipboard, "
        "if your terminal supports it or scan this with a phone in the same network a phone "
        "elsewhere needs a hosted page: --page-url"
    )
    assert scanned(photographed(seat.pty.screen, "dark")) == DIAL.link(LOCAL_PAGE)


def test_high_window_has_command_life_qr_code_and_link() -> None:
    pty = Pty(100, 50)
    rows = Seat(pty).after(replace(announced(), files=1, bytes=5), short())
    assert rows[:10] == [
        "to send: 1 file (5 B)",
        "on the other machine, run, or enter the code on the page:",
        "",
        FIRST,
        "",
        f"{WORKS}, in this network only; for others, add --server public",
        "copied to the clipboard, if your terminal supports it",
        "",
        "or scan this with a phone in the same network:",
        "",
    ]
    assert scanned(photographed(pty.screen, "dark")) == DIAL.link(LOCAL_PAGE)
    assert rows[rows.index("or open in a browser in the same network:") + 1].startswith(LOCAL_PAGE)
    pty.close()


def test_narrow_window_has_no_qr_code_and_breaks_between_words() -> None:
    pty = Pty(40, 40)
    rows = Seat(pty).after(announced("receiver"), short())
    at = rows.index("dcsend send PATH --to 7-walrus-umbrella")
    assert rows[at + 1 : at + 7] == [
        "",
        f"{WORKS}, in this network",
        "  only; for others, add --server public",
        "copied to the clipboard, if your",
        "  terminal supports it",
        "",
    ]
    assert rows[-1] == "waiting; Ctrl-C ends"
    pty.close()


def test_command_is_last_where_the_links_fill_the_window() -> None:
    pty = Pty(40, 20)
    event = announced()
    links = [Link(event.link, "eth0"), Link(DIAL.link("http://10.1.0.2:4000/"), "eth1")]
    rows = Seat(pty).after(replace(event, links=links), short())
    assert FIRST in rows
    assert "...-" not in " ".join(rows)
    assert links[1].url in pty.written.replace("\r\n", "")
    pty.close()


@pytest.mark.parametrize("rows", [24, 31, 50])
def test_qr_code_of_a_hosted_page_has_both_codes_once_the_number_is_known(rows: int) -> None:
    page, text = "https://example.org/dcsend/", "7-walrus-umbrella@rendezvous.example.org"
    both = link_of_both(DIAL.link(page), text)
    ready = replace(code(page), words=("walrus", "umbrella"), host="rendezvous.example.org")
    number = replace(short(text, "rendezvous.example.org"), link=both)
    pty = Pty(80, rows)
    display = Seat(pty).display(hosted=True)
    shown(display, pty, ready)
    assert scanned(photographed(pty.screen, "dark")) == DIAL.link(page)
    lines = [row[45:] if rows == 24 else row for row in shown(display, pty, number)]
    assert text in "".join("".join(lines).split())
    assert scanned(photographed(pty.screen, "dark")) == both
    # Used up: its dial code still works.
    shown(display, pty, ShortCodeUsed(text))
    assert scanned(photographed(pty.screen, "dark")) == DIAL.link(page)
    pty.close()


def test_link_with_both_codes_is_shown_off_a_terminal() -> None:
    number = replace(short("7-walrus-umbrella@public", "public"), link="https://example.org/#1+7-x")
    lines, _ = plainly(announced(host="public"), number)
    assert "or open in a browser in any network: https://example.org/#1+7-x" in lines


def test_window_without_room_beside_the_qr_code_has_the_life_in_the_status() -> None:
    pty = Pty(60, 24)
    rows = Seat(pty).after(announced(), short())
    assert FIRST in rows
    assert rows[-1] == f"waiting; works once, until {NOW:%H:%M}"
    assert scanned(photographed(pty.screen, "dark")) == DIAL.link(LOCAL_PAGE)
    pty.close()


def test_code_is_beside_a_qr_code_that_fills_the_window() -> None:
    pty = Pty(80, 22)
    rows = Seat(pty).after(announced(), short())
    beside = " ".join(" ".join(row[41:] for row in rows[:-1]).split())
    assert beside.startswith("run dcsend receive, or open the page, with: 7-walrus-umbrella works")
    assert scanned(photographed(pty.screen, "dark")) == DIAL.link(LOCAL_PAGE)
    pty.close()


@pytest.mark.parametrize(("columns", "rows"), SIZES)
@pytest.mark.parametrize("host", ["", "a.example"])
def test_number_changes_the_rows_of_code_and_life_only(columns: int, rows: int, host: str) -> None:
    pty = Pty(columns, rows)
    display = Seat(pty).display()
    before = shown(display, pty, announced(host=host))
    assert sum("...-walrus-umbrella" in row for row in before) == 1
    written = len(pty.written)
    after = shown(display, pty, short("7-walrus-umbrella" + (f"@{host}" if host else ""), host))
    assert sum("7-walrus-umbrella" in row for row in after) == 1
    new = pty.written[written:]
    assert not any(sequence in new for sequence in ("\x1b[J", "\x1b[2J", "\n"))
    # The cursor is restored after each row that is written; a long row takes two.
    assert 0 < new.count("\x1b8") <= len(changed(before, after))
    pty.close()


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_next_code_is_in_the_place_of_one_that_was_used_up(columns: int, rows: int) -> None:
    pty = Pty(columns, rows)
    display = Seat(pty).display()
    before = shown(display, pty, announced(), short())
    after = shown(display, pty, short("12-asparagus-wasp"))
    rows_changed = changed(before, after)
    assert len(rows_changed) == 1
    assert "12-asparagus-wasp" in rows_changed[0]
    pty.close()


def test_note_about_a_wrong_code_leaves_one_code_on_the_screen(seat: Seat) -> None:
    note = Warned("short-code", "a wrong code was entered", "give the other side the new code")
    rows = seat.after(announced(), short(), note, short("12-asparagus-wasp"))
    assert [row for row in rows if "walrus" in row] == []
    assert rows.count("dcsend receive 12-asparagus-wasp") == 1
    beside = " ".join(" ".join(row[41:] for row in rows[2:-1]).split())
    assert beside.startswith(
        "note: a wrong code was entered hint: give the other side the new code"
    )


@pytest.mark.parametrize("host", ["", "rendezvous.example.org"])
@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_note_about_a_wrong_code_is_readable_beside_the_next_code(
    columns: int, rows: int, host: str
) -> None:
    at = f"@{host}" if host else ""
    pty = Pty(columns, rows)
    lines = Seat(pty).after(
        announced(host=host),
        short(f"7-walrus-umbrella{at}", host),
        ShortCodeUsed(f"7-walrus-umbrella{at}"),
        Warned(
            "short-code",
            "a wrong code was entered, which used the last code up; this is a new one",
        ),
        short(f"12-asparagus-wasp{at}", host),
    )
    text = plain_text(lines)
    assert "note: a wrong code was entered, which" in text
    assert "12-asparagus-wasp" in text
    pty.close()


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_code_that_was_used_up_is_replaced_by_the_reason_and_what_follows(
    columns: int, rows: int
) -> None:
    pty = Pty(columns, rows)
    display = Seat(pty).display()
    before = shown(display, pty, announced(), short())
    used = shown(display, pty, ShortCodeUsed("7-walrus-umbrella"))
    assert len(used) == len(before)
    text = plain_text(used)
    assert "(used up; " in text
    assert "a new code is shown here)" in text or "a new code may follow here)" in text
    assert not any(mark in text for mark in ("...", "walrus", "dcsend receive ", "this network o"))
    pty.close()


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_dial_code_that_is_hidden_is_shown_nowhere(columns: int, rows: int) -> None:
    """Also not while there is no short code."""
    pty = Pty(columns, rows)
    seat = Seat(pty)
    display = seat.display(long=True)
    hidden = replace(code(), words=("walrus", "umbrella"), is_hidden=True)
    seen = shown(display, pty, hidden, short())
    assert "dcsend receive 7-walrus-umbrella" in seen
    shown(display, pty, ShortCodeUsed("7-walrus-umbrella"))
    lines, out = plainly(hidden, short())
    digits = str(int.from_bytes(DIAL.encode()))
    for text in (pty.written, seat.out.getvalue(), *lines, out):
        assert DIAL.text()[:20] not in text
        assert digits[:20] not in text
    assert not any("█" in row or "▀" in row for row in seen)
    assert f"on the other machine, run, in this network only: {FIRST}" in lines
    pty.close()


@pytest.mark.parametrize("rows", [20, 24, 28])
@pytest.mark.parametrize("columns", [40, 44, 48, 52, 60])
def test_sentence_below_the_command_is_whole_or_left_out(columns: int, rows: int) -> None:
    pty = Pty(columns, rows)
    text = plain_text(Seat(pty).after(announced(), short()))
    assert text.count("copied to the clipboard") == text.count("if your terminal supports it")
    pty.close()


@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_code_that_has_no_room_in_the_row_of_the_command_is_whole_in_the_next_one(
    role: str,
) -> None:
    pty = Pty(40, 40)
    rows = Seat(pty).after(announced(role), short("999999-asparagus-thwarting"))
    verb = "receive" if role == "sender" else "send PATH --to"
    at = rows.index("999999-asparagus-thwarting")
    assert rows[at - 1] == f"dcsend {verb}"
    assert re.search(rf"dcsend {verb} +999999-asparagus-thwarting", pty.written)  # one line
    pty.close()


@pytest.mark.parametrize(("columns", "rows"), SIZES)
@pytest.mark.parametrize("local", [False, True])
def test_server_that_is_lost_is_named_beside_the_code_until_it_is_back(
    columns: int, rows: int, *, local: bool
) -> None:
    pty = Pty(columns, rows)
    display = Seat(pty).display()
    name = "rendezvous.example.org"
    before = shown(display, pty, announced(host=name), short(f"7-walrus-umbrella@{name}", name))
    lost = shown(display, pty, ShortCodeServer(name, connected=False, local=local))
    text = plain_text(lost)
    effect = "works in this network" if local else "does not work"
    assert re.search(f"(?:{name}|the server) can't be reached: (?:the code )?{effect}", text)
    back = shown(display, pty, ShortCodeServer(name, connected=True, local=local))
    assert back[-6:] == before[-6:]
    assert not any("reached" in row for row in back)
    pty.close()


def test_words_of_the_first_code_do_not_return_when_addresses_change() -> None:
    pty = Pty(80, 50)
    used = ShortCodeUsed("7-walrus-umbrella")
    over = ShortCodeOver(ConnectionFailed("the server is silent"))
    rows = Seat(pty).after(announced(), short(), used, over, announced())
    assert not any("walrus" in row or "used up" in row for row in rows)
    assert f"dcsend receive {DIAL.text()}"[:80] in rows
    pty.close()


def test_dial_code_takes_the_place_of_a_short_code_that_is_over() -> None:
    pty = Pty(80, 50)
    over = ShortCodeOver(ConnectionFailed("the server is silent", "the dial code still works"))
    rows = Seat(pty).after(announced(), over)
    assert "the server is silent" in rows
    assert f"dcsend receive {DIAL.text()}"[:80] in rows
    assert not any("walrus" in row for row in rows)
    pty.close()


@pytest.mark.parametrize(
    ("text", "server", "where"),
    [
        ("7-walrus-umbrella", "", ", in this network only; for others, add --server public"),
        ("7-walrus-umbrella@public", "public", ""),
        ("7-walrus-umbrella", "ws://h/v1", ", with the same --server on the other machine"),
    ],
)
def test_row_below_the_command_names_where_the_code_works(
    text: str, server: str, where: str
) -> None:
    pty = Pty(80, 30)
    rows = Seat(pty).after(announced(), short(text, server), qr="none")
    assert rows[rows.index(f"dcsend receive {text}") + 2] == f"{WORKS}{where}"
    pty.close()


def test_short_code_is_copied_to_the_clipboard(seat: Seat) -> None:
    seat.after(announced(), short())
    copied = base64.b64encode(b"7-walrus-umbrella").decode()
    assert f"\x1b]52;c;{copied}\a" in seat.pty.written


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_words_of_a_long_code_are_not_broken(columns: int, rows: int) -> None:
    words = "walrus-umbrella-asparagus-wasp-jogging-thwarting-napkin-bonnet"
    text = f"7-{words}@rendezvous.example.org"
    pty = Pty(columns, rows)
    shown_rows = Seat(pty).after(announced(), short(text, "rendezvous.example.org"))
    for word in (*words.split("-"), "@rendezvous."):
        assert any(word in row for row in shown_rows), (word, shown_rows)
    assert text in pty.written  # one line, of which the terminal makes rows
    pty.close()


def test_hint_about_other_networks_is_for_users_who_have_chosen_no_server() -> None:
    for suggests in (True, False):
        pty = Pty(100, 50)
        rows = Seat(pty).after(announced(), short(), suggests_server=suggests)
        assert any("in this network only" in row for row in rows)
        assert any("--server" in row for row in rows) is suggests
        pty.close()


@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_dial_code_is_visible_with_long_below_the_qr_code(role: str) -> None:
    pty = Pty(80, 24)
    rows = Seat(pty).after(announced(role), short(), long=True)
    verb = "receive" if role == "sender" else "send PATH --to"
    assert "".join(rows[-3:-1]) == f"dcsend {verb} {DIAL.text()}"
    assert "7-walrus-umbrella" in " ".join(rows)
    assert scanned(photographed(pty.screen, "dark")) == DIAL.link(LOCAL_PAGE)
    pty.close()


def test_dial_code_is_shown_with_long_only() -> None:
    pty = Pty(80, 60)
    command = f"dcsend receive {DIAL.text()}"[:80]
    assert command not in Seat(pty).after(announced(), short())
    pty.close()
    pty = Pty(80, 60)
    assert command in Seat(pty).after(announced(), short(), long=True)
    pty.close()


@pytest.mark.parametrize("height", [24, 50])
def test_code_is_shown_again_when_a_device_leaves(height: int) -> None:
    pty = Pty(80, height)
    left = Left("10.0.0.9", ConnectionFailed("the connection is lost"), again=True)
    rows = Seat(pty).after(announced(), short(), CONNECTED, left)
    assert FIRST in rows
    assert scanned(photographed(pty.screen, "dark")) == DIAL.link(LOCAL_PAGE)
    text = " ".join(" ".join(row[41:] if height == 24 else row for row in rows).split())
    assert "10.0.0.9 has left, and the code that is shown works: the connection is lost" in text
    pty.close()


@pytest.mark.parametrize(
    ("hidden", "remains"),
    [(False, "the dial code works again"), (True, "a new code is shown here")],
)
def test_device_that_leaves_does_not_make_a_used_short_code_work_again(
    hidden: bool, remains: str
) -> None:
    pty = Pty(80, 60)
    first = replace(announced(), is_hidden=hidden)
    left = Left("10.0.0.9", ConnectionFailed("the connection is lost"), again=True)
    events: list[Event] = [first, short(), ShortCodeUsed(short().code), CONNECTED, left]
    rows = Seat(pty).after(*events)
    assert f"10.0.0.9 has left, and {remains}: the connection is lost" in " ".join(rows)
    pty.close()


def test_terminal_whose_cursor_can_not_be_moved_has_no_mark(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    rows = seat.after(announced(), short(), qr="none")
    assert not any("..." in row for row in rows)
    assert rows.count("or with the short code, in this network only: " + FIRST) == 1


def test_short_code_off_a_terminal_is_a_line() -> None:
    lines, out = plainly(announced(), short("7-walrus-umbrella@public", "public"))
    assert lines[-1] == f"or with the short code: {FIRST}@public"
    assert out == f"{DIAL.text()}\n"


def test_line_off_a_terminal_has_the_server_that_no_code_can_name() -> None:
    url = "ws://192.0.2.7:4000/a;b"
    lines, _ = plainly(announced(), short("7-walrus-umbrella", url))
    assert lines[-1] == f"or with the short code: {FIRST} --server '{url}'"
