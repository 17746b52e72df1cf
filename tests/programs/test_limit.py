"""The limit of the rate, measured at the interface of the receiver, and changed meanwhile."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tests.support.load import Stopwatch
from tests.support.netns import MakeLan
from tests.support.processes import Program, Stage
from tests.support.traffic import START, Traffic, verify

SIZE = 16_000_000
"Bytes: 5.3 s at 2 MB/s, and as much at 1 MB/s."


def change(program: Program, line: bytes) -> float:
    """Write a line to a program after 10.7 MB; return when."""
    program.until(lambda e: e["event"] == "progress" and e["bytes"] >= 10_700_000, "10.7 MB")
    program.write(line)
    return time.monotonic()


def test_limit_of_either_side_is_kept_at_the_interface_and_can_be_changed(
    lan: MakeLan, stage: Stage, tmp_path: Path
) -> None:
    watch = Stopwatch()
    (tmp_path / "film").write_bytes(os.urandom(SIZE))
    hosts = [lan(2, ipv6=False).hosts for _ in range(2)]
    piped = subprocess.PIPE
    limited = stage.send(tmp_path / "film", "--limit-rate", "2M", host=hosts[0][0], stdin=piped)
    free = stage.send(tmp_path / "film", host=hosts[1][0])
    with Traffic(hosts[0][1]) as first, Traffic(hosts[1][1]) as second:
        receiver = stage.receive(limited.code, tmp_path / "a", host=hosts[0][1])
        limiting = stage.receive(
            free.code, tmp_path / "b", "--limit-rate", "2000K", host=hosts[1][1], stdin=piped
        )
        changes = [change(program, b'{"limit": 1e6}\n') for program in (limited, limiting)]
        ended = [program.end() for program in (limited, receiver, free, limiting)]
    assert [one.status for one in ended] == [0] * 4
    assert [event["rate"] for event in ended[0].of("limit")] == [1_000_000]
    assert not ended[1].of("limit")
    stretch = watch.stretch()
    for traffic, changed, late in zip((first, second), changes, (False, True), strict=True):
        begin, end = traffic.span
        verify(traffic, SIZE, 2_000_000, begin + START, changed, stretch, late=late)
        verify(traffic, SIZE, 1_000_000, changed + 1, end, stretch, late=late)


def test_wrong_command_is_reported_and_changes_nothing(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(bytes(3_000_000))
    sender = stage.send(tmp_path / "film", "--limit-rate", "1M", stdin=subprocess.PIPE)
    receiver = stage.receive(sender.code, tmp_path / "in")
    sender.write(b'limit\n{"limit": 1}\n{"limit": "2M"}\n{"rate": 1}\n\xff\n\n{"limit": null}\n')
    # What is read in one piece ends before the object.
    sender.write(b"x" * 4096 + b'{"limit": 2000}\n')
    sender.end_input()
    ended = sender.end()
    assert (ended.status, receiver.end().status) == (0, 0)
    wrong = [event for event in ended.of("error") if event["kind"] == "command"]
    assert len(wrong) == 6
    assert [event["rate"] for event in ended.of("limit")] == [None]
