"""Round-trip times of small datagrams beside a transfer: the delay that it adds for others."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from bench.emulation import Path
from bench.hosts import Hosts
from bench.results import Result
from bench.running import Running

__all__ = ["beside"]

_IDLE: Final = 2.0
"Seconds in which only the datagrams are on the line."
_PING: Final = (sys.executable, "-m", "bench.ping")


def beside(
    hosts: Hosts, path: Path, transfer: Callable[[], Result]
) -> tuple[Result, dict[str, Any]]:
    """Run *transfer* from left to right, with small datagrams in both directions beside it.

    Returns:
        Its result, and the delays: medians in milliseconds on the idle line and the busy one, the
        95th percentile, the part that was lost, and one in five as (seconds, milliseconds).
    """
    with Running(Hosts.on(hosts.right, *_PING, "answer")) as answering:
        answering.until("ready")
        with Running(Hosts.on(hosts.left, *_PING, "ask", hosts.right_address)) as asking:
            time.sleep(_IDLE)
            quiet = time.monotonic()
            result = transfer()
            # Time to empty the queue.
            if result.complete and path.rate:
                time.sleep(path.queue / (path.rate / 8))
            asking.end()
    pairs = [tuple(map(float, line.text.split())) for line in asking.lines[:-1]]
    sent = int(asking.lines[-1].text.split()[1])
    # A contender that failed has no times; then all datagrams after the idle phase count.
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


def _high(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return sorted(values)[int(len(values) * 0.95)] if values else 0.0
