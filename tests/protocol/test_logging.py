"""What the protocol logs: the states of a side, and what the peer supports; no path, no content."""

from __future__ import annotations

import logging

import pytest

from dcsend.entry import Entry
from tests.support.link import Link


def test_states_of_both_sides_are_logged_once_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="dcsend.protocol")
    content = b"content of a file " * 10_000
    Link([Entry("name-of-the-file", size=len(content))], {0: content}).run()
    log = [record.getMessage() for record in caplog.records]
    sender = [line.removeprefix("sender: ") for line in log if line.startswith("sender: ")]
    assert [line.partition(": ")[2] for line in sender] == [
        "new -> greeting",
        "greeting -> offering",
        "offering -> sending",
        "sending -> sent",
        "sent -> completed",
        "completed -> done",
    ]
    assert "receiver: all frames passed: receiving -> received" in log
    assert log.count("peer: version 1, features []") == 1
    assert log.count("peer: version 1, features ['again', 'window']") == 1
    assert not [line for line in log if "content" in line or "name-of-the-file" in line]
