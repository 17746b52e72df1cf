"""The log of received files: states and reasons, without content."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dcsend.content import Data, End
from dcsend.entry import Entry, Existing
from tests.support.sinks import MakeSink, make_sink, whole

__all__ = ["make_sink"]


def test_log_has_the_states_of_files_and_not_their_content(
    make_sink: MakeSink, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sink = make_sink(Existing.RENAME)
    sink.plan([Entry(name, size=6) for name in ("good", "bad", "open")])
    sink.apply([*whole(0, b"secret"), End(1, 6, bytes(32), b"secret"), Data(2, 0, b"sec")])
    sink.close()
    lines = [f"{record.name}: {record.getMessage()}" for record in caplog.records]
    assert (
        f"dcsend.files.directory_sink: destination {tmp_path / 'out'}: 3 entries, 0 skipped"
        in lines
    )
    assert "dcsend.files.part: part opened: good" in lines
    assert "dcsend.files.entry_table: complete: good" in lines
    assert any(line.startswith("dcsend.files.entry_table: entry 1 mismatch: bad") for line in lines)
    assert "dcsend.files.part: part kept at byte 3: open" in lines
    assert "secret" not in caplog.text
