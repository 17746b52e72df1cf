"""Choosing files in a real terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.screens import Tmux, tmux_server


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    """Start a tmux server that ends with the test."""
    with tmux_server() as server:
        yield server


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 24)])
def test_person_chooses_in_a_window(tmux: Tmux, tmp_path: Path, columns: int, rows: int) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(30):
        (tmp_path / "photos" / f"a rather long name of a photo, number {number:02}.jpg").touch()
    sender, receiver = tmux.window(tmp_path), tmux.window(tmp_path, columns, rows)
    sender.dcsend("send", "photos")
    receiver.dcsend("receive", sender.code(), "-o", "out")
    receiver.until(r"\blists all\]$")
    receiver.enter("c")
    receiver.until(r"^20 of 30; Enter: more, q: back; numbers")
    receiver.until(r"!NAME:$")
    seen = receiver.look()
    # The whole page is in the window, a row for each file.
    first = [row for row in seen if row.startswith("   1      0 B ")]
    assert len(first) == 1
    assert first[0].endswith("00.jpg")
    # Above the page is the command, which depends on where the program is.
    assert all(len(row) < columns for row in seen[seen.index(first[0]) :])
    receiver.enter("")
    receiver.until(r"^30 of 30; q: back; numbers")
    receiver.enter("29-40")
    receiver.until("^29-40 is not in the list of 30; type")
    assert all(len(row) < columns for row in receiver.look()[-6:])
    receiver.enter("q")
    receiver.until("^the choice has not changed$")
    receiver.enter("c")
    receiver.until(r"^20 of 30; Enter")
    receiver.enter("1-3,30,!2")
    receiver.until(r"^3 of 30 files \(0 B\) chosen$")
    receiver.until(r"\blists all\]$")
    receiver.enter("")
    assert (receiver.ended(), sender.ended()) == (0, 0)
    sender.until(r"^skipped  .*: not wanted$")
    names = sorted(path.name[-6:-4] for path in (tmp_path / "out" / "photos").iterdir())
    assert names == ["00", "02", "29"]
