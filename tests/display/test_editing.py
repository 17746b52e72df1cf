"""The text typed so far, and its echo: what is taken back leaves the screen, cell by cell."""

from __future__ import annotations

import pytest

from dcsend.display.editing import Typed
from dcsend.signaling.shortcode import completed

BACK = "\b \b"


@pytest.mark.parametrize(
    ("keys", "text", "echo"),
    [
        ("ab\x7f", "a", "ab" + BACK),
        ("文\x7f", "", "文" + 2 * BACK),
        ("a\x01\x7f", "a", "a"),
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
    ],
)
def test_tab_completes_a_word_if_there_is_one_way(keys: str, text: str) -> None:
    typed = Typed(completed)
    echo = typed.type(keys)
    assert typed.text == text
    assert echo == text.replace(" \t", " ")
