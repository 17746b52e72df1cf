"""Over a slow uplink with a deep buffer: the rate, and the delay for other flows.

    python -m bench.uplink [--rounds 5] [--seconds 20] [--contender NAME …]

8 Mbit/s, 60 ms, three seconds of buffer. While a file goes through, small datagrams go the same way
and come back (`bench.ping`): their extra time, compared with the idle line before, is the delay
that the transfer adds, to a call for instance. Writes build/bench/uplink.json; about 12 minutes by
default.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Final

from bench import results
from bench.contenders import Contender, choose
from bench.delays import beside
from bench.emulation import Hosts, joined, requirements
from bench.files import workshop
from bench.paths import GRID
from bench.rounds import add_options, attempt

__all__ = ["main"]

_PATH: Final = GRID[4]
_DEFAULT: Final = ("dcsend", "aiortc", "libwebrtc", "magic-wormhole", "magic-wormhole-cubic")


def _transfer(
    one: Contender, hosts: Hosts, megabytes: int, limit: float, folder: FilePath
) -> Callable[[], results.Result]:
    return lambda: attempt(one.name, lambda: one.measure(hosts, megabytes, limit, folder))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add_options(parser, _DEFAULT)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the line at its full rate")
    chosen = parser.parse_args()
    if missing := requirements():
        raise SystemExit(f"an emulated path needs {', '.join(missing)}")
    where = results.conditions()
    contenders = choose(chosen.contender or _DEFAULT)
    megabytes = max(1, int(_PATH.rate / 8e6 * chosen.seconds))
    row = results.Row(str(_PATH), {one.name: megabytes for one in contenders})
    row.bottleneck = _PATH.rate / 8e6
    row.timing |= {one.name: one.timing for one in contenders}
    with workshop(3 * megabytes * results.MEGABYTE) as folder:
        for number in range(chosen.rounds):
            for one in contenders:
                with joined(_PATH, seed=number + 1) as hosts:
                    transfer = _transfer(one, hosts, megabytes, 3 * chosen.seconds, folder)
                    result, delays = beside(hosts, _PATH, transfer)
                row.results.setdefault(one.name, []).append(result)
                row.extra.setdefault(one.name, []).append(delays)
                print(
                    f"round {number + 1}, {one.name}: {result.rate:.2f} MB/s, "
                    f"{'done' if result.complete else 'not done'}, idle {delays['idle_ms']:.0f} ms,"
                    f" busy {delays['busy_ms']:.0f}, 95 %: {delays['busy_95_ms']:.0f} ms",
                    flush=True,
                )
    results.save("uplink", where, vars(chosen), [row])


if __name__ == "__main__":
    main()
