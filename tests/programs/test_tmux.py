"""The command line in real terminal windows of tmux."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcsend.signaling.dialcode import decode
from tests.display.test_qr import photographed, scanned
from tests.support.screens import Pane, Tmux, tmux_server

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    shutil.which("tmux") is None and os.environ.get("CI") != "true", reason="tmux is not installed"
)

LARGE = 300_000_000
"Bytes of a transfer that takes a few seconds."

WAITING = "^waiting.* works once, until "
"The text before it is shorter in the last hour before midnight, when the date is shown, too."

QUESTION = r"\blists all\]$"
"The end of the question, whose rows depend on the length of the path before it."


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    """Start a tmux server that ends with the test."""
    with tmux_server() as server:
        yield server


@pytest.fixture
def film(tmp_path: Path) -> str:
    """Make a file whose transfer takes a few seconds."""
    (tmp_path / "film.mkv").write_bytes(bytes(range(1, 251)) * (LARGE // 250))
    return "film.mkv"


@pytest.fixture
def note(tmp_path: Path) -> str:
    """Make a small file."""
    (tmp_path / "note.txt").write_text("hello")
    return "note.txt"


def asked(tmux: Tmux, folder: Path, name: str, *options: str) -> tuple[Pane, Pane]:
    """Start a transfer in two windows; return them when the receiver asks whether to accept."""
    sender, receiver = tmux.window(folder), tmux.window(folder)
    sender.dcsend("send", name, *options)
    receiver.dcsend("receive", sender.code(), "-o", "out", *options)
    receiver.until(QUESTION)
    return sender, receiver


def test_ordinary_window_shows_code_command_and_what_is_awaited(
    tmux: Tmux, tmp_path: Path, note: str
) -> None:
    sender = tmux.window(tmp_path)
    sender.dcsend("send", note)
    code = sender.code()
    sender.until(WAITING)
    command = f"dcsend receive {code}"
    assert sender.look()[-3:-1] == [command[:80], command[80:]]
    screen = sender.painted()
    for found in scanned(photographed(screen, "dark")), scanned(photographed(screen, "light")):
        assert decode(found) == decode(code)


def test_ordinary_window_shows_the_qr_code_of_the_page_and_the_command(
    tmux: Tmux, tmp_path: Path, note: str
) -> None:
    sender = tmux.window(tmp_path, variables={"DCSEND_NO_PAGE": ""})
    sender.dcsend("send", note)
    code = sender.code()
    sender.until(WAITING)
    command = f"dcsend receive {code}"
    assert sender.look()[-3:-1] == [command[:80], command[80:]]
    link = scanned(photographed(sender.painted(), "dark"))
    assert link.startswith("http://127.0.0.1:")
    assert decode(link) == decode(code)


NOTES = """
import datetime, sys
from dcsend.display.streams import Stream
from dcsend.display.terminal import TerminalDisplay, TerminalOptions
from dcsend.session.events import CodeReady, Warned
from tests.display.seats import LOCAL_PAGE, code
err = Stream(sys.stderr)
display = TerminalDisplay(err, err, TerminalOptions(), None)
display.show(code(LOCAL_PAGE))
for number in range(3):
    display.show(Warned("network", f"note {number}", "look"))
