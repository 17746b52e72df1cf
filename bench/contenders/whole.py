"""dcsend: `dcsend send` and `dcsend receive` with real files."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.contenders.base import Contender
from bench.files import random_file
from bench.hosts import Hosts
from bench.results import MEGABYTE, Result, progress
from bench.running import Cost, Failed, Line, Running

__all__ = ["DCSEND", "ENVIRONMENT", "PROGRAM", "send_path", "summarise"]

ENVIRONMENT: Final = {"DCSEND_STUN": "none", "DCSEND_NO_PAGE": "1"}
"Without STUN and without the page."

PROGRAM: Final = (sys.executable, "-m", "dcsend")


def send_path(
    hosts: Hosts,
    source: Path,
    destination: Path,
    limit: float,
    ports: tuple[int, int] = (0, 0),
    programs: tuple[Sequence[str], Sequence[str]] = (PROGRAM, PROGRAM),
    environment: Mapping[str, str] = ENVIRONMENT,
) -> Result:
    """Move a file or a folder; Ctrl-C at the receiver after *limit* seconds of transfer.

    Args:
        hosts: sender and receiver.
        source: what is sent.
        destination: where it goes.
        limit: seconds.
        ports: the UDP ports of both; 0 for random ones.
        programs: the commands of both, without their arguments.
        environment: variables added for both.
    """
    sending, receiving = (("--port", str(port)) if port else () for port in ports)
    command = Hosts.on(hosts.left, *programs[0], "send", str(source), "--json", *sending)
    with Running(command, environment=environment) as sender:
        line, _ = sender.until('"event": ?"code"')
        code = json.loads(line.text)["code"]
        options = ("-o", str(destination), "-y", "--json", *receiving)
        command = Hosts.on(hosts.right, *programs[1], "receive", code, *options)
        with Running(command, environment=environment) as receiver:
            accepted, _ = receiver.until('"event": ?"manifest"')
            over = False
            try:
                receiver.until('"event": ?"done"', accepted.at + limit - time.monotonic())
            except TimeoutError:
                over = True
            # The receiver first: it ends last.
            received = receiver.end(interrupt=over)
            return summarise(accepted, receiver, limit, (sender.end(interrupt=over), received))


def summarise(
    accepted: Line, receiver: Running, limit: float, costs: tuple[Cost | None, Cost | None]
) -> Result:
    """Return the result that the events of `dcsend receive --json`, which has ended, contain.

    Args:
        accepted: its line about the manifest.
        receiver: the program.
        limit: seconds after which it was interrupted.
        costs: of the sender and of the receiver.

    Raises:
        Failed: it has written no event about its end.
    """
    events = [(line.at, json.loads(line.text)) for line in receiver.lines]
    at, done = events[-1]
    if done["event"] != "done":
        raise receiver.failure("ended without a word")
    points = [(when, one["bytes"]) for when, one in events if one["event"] == "progress"]
    if done["ok"]:
        started, arrived = at - done["seconds"], done["bytes"]
        seconds, note = done["seconds"], ""
    else:
        points = [point for point in points if point[0] <= accepted.at + limit]
        started, arrived = accepted.at, max((count for _, count in points), default=0)
        seconds = min(limit, at - accepted.at)
        errors = [one["message"] for _, one in events if one["event"] == "error"]
        note = (errors or ["not done in time"])[-1]
    series = progress(started, points)
    return Result(arrived, seconds, done["ok"], *costs, series, started, note)


def _measure(hosts: Hosts, megabytes: int, limit: float, folder: Path) -> Result:
    source = folder / f"{megabytes}.bin"
    if not source.exists():
        random_file(source, megabytes * MEGABYTE)
    destination = folder / "received"
    try:
        return send_path(hosts, source, destination, limit)
    except json.JSONDecodeError as error:
        raise Failed(f"dcsend said something else than events: {error.doc!r}") from None
    finally:
        # Files of an earlier round would be replaced.
        for left in destination.glob(f"{source.name}*"):
            left.unlink()


DCSEND: Final = Contender(
    "dcsend",
    "whole `dcsend send` and `dcsend receive` with a file: from the accepted manifest to the last "
    "verdict, as the receiver counts; written, synced, verified",
    _measure,
)
"dcsend."
