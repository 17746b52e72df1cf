"""TCP of the kernel: a competing flow, and the reference for what a line carries."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.contenders.base import Contender
from bench.hosts import Hosts
from bench.results import MEGABYTE, Result, progress
from bench.running import PATIENCE, Running

__all__ = ["CONTENDERS"]

_PROGRAM: Final = (sys.executable, "-m", "bench.tcpflow")


def _measure(algorithm: str) -> Callable[[Hosts, int, float, Path], Result]:
    def measure(hosts: Hosts, megabytes: int, limit: float, folder: Path) -> Result:
        total = megabytes * MEGABYTE
        arguments = ("send", hosts.right_address, str(total), str(limit), algorithm)
        with Running(Hosts.on(hosts.right, *_PROGRAM, "receive")) as receiver:
            receiver.until('"ready"')
            with Running(Hosts.on(hosts.left, *_PROGRAM, *arguments)) as sender:
                line, _ = sender.until('"seconds"', limit + PATIENCE)
                result = json.loads(line.text)
                started = line.at - result["seconds"]
                # If the time limit came first, bytes that are still in buffers do not count.
                costs = sender.end(), receiver.end()
        events = ((one.at, json.loads(one.text)) for one in receiver.lines)
        points = [(at, event["arrived"]) for at, event in events if "arrived" in event]
        if not result["done"]:
            points = [point for point in points if point[0] <= line.at]
        arrived = total if result["done"] else max((count for _, count in points), default=0)
        note = "" if result["done"] else f"not done in {limit:g} s"
        series = progress(started, points)
        return Result(arrived, result["seconds"], result["done"], *costs, series, started, note)

    return measure


def _missing(algorithm: str) -> Callable[[], str]:
    def missing() -> str:
        path = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
        there = path.read_text(encoding="ascii").split() if path.exists() else []
        return "" if algorithm in there else f"this kernel's TCP has no {algorithm}, only {there}"

    return missing


CONTENDERS: Final = tuple(
    Contender(
        f"tcp-{algorithm}",
        f"one TCP connection of the kernel with {algorithm}: from the connection to the last byte "
        "read; not encrypted, nothing read from disk, written or checked",
        _measure(algorithm),
        _missing(algorithm),
    )
    for algorithm in ("bbr", "cubic")
)
"One for each congestion control."