"""
"Shows a code that fills the window, and notes."


def test_notes_leave_no_copies_of_the_code_above_the_window(tmux: Tmux, tmp_path: Path) -> None:
    (tmp_path / "notes.py").write_text(NOTES)
    window = tmux.window(tmp_path)
    window.enter(f"PYTHONPATH={ROOT} {sys.executable} -P notes.py")
    window.until("^note: note 2")
    lines = window.look(joined=True, back=200)
    assert [sum(line.startswith(words) for line in lines) for words in ("dcsend rec", "hint:")] == [
        *(1, 3),
    ]


def test_code_that_leaves_no_room_for_the_command_is_whole_and_names_its_place(
    tmux: Tmux, tmp_path: Path, note: str
) -> None:
    sender = tmux.window(tmp_path)
    addresses = "192.168.178.23 10.20.30.40 172.16.17.18 2001:db8:12:34:5678:9abc:def0:1"
    sender.enter(f"export DCSEND_ADDRESS='{addresses}'")
    sender.dcsend("send", note, "--page-url", "https://pages.dcsend.example/receive/")
    sender.until("^waiting; scroll up for the command and the link")
    assert decode(scanned(photographed(sender.painted(), "dark"))) == decode(sender.code())


def test_file_is_accepted_with_enter_and_both_sides_show_the_result(
    tmux: Tmux, tmp_path: Path, note: str
) -> None:
    sender, receiver = asked(tmux, tmp_path, note)
    sender.until("^sending 1 file \\(5 B\\): note.txt$")
    sender.until("^waiting for the other side to accept; what you type is sent as a message")
    receiver.until(r"^connected to .* \(.*, direct over IPv4, ")
    receiver.until("^offered: 1 file \\(5 B\\): note.txt$")
    receiver.key("Enter")
    assert (receiver.ended(), sender.ended()) == (0, 0)
    lines = receiver.look(joined=True)
    verdict, result, place = lines[lines.index("status=0") - 3 : lines.index("status=0")]
    assert verdict == "ok       note.txt (5 B)"
    assert result.startswith("received and verified 1 file, 5 B in ")
    assert place == f"saved in {tmp_path}/out"
    sender.until("^sent and verified 1 file, 5 B in ")
    assert (tmp_path / "out" / note).read_text() == "hello"


def test_everything_is_listed_on_request_before_it_is_declined(tmux: Tmux, tmp_path: Path) -> None:
    (tmp_path / "tree" / "empty").mkdir(parents=True)
    (tmp_path / "tree" / "a.txt").write_text("hello")
    sender, receiver = asked(tmux, tmp_path, "tree")
    receiver.enter("l")
    receiver.until(r"^ +5 B  tree/a\.txt$")
    receiver.until(r"^ +folder  tree/empty/$")
    receiver.until(QUESTION)
    receiver.enter("n")
    assert (receiver.ended(), sender.ended()) == (7, 7)
    receiver.until("^dcsend: you declined$")
    sender.until("^dcsend: the other side declined$")
    assert not (tmp_path / "out").exists()


def test_end_of_input_is_no_consent(tmux: Tmux, tmp_path: Path, note: str) -> None:
    _, receiver = asked(tmux, tmp_path, note)
    receiver.key("C-d")
    assert receiver.ended() == 7
    assert not (tmp_path / "out").exists()


def test_bars_and_what_is_typed_are_shown_until_control_c_ends_both(
    tmux: Tmux, tmp_path: Path, film: str
) -> None:
    sender, receiver = asked(tmux, tmp_path, film)
    receiver.key("Enter")
    bar = r"^film.mkv +\d+% \|[█▏▎▍▌▋▊▉ ]+\| .* of 300.0 MB, [\d.]+ .B/s, \d.* left$"
    sender.until(bar, joined=False)
    receiver.until(bar, joined=False)
    sender.enter("how is it going?")
    receiver.until("^other side: how is it going")
    receiver.enter("slowly")
    sender.until("^other side: slowly$")
    sender.until("^you: how is it going")
    receiver.key("C-c")
    assert (receiver.ended(), sender.ended()) == (130, 7)
    receiver.until(r"^stopped at .* of 300.0 MB; film.mkv.dcsend-part stays$")
    receiver.until("^dcsend: interrupted$")
    receiver.until("^dcsend: hint: to continue, run this and enter the new code of the other side$")
    receiver.until("^  dcsend receive --output out$")
    sender.until("^dcsend: the other side cancelled$")
    sender.until("^  dcsend send film.mkv$")
    receiver.until(r"film.mkv|\$")
    receiver.enter("stty -a | grep -o ' echo ' && echo usable")
    receiver.until("^usable$")


def test_keep_alive_messages_are_shown_with_v(tmux: Tmux, tmp_path: Path, note: str) -> None:
    sender, receiver = asked(tmux, tmp_path, note, "-v")
    sent = sender.until(r"^keep-alive sent: ([A-Za-z]{15})$")[1]
    receiver.until(f"^keep-alive received: {sent}$")
    # The question is printed again below the messages.
    assert receiver.look()[-1].endswith("lists all]")


def test_closed_window_ends_the_other_side(tmux: Tmux, tmp_path: Path, note: str) -> None:
    sender, receiver = asked(tmux, tmp_path, note)
    receiver.close()
    assert sender.ended() == 7
    # Both arrive: the end of input, which declines, and SIGHUP.
    sender.until("^dcsend: the other side (declined|cancelled)$")
    assert not (tmp_path / "out").exists()


def test_narrow_window_has_no_qr_code_but_the_command_and_the_bar(
    tmux: Tmux, tmp_path: Path, film: str
) -> None:
    sender, receiver = tmux.window(tmp_path, 36, 20), tmux.window(tmp_path, 36, 20)
    sender.dcsend("send", film)
    sender.until("^note: no QR code: it needs 37")
    sender.until("^waiting(; works once,)? until ")
    receiver.dcsend("receive", sender.code(), "-y", "-o", "out")
    sender.until(r"^fi\S+ +\d+% \|.*\| [\d.]+ .B/s$", joined=False)
    sender.key("C-c")
    assert (sender.ended(), receiver.ended()) == (130, 7)


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [("NO_COLOR", "1", "NO_COLOR is set"), ("TERM", "dumb", "TERM=dumb has no colours")],
)
def test_plain_terminal_gets_no_escape_sequence(
    tmux: Tmux, tmp_path: Path, note: str, variable: str, value: str, reason: str
) -> None:
    sender = tmux.window(tmp_path, variables={variable: value})
    receiver = tmux.window(tmp_path, variables={variable: value})
    sender.dcsend("send", note)
    sender.until(f"^note: no QR code: {reason}")
    receiver.dcsend("receive", sender.code(), "-o", "out")
    receiver.until(QUESTION)
    assert all(
        cell.bg == "default" for row in sender.painted().buffer.values() for cell in row.values()
    )
    receiver.key("Enter")
    assert (receiver.ended(), sender.ended()) == (0, 0)
    receiver.until(f"^saved in {tmp_path}/out$")


def test_code_is_on_standard_output_where_that_is_no_terminal(
    tmux: Tmux, tmp_path: Path, note: str
) -> None:
    sender = tmux.window(tmp_path)
    sender.dcsend("send", note, after="> code")
    code = sender.code()
    assert (tmp_path / "code").read_text() == f"{code}\n"
    receiver = tmux.window(tmp_path)
    receiver.dcsend("receive", "@code", "-y", "-o", "out")
    assert (receiver.ended(), sender.ended()) == (0, 0)


def test_window_is_measured_although_standard_output_is_a_file(
    tmux: Tmux, tmp_path: Path, note: str
) -> None:
    sender = tmux.window(tmp_path, 36, 20)
    sender.dcsend("send", note, after="> code")
    sender.until("^note: no QR code: it needs 37")


def test_suspended_program_asks_and_reads_again_when_it_is_back(
    tmux: Tmux, tmp_path: Path, note: str
) -> None:
    _, receiver = asked(tmux, tmp_path, note)
    receiver.key("C-z")
    receiver.until("Stopped|Suspended")
    receiver.enter(r"printf '\033[H\033[2J\033[3Jcleared\n'")
    receiver.until("^cleared$")
    receiver.enter("fg")
    receiver.until("m dcsend receive")
    receiver.until(QUESTION)
    receiver.enter("n")
    receiver.until("^dcsend: you declined$")


def test_interrupted_question_leaves_the_code_to_be_used_again(
    tmux: Tmux, tmp_path: Path, note: str
) -> None:
    sender, receiver = asked(tmux, tmp_path, note)
    receiver.key("C-c")
    assert receiver.ended() == 130
    receiver.until("^dcsend: hint: nothing was accepted: the code works while")
    sender.until("^127.0.0.1 has left, and the code works again: the other side cancelled$")
