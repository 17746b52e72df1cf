"""What a person sees, on a real pseudo-terminal whose screen is rendered, and off any terminal."""

from __future__ import annotations

import datetime
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dcsend.display.keyboard import Keyboard
from dcsend.display.streams import Stream
from dcsend.display.terminal import TerminalDisplay, TerminalOptions
from dcsend.entry import Entry, Kind
from dcsend.errors import (
    ConnectionFailed,
    DcsendError,
    IntegrityError,
    Interrupted,
    PeerRefused,
    UsageError,
)
from dcsend.session.events import (
    Arrived,
    CodeReady,
    Connected,
    Event,
    Failed,
    FileFinished,
    Finished,
    Left,
    Link,
    ManifestKnown,
    Progressed,
    TextExchanged,
    Warned,
)
from dcsend.signaling.dialcode import Address, DialCode
from tests.screens import Pty
from tests.test_qr import photographed, scanned

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")

NOW = datetime.datetime(2026, 5, 1, 14, 30, tzinfo=datetime.UTC)
DIAL = DialCode(bytes(16), bytes(32), 4000, (Address("192.0.2.7", 4000),), 2_000_000_000)
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e"
MANIFEST = ManifestKnown([Entry("a.txt", size=5), Entry("b.txt", size=10**8)])
CONNECTED = Connected("direct", "IPv4", "192.0.2.1", "dcsend/1", 0.004)


def code(page: str = "dcsend:", role: str = "sender", hours: int = 0) -> CodeReady:
    """Return the event of a code that expires in so many hours."""
    expires = NOW + datetime.timedelta(hours=hours)
    return CodeReady(DIAL.text(), DIAL.link(page), expires, role)


def moved(count: int) -> Progressed:
    """Return the event of bytes having arrived."""
    return Progressed(count, 10**8 + 5, 1e6, "b.txt", count - 5, 10**8)


def done(*files: FileFinished, status: int = 0, role: str = "receiver") -> Finished:
    """Return the last event."""
    total = sum(file.bytes for file in files)
    return Finished(not status, status, total, 2.0, files, role)


class Seat:
    """A person's place: a terminal for standard error, another file for standard output."""

    def __init__(self, pty: Pty) -> None:
        self.pty = pty
        self.out = io.StringIO()

    def display(
        self, *, keyboard: Keyboard | None = None, shared: bool = False, **chosen: object
    ) -> TerminalDisplay:
        """Return the display of a run; *shared*: standard output is the terminal, too."""
        out = self.pty.file if shared else self.out
        options = TerminalOptions(**chosen)  # type: ignore[arg-type]
        return TerminalDisplay(Stream(out), Stream(self.pty.file), options, keyboard, lambda: NOW)

    def after(self, *events: Event, **chosen: object) -> list[str]:
        """Return the rows shown after *events*."""
        display = self.display(**chosen)  # type: ignore[arg-type]

        def show() -> None:
            for event in events:
                display.show(event)

        return self.pty.during(show)


@pytest.fixture
def seat() -> Iterator[Seat]:
    """Give a place at a window of 80 columns and 24 rows."""
    pty = Pty()
    yield Seat(pty)
    pty.close()


def plainly(*events: Event, **chosen: object) -> tuple[list[str], str]:
    """Return what is written off any terminal: lines on standard error, and standard output."""
    out, err = io.StringIO(), io.StringIO()
    options = TerminalOptions(**chosen)  # type: ignore[arg-type]
    display = TerminalDisplay(Stream(out), Stream(err), options, None, lambda: NOW)
    for event in events:
        display.show(event)
    display.close()
    assert err.getvalue().replace("\n", "").isprintable()
    return err.getvalue().splitlines(), out.getvalue()


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
        (80, 10, "waiting; works once, until 00:30 on 2 May"),
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


def test_waiting_receiver_tells_how_to_send(seat: Seat) -> None:
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
    pty.close()


LOCAL_PAGE = "http://192.168.178.123:54321/"
"As long as most are."


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


