"""A code on a pseudo-terminal whose screen is rendered, and off a terminal."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from dcsend.display import wording
from dcsend.entry import Entry
from dcsend.errors import (
    ConnectionFailed,
    DestinationError,
    PeerCannotSave,
)
from dcsend.session.events import (
    Arrived,
    CodeReady,
    Connected,
    Event,
    FileFinished,
    Left,
    Link,
    ManifestKnown,
    Warned,
)
from dcsend.signaling.dialcode import Address
from tests.display.seats import (
    CONNECTED,
    DIAL,
    LOCAL_PAGE,
    MANIFEST,
    NOW,
    Seat,
    Typist,
    code,
    done,
    plainly,
)
from tests.display.test_qr import photographed, scanned
from tests.support.screens import Pty

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")


def test_code_is_the_last_thing_above_the_status(seat: Seat) -> None:
    rows = seat.after(code())
    command = f"dcsend receive {DIAL.text()}"
    assert rows[-3:-1] == [command[:80], command[80:]]
    assert rows[-1] == (
        f"waiting for the other side; the code works once, until {NOW:%H:%M}; Ctrl-C ends"
    )
    assert seat.pty.screen.cursor.y == len(rows) - 1  # there is no line end behind it


@pytest.mark.parametrize(
    ("columns", "hours", "status"),
    [
        (80, 1, "waiting for the other side; the code works once, until 15:30; Ctrl-C ends"),
        (80, 10, "waiting for the other side; the code works once, until 00:30 on 2 May"),
        (60, 10, "waiting; works once, until 00:30 on 2 May"),
        (60, 1, "waiting; works once, until 15:30"),
        (40, 10, "waiting until 00:30 on 2 May"),
    ],
)
def test_status_fits_the_window(columns: int, hours: int, status: str) -> None:
    pty = Pty(columns, 24)
    assert Seat(pty).after(code(hours=hours), qr="none")[-1] == status
    pty.close()


@pytest.mark.parametrize("height", [22, 23, 24, 26, 28, 50])
def test_window_that_has_room_for_both_shows_command_and_qr_code_whole(height: int) -> None:
    pty = Pty(80, height)
    rows = Seat(pty).after(code())
    command = f"dcsend receive {DIAL.text()}"
    assert {command[:80], command[80:]} <= set(rows)
    assert rows[-1].startswith("waiting for the other side; ")
    assert scanned(photographed(pty.screen, "dark")) == DIAL.link("dcsend:")
    pty.close()


def test_waiting_receiver_shows_how_to_send(seat: Seat) -> None:
    rows = seat.after(code(role="receiver"))
    assert f"dcsend send PATH --to {DIAL.text()}"[:80] in rows


def test_high_window_has_room_between_code_and_qr_code() -> None:
    pty = Pty(80, 50)
    rows = Seat(pty).after(code("https://dcsend.example/"), hosted=True)
    assert rows[:2] == [
        "scan this with a phone, or open:",
        DIAL.link("https://dcsend.example/")[:80],
    ]
    assert "or on another machine, run:" in rows[-7:]
    assert rows[-2] == ""
    assert "elsewhere" not in pty.written
    pty.close()


@pytest.mark.parametrize(
    ("role", "advice"),
    [
        ("sender", "scan this with a phone in the same network"),
        ("receiver", "scan this with a phone in the same network to send from it"),
    ],
)
def test_page_has_its_word_link_and_code_in_one_window(role: str, advice: str) -> None:
    pty = Pty(80, 40)
    rows = Seat(pty).after(code(LOCAL_PAGE, role))
    link = DIAL.link(LOCAL_PAGE)
    assert rows[:3] == [f"{advice}, or open:", link[:80], link[80:160]]
    assert scanned(photographed(pty.screen, "dark")) == link
    pty.close()


@pytest.mark.parametrize(
    ("files", "texts", "offered"),
    [
        (1, 1, "to send: 1 text (16 B)"),
        (3, 1, "to send: 2 files, 1 text (16 B)"),
        (2, 0, "to send: 2 files (16 B)"),
        (0, 0, "to send: 0 files (16 B)"),
    ],
)
def test_texts_are_not_counted_as_files(files: int, texts: int, offered: str) -> None:
    lines, _ = plainly(replace(code(), files=files, bytes=16, texts=texts))
    assert lines[0] == offered


def test_ordinary_window_has_qr_code_of_the_page_words_beside_it_and_the_command() -> None:
    pty = Pty(80, 24)
    rows = Seat(pty).after(replace(code(LOCAL_PAGE), files=3, bytes=5_000_000))
    command = f"dcsend receive {DIAL.text()}"
    assert rows[-3:-1] == [command[:80], command[80:]]
    beside = " ".join(" ".join(row[41:] for row in rows[:-3]).split())
    assert beside == (
        "to send: 3 files (5.0 MB) scan this with a phone in the same network or run the command"
        " below on another machine or open the link above (scroll up) a phone elsewhere needs a"
        " hosted page: --page-url"
    )
    for theme in ("dark", "light"):
        assert scanned(photographed(pty.screen, theme)) == DIAL.link(LOCAL_PAGE)
    pty.close()


def test_narrow_window_has_no_words_beside_the_qr_code() -> None:
    pty = Pty(60, 24)
    rows = Seat(pty).after(code(LOCAL_PAGE))
    assert not any("phone" in row for row in rows)
    assert scanned(photographed(pty.screen, "dark")) == DIAL.link(LOCAL_PAGE)
    pty.close()


def with_links(hosts: str) -> CodeReady:
    """Return a code with further links, by their hosts."""
    event = code(LOCAL_PAGE)
    urls = [DIAL.link(f"http://{host}:54321/") for host in hosts.split()]
    return replace(event, links=[Link(url, f"eth{n}") for n, url in enumerate([event.link, *urls])])


@pytest.mark.parametrize("height", [24, 28, 50])
def test_links_of_further_networks_leave_code_and_qr_code_in_the_window(height: int) -> None:
    pty = Pty(80, height)
    event = with_links("10.1.0.2 100.64.0.7")
    rows = Seat(pty).after(event)
    command = f"dcsend receive {DIAL.text()}"
    assert {command[:80], command[80:]} <= set(rows)
    assert scanned(photographed(pty.screen, "dark")) == DIAL.link(LOCAL_PAGE)
    assert "or open in the network of eth2:" in pty.written
    assert event.links[2].url in pty.written.replace("\r\n", "")
    pty.close()


def test_links_of_further_networks_are_lines_off_a_terminal() -> None:
    event = with_links("10.1.0.2")
    assert plainly(event)[0][2] == f"or open in the network of eth1: {event.links[1].url}"


def test_links_of_further_networks_follow_the_first_without_a_qr_code(seat: Seat) -> None:
    event = with_links("10.1.0.2")
    rows = seat.after(event, qr="none")
    assert event.links[1].url[:80] in rows[rows.index("or in the network of eth1:") :]


@pytest.mark.parametrize("page", ["dcsend:", LOCAL_PAGE])
@pytest.mark.parametrize("height", [22, 24, 50])
def test_notes_leave_the_qr_code_in_the_window(height: int, page: str) -> None:
    pty = Pty(80, height)
    first, second = (Warned("server", f"the {n} server does not answer", "x" * 90) for n in "ab")
    rows = Seat(pty).after(code(page), first, second)
    assert scanned(photographed(pty.screen, "dark")) == DIAL.link(page)
    assert rows[-1].startswith("waiting")
    # Above the QR code it is not in the window, so the newest note is beside the code, too.
    newest = "note: the b server does not answer"
    beside = " ".join(" ".join(row[37:] for row in rows).split())
    assert (f"{newest} (more above)" in beside) == (height < 50)
    assert newest in pty.written
    pty.close()


@pytest.mark.parametrize("height", [24, 50])
def test_code_is_shown_again_when_a_device_leaves(height: int) -> None:
    pty = Pty(80, height)
    left = Left("10.0.0.9", ConnectionFailed("the connection is lost"), again=True)
    rows = Seat(pty).after(code(LOCAL_PAGE), Arrived("10.0.0.9"), CONNECTED, left)
    assert "10.0.0.9 has left, and the code works again: the connection is lost" in pty.written
    assert scanned(photographed(pty.screen, "dark")) == DIAL.link(LOCAL_PAGE)
    assert rows[-1].startswith("waiting")
    shown = " ".join(" ".join(row[37:] if height == 24 else row for row in rows).split())
    assert "10.0.0.9 has left, and the code works again: the connection is lost" in shown
    pty.close()


@pytest.mark.parametrize("columns", [60, 80])
def test_reason_that_has_no_room_beside_the_qr_code_takes_its_place(columns: int) -> None:
    pty = Pty(columns, 24)
    path = "x" * 50 if columns == 80 else "x"
    left = Left("10.0.0.9", PeerCannotSave(f"the other side can't save it: {path} exists"), True)
    rows = Seat(pty).after(code(LOCAL_PAGE), Arrived("10.0.0.9"), CONNECTED, left)
    assert "10.0.0.9 has left, and the code works again:" in " ".join(rows)
    assert f"dcsend receive {DIAL.text()}"[:columns] in rows
    assert rows[-1].startswith("waiting")
    pty.close()


def test_code_that_is_still_in_the_window_is_not_shown_again_when_a_device_leaves() -> None:
    pty = Pty(80, 60)
    left = Left("10.0.0.9", ConnectionFailed("the connection is lost"), again=True)
    visit: list[Event] = [Arrived("10.0.0.9"), CONNECTED, left]
    rows = Seat(pty).after(code(LOCAL_PAGE), *visit, *visit)
    assert sum(row.startswith("dcsend receive") for row in rows) == 1
    assert rows[-2] == "10.0.0.9 has left, and the code works again: the connection is lost"
    assert rows[-1].startswith("waiting")
    pty.close()


@pytest.mark.parametrize("columns", [40, 80])
def test_words_are_whole_whatever_the_width(columns: int) -> None:
    pty = Pty(columns, 40)
    hint = "it can connect when the connected device has left"
    note = Warned("code-busy", "another device with the code wants to connect", hint)
    rows = Seat(pty).after(
        replace(code(LOCAL_PAGE, "receiver"), files=None),
        note,
        Connected("direct", "IPv6", "2001:db8::12:34:5678:9abc", "x", 4, "the laptop of Anna"),
        ManifestKnown([Entry("a name of several words.txt", size=10**6)]),
        done(FileFinished("a name of several words.txt", "ok", 10**6)),
        qr="none",
    )
    said = " ".join(" ".join(rows).split())
    for words in (
        f"note: {note.message}",
        hint,
        "direct over IPv6",
        "several words.txt",
        "1.0 MB in",
    ):
        assert words in said
    for row in rows:
        assert DIAL.text()[:9] in row or wording.width(row) <= columns
    pty.close()


def test_note_below_the_code_is_cut_at_the_end_of_a_word() -> None:
    pty = Pty(80, 24)
    long = "the server that was asked for the public address of this machine does not answer"
    rows = Seat(pty).after(code(LOCAL_PAGE), Warned("server", f"{long} {'x' * 50}", "look"))
    assert (
        rows[-1] == "note: the server that was asked for the public address of this... (more above)"
    )
    pty.close()


async def test_question_is_broken_between_words() -> None:
    pty = Pty(40, 24)
    typist = Typist(pty, ["y"])
    display = Seat(pty).display(keyboard=typist, output="/a/longer/path")  # type: ignore[arg-type]
    assert await display.decide(MANIFEST) is True
    assert pty.look() == ["accept and save in /a/longer/path?", "  [Y/n, c chooses, l lists all] y"]
    pty.close()


def test_code_is_not_repeated_off_a_terminal_when_a_device_leaves() -> None:
    left = Left("10.0.0.9", ConnectionFailed("the connection is lost"), again=True)
    lines, _ = plainly(code(), Arrived("10.0.0.9"), left)
    assert sum("run: dcsend receive" in line for line in lines) == 1
    assert [line.startswith("waiting") for line in lines].count(True) == 2


def test_receiver_shows_what_to_do_about_files_that_exist() -> None:
    hint = "run it again with --overwrite, --rename or --skip"
    left = Left("10.0.0.9", DestinationError("a exists in /x already", hint), again=True)
    lines, _ = plainly(code(role="receiver"), Arrived("10.0.0.9"), left)
    assert lines[-3:-1] == [
        "10.0.0.9 was refused, and the code works again: a exists in /x already",
        f"hint: {hint}",
    ]


def test_arrival_is_seen_where_the_code_fills_the_window() -> None:
    pty = Pty(80, 24)
    rows = Seat(pty).after(code(LOCAL_PAGE), Arrived("10.0.0.9"))
    assert rows[-1] == "a device has connected with the code: 10.0.0.9"
    pty.close()


def test_code_stays_where_it_is_when_the_other_side_is_there() -> None:
    pty = Pty(80, 50)
    rows = Seat(pty).after(code(), Warned("server", "a note"), CONNECTED)
    assert scanned(photographed(pty.screen, "dark")) == DIAL.link("dcsend:")
    assert rows[0] == "note: a note"
    assert rows[-1] == "connected to anna (192.0.2.1, direct over IPv4, 4 ms)"
    assert not any("waiting" in row for row in rows)
    pty.close()


def test_renewed_code_is_below_the_one_before_with_its_qr_code() -> None:
    pty = Pty(80, 24)
    later = replace(DIAL, addresses=(Address("10.64.0.9", 4000),))
    second = replace(code(), code=later.text(), link=later.link("dcsend:"))
    note = Warned("network", "the addresses of this machine have changed", "see below")
    rows = Seat(pty).after(code(), note, second)
    assert scanned(photographed(pty.screen, "dark")) == later.link("dcsend:")
    command = f"dcsend receive {later.text()}"
    assert {command[:80], command[80:]} <= set(rows)
    assert [row.startswith("waiting") for row in rows].count(True) == 1
    pty.close()


def test_window_with_room_for_two_codes_shows_the_renewed_one_alone() -> None:
    pty = Pty(80, 80)
    later = replace(DIAL, addresses=(Address("10.64.0.9", 4000),))
    second = replace(code(), code=later.text(), link=later.link("dcsend:"))
    rows = Seat(pty).after(code(), second)
    assert scanned(photographed(pty.screen, "dark")) == later.link("dcsend:")
    ends = [f"dcsend receive {one.text()}"[80:] for one in (DIAL, later)]
    assert [end in rows for end in ends] == [False, True]
    pty.close()


def test_page_without_a_qr_code_is_a_link_to_open(seat: Seat) -> None:
    rows = seat.after(code(LOCAL_PAGE), qr="none")
    assert rows[0] == "open in a browser in the same network:"
    assert DIAL.link(LOCAL_PAGE)[:80] in rows
    assert "or on another machine, run:" in rows


def test_page_off_a_terminal_is_a_line() -> None:
    link = DIAL.link(LOCAL_PAGE)
    assert plainly(code(LOCAL_PAGE))[0][:2] == [
        f"on the other machine, run: dcsend receive {DIAL.text()}",
        f"or open in a browser in the same network: {link}",
    ]


def test_code_is_once_on_a_terminal_and_once_in_a_file(seat: Seat) -> None:
    seat.after(code(), qr="none")
    assert seat.out.getvalue() == f"{DIAL.text()}\n"
    seat.after(code(), qr="none", shared=True)
    assert seat.pty.written.count(DIAL.text()) == 2


def test_code_is_not_on_standard_output_that_carries_bytes(seat: Seat) -> None:
    seat.after(code(role="receiver"), output="-")
    assert seat.out.getvalue() == ""


@pytest.mark.parametrize("columns", [80, 100])
def test_link_that_has_scrolled_off_is_mentioned(columns: int) -> None:
    pty = Pty(columns, 31)
    rows = Seat(pty).after(with_links("10.0.0.1 10.0.0.2 10.0.0.3"))
    assert any("the link above (scroll up)" in " ".join(rows[n : n + 2]) for n in range(len(rows)))
    pty.close()
