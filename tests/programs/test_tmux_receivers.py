"""Several receivers in a real terminal window of tmux: rows, codes, the total."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs.test_tmux_short_codes import Windows
from tests.support.mailbox_server import StockServer
from tests.support.processes import Stage
from tests.support.screens import tmux_server

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        shutil.which("tmux") is None or sys.platform == "win32", reason="tmux is not installed"
    ),
]


STOPPED = r"^{} +(?:\d+% \||connection lost, trying again$)"
"The row of a receiver that is stopped; on a busy machine it is looked at after 5 s."


@pytest.fixture
def windows(
    stock_server: StockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Windows]:
    """Start the servers; make a file that takes some time."""
    (tmp_path / "film.mkv").write_bytes(bytes(range(256)) * 250_000)
    stock_server.start()
    monkeypatch.setenv("DCSEND_SERVER", stock_server.server.url)
    with tmux_server() as tmux:
        yield Windows(tmux, tmp_path, stock_server.server.url)


@pytest.mark.parametrize("columns", [80, 40])
def test_receivers_have_rows_and_the_next_code_is_below_them(
    windows: Windows, stage: Stage, tmp_path: Path, columns: int
) -> None:
    sender = windows.open(columns)
    sender.dcsend("send", "film.mkv", "--times", "2")
    first = sender.until(r"dcsend receive\s+(\d+-[a-z]+-[a-z]+)")[1]
    receivers = [stage.receive(first, tmp_path / "0", "--as", "phone")]
    receivers[0].event("progress")
    os.kill(receivers[0].process.pid, signal.SIGSTOP)
    try:
        sender.until(STOPPED.format("phone"))
        second = sender.until(r"^(?:for others: )?dcsend receive (\d+-[a-z]+-[a-z]+)$")[1]
        assert second != first
        receivers.append(stage.receive(second, tmp_path / "1", "--as", "den"))
        receivers[1].event("progress")
        sender.until(STOPPED.format("den"))
        os.kill(receivers[1].process.pid, signal.SIGSTOP)
        assert all(len(row) < columns for row in sender.look() if "% |" in row)
    finally:
        for one in receivers:
            os.kill(one.process.pid, signal.SIGCONT)
    assert [one.end().status for one in receivers] == [0, 0]
    assert sender.ended() == 0
    shown = " ".join(" ".join(sender.look()).split())
    for name in ("phone", "den"):
        assert f"{name} has everything: 1 file, 64.0 MB in" in shown
    assert "2 receivers have everything" in shown
    assert "% |" not in shown
