"""The text typed so far, and its echo: what is taken back leaves the screen, cell by cell."""

from __future__ import annotations

import pytest

from dcsend.display.typed import Typed
from dcsend.signaling.shortcode import completed

BACK = "\b \b"


@pytest.mark.parametrize(
    ("keys", "text", "echo"),
    [
        ("ab\x7f", "a", "ab" + BACK),
        ("文\x7f", "", "文" + 2 * BACK),
        ("a\x07\x7f", "a", "a"),
        ("ae\u0301\x7f", "a", "ae\u0301" + BACK),
        ("7-walrus-umb\x17", "7-walrus-", "7-walrus-umb" + 3 * BACK),
        ("a\x01\x02\x0b\x1b[3~\x1b[Db", "ab", "ab"),
        ("\x7f", "", ""),
        ("a文\x15b", "b", "a文" + 3 * BACK + "b"),
        ("one\ntwo\x15", "one\n", "one\ntwo" + 3 * BACK),
        ("a\r", "a\n", "a\n"),
        ("a\x04b", "a", "a"),
    ],
)
def test_keys_edit_the_text_and_its_echo(keys: str, text: str, echo: str) -> None:
    typed = Typed()
    assert typed.type(keys) == echo
    assert typed.text == text


@pytest.mark.parametrize(
    "key",
    ["\x1b[A", "\x1bOA", "\x1b[1~", "\x1b[1;5D", "\x1b[[A", "\x1b[200~", "\x1b[<0;1;1M", "\x1b"],
)
def test_cursor_key_leaves_no_text_however_it_is_read(key: str) -> None:
    for at in range(len(key)):
        typed = Typed()
        echo = [typed.type(part) for part in (f"7-{key[:at]}", key[at:], "wal")]
        assert (typed.text, "".join(echo)) == ("7-wal", "7-wal")


def test_unfinished_escape_sequence_does_not_hide_the_next_key() -> None:
    typed = Typed()
    for part in ("ab\x1b[", "\x7f", "\x1b", "\n"):
        typed.type(part)
    assert typed.text == "a\n"


@pytest.mark.parametrize(
    ("arrived", "text"),
    [
        ("\x7f\x7fus", "7-walrus"),
        ("\x1b[D", "7-walrsu"),
        ("s", "7-walrsus"),
        ("7-zebra-umbrella", "7-zebra-umbrella"),
        ("\x1b[200~7-zebra-umbrella\x1b[201~", "7-zebra-umbrella"),
    ],
)
def test_line_that_was_refused_is_edited_by_keys_and_replaced_by_a_paste(
    arrived: str, text: str
) -> None:
    typed = Typed()
    typed.keep("7-walrsu")
    typed.type(arrived)
    assert typed.text == text


@pytest.mark.parametrize(
    ("keys", "stopped"),
    [("a\n", False), ("a\n\n", True), ("a\n \n", True), ("\n", True), ("a\x04", True), ("", False)],
)
def test_empty_line_or_control_d_stops_the_input(keys: str, stopped: bool) -> None:
    typed = Typed()
    typed.type(keys)
    assert typed.stopped == stopped


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("7-wal\t", "7-walrus-"),
        ("7-wal\tumb\t", "7-walrus-umbrella"),
        ("7-w\t", "7-w"),
        ("7-xyz\t", "7-xyz"),
        ("one\n7-wal\t", "one\n7-walrus-"),
        ("dcsend receive 7 \twal\t", "dcsend receive 7 \twalrus"),
        ("7-WAL\t", "7-WALrus-"),
    ],
)
def test_tab_completes_a_word_if_there_is_one_way(keys: str, text: str) -> None:
    typed = Typed(completed)
    echo = typed.type(keys)
    assert typed.text == text
    assert echo == text.replace(" \t", " ")


LEFT, RIGHT, HOME, END, DELETE = "\x1b[D", "\x1b[C", "\x1b[H", "\x1b[F", "\x1b[3~"


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (f"7-walus{LEFT}{LEFT}r", "7-walr|us"),
        (f"7-walus{LEFT}{LEFT}{LEFT}{RIGHT}r", "7-walr|us"),
        (f"alrus{HOME}7-w", "7-w|alrus"),
        ("alrus\x017-w", "7-w|alrus"),
        (f"7-wal{HOME}{END}rus", "7-walrus|"),
        ("7-wal\x01\x05rus", "7-walrus|"),
        ("7-wal\x1b[1~\x1b[4~rus", "7-walrus|"),
        ("7-wal\x1bOH\x1bOC\x1bOD\x1bOF\x1b[7~", "|7-wal"),
        ("ab\x02\x02\x02c\x06d", "cad|b"),
        (f"7--walrus{HOME}{RIGHT}{DELETE}", "7|-walrus"),
        (f"7-walrus{DELETE}", "7-walrus|"),
        (f"7-waalrus{LEFT * 4}\x7f", "7-wa|lrus"),
        (f"7-walrus{HOME}\x7f", "|7-walrus"),
        (f"7-walrus-umbrella{LEFT * 3}\x17", "7-walrus-|lla"),
        ("7-walrus-umbrella\x17\x17", "7-|"),
        (f"7-walrus-umbrella{LEFT * 8}\x15", "|umbrella"),
        (f"7-walrus-umbrella{LEFT * 9}\x0b", "7-walrus|"),
        (f"ae\u0301文{LEFT}{LEFT}b", "ab|e\u0301文"),
        (f"ae\u0301文{HOME}{RIGHT}{DELETE}", "a|文"),
        (f"ae\u0301文{LEFT}\x7f", "a|文"),
        (f"one\ntwo{HOME}{LEFT}x", "one\nx|two"),
        (f"one\ntwo{LEFT}\x15", "one\n|o"),
        (f"7-walrus{LEFT * 3}\r", "7-walrus\n|"),
        (f"7-rus{LEFT * 3}wal\numb", "7-walrus\numb|"),
        (f"7-wal{LEFT}\x04", "7-wa|l"),
    ],
)
def test_keys_move_the_cursor_and_edit_there(keys: str, line: str) -> None:
    typed = Typed(moves=True)
    typed.type(keys)
    before, behind = line.split("|")
    assert typed.text == before + behind
    assert typed.behind(80) == behind


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (f"7-wal-umbrella{LEFT * 9}\t", "7-walrus|-umbrella"),
        (f"7-wal-umbrella{LEFT * 11}\t", "7-walrus|-umbrella"),
        (f"7-wal-umbrella{LEFT * 12}\t", "7-walrus|-umbrella"),
        (f"7-walrus-umb{LEFT * 2}\t", "7-walrus-umbrella|"),
        (f"7-walrus-umb @host{LEFT * 7}\t", "7-walrus-umbrella| @host"),
    ],
)
def test_tab_completes_the_word_under_the_cursor(keys: str, line: str) -> None:
    typed = Typed(completed, moves=True)
    typed.type(keys)
    assert typed.text == line.replace("|", "")
    assert typed.behind(80) == line.partition("|")[2]


def test_paste_replaces_a_refused_line_wherever_the_cursor_is() -> None:
    typed = Typed(moves=True)
    typed.keep("7-walrsu")
    typed.type(LEFT)
    typed.type("7-zebra-umbrella")
    assert (typed.text, typed.behind(80)) == ("7-zebra-umbrella", "")
