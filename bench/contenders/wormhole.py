"""magic-wormhole and wormhole-william: whole file tools over TCP, with nothing outside asked.

The mailbox server runs on the left host. Transfers are direct: magic-wormhole says so and is
believed, wormhole-william says nothing, so that its relay here is one that never answers.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bench.contenders.base import Contender
from bench.contenders.servers import PROGRAMS, mailbox, mute_relay, no_magic, no_william
from bench.files import random_file
from bench.hosts import Hosts, congestion_control
from bench.results import MEGABYTE, Result, progress
from bench.running import PATIENCE, Running

__all__ = ["CONTENDERS"]

_CODE: Final = "7-bench-mark"
_LOOK: Final = 0.005
"Seconds between two checks of the growing file."
_KEEP: Final = 0.25
"Seconds between two recorded points."


def _magic(algorithm: str) -> Callable[[Hosts, int, float, Path], Result]:
    def measure(hosts: Hosts, megabytes: int, limit: float, folder: Path) -> Result:
        source, inbox = _prepare(folder, megabytes)
        saved = inbox / source.name
        with congestion_control(hosts, algorithm), mailbox(hosts, folder) as url:
            # An empty name means no relay.
            tool = (str(PROGRAMS / "wormhole"), "--relay-url", url, "--transit-helper", "")
            sending = ("send", "--hide-progress", "--no-qr", "--code", _CODE, str(source))
            receiving = ("receive", "--hide-progress", "--accept-file", "-o", str(saved), _CODE)
            with (
                Running(Hosts.on(hosts.left, *tool, *sending), errors=True) as sender,
                Running(Hosts.on(hosts.right, *tool, *receiving), errors=True) as receiver,
            ):
                connected, how = receiver.until(r"^Receiving \((.*)\)")
                if "relay" in how[1]:
                    raise receiver.failure(f"isn't direct but {how[1]}")
                over = connected.at + limit
                points = list(_growth(inbox, receiver, "^Received file", over))
                done = any("Received file" in line.text for line in receiver.lines)
                ended = receiver.until("^Received file")[0].at if done else over
                return _sum_up(sender, receiver, source, (connected.at, ended, done), points)

    return measure


def _william(algorithm: str) -> Callable[[Hosts, int, float, Path], Result]:
    def measure(hosts: Hosts, megabytes: int, limit: float, folder: Path) -> Result:
        source, inbox = _prepare(folder, megabytes)
        with (
            congestion_control(hosts, algorithm),
            mailbox(hosts, folder) as url,
            mute_relay(hosts),
        ):
            tool = ("wormhole-william", "--relay-url", url)
            sending = ("send", "--hide-progress", "--code", _CODE, str(source))
            # It saves in the current folder, and asks first.
            receiving = ("env", "-C", str(inbox), *tool, "receive", "--hide-progress", _CODE)
            with (
                Running(Hosts.on(hosts.left, *tool, *sending), errors=True) as sender,
                Running(Hosts.on(hosts.right, *receiving), errors=True) as receiver,
            ):
                receiver.until("^Receiving file")
                receiver.write_line("y")
                over = time.monotonic() + limit
                points = list(_growth(inbox, receiver, "", over))
                done = (inbox / source.name).exists()
                first = points[0][0] if points else over - limit
                ended = points[-1][0] if done else over
                return _sum_up(sender, receiver, source, (first, ended, done), points)

    return measure


def _prepare(folder: Path, megabytes: int) -> tuple[Path, Path]:
    source, inbox = folder / f"{megabytes}.bin", folder / "wormhole"
    if not source.exists():
        random_file(source, megabytes * MEGABYTE)
    shutil.rmtree(inbox, ignore_errors=True)
    inbox.mkdir()
    return source, inbox


def _growth(
    inbox: Path, receiver: Running, last_words: str, over: float
) -> Iterator[tuple[float, int]]:
    """Record the size of the one file in *inbox* until it is renamed and the receiver has ended."""
    kept = 0.0
    while (now := time.monotonic()) < over and receiver.status is None:
        sizes = [(entry.name, entry.stat().st_size) for entry in _entries(inbox)]
        complete = any(name.endswith(".bin") for name, _ in sizes)
        if sizes and sizes[0][1] and (complete or now - kept >= _KEEP):
            kept = now
            yield now, sizes[0][1]
        if complete:
            if last_words:
                receiver.until(last_words)
            return
        time.sleep(_LOOK)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        found = []
        for entry in entries:
            # It may be renamed after it was listed.
            with contextlib.suppress(FileNotFoundError):
                entry.stat()
                found.append(entry)
        return found


def _sum_up(
    sender: Running,
    receiver: Running,
    source: Path,
    times: tuple[float, float, bool],
    points: list[tuple[float, int]],
) -> Result:
    started, ended, done = times
    costs = receiver.end(PATIENCE if done else 0), sender.end(PATIENCE if done else 0)
    arrived = source.stat().st_size if done else max((size for _, size in points), default=0)
    note = "" if done else f"not done: {receiver.lines[-1].text if receiver.lines else ''}"
    series = progress(started, points)
    return Result(arrived, ended - started, done, costs[1], costs[0], series, started, note)


CONTENDERS: Final = (
    *(
        Contender(
            name,
            f"whole magic-wormhole with a file, direct TCP with {algorithm}: from the receiver's "
            "line that it is connected to its line that the file is written; verified, not synced",
            _magic(algorithm),
            no_magic,
        )
        for name, algorithm in (("magic-wormhole", "bbr"), ("magic-wormhole-cubic", "cubic"))
    ),
    Contender(
        "wormhole-william",
        "whole wormhole-william with a file, direct TCP with bbr: from the first byte in the "
        "receiver's file, looked for each 5 ms, until the file has its name",
        _william("bbr"),
        no_william,
    ),
)
"Both programs; the algorithm is that of both hosts while it runs."
