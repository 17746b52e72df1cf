"""The rows and lines of several receivers, on a pseudo-terminal whose screen is rendered."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from dcsend.display.codes import CodeDisplay, CodeOptions
from dcsend.display.peer_rows import PeerRows
from dcsend.display.quiet import QuietDisplay
from dcsend.display.screen import Screen
from dcsend.display.streams import Stream
from dcsend.display.terminal import TerminalDisplay, TerminalOptions
from dcsend.entry import Entry
from dcsend.errors import ConnectionFailed, DestinationError, PeerRefused
from dcsend.printable import printable
from dcsend.session.events import (
    Arrived,
    Connected,
    Disconnected,
    Event,
    Finished,
    Left,
    ManifestKnown,
    OfReceiver,
    OfSender,
    PeerCounts,
    Progressed,
    ReceiverFinished,
    Reconnected,
    SenderFinished,
    ShortCodeReady,
    ShortCodeUsed,
    TextExchanged,
)
from tests.display.seats import HOSTILE, LOCAL_PAGE, NOW, Seat, Typist, code
from tests.support.screens import Pty

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")

CODE = replace(code(LOCAL_PAGE), times=3, words=("walrus", "umbrella"))
FIRST, SECOND = (ShortCodeReady(text, "", NOW) for text in ("7-walrus-umbrella", "8-otter-basin"))


def connected(number: int, name: str) -> list[Event]:
    """Return the events of a receiver that is asked."""
    peer = Connected("direct", "IPv4", f"192.0.2.{number}", "dcsend/1 (Linux)", 4, name)
    return [OfReceiver(number, Arrived(f"192.0.2.{number}")), OfReceiver(number, peer)]


def moved(number: int, percent: int) -> Event:
    """Return an event of progress."""
    return OfReceiver(number, Progressed(percent * 10**6, 10**8, 5e6, "film.mkv"))


def ended(number: int, error: ConnectionFailed | PeerRefused | None = None) -> Event:
    """Return the last event of a receiver."""
    status = 0 if error is None else error.exit_status
    return OfReceiver(number, ReceiverFinished(status, 10**8, 20.0, 1, error))


@pytest.fixture(params=[(80, 24), (40, 24)], ids=["80 columns", "40 columns"])
def window(request: pytest.FixtureRequest) -> Iterator[Seat]:
    """Give windows of two widths."""
    pty = Pty(*request.param)
    yield Seat(pty)
    pty.close()


def after(seat: Seat, display: TerminalDisplay, events: Sequence[Event]) -> list[str]:
    """Return the rows of the window after further events."""

    def show() -> None:
        for event in events:
            display.show(event)

    return seat.pty.during(show)


def test_each_receiver_has_a_row_and_the_next_code_is_below(window: Seat) -> None:
    display = window.display(sends=True)
    columns = window.pty.screen.columns
    try:
        after(window, display, [CODE, FIRST])
        used: list[Event] = [ShortCodeUsed(FIRST.code), SECOND]
        rows = after(window, display, [*used, *connected(1, "phone"), *connected(2, "den")])
        assert [row.split()[0] for row in rows[-3:-1]] == ["phone", "den"]
        assert all(row.endswith("waiting for an answer") for row in rows[-3:-1])
        assert rows[-1] == "for others: dcsend receive 8-otter-basin"[: columns - 1] or (
            columns == 40 and rows[-1] == "dcsend receive 8-otter-basin"
        )
        rows = after(window, display, [moved(1, 34), moved(2, 50)])
        assert " 34%" in rows[-3]
        assert " 50%" in rows[-2]
        assert all("5.0 MB/s" in row for row in rows[-3:-1])
        assert all(len(row) < columns for row in rows[-3:])
        third = ShortCodeReady("9-acid-zebra", "", NOW)
        rows = after(window, display, [ShortCodeUsed(SECOND.code), third])
        assert " 34%" in rows[-3]
        assert rows[-1].endswith("dcsend receive 9-acid-zebra")
        rows = after(window, display, [ended(1)])
        line = " ".join(" ".join(rows[-4 if columns == 40 else -3 : -2]).split())
        assert line == "phone has everything: 1 file, 100.0 MB in 20 s"
    finally:
        display.close()


def test_code_is_hidden_while_no_further_receiver_can_connect(seat: Seat) -> None:
    display = seat.display(sends=True)
    try:
        rows = after(seat, display, [replace(CODE, times=2), FIRST, *connected(1, "phone")])
        assert rows[-1] == "for others: dcsend receive 7-walrus-umbrella"
        rows = after(seat, display, connected(2, "den"))
        assert rows[-1].split()[0] == "den"
        rows = after(seat, display, [ended(1)])
        assert rows[-1].split()[0] == "den"
        rows = after(seat, display, [*connected(3, "pad"), ended(3, ConnectionFailed("lost"))])
        assert rows[-1].split()[0] == "den"
        rows = after(seat, display, [*connected(4, "pad"), ended(2, ConnectionFailed("lost"))])
        assert rows[-1].split(maxsplit=1) == ["pad", "waiting for an answer"]
    finally:
        display.close()


def test_receiver_without_progress_or_connection_is_shown_so(seat: Seat) -> None:
    err, now = Stream(seat.pty.file), [100.0]
    screen = Screen(err)
    codes = CodeDisplay(screen, err, None, CodeOptions(), lambda: NOW)
    rows = PeerRows(screen, err, codes, lambda text: None, lambda: now[0])
    for event in (*connected(1, "phone"), moved(1, 34)):
        assert isinstance(event, OfReceiver)
        rows.show(event)
    assert "5.0 MB/s" in rows.rows()[0]
    now[0] += 11
    assert "stalled for 11 s" in rows.rows()[0]
    rows.show(OfReceiver(1, Disconnected(5.0, 600.0)))
    assert rows.rows()[0].split(maxsplit=1) == ["phone", "connection lost, trying again"]
    rows.show(OfReceiver(1, Reconnected(6.0)))
    rows.show(OfReceiver(1, Progressed(35 * 10**6, 10**8, 5e6)))
    assert " 35%" in rows.rows()[0]
    assert "5.0 MB/s" in rows.rows()[0]


def test_receivers_for_whom_there_is_no_row_are_summed_up(seat: Seat) -> None:
    display = seat.display(sends=True)
    try:
        many = [event for number in range(1, 41) for event in connected(number, f"d{number}")]
        receiving = [moved(number, number) for number in range(30, 41)]
        rows = after(seat, display, [replace(CODE, times=None), FIRST, *many, *receiving])
        shown = [row.split()[0] for row in rows if row.endswith("waiting for an answer")]
        assert shown == [f"d{number}" for number in range(1, len(shown) + 1)]
        rest = 40 - len(shown)
        assert rows[-2] == f"and {rest} more: {rest - 11} waiting, 11 receiving"
        assert rows[-1] == "for others: dcsend receive 7-walrus-umbrella"
        assert len(rows) <= 24
    finally:
        display.close()


def test_code_is_shown_again_when_no_receiver_is_connected(seat: Seat) -> None:
    display = seat.display(sends=True)
    try:
        after(seat, display, [CODE, FIRST])
        after(seat, display, [*connected(1, "phone"), ShortCodeUsed(FIRST.code), SECOND])
        rows = after(seat, display, [ended(1, PeerRefused("the other side declined"))])
        text = "\n".join(rows)
        assert "dcsend receive 8-otter-basin" in text
        assert "7-walrus-umbrella" not in text
        assert rows[-1].startswith("waiting for the other side")
    finally:
        display.close()


def test_total_is_the_last_line(seat: Seat) -> None:
    display = seat.display(sends=True)
    counts = PeerCounts(3, 1)
    finished = Finished(ok=True, exit=0, bytes=9, seconds=1.0, role="sender", receivers=counts)
    rows = after(seat, display, [CODE, *connected(1, "a"), ended(1), finished])
    display.close()
    assert seat.pty.look()[-1] == rows[-1] == "3 receivers have everything, 1 failed"


def test_names_and_lines_of_receivers_are_escaped(seat: Seat) -> None:
    display = seat.display(sends=True)
    try:
        line = OfReceiver(1, TextExchanged("hello", sent=False, kind="line"))
        left = OfReceiver(1, Left("192.0.2.1", ConnectionFailed("gone"), again=True))
        after(seat, display, [CODE, FIRST, *connected(1, HOSTILE), moved(1, 3), line])
        after(seat, display, [left])
        assert f"{printable(HOSTILE)}: hello" in seat.pty.written
        assert f"{printable(HOSTILE)} has left: gone" in seat.pty.written
        assert "\x1b]0;owned" not in seat.pty.written
    finally:
        display.close()


def lines_without_a_terminal(events: Sequence[Event]) -> list[str]:
    err = io.StringIO()
    display = TerminalDisplay(
        Stream(io.StringIO()), Stream(err), TerminalOptions(sends=True), None, lambda: NOW
    )
    for event in events:
        display.show(event)
    display.close()
    return err.getvalue().splitlines()


def test_without_a_terminal_each_receiver_that_ends_has_one_line() -> None:
    before = lines_without_a_terminal([CODE, FIRST])
    left = OfReceiver(3, Left("192.0.2.3", ConnectionFailed("it has left"), again=True))
    lines = lines_without_a_terminal(
        [
            *(CODE, FIRST, *connected(1, "phone"), *connected(2, "den"), *connected(3, "cat")),
            *(moved(1, 50), moved(2, 50), left, ended(2, ConnectionFailed("gone")), ended(1)),
            OfReceiver(4, Arrived("192.0.2.4")),
            OfReceiver(4, Left("192.0.2.4", ConnectionFailed("a scanner"), again=True)),
        ]
    )
    assert lines[: len(before)] == before
    assert lines[len(before) :] == [
        "cat has left: it has left",
        "den: gone",
        "phone has everything: 1 file, 100.0 MB in 20 s",
    ]


def test_quiet_display_has_the_errors_of_receivers_only() -> None:
    out, err = io.StringIO(), io.StringIO()
    display = QuietDisplay(Stream(out), Stream(err))
    for event in (*connected(1, "phone"), moved(1, 50), ended(1), ended(2, PeerRefused("no"))):
        display.show(event)
    assert (out.getvalue(), err.getvalue()) == ("", "dcsend: receiver 2: no\n")


async def test_a_question_is_in_the_place_of_the_rows_of_senders(window: Seat) -> None:
    typist = Typist(window.pty, ["", "y"])
    display = window.display(keyboard=typist, keeps=True, output="/in")  # type: ignore[arg-type]
    offer = ManifestKnown([Entry(f"{HOSTILE}.txt", size=5)])
    try:
        after(window, display, [replace(CODE, role="receiver", times=None)])
        events: list[Event] = []
        for number, name in ((1, "phone"), (2, HOSTILE)):
            peer = Connected("direct", "IPv4", f"192.0.2.{number}", "dcsend/1", 4, name)
            inner = (Arrived(f"192.0.2.{number}"), peer)
            events += [OfSender(number, one) for one in inner]
        rows = after(window, display, [*events, OfSender(1, offer)])
        assert rows[-3].split(maxsplit=1) == ["phone", "waits for your answer"]
        assert rows[-2].endswith("connected, no offer yet")
        assert await display.decide(replace(offer, sender=1)) is True
        rows = after(window, display, [OfSender(1, Progressed(50, 100, 10.0, "x"))])
        assert rows[-3].startswith("phone")
        assert "50%" in rows[-3]
        text = TextExchanged("hello", sent=False, kind="snippet")
        after(window, display, [OfSender(2, text)])
        assert window.out.getvalue().endswith("\nhello\n")
        finished = SenderFinished(0, 100, 2.0, 1)
        rows = after(window, display, [OfSender(1, finished)])
        assert "phone has sent 1 file, 100 B in 2.0 s" in " ".join(" ".join(rows).split())
        third = [OfSender(3, Arrived("192.0.2.3"))]
        left = OfSender(2, Left("192.0.2.2", DestinationError("too much"), True))
        rows = after(window, display, [*third, left])
        assert f"{printable(HOSTILE)} was refused: too much" in " ".join(" ".join(rows).split())
    finally:
        display.close()
    assert all("[Y/n" not in one and "[y/n" in one for one in typist.questions if "n," in one)
    assert all(char.isprintable() for row in window.pty.screen.display for char in row)
