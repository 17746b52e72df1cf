"""Over a slow uplink with a deep buffer: does it get there, and what happens to everybody else.

    python -m bench.uplink [--rounds 5] [--seconds 20] [--contender NAME …]

8 Mbit/s, 60 ms, three seconds of buffer. While a file goes through, small datagrams go the same way
and come back (`bench.ping`): what they take longer than on the idle line before is the delay that
the transfer adds, to a call for instance. Writes build/bench/uplink.json; about 12 minutes by
default.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path as FilePath
from typing import Any, Final

from bench import results
from bench.contenders import Contender, choose
from bench.emulation import Hosts, joined, requirements
from bench.files import workshop
from bench.paths import GRID
from bench.rounds import add_options, attempt
from bench.running import Running

__all__ = ["main"]

_PATH: Final = GRID[4]
_DEFAULT: Final = ("dcsend", "aiortc", "libwebrtc", "magic-wormhole", "magic-wormhole-cubic")
_IDLE: Final = 2.0
"Seconds in which only the datagrams are on the line."
_PING: Final = (sys.executable, "-m", "bench.ping")


def _watched(
    one: Contender, hosts: Hosts, megabytes: int, limit: float, folder: FilePath
) -> tuple[results.Result, dict[str, Any]]:
    """Measure, and return the delays beside the result."""
    with Running(Hosts.on(hosts.right, *_PING, "answer")) as answering:
        answering.until("ready")
        with Running(Hosts.on(hosts.left, *_PING, "ask", hosts.right_address)) as asking:
            time.sleep(_IDLE)
            quiet = time.monotonic()
            result = attempt(one.name, lambda: one.measure(hosts, megabytes, limit, folder))
            # What is still in the queue has three seconds to come out of it.
            if result.complete:
                time.sleep(_PATH.queue / (_PATH.rate / 8))
            asking.end()
    pairs = [tuple(map(float, line.text.split())) for line in asking.lines[:-1]]
    sent = int(asking.lines[-1].text.split()[1])
    # Who failed has no times; then it is all that came after the quiet.
    start = result.started or quiet
    end = start + result.seconds if result.seconds else pairs[-1][0]
    idle = [trip for at, trip in pairs if at < quiet]
    busy = [trip for at, trip in pairs if start <= at <= end]
    return result, {
        "idle_ms": round(statistics.median(idle) * 1e3, 1) if idle else 0.0,
        "busy_ms": round(statistics.median(busy) * 1e3, 1) if busy else 0.0,
        "busy_95_ms": round(_high(busy) * 1e3, 1),
        "lost": round(1 - len(pairs) / sent, 4) if sent else 0.0,
        "trips": [(round(at - start, 2), round(trip * 1e3, 1)) for at, trip in pairs[::5]],
    }


def _high(values: list[float]) -> float:
    """Return the 95th percentile."""
    return sorted(values)[int(len(values) * 0.95)] if values else 0.0


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
                    result, delays = _watched(one, hosts, megabytes, 3 * chosen.seconds, folder)
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
