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
        ("a\x1b\x7f", "a", "a"),
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
