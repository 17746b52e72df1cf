"""Bars as text: they never exceed the window, whatever the numbers and the names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.display.bars import bar_rows
from dcsend.display.wording import width
from dcsend.session.events import Progressed

HALF = Progressed(50_000_000, 100_000_000, 5e6, "film.mkv", 1_000_000, 4_000_000)


def rows(event: Progressed, *, several: bool = False, columns: int = 80) -> list[str]:
    """Draw smoothly."""
    return bar_rows(event, several=several, columns=columns, smooth=True)


def test_bar_shows_name_share_bytes_rate_and_time_left() -> None:
    (row,) = rows(HALF)
    assert row.startswith("film.mkv  50% |██████")
    assert row.endswith("  | 50.0 MB of 100.0 MB, 5.0 MB/s, 10 s left")


def test_several_files_have_a_bar_for_all_and_one_for_the_file_on_the_way() -> None:
    whole, file = rows(HALF, several=True)
    assert whole.startswith("total             50% |")
    assert file.startswith("film.mkv          25% |")
    assert file.endswith("| 1.0 MB of 4.0 MB")


def test_bar_without_block_characters_is_plain() -> None:
    (row,) = bar_rows(HALF, several=False, columns=80, smooth=False)
    assert row.isascii()
    assert "####" in row


@pytest.mark.parametrize("columns", [10, 20, 40, 49])
def test_narrow_window_has_one_short_row(columns: int) -> None:
    (row,) = rows(HALF, several=True, columns=columns)
    assert row.startswith("total")
    assert width(row) < columns


@pytest.mark.parametrize(
    ("columns", "end"),
    [
        (90, "50.0 MB of 100.0 MB, 999.9 kB/s (limit 2.5 MB/s), 51 s left"),
        (80, "| 999.9 kB/s (limit 2.5 MB/s), 51 s left"),
        (70, "| 999.9 kB/s (limit 2.5 MB/s), 51 s left"),
        (50, "| 999.9 kB/s (limit 2.5 MB/s)"),
        (40, "| 999.9 kB/s (2.5 MB/s)"),
    ],
)
def test_limit_is_beside_the_rate_and_leaves_room_for_a_bar(columns: int, end: str) -> None:
    event = Progressed(50_000_000, 100_000_000, 999_900, "film-of-a-journey.mkv", 1, 2)
    (row,) = bar_rows(event, several=False, columns=columns, smooth=True, limit=2_500_000.0)
    assert row.endswith(end)
    assert width(row) < columns


def test_unknown_size_has_no_bar_but_numbers() -> None:
    (row,) = rows(Progressed(5_000_000, None, 1e6, "stdin", 5_000_000, None))
    assert row == "stdin 5.0 MB so far, 1.0 MB/s"


def test_first_bytes_give_no_rate_and_no_time_left() -> None:
    (row,) = rows(Progressed(2, 40_000_000, 155.0, "a.txt", 2, 2))
    assert row.endswith("| 2 B of 40.0 MB")


def test_name_with_braces_is_no_format() -> None:
    (row,) = rows(Progressed(1, 2, 0.0, "{bar}{x!r}{0}", 1, 2))
    assert row.startswith("{bar}{x!r}{0}  50% |")


def test_name_of_a_hostile_peer_is_escaped() -> None:
    (row,) = rows(Progressed(1, 2, 0.0, "\x1b[2J", 1, 2))
    assert row.startswith("\\x1b[2J  50%")


@given(
    st.integers(0, 2**53),
    st.one_of(st.none(), st.integers(0, 2**53)),
    st.floats(0, 1e12),
    st.text(max_size=300),
    st.integers(10, 250),
    st.booleans(),
)
def test_no_row_reaches_the_edge(
    count: int, total: int | None, rate: float, path: str, columns: int, several: bool
) -> None:
    event = Progressed(count, total, rate, path, count, total)
    for row in rows(event, several=several, columns=columns):
        assert width(row) < columns
        assert row.translate({0x2068: None, 0x2069: None}).isprintable()  # but for isolates