def test_ordinary_window_has_qr_code_of_the_page_words_beside_it_and_the_command() -> None:
    pty = Pty(80, 24)
    rows = Seat(pty).after(code(LOCAL_PAGE))
    command = f"dcsend receive {DIAL.text()}"
    assert rows[-3:-1] == [command[:80], command[80:]]
    beside = " ".join(" ".join(row[41:] for row in rows[:-3]).split())
    assert beside == (
        "scan this with a phone in the same network or run the command below on another machine"
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
    # Above the QR code nobody sees it, so the newest note is in the last row, too.
    newest = "note: the b server does not answer"
    assert rows[-1] == newest if height < 50 else rows[-1].startswith("waiting")
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
    pty.close()


def test_code_is_not_repeated_off_a_terminal_when_a_device_leaves() -> None:
    left = Left("10.0.0.9", ConnectionFailed("the connection is lost"), again=True)
    lines, _ = plainly(code(), Arrived("10.0.0.9"), left)
    assert sum("run: dcsend receive" in line for line in lines) == 1
    assert [line.startswith("waiting") for line in lines].count(True) == 2


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
    assert rows[-1] == "connected to dcsend/1, direct over IPv4, 4 ms"
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


def test_status_gives_way_to_what_happens(seat: Seat) -> None:
    rows = seat.after(code(), CONNECTED, qr="none")
    assert rows[-1] == "connected to dcsend/1, direct over IPv4, 4 ms"
    assert not any("waiting" in row for row in rows)


def test_dialing_side_is_told_that_it_connects(seat: Seat) -> None:
    assert seat.after(dials=True) == ["connecting ..."]


def test_sender_is_told_that_the_other_side_must_accept(seat: Seat) -> None:
    rows = seat.after(MANIFEST, sends=True)
    assert rows == [
        "sending 2 files (100.0 MB): a.txt, b.txt",
        "waiting for the other side to accept",
    ]


def test_bars_are_replaced_and_lines_stay_above_them(seat: Seat) -> None:
    rows = seat.after(
        MANIFEST,
        moved(10_000_000),
        FileFinished("a.txt", "ok", 5),
        moved(20_000_000),
        moved(30_000_000),
    )
    assert rows[:2] == ["offered: 2 files (100.0 MB): a.txt, b.txt", "ok       a.txt (5 B)"]
    assert rows[2].startswith("total             30% |")
    assert rows[3].startswith("b.txt             30% |")
    assert len(rows) == 4


def test_half_typed_line_is_not_torn_apart_by_the_bars(seat: Seat) -> None:
    display = seat.display()
    display.show(MANIFEST)
    display.show(moved(10_000_000))
    seat.pty.type_and_see("hel")
    assert seat.pty.look()[-1] == "hel"
    display.show(moved(20_000_000))
    assert seat.pty.look()[-1] == "hel"
    seat.pty.type_and_see("lo")
    assert seat.pty.look()[-1] == "hello"
    seat.pty.type_and_see("\n")
    display.show(TextExchanged("hello", sent=True, kind="line"))
    rows = seat.pty.look()
    assert [row.split()[0] for row in rows] == ["offered:", "you:", "total", "b.txt"]
    assert rows[1] == "you: hello"


def test_bars_at_the_lower_edge_scroll_with_the_rest(seat: Seat) -> None:
    display = seat.display()
    for number in range(40):
        display.show(TextExchanged(str(number), sent=False, kind="line"))
    display.show(MANIFEST)
    display.show(moved(10_000_000))
    display.show(TextExchanged("bye", sent=False, kind="line"))
    display.show(moved(20_000_000))
    rows = seat.pty.look()
    assert rows[-4:-2] == ["offered: 2 files (100.0 MB): a.txt, b.txt", "other side: bye"]
    assert rows[-2].startswith("total             20% |")
    assert sum("|" in row for row in rows) == 2


def test_end_leaves_no_bar_and_tells_where_the_files_are(seat: Seat) -> None:
    saved = FileFinished("b.txt", "ok", 10**8, where="out/b.txt")
    rows = seat.after(moved(10**8), saved, done(saved), output="out")
    assert (
        rows
        == [
            "ok       b.txt (100.0 MB)",
            "received and verified 1 file, 100.0 MB in 2.0 s, 50.0 MB/s",
            f"saved in {Path('out').absolute()}",
        ]
        or "".join(rows[2:]) == f"saved in {Path('out').absolute()}"
    )


def test_many_files_are_not_listed_but_those_that_failed_are(seat: Seat) -> None:
    many = ManifestKnown([Entry(f"{number}", size=1) for number in range(21)])
    good = [FileFinished(f"{number}", "ok", 1) for number in range(20)]
    bad = FileFinished("20", "failed", 0, reason="disk full", exit=4)
    rows = seat.after(many, *good, bad, done(*good, bad, status=11))
    assert rows == [
        "offered: 21 files (21 B): 0, 1, 2 and 18 more",
        "failed   20: disk full",
        "20 files received and verified",
    ]


def test_every_file_is_listed_with_v() -> None:
    many = ManifestKnown([Entry(f"{number}", size=1) for number in range(21)])
    good = [FileFinished(f"{number}", "ok", 1) for number in range(21)]
    lines, _ = plainly(many, *good, verbose=True)
    assert len(lines) == 22


def test_interrupted_receiver_is_told_the_next_command(seat: Seat) -> None:
    hint = "to get the rest, ask for a new code, then run: dcsend receive CODE --skip -o 'my files'"
    interrupted = Failed(Interrupted(2, hint))
    rows = seat.after(MANIFEST, moved(20_000_000), interrupted, done(status=130), output="my files")
    assert rows[1:] == [
        "stopped at 20.0 MB of 100.0 MB; the unfinished file stays as .dcsend-part",
        "dcsend: interrupted",
        "dcsend: hint: to get the rest, ask for a new code, then run: dcsend receive CODE",
        "  --skip -o 'my files'",
    ]


def test_home_folder_is_shown_whole() -> None:
    good = FileFinished("b.txt", "ok", 10**8, where="b.txt")
    lines, _ = plainly(MANIFEST, good, done(good), output="~/inbox")
    assert lines[-1] == f"saved in {Path.home() / 'inbox'}"


@pytest.mark.parametrize("kind", [IntegrityError, PeerRefused, ConnectionFailed])
def test_hint_is_that_of_the_error(kind: type[DcsendError]) -> None:
    lines, _ = plainly(moved(20), Failed(kind("bad", "again")))
    assert lines[-1] == "dcsend: hint: again"


def test_nothing_a_peer_says_reaches_the_terminal_unescaped(seat: Seat) -> None:
    entries = [Entry(HOSTILE + kind, kind, target=HOSTILE) for kind in Kind]
    seat.after(
        Connected("direct", "IPv4", "192.0.2.1", HOSTILE, 0.1),
        ManifestKnown(entries),
        Warned("refused", HOSTILE, HOSTILE),
        Progressed(10**6, 10**7, 1e6, HOSTILE, 1, 2),
        FileFinished(HOSTILE, "failed", 0, reason=HOSTILE),
        *(TextExchanged(HOSTILE, sent=False, kind=kind) for kind in ("line", "random", "snippet")),
        Failed(PeerRefused(HOSTILE, HOSTILE)),
        verbose=True,
        shared=True,
    )
    for sequence in ("\x1b[2J", "\x1b]0", "\x07", "\u202e"):
        assert sequence not in seat.pty.written


def test_signs_of_life_are_shown_with_v_in_the_demos_words() -> None:
    signs = [TextExchanged("abc", sent=sent, kind="random") for sent in (True, False)]
    assert plainly(*signs) == ([], "")
    assert plainly(*signs, verbose=True)[0] == [
        "Sending 'abc'",
        "Message from DataChannel 'text': 'abc'",
    ]


def test_received_text_goes_to_standard_output() -> None:
    event = TextExchanged("one\ntwo", sent=False, kind="snippet")
    assert plainly(event) == ([], "one\ntwo\n")
    assert plainly(event, output="-") == ([], "")


def test_received_text_is_announced_on_a_terminal(seat: Seat) -> None:
    text = TextExchanged("one\n\ntwo", sent=False, kind="snippet")
    assert seat.after(text, shared=True) == ["the other side sends a text:", "one", "", "two"]


def test_off_a_terminal_each_state_is_one_plain_line() -> None:
    saved = FileFinished("a.txt", "ok", 5, where="a.txt")
    lines, out = plainly(code(), CONNECTED, MANIFEST, moved(20), saved, done(saved))
    assert out == f"{DIAL.text()}\n"
    assert lines == [
        f"on the other machine, run: dcsend receive {DIAL.text()}",
        f"waiting for the other side; the code works once, until {NOW:%H:%M}",
        "connected to dcsend/1, direct over IPv4, 4 ms",
        "offered: 2 files (100.0 MB): a.txt, b.txt",
        "ok       a.txt (5 B)",
        "received and verified 1 file, 5 B in 2.0 s, 2 B/s",
        f"saved in {Path.cwd()}",
    ]


def test_dumb_terminal_gets_text_only(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    seat.after(code(), CONNECTED, MANIFEST, moved(10**7), moved(2 * 10**7), dials=True, sends=True)
    assert "\x1b" not in seat.pty.written
    assert "\r" not in seat.pty.written.replace("\r\n", "")
    assert "waiting for the other side to accept" in seat.pty.written


@pytest.mark.parametrize(("value", "drawn"), [("1", False), ("", True)])
def test_no_color_counts_where_it_is_not_empty(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, value: str, drawn: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    seat.after(code())
    assert ("\x1b[48;5;" in seat.pty.written) is drawn


def test_console_without_unicode_has_plain_bars_and_wide_modules() -> None:
    pty = Pty(120, 60, encoding="cp1252")
    Seat(pty).after(code(), MANIFEST, moved(10**7))
    assert "\\u" not in pty.written
    assert "##" in pty.written
    assert "\x1b[48;5;" in pty.written
    pty.close()


def test_closed_terminal_takes_everything(seat: Seat) -> None:
    display = seat.display()
    display.show(MANIFEST)
    display.show(moved(10**7))
    seat.pty.close()
    for event in (code(), moved(2 * 10**7), Failed(Interrupted(1)), done(status=129)):
        display.show(event)
    display.close()
    display.close()


class Typist:
    """Answers questions in order; stands in for fingers, not for the terminal."""

    def __init__(self, pty: Pty, answers: Sequence[str | None]) -> None:
        self._pty = pty
        self._answers = list(answers)
        self.questions: list[str] = []

    async def ask(self) -> str | None:
        """Look at the screen, and type."""
        self.questions.append(self._pty.look()[-1])
        answer = self._answers.pop(0)
        if answer is not None:
            self._pty.type_and_see(answer + "\n")
        return answer


@pytest.mark.parametrize(
    ("answers", "accepted"),
    [
        ([""], True),
        (["y"], True),
        ([" YES "], True),
        (["n"], False),
        (["no"], False),
        ([None], False),
        (["l", None], False),
        (["what?", "L", "y"], True),
    ],
)
async def test_question_is_asked_until_it_is_answered(
    seat: Seat, answers: list[str | None], accepted: bool
) -> None:
    typist = Typist(seat.pty, answers)
    display = seat.display(keyboard=typist, output="/x")  # type: ignore[arg-type]
    assert await display.decide(MANIFEST) is accepted
    assert typist.questions == ["accept and save in /x? [Y/n, l lists all]"] * len(answers)
    assert ("  a.txt" in seat.pty.written) is ("l" in answers or "L" in answers)


async def test_very_long_list_is_cut(seat: Seat) -> None:
    err = io.StringIO()
    typist = Typist(seat.pty, ["l", "n"])
    many = ManifestKnown([Entry(f"{number}.txt", size=1) for number in range(1234)])
    Stream(seat.pty.file).write("-")  # what the typist looks at
    display = TerminalDisplay(Stream(None), Stream(err), TerminalOptions(), typist)  # type: ignore[arg-type]
    assert await display.decide(many) is False
    assert err.getvalue().count(".txt\n") == 1000
    assert "\nand 234 more\n" in err.getvalue()


@pytest.mark.parametrize(
    ("entries", "output", "question"),
    [
        ([Entry("text", Kind.TEXT, size=5)], "x", "accept and show it?"),
        ([Entry("a", size=5)], "-", "accept and write it to standard output?"),
    ],
)
async def test_question_says_what_will_be_done(
    seat: Seat, entries: list[Entry], output: str, question: str
) -> None:
    typist = Typist(seat.pty, ["n"])
    display = seat.display(keyboard=typist, output=output)  # type: ignore[arg-type]
    display.show(ManifestKnown(entries))
    await display.decide(ManifestKnown(entries))
    assert typist.questions == [f"{question} [Y/n, l lists all]"]


async def test_question_stays_last_when_something_comes_in_between(seat: Seat) -> None:
    typist = Typist(seat.pty, ["y"])
    display = seat.display(output="/x", keyboard=typist)  # type: ignore[arg-type]
    plain_ask = typist.ask

    async def ask() -> str | None:
        display.show(TextExchanged("hi", sent=False, kind="line"))
        return await plain_ask()

    typist.ask = ask  # type: ignore[method-assign]
    await display.decide(MANIFEST)
    assert seat.pty.look()[:2] == ["other side: hi", "accept and save in /x? [Y/n, l lists all] y"]


async def test_question_left_without_answer_stays_above_the_error(seat: Seat) -> None:
    display = seat.display(output="/x", keyboard=Typist(seat.pty, [None]))  # type: ignore[arg-type]
    await display.decide(MANIFEST)
    display.show(Failed(PeerRefused("the other side cancelled")))
    assert seat.pty.look() == [
        "accept and save in /x? [Y/n, l lists all]",
        "dcsend: the other side cancelled",
    ]


async def test_without_a_keyboard_nobody_is_asked(seat: Seat) -> None:
    with pytest.raises(UsageError, match="standard input is not a terminal"):
        await seat.display().decide(MANIFEST)


def test_refused_files_get_twenty_lines_and_a_count(seat: Seat) -> None:
    bad = [FileFinished(f"f{n}", "failed", 0, reason="refused: unsafe") for n in range(1000)]
    rows = seat.after(MANIFEST, *bad, done(*bad, status=4))
    assert sum(row.startswith("failed") for row in rows) == 20
    assert "and 980 more that are not ok (-v shows all)" in rows
