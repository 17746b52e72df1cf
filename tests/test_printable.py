"""What a text of a peer looks like in a terminal; the same cases are run by the page."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Final

import pytest

from dcsend.printable import printable, system_reason

CASES: Final = json.loads((Path(__file__).parent / "vectors" / "printable.json").read_text())

IGNORABLE: Final = (
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810)),
    *(*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164),
    *(*range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0, *range(0xFFF0, 0xFFF9), *range(0x1BCA0, 0x1BCA4)),
    *(*range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)),
)
"Default_Ignorable_Code_Point, from DerivedCoreProperties.txt of Unicode 17."


@pytest.mark.parametrize(("text", "shown"), CASES)
def test_text_is_shown_as_in_every_implementation(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_no_default_ignorable_character_is_shown_as_it_is() -> None:
    for point in IGNORABLE:
        for text in (chr(point), f"a{chr(point)}b"):
            assert printable(text).isascii(), hex(point)


@pytest.mark.full
def test_what_is_shown_is_visible_character_by_character() -> None:
    for point in range(0x110000):
        shown = printable(chr(point))
        if shown == chr(point) and point >= 0x7F:
            assert unicodedata.category(shown)[0] in "LMNPS", hex(point)


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("Permission denied", "permission denied"),
        ("A device is not connected", "a device is not connected"),
        ("I/O error", "I/O error"),
        ("The RPC server is unavailable", "the RPC server is unavailable"),
        ("Das System kann die Datei nicht finden", "das System kann die Datei nicht finden"),
        ("", "unknown error"),
        (None, "unknown error"),
    ],
)
def test_reason_of_the_system_begins_in_lower_case(reason: str | None, shown: str) -> None:
    assert system_reason(OSError(5, reason)) == shown
