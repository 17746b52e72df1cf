"""Limits of the rate in every situation, measured at the interface; `make lab` runs it.

`tests/programs/test_limit.py` has the one that every test run has. On a machine on which much else
runs, the path does not carry the higher rates.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from dcsend.session.limiting import parse_rate
from tests.support.load import Stopwatch
from tests.support.netns import MakeLan
from tests.support.netns import lan as lan
from tests.support.processes import Program, Stage
from tests.support.processes import stage as stage
from tests.support.traffic import START, Traffic, verify

WINDOW = 8 << 20
"Bytes that may be in flight without a limit."
EITHER = pytest.mark.parametrize("limits", ["sender", "receiver"])


def start(
    stage: Stage, lan: MakeLan, folder: Path, size: int, limits: str, rate: str
) -> tuple[Program, Program, Traffic]:
    """Start a transfer of *size* bytes; return sender, receiver and the traffic, which is read."""
    (folder / "film").write_bytes(os.urandom(size))
    sending, receiving = lan(2, ipv6=False).hosts
    limit = ["--limit-rate", rate]
    ours, theirs = (limit, []) if limits == "sender" else ([], limit)
    piped = subprocess.PIPE
    sender = stage.send(folder / "film", *ours, host=sending, stdin=piped)
    traffic = Traffic(receiving)
    traffic.__enter__()
    receiver = stage.receive(sender.code, folder / "in", *theirs, host=receiving, stdin=piped)
    return sender, receiver, traffic


def end(sender: Program, receiver: Program, traffic: Traffic) -> None:
    """Wait until a transfer is done."""
    try:
        assert (receiver.end().status, sender.end().status) == (0, 0)
    finally:
        traffic.__exit__(None, None, None)


@EITHER
@pytest.mark.parametrize("rate", ["20K", "100K", "2M", "20M"])
def test_rate_is_kept_for_eight_seconds(
    lan: MakeLan, stage: Stage, tmp_path: Path, limits: str, rate: str
) -> None:
    watch = Stopwatch()
    count = parse_rate(rate) or 0
    size = int(count * 9)
    sender, receiver, traffic = start(stage, lan, tmp_path, size, limits, rate)
    end(sender, receiver, traffic)
    begin, over = traffic.span
    verify(traffic, size, count, begin + START, over, watch.stretch(), late=limits == "receiver")


@EITHER
@pytest.mark.parametrize(("first", "second"), [("off", "1M"), ("4M", "500K"), ("500K", "4M")])
def test_change_takes_effect_within_a_second(
    lan: MakeLan, stage: Stage, tmp_path: Path, limits: str, first: str, second: str
) -> None:
    watch = Stopwatch()
    before, then = parse_rate(first), parse_rate(second) or 0
    whole = int(before * 5.5) if before else 40_000_000
    # What is in flight or passes until the event has arrived and the command is read.
    meanwhile = int(before * 0.8) if before else 3 * WINDOW
    size = whole + meanwhile + int(then * 5)
    sender, receiver, traffic = start(stage, lan, tmp_path, size, limits, first)
    limiting = sender if limits == "sender" else receiver
    limiting.until(lambda e: e["event"] == "progress" and e["bytes"] >= whole, "content")
    limiting.write(b'{"limit": %d}\n' % then)
    changed = time.monotonic()
    end(sender, receiver, traffic)
    begin, over = traffic.span
    late, stretch = limits == "receiver", watch.stretch()
    if before is not None:
        verify(traffic, size, before, begin + START, changed, stretch, late=late)
    verify(traffic, size, then, changed + 1, over, stretch, late=late)


@EITHER
def test_transfer_without_its_limit_is_as_fast_as_one_that_had_none(
    lan: MakeLan, stage: Stage, tmp_path: Path, limits: str
) -> None:
    """The window of a limited receiver is small: without a limit it must grow."""
    size = 40_000_000
    sender, receiver, traffic = start(stage, lan, tmp_path, size, limits, "1M")
    limiting = sender if limits == "sender" else receiver
    limiting.until(lambda e: e["event"] == "progress" and e["bytes"] >= 2_000_000, "content")
    limiting.write(b'{"limit": null}\n')
    watch = Stopwatch()
    end(sender, receiver, traffic)
    watch.assert_within(4.0)
