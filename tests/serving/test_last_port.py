"""The port that the next page is served at."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from dcsend.serving.last_port import last_port, remember, state_folder

VARIABLE = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_STATE_HOME"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for the port, which does not exist yet."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))
    return tmp_path / "state" / "dcsend"


def test_port_is_there_for_the_next_run_and_replaced(folder: Path) -> None:
    assert last_port() == 0
    remember(43817)
    assert last_port() == 43817
    remember(50000)
    assert last_port() == 50000
    assert [path.name for path in folder.iterdir()] == ["page-port"]


@pytest.mark.parametrize(
    "content",
    [b"", b"words", b"-1", b"0", b"80", b"6000", b"65536", b"4381700000", b"\xff", b"1" * 5000],
)
def test_file_without_a_port_for_a_page_is_ignored(folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / "page-port").write_bytes(content)
    assert last_port() == 0
    remember(43817)
    assert last_port() == 43817


@pytest.mark.parametrize("obstacle", ["state", "state/dcsend", "state/dcsend/page-port"])
def test_state_that_can_not_be_read_or_written_is_logged_only(
    folder: Path, obstacle: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder.parents[1] / obstacle
    if obstacle.endswith("port"):
        path.mkdir(parents=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    caplog.set_level(logging.DEBUG)
    remember(43817)
    assert last_port() == 0
    assert "the port of the page is not kept" in caplog.text
    assert "the last port of the page is not known" in caplog.text


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="other systems have other folders")
@pytest.mark.parametrize("relative", ["", "relative"])
def test_folder_of_the_home_is_used_where_no_absolute_one_is_named(
    relative: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", relative)
    assert state_folder() == tmp_path / ".local" / "state" / "dcsend"
