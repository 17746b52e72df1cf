"""Contenders in turn, in rounds, so that a slow minute of the machine affects all of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bench.contenders import CONTENDERS, Contender
from bench.hosts import Hosts
from bench.results import Result, Row
from bench.running import Failed

__all__ = ["MakeHosts", "add_options", "attempt", "interleave"]

MakeHosts = Callable[[int], AbstractContextManager[Hosts]]
"Called with the number of the round; new hosts each time, so that queues are empty."


def add_options(parser: argparse.ArgumentParser, default: Sequence[str], rounds: int = 5) -> None:
    """Add the options that all parts have."""
    parser.add_argument("--rounds", type=int, default=rounds, help=f"default {rounds}")
    parser.add_argument(
        "--contender",
        action="append",
        choices=tuple(CONTENDERS),
        help=f"only this one, may be repeated; default: {', '.join(default)}",
    )


def attempt(name: str, measure: Callable[[], Result]) -> Result:
    """Measure; a contender that fails has a rate of 0, and its reason is printed and kept."""
    try:
        return measure()
    except (Failed, TimeoutError) as error:
        print(f"{name} failed: {error}")
        return Result(0, 0.0, complete=False, note=str(error))


def interleave(
    row: Row,
    contenders: Sequence[Contender],
    rounds: int,
    limit: float,
    make: MakeHosts,
    folder: Path,
) -> None:
    """Fill *row*: in each round each contender once; the first one changes."""
    row.timing |= {one.name: one.timing for one in contenders}
    for number in range(rounds):
        first = number % len(contenders)
        for one in (*contenders[first:], *contenders[:first]):
            row.results.setdefault(one.name, []).append(
                _once(one, row.megabytes, limit, make(number), folder)
            )
        last = {one.name: row.results[one.name][-1] for one in contenders}
        print(f"{row.title}, round {number + 1}: {_shown(last)}", flush=True)


def _once(
    one: Contender,
    megabytes: Mapping[str, int],
    limit: float,
    make: AbstractContextManager[Hosts],
    folder: Path,
) -> Result:
    with make as hosts:
        return attempt(one.name, lambda: one.measure(hosts, megabytes[one.name], limit, folder))


def _shown(last: Mapping[str, Result]) -> str:
    words = (
        f"{name} {one.rate:.2f}{'' if one.complete else ' (not done)'}"
        for name, one in last.items()
    )
    return ", ".join(words) + " MB/s"
