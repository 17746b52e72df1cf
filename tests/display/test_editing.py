"""The text typed so far, and its echo: what is taken back leaves the screen, cell by cell."""

from __future__ import annotations

import pytest

from dcsend.display.editing import Typed

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
