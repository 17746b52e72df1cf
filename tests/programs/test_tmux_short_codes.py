"""Short codes in real terminal windows of tmux, over the stock mailbox server."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.display.test_qr import photographed, scanned
from tests.support.mailbox_server import StockServer
from tests.support.screens import DCSEND, Pane, Tmux, tmux_server

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        shutil.which("tmux") is None or sys.platform == "win32", reason="tmux is not installed"
    ),
]

COMMAND = r"^dcsend (?:receive|send PATH --to) (\d+-[a-z]+-[a-z]+)$"
PROMPT = "^waiting for the other side; or enter a code:"
QUESTION = "^three wrong codes in a row: Enter shows another one, n ends short codes"
ACCEPT = r"\blists all\]$"


class Windows:
    """Opens windows whose programs use one rendezvous server."""

    def __init__(self, tmux: Tmux, folder: Path, server: str) -> None:
        self._tmux = tmux
        self._folder = folder
        self._variables = {"DCSEND_SERVER": server}

    def open(self, columns: int = 80, rows: int = 24, **variables: str) -> Pane:
        """Open a window."""
        return self._tmux.window(self._folder, columns, rows, self._variables | variables)

    def refused(self, code: str) -> None:
        """Enter the number of *code* with other words, in a window of its own."""
        number, first, second = code.split("-")
        words = "walrus-umbrella" if {first, second}.isdisjoint({"walrus"}) else "yoyo-umbrella"
        joiner = self.open()
        joiner.dcsend("receive", f"{number}-{words}", "-y", "-o", "out")
        assert joiner.ended() == 8


@pytest.fixture
def windows(stock_server: StockServer, tmp_path: Path) -> Iterator[Windows]:
    """Start the servers; make a small file."""
    (tmp_path / "note.txt").write_text("hello")
    stock_server.start()
    with tmux_server() as tmux:
        yield Windows(tmux, tmp_path, stock_server.server.url)


def next_code(pane: Pane, *before: str) -> str:
    """Wait for a code that is none of *before*."""
    others = "|".join(["-", *before])
    return pane.until(rf"^dcsend (?:receive|send PATH --to) (?!(?:{others})$)(\d+-[a-z-]+)$")[1]


def wrong_three_times(windows: Windows, sender: Pane) -> str:
    """Use up three codes; return the last one."""
    used: list[str] = []
    for _ in range(3):
        used.append(next_code(sender, *used))
        windows.refused(used[-1])
    return used[-1]


def test_ordinary_window_shows_the_short_code_above_the_qr_code(windows: Windows) -> None:
    sender = windows.open(DCSEND_NO_PAGE="")
    sender.dcsend("send", "note.txt")
    code = sender.until(COMMAND)[1]
    rows = sender.look()
    assert rows[:2] == [
        "on the other machine, run, or enter the code on the page:",
        f"dcsend receive {code}",
    ]
    assert rows[-1] == "waiting for the other side; Ctrl-C ends"
    assert scanned(photographed(sender.painted(), "dark")).startswith("http://127.0.0.1:")


def test_next_code_is_in_the_place_of_the_one_that_a_wrong_code_has_used_up(
    windows: Windows,
) -> None:
    sender = windows.open(rows=50)
    sender.dcsend("send", "note.txt")
    first = sender.until(COMMAND)[1]
    windows.refused(first)
    second = next_code(sender, first)
    lines = sender.look(joined=True, back=200)
    assert [line for line in lines if line.startswith("dcsend receive")] == [
        f"dcsend receive {second}"
    ]
    assert "note: a wrong code was entered, which used the last code up; this is a new one" in lines


def test_rows_are_whole_after_the_window_was_made_narrower_and_wider(windows: Windows) -> None:
    sender = windows.open(DCSEND_NO_PAGE="")
    sender.dcsend("send", "note.txt")
    first = sender.until(COMMAND)[1]
    windows.refused(first)
    second = next_code(sender, first)
    sender.until("note: a wrong code was entered,$")
    wide = sender.look()
    sender.resize(60, 24)
    sender.until("^waiting; works once, until", joined=False)
    assert f"dcsend receive {second}" in sender.look()[:2]
    assert scanned(photographed(sender.painted(), "dark")).startswith("http://127.0.0.1:")
    sender.resize(80, 24)
    sender.until("^waiting for the other side; Ctrl-C ends$", joined=False)
    assert sender.look() == wide
    sender.key("C-c")
    assert sender.ended() == 130


def test_control_c_changes_no_row_of_a_narrow_window(windows: Windows) -> None:
    sender = windows.open(columns=40)
    sender.dcsend("send", "note.txt")
    sender.until(COMMAND)
    sender.key("C-c")
    assert sender.ended() == 130
    assert not any("^" in row or "waiting" in row for row in sender.look())


def test_long_code_is_copied_as_one_command_from_a_narrow_window(windows: Windows) -> None:
    sender, receiver = windows.open(columns=40, rows=40), windows.open()
    sender.dcsend("send", "note.txt", "--words", "8")
    command = sender.until(r"^dcsend receive +(\d+(?:-[a-z]+){8})$")[0]
    receiver.enter(command.replace("dcsend", DCSEND, 1) + " -y -o out; echo status=$?")
    assert (receiver.ended(), sender.ended()) == (0, 0)


def test_hint_about_servers_is_not_shown_if_none_was_chosen(windows: Windows) -> None:
    for server in ("", "none"):
        sender = windows.open(DCSEND_SERVER=server, DCSEND_NO_MDNS="")
        sender.dcsend("send", "note.txt")
        sender.until("^works once, until .* in this network only")
        hints = [line for line in sender.look() if "--server public" in line]
        assert len(hints) == (0 if server else 1)


def test_enter_shows_another_code_after_three_wrong_ones(windows: Windows) -> None:
    sender = windows.open()
    sender.dcsend("send", "note.txt")
    last = wrong_three_times(windows, sender)
    sender.until(QUESTION)
    # Nothing invites to use a short code until there is one.
    lines = sender.look(joined=True)
    assert "the dial code still works" in " ".join(" ".join(lines).split())
    unwanted = re.compile(r"receive [.\d]|copied to|the new code")
    assert not any(map(unwanted.search, lines)), lines
    sender.enter()
    code = next_code(sender, last)
    receiver = windows.open()
    receiver.dcsend("receive", code, "-y", "-o", "out")
    assert (receiver.ended(), sender.ended()) == (0, 0)


def test_n_ends_short_codes_and_the_dial_code_works(windows: Windows) -> None:
    sender = windows.open()
    sender.dcsend("send", "note.txt")
    wrong_three_times(windows, sender)
    sender.until(QUESTION)
    sender.enter("n")
    sender.until("^3 wrong short codes in a row: no more are shown$")
    receiver = windows.open()
    receiver.dcsend("receive", sender.code(), "-y", "-o", "out")
    assert (receiver.ended(), sender.ended()) == (0, 0)


def test_question_is_withdrawn_when_a_device_connects_with_the_dial_code(
    windows: Windows,
) -> None:
    sender = windows.open(rows=50)
    sender.dcsend("send", "note.txt", "--long")
    wrong_three_times(windows, sender)
    sender.until(QUESTION)
    sender.type("xyz")
    receiver = windows.open()
    receiver.dcsend("receive", sender.code(), "-o", "out")
    receiver.until(ACCEPT)
    sender.until("^waiting for the other side to accept")
    assert not any("three wrong codes" in line for line in sender.look(joined=True, back=200))
    sender.enter("hello")
    receiver.until("^other side: hello$")
    receiver.enter("n")
    assert (receiver.ended(), sender.ended()) == (7, 7)


def test_question_is_asked_again_when_the_device_has_left(windows: Windows) -> None:
    sender = windows.open()
    sender.dcsend("send", "note.txt", after="> code")
    last = wrong_three_times(windows, sender)
    sender.until(QUESTION)
    receiver = windows.open()
    receiver.dcsend("receive", "@code", "-o", "out")
    receiver.until(ACCEPT)
    receiver.key("C-c")
    sender.until("^127.0.0.1 has left, and the (dial )?code works again: the other side cancelled$")
    sender.until(QUESTION)
    sender.enter()
    assert next_code(sender, last) != last


def test_waiting_receiver_takes_a_code_whose_words_tab_completes(windows: Windows) -> None:
    sender, receiver = windows.open(), windows.open()
    sender.dcsend("send", "note.txt")
    number, first, second = sender.until(COMMAND)[1].split("-")
    receiver.dcsend("receive", "-o", "out")
    receiver.until(PROMPT)
    receiver.type(f"{number} {first[:3]}")
    receiver.key("Tab")
    receiver.type(second[:3])
    receiver.key("Tab")
    receiver.until(f"^code: {number} {first}-{second}$")
    receiver.key("Enter")
    receiver.until(ACCEPT)
    receiver.enter("y")
    assert (receiver.ended(), sender.ended()) == (0, 0)
    # The code of the receiver is not valid any more.
    assert not any("send PATH" in line for line in receiver.look(joined=True, back=200))


def test_keys_edit_a_code_that_is_longer_than_the_row(windows: Windows) -> None:
    sender, receiver = windows.open(), windows.open(columns=40)
    sender.dcsend("send", "note.txt")
    number, first, second = sender.until(COMMAND)[1].split("-")
    receiver.dcsend("receive", "-o", "out", "-y")
    receiver.until("^waiting; or enter a code:")
    receiver.type(f"ceive {number}-x{first}-{second} of the other side")
    for _ in range(4):
        receiver.key("C-w")
    receiver.key("Home")
    receiver.type("dcsend re")
    receiver.until(f"^code: dcsend receive {number}-x")
    receiver.key("End")
    for _ in range(len(f"x{first}-{second} ")):
        receiver.key("Left")
    receiver.key("DC")
    row = receiver.until(f"^code: .*{number}-{first}.*")[0]
    assert row[receiver.cursor :].startswith(first)
    receiver.key("Enter")
    assert (receiver.ended(), sender.ended()) == (0, 0)


def test_waiting_receiver_takes_a_dial_code_that_is_longer_than_a_row(windows: Windows) -> None:
    sender, receiver = windows.open(rows=50), windows.open()
    sender.dcsend("send", "note.txt", "--long")
    receiver.dcsend("receive", "-o", "out", "-y")
    receiver.until(PROMPT)
    code = sender.code()
    receiver.type(f"dcsend receive {code}")
    receiver.until(f"^code: .*{code[-60:]}$", joined=False)
    receiver.key("Enter")
    assert (receiver.ended(), sender.ended()) == (0, 0)


def test_invalid_code_is_reported_and_another_one_can_be_entered(windows: Windows) -> None:
    sender, receiver = windows.open(), windows.open()
    sender.dcsend("send", "note.txt")
    code = sender.until(COMMAND)[1]
    receiver.dcsend("receive", "-o", "out", "-y")
    receiver.until(PROMPT)
    receiver.enter("7-walrus-umbrxxx")
    receiver.until("^'umbrxxx' is not a word of a code$")
    receiver.until("^code: 7-walrus-umbrxxx$")
    receiver.enter(receiver.until(COMMAND)[0])
    receiver.until("^this is the code that is shown here$")
    receiver.enter(code)
    assert (receiver.ended(), sender.ended()) == (0, 0)


def test_waiting_receiver_shows_why_a_code_failed_at_the_prompt_and_takes_the_next_one(
    windows: Windows,
) -> None:
    sender, receiver = windows.open(), windows.open(100, 50)
    sender.dcsend("send", "note.txt")
    first = sender.until(COMMAND)[1]
    receiver.dcsend("receive", "-o", "out", "-y")
    receiver.until(PROMPT)
    own = receiver.until(COMMAND)[1]
    receiver.enter(f"{first.partition('-')[0]}-yoyo-yoyo")
    receiver.until("^the words of the code are wrong, which uses it up$")
    assert last_rows(receiver, 3) == [
        "the words of the code are wrong, which uses it up",
        "hint: ask the other side for its new code",
        "waiting for the other side; or enter a code:",
    ]
    receiver.enter(f"{own.partition('-')[0]}-yoyo-yoyo")
    receiver.until("^this is the number of the code that is shown here$")
    kept = f"code: {own.partition('-')[0]}-yoyo-yoyo"
    receiver.until(f"^{kept}$")
    assert last_rows(receiver, 3)[1:] == ["hint: enter the one that the other side shows", kept]
    assert not any("words of the code are wrong" in row for row in receiver.look(back=200))
    assert receiver.until(COMMAND)[1] == own
    receiver.enter(next_code(sender, first))
    assert (receiver.ended(), sender.ended()) == (0, 0)


def last_rows(pane: Pane, count: int) -> list[str]:
    """Return the last rows that are not empty."""
    return [row for row in pane.look() if row][-count:]


def test_code_that_is_shown_works_after_another_one_has_failed(windows: Windows) -> None:
    receiver, sender = windows.open(100, 50), windows.open()
    receiver.dcsend("receive", "-o", "out", "-y")
    own = receiver.until(COMMAND)[1]
    other = "999999-walrus-umbrella"
    receiver.enter(other)
    receiver.until("^there is no code with the number 999999 on ")
    sender.dcsend("send", "note.txt", "--to", own)
    assert (sender.ended(), receiver.ended()) == (0, 0)


def test_unfinished_code_is_discarded_when_a_sender_connects(windows: Windows) -> None:
    receiver, sender = windows.open(), windows.open()
    receiver.dcsend("receive", "-o", "out")
    code = receiver.until(COMMAND)[1]
    receiver.type("7-wal")
    receiver.until("^code: 7-wal$")
    sender.dcsend("send", "note.txt", "--to", code)
    receiver.until(ACCEPT)
    assert not any("7-wal" in line for line in receiver.look(joined=True, back=200))
    receiver.enter("y")
    assert (receiver.ended(), sender.ended()) == (0, 0)


def test_prompt_of_the_command_line_reports_a_wrong_word_and_asks_again(windows: Windows) -> None:
    sender, receiver = windows.open(), windows.open()
    sender.dcsend("send", "note.txt")
    number, first, second = sender.until(COMMAND)[1].split("-")
    receiver.dcsend("receive", "@-", "-o", "out", "-y")
    receiver.until("^paste the code or link, then press Enter$")
    receiver.enter("7-walrus-umbrxxx")
    receiver.until("^'umbrxxx' is not a word of a code$")
    receiver.type(f"{number}-{first}-{second[:3]}")
    receiver.key("Tab")
    receiver.until(f"^{number}-{first}-{second}$")
    receiver.key("Enter")
    assert (receiver.ended(), sender.ended()) == (0, 0)


def test_prompt_of_chat_refuses_a_short_code_and_names_the_next_step(windows: Windows) -> None:
    """It would use up the code of a transfer."""
    chat = windows.open()
    chat.dcsend("chat")
    chat.until("^paste the other side's code")
    chat.enter("7-walrus-umbrella")
    chat.until("^dcsend: a short code is for dcsend send and receive$")
    chat.until("^dcsend: hint: give chat the code that dcsend chat --listen prints, or an offer$")


def test_prompt_for_an_offer_takes_a_short_code(windows: Windows) -> None:
    sender, receiver = windows.open(), windows.open()
    sender.dcsend("send", "note.txt")
    code = sender.until(COMMAND)[1]
    receiver.dcsend("receive", "--signal", "sdp", "-o", "out", "-y")
    receiver.until("^paste the other side's code")
    receiver.enter(code)
    assert (receiver.ended(), sender.ended()) == (0, 0)


@pytest.mark.parametrize("columns", [80, 40])
def test_stopped_sender_shows_its_code_again(windows: Windows, columns: int) -> None:
    sender = windows.open(columns=columns, DCSEND_NO_PAGE="")
    sender.dcsend("send", "note.txt")
    sender.until(COMMAND)
    before = sender.look()
    sender.key("C-z")
    sender.until("Stopped|Suspended")
    sender.enter(r"printf '\033[H\033[2J\033[3Jcleared\n'")
    sender.until("^cleared$")
    sender.enter("fg")
    sender.until("^waiting")  # the last row; nothing else is there that begins so
    assert sender.look()[-15:] == before[-15:]
    assert any(re.match(COMMAND, row) for row in sender.look())
    # A block that can be replaced: for a window of another size, too.
    sender.resize(60, 24)
    sender.until("^waiting; works once, until", joined=False)
    rows = sender.look()
    assert [row for row in rows[:2] if re.match(COMMAND, row)]
    assert scanned(photographed(sender.painted(), "dark")).startswith("http://127.0.0.1:")
    sender.key("C-c")
    sender.until("^dcsend: interrupted$")


def test_stopped_receiver_shows_its_prompt_again(windows: Windows) -> None:
    receiver = windows.open()
    receiver.dcsend("receive", "-o", "out")
    receiver.until(COMMAND)
    receiver.until(PROMPT)
    receiver.type("7-wal")
    receiver.until("^code: 7-wal$")
    receiver.key("C-z")
    receiver.until("Stopped|Suspended")
    rows = receiver.look(joined=True)
    assert "code: 7-wal" in rows, str(rows[-4:])  # nothing of the shell follows in its row
    receiver.enter(r"printf '\033[H\033[2J\033[3Jcleared\n'")
    receiver.until("^cleared$")
    receiver.enter("fg")
    receiver.until("m dcsend receive")
    receiver.until("^code: 7-wal$")
    assert any(re.match(COMMAND, row) for row in receiver.look())
    receiver.type("rus")
    receiver.until("^code: 7-walrus$")
    receiver.key("C-c")
    receiver.until("^dcsend: interrupted$")
    receiver.enter("stty -a | grep -o ' echo ' && echo usable")
    receiver.until("^usable$")
