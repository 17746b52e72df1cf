"""Forged packets from the address of the peer: the rate of a transfer beside them.

    python -m bench.flood [--rounds 7] [--megabytes 300] [--rate 5000] [--kind KIND …] [--at END]

Two hosts on a cable. An attacker on the path sends packets of one kind (`bench.spoof`) with the
address and port of the peer to the receiver, or to the sender, during a transfer; in turn with as
many packets to a closed port of that host. The ratio of the two rates is the cost of parsing them,
beyond the cost of any packet. Writes
build/bench/flood.json; about 25 minutes by default.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
from pathlib import Path
from typing import Final

from bench import results
from bench.contenders.whole import send_path
from bench.files import random_file, workshop
from bench.hosts import Hosts, cable
from bench.results import Result
from bench.rounds import attempt
from bench.running import Failed, Running
from bench.spoof import KINDS

__all__ = ["CLOSED", "OPEN", "main"]

OPEN, CLOSED = "its port", "a closed port"
_SENDER, _RECEIVER, _NONE = 47_001, 47_002, 47_003
"Ports of the two ends, and a closed one."
_LIMIT: Final = 120.0
"Seconds for one transfer."


def _measure(kind: str, where: str, at: str, rate: float, source: Path, target: Path) -> Result:
    """Transfer once, over a cable of its own, beside a flood."""
    with cable() as hosts:
        return _beside(hosts, kind, where, at, rate, source, target)


def _beside(
    hosts: Hosts, kind: str, where: str, at: str, rate: float, source: Path, target: Path
) -> Result:
    left, right = (hosts.left_address, _SENDER), (hosts.right_address, _RECEIVER)
    victim, forged = (right, left) if at == "receiver" else (left, right)
    namespace = hosts.left if at == "receiver" else hosts.right
    closed = _NONE if where == CLOSED else 0
    words = [kind, *victim, *forged, rate, closed]
    command = Hosts.on(namespace, sys.executable, "-m", "bench.spoof", *map(str, words))
    with Running(command) as flood:
        try:
            result = send_path(hosts, source, target, _LIMIT, ports=(_SENDER, _RECEIVER))
        finally:
            flood.end()
        sent = re.search(r"sent (\d+) in (\S+)", flood.lines[-1].text if flood.lines else "")
        if sent is None:
            raise flood.failure("has recorded nothing")
        if int(sent[1]) < 0.9 * rate * float(sent[2]):
            raise Failed(f"only {sent[0]} s: this machine is too busy for the flood")
    return result


def _shown(last: dict[str, Result]) -> str:
    return "; ".join(
        f"to {port} {result.rate:.1f} MB/s"
        + "".join(
            f", {side} {cost.cpu_seconds:.2f} s"
            for side, cost in (("sender", result.sender), ("receiver", result.receiver))
            if cost is not None
        )
        for port, result in last.items()
    )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--rate", type=float, default=5000.0, help="packets a second")
    parser.add_argument("--kind", action="append", choices=tuple(KINDS), help="may be repeated")
    parser.add_argument("--at", choices=("receiver", "sender"), default="receiver")
    chosen = parser.parse_args()
    where = results.conditions()
    kinds = chosen.kind or list(KINDS)
    rows = [results.Row(kind, {}) for kind in kinds]
    with workshop(3 * chosen.megabytes * results.MEGABYTE) as folder:
        source = random_file(folder / "one.bin", chosen.megabytes * results.MEGABYTE)
        for number in range(chosen.rounds):
            for row in rows:
                order = (OPEN, CLOSED) if number % 2 == 0 else (CLOSED, OPEN)
                for port in order:
                    target = folder / f"{row.title} {port} {number}"

                    words = (row.title, port, chosen.at, chosen.rate, source, target)
                    result = attempt(row.title, functools.partial(_measure, *words))
                    row.results.setdefault(port, []).append(result)
                    (target / source.name).unlink(missing_ok=True)
                last = {port: row.results[port][-1] for port in (OPEN, CLOSED)}
                print(f"round {number + 1}, {row.title}: {_shown(last)}", flush=True)
    results.save("flood", where, vars(chosen), rows)


if __name__ == "__main__":
    main()
