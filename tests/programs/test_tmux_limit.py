"""Lines that are typed in a real terminal window of tmux during a transfer: `/limit` and others."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.processes import Stage
from tests.support.screens import tmux_server

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        shutil.which("tmux") is None or sys.platform == "win32", reason="tmux is not installed"
    ),
]

SIZE = 6_000_000


@pytest.mark.parametrize("times", ["1", "2"])
def test_limit_is_typed_and_no_row_is_left_behind(stage: Stage, tmp_path: Path, times: str) -> None:
    (tmp_path / "film").write_bytes(os.urandom(SIZE))
    with tmux_server() as tmux:
        sender = tmux.window(tmp_path)
        sender.dcsend("send", "film", "--limit-rate", "20K", "--times", times)
        receivers = [stage.receive(sender.code(), tmp_path / "0")]
        sender.until(r"\d% \|")
        sender.enter("/limit 30K")
        sender.until("^limit of the rate: 30 kB/s$")
        sender.enter("/limit fast")
        sender.until("^note: 'fast' is not a rate; write 500K, 2M or 1G")
        sender.enter("hello")
        if times == "1":
            sender.until("^you: hello$")
        else:
            sender.until("^note: a typed line is sent to one device only, not to several; type")
        sender.enter()
        sender.enter("/limit off")
        sender.until("^limit of the rate: none$")
        if times == "2":
            receivers.append(stage.receive(sender.code(), tmp_path / "1"))
        assert [one.end().status for one in receivers] == [0] * len(receivers)
        assert sender.ended() == 0
        shown = sender.look(joined=True, back=200)
        assert not [row for row in shown if "% |" in row]
        assert "hello" not in shown
        texts = [event["text"] for event in receivers[0].so_far("text") if event["kind"] == "line"]
        assert texts == (["hello"] if times == "1" else [])
