"""Events on a pseudo-terminal whose screen is rendered, and off a terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dcsend.entry import Entry, Kind
from dcsend.errors import (
    ConnectionFailed,
    DcsendError,
    IntegrityError,
    Interrupted,
    PeerRefused,
)
from dcsend.session.events import (
    Checking,
    Connected,
    Damaged,
    DescriptionReady,
    Disconnected,
    Event,
    Failed,
    FileFinished,
    Limited,
    ManifestKnown,
    Progressed,
    Reconnected,
    TextExchanged,
    Warned,
)
from dcsend.session.verdicts import THERE
from tests.display.seats import (
    CONNECTED,
    DIAL,
    HOSTILE,
    MANIFEST,
    NOW,
    Seat,
    Typist,
    code,
    done,
    moved,
    plainly,
)
from tests.support.screens import Pty

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")


def test_status_gives_way_to_what_happens(seat: Seat) -> None:
    rows = seat.after(code(), CONNECTED, qr="none")
    assert rows[-1] == "connected to anna (192.0.2.1, direct over IPv4, 4 ms)"
    assert not any("waiting" in row for row in rows)


def test_dialing_side_shows_that_it_connects(seat: Seat) -> None:
    assert seat.after(dials=True) == ["connecting ..."]


def test_sender_shows_that_the_other_side_must_accept(seat: Seat) -> None:
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


def test_check_of_what_was_received_earlier_has_a_row_below_the_bars(seat: Seat) -> None:
    checking = Checking("b.txt", 4 * 10**6, 10**7)
    rows = seat.after(MANIFEST, moved(10_000_000), checking, moved(20_000_000))
    assert rows[2].startswith("b.txt             20% |")
    assert rows[3] == "checking 10.0 MB received earlier, 40 %"


@pytest.mark.parametrize("end", [Checking("b.txt", 9, 9), FileFinished("b.txt", "failed", 5)])
def test_row_of_a_check_ends_with_the_check_and_with_the_file(seat: Seat, end: Event) -> None:
    checking = Checking("b.txt", 4, 9)
    rows = seat.after(MANIFEST, moved(10_000_000), checking, end, moved(20_000_000))
    assert not any("checking" in row for row in rows)


def test_bytes_that_are_sent_again_have_a_note_and_the_row_of_the_check_stays(seat: Seat) -> None:
    events = (Checking("b.txt", 4 * 10**6, 10**7), Damaged("b.txt", 12_000_000, 20_000_000))
    rows = seat.after(MANIFEST, moved(10_000_000), *events, moved(20_000_000))
    note = "bytes 12 to 20 MB of b.txt were changed on the disk and are sent again"
    assert rows.index(note) < len(rows) - 3  # above the bars
    assert rows[-1] == "checking 10.0 MB received earlier, 40 %"


def test_check_has_one_line_off_a_terminal() -> None:
    events = [Checking("b.txt", count, 10**7) for count in (10**6, 2 * 10**6, 10**7)]
    lines, _ = plainly(MANIFEST, *events, sends=True)
    assert lines[-1] == "checking 10.0 MB sent earlier, 10 %"
    assert sum("checking" in line for line in lines) == 1


def test_lost_connection_has_a_row_below_the_bars(seat: Seat) -> None:
    rows = seat.after(MANIFEST, moved(10_000_000), Disconnected(34.0, 600.0))
    assert rows[2].startswith("b.txt             10% |")
    assert "/s" not in rows[1] + rows[2]
    assert rows[3] == "connection lost 34 s ago, trying again for 9 min 26 s; Ctrl-C ends"


def test_row_of_a_lost_connection_ends_when_it_is_back(seat: Seat) -> None:
    rows = seat.after(
        MANIFEST, moved(10_000_000), Disconnected(34.0, 600.0), Reconnected(41.0), moved(20_000_000)
    )
    assert not any("lost" in row for row in rows)


def test_lost_connection_is_shown_before_the_first_progress(seat: Seat) -> None:
    rows = seat.after(MANIFEST, Disconnected(5.0, 600.0))
    assert rows[-1] == "connection lost 5 s ago, trying again for 9 min 55 s; Ctrl-C ends"


def test_that_row_ends_before_the_first_progress_too(seat: Seat) -> None:
    rows = seat.after(MANIFEST, Disconnected(5.0, 600.0), Reconnected(41.0))
    assert not any("lost" in row for row in rows)


def test_lost_connection_has_a_line_off_a_terminal() -> None:
    lines, _ = plainly(MANIFEST, Disconnected(5.2, 600.0), Reconnected(41.3), sends=True)
    assert lines[-2:] == [
        "connection lost 5 s ago, trying again for 9 min 55 s",
        "connected again after 41 s",
    ]


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


def test_limit_is_shown_beside_the_rate_and_changed_by_a_command(seat: Seat) -> None:
    display = seat.display(limit=2_000_000.0)
    display.show(MANIFEST)
    display.show(moved(10_000_000))
    assert "MB/s (limit 2 MB/s)" in seat.pty.look()[-2]
    seat.pty.type_and_see("/limit 1.5M\n")
    display.show(Limited(1_500_000.0))
    rows = seat.pty.look()
    assert [row.split()[0] for row in rows] == ["offered:", "limit", "total", "b.txt"]
    assert rows[1] == "limit of the rate: 1.5 MB/s"
    assert "MB/s (limit 1.5 MB/s)" in rows[2]
    seat.pty.type_and_see("/limit off\n")
    display.show(Limited(None))
    rows = seat.pty.look()
    assert rows[2] == "limit of the rate: none"
    assert "limit" not in rows[3]


def test_wrong_command_has_a_note_in_place_of_its_row(seat: Seat) -> None:
    display = seat.display()
    display.show(MANIFEST)
    display.show(moved(10_000_000))
    seat.pty.type_and_see("/quit\n")
    display.show(Warned("command", "no command: /quit", "type /limit 1M"))
    rows = seat.pty.look()
    assert [row.split()[0] for row in rows] == ["offered:", "note:", "total", "b.txt"]
    assert rows[1] == "note: no command: /quit; type /limit 1M"


def test_message_typed_while_the_other_side_is_asked_has_a_row_of_its_own(seat: Seat) -> None:
    display = seat.display(keyboard=Typist(seat.pty, []), sends=True)  # type: ignore[arg-type]
    display.show(MANIFEST)
    waiting = "waiting for the other side to accept; what you type is sent as a message"
    assert seat.pty.look()[-1] == waiting
    seat.pty.type_and_see("hello")
    assert seat.pty.look()[-2:] == [waiting, "hello"]
    seat.pty.type_and_see("\n")
    display.show(TextExchanged("hello", sent=True, kind="line"))
    assert seat.pty.look()[-2:] == ["you: hello", waiting]


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


def test_end_leaves_no_bar_and_shows_where_the_files_are(seat: Seat) -> None:
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


def test_interrupted_receiver_shows_the_next_command(seat: Seat) -> None:
    hint = (
        "to continue, run this and enter the new code of the other side there:\n"
        "dcsend receive -o 'my files and a name that is longer than the window is wide or not'"
    )
    interrupted = Failed(Interrupted(2, hint), ("my files/film.mkv.dcsend-part",))
    rows = seat.after(MANIFEST, moved(20_000_000), interrupted, done(status=130), output="my files")
    assert rows[1:] == [
        "stopped at 20.0 MB of 100.0 MB; film.mkv.dcsend-part stays",
        "dcsend: interrupted",
        "dcsend: hint: to continue, run this and enter the new code of the other side",
        "  there:",
        # One line for the terminal, which is copied as such.
        "  dcsend receive -o 'my files and a name that is longer than the window is wide",
        "or not'",
    ]


def test_interruption_without_an_unfinished_file_mentions_none(seat: Seat) -> None:
    rows = seat.after(MANIFEST, moved(20_000_000), Failed(Interrupted(2)), done(status=130))
    assert rows[1:] == ["stopped at 20.0 MB of 100.0 MB", "dcsend: interrupted"]


def test_home_folder_is_shown_whole() -> None:
    good = FileFinished("b.txt", "ok", 10**8, where="b.txt")
    lines, _ = plainly(MANIFEST, good, done(good), output="~/inbox")
    assert lines[-1] == f"saved in {Path.home() / 'inbox'}"


@pytest.mark.parametrize("kind", [IntegrityError, PeerRefused, ConnectionFailed])
def test_hint_is_that_of_the_error(kind: type[DcsendError]) -> None:
    lines, _ = plainly(moved(20), Failed(kind("bad", "again")))
    assert lines[-1] == "dcsend: hint: again"


def test_texts_of_a_peer_reach_the_terminal_escaped(seat: Seat) -> None:
    entries = [Entry(HOSTILE + kind, kind, target=HOSTILE) for kind in Kind]
    seat.after(
        Connected("direct", "IPv4", "192.0.2.1", HOSTILE, 100, HOSTILE),
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


def test_keep_alive_messages_are_shown_with_v() -> None:
    signs = [TextExchanged("abc", sent=sent, kind="random") for sent in (True, False)]
    assert plainly(*signs) == ([], "")
    assert plainly(*signs, verbose=True)[0] == [
        "keep-alive sent: abc",
        "keep-alive received: abc",
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
        "connected to anna (192.0.2.1, direct over IPv4, 4 ms)",
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


def test_refused_files_get_twenty_lines_and_a_count(seat: Seat) -> None:
    bad = [FileFinished(f"f{n}", "failed", 0, reason="refused: unsafe") for n in range(1000)]
    rows = seat.after(MANIFEST, *bad, done(*bad, status=4))
    assert sum(row.startswith("failed") for row in rows) == 20
    assert "and 980 more that are not ok (-v shows all)" in rows


def test_skipped_files_are_three_and_a_count_and_a_failed_one_is_in_sight(seat: Seat) -> None:
    many = ManifestKnown([Entry(str(number), size=1) for number in range(500)])
    failed = FileFinished("bad", "failed", 0, reason="no", exit=4)
    skipped = [FileFinished(str(n), "skipped", 0, reason="it is there") for n in range(499)]
    rows = seat.after(many, failed, *skipped, done(failed, status=11))
    assert sum(row.startswith("skipped") for row in rows) == 3
    assert any(row.startswith("failed   bad") for row in rows)
    assert "and 496 more skipped (-v shows all)" in rows


def test_files_that_are_there_already_are_counted(seat: Seat) -> None:
    many = ManifestKnown([Entry(str(number), size=1) for number in range(12)])
    there = [FileFinished(str(n), "skipped", 0, reason=THERE) for n in range(12)]
    rows = seat.after(many, *there, done(*there))
    assert not any(row.startswith("skipped") for row in rows)
    assert "12 files are there already and not sent" in rows


def test_receiver_of_a_page_shows_that_files_are_being_chosen(seat: Seat) -> None:
    page = Connected("direct", "IPv4", "192.0.2.1", "dcsend/1 (Android)", 4, is_browser=True)
    rows = seat.after(code(role="receiver"), page, qr="none")
    assert rows[-1] == "waiting for the other side to choose files"


def test_receiver_of_a_terminal_shows_nothing_of_the_kind(seat: Seat) -> None:
    rows = seat.after(code(role="receiver"), CONNECTED, qr="none")
    assert rows[-1].startswith("connected to anna")


def test_offer_is_shown_in_a_command_that_can_be_copied(seat: Seat) -> None:
    assert "dcsend receive ds0" in seat.after(DescriptionReady("offer", "ds0"))


def test_answer_that_replaces_the_offer_states_that(seat: Seat) -> None:
    offer, answer = DescriptionReady("offer", "ds0"), DescriptionReady("answer", "ds1")
    words = "the code above is not needed any more; give this code to the other side:"
    rows = seat.after(offer, answer)
    assert rows.index(words) < rows.index("ds1")


def test_answer_alone_replaces_nothing(seat: Seat) -> None:
    rows = seat.after(DescriptionReady("answer", "ds1"))
    assert rows[0] == "give this code to the other side:"


def test_pasted_code_is_followed_by_what_is_going_on(seat: Seat) -> None:
    display = seat.display()
    display.show(DescriptionReady("offer", "ds0"))
    display.code_entered()
    assert seat.pty.look()[-1] == "connecting ..."
