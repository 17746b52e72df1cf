"""Cost of a browser during a measurement, and its setup in a network namespace."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import psutil

from bench.hosts import Hosts
from bench.running import Cost
from tests.support.browsers import Browser

__all__ = ["Watch", "give_loopback", "watched"]

_SAMPLE: Final = 3.0
"Seconds between two samples of the memory; each takes 65 ms of a processor (Chromium)."


@dataclass(slots=True)
class Watch:
    """The cost of the browser during a measurement."""

    cost: Cost | None = None
    "Of all its processes; memory that they share is counted once."
    tab: int = 0
    "Most bytes of memory, resident, of the tab's process."


@asynccontextmanager
async def watched(browser: Browser) -> AsyncIterator[Watch]:
    """Sample the cost of *browser* while the context lasts."""
    watch, most = Watch(), 0

    async def look() -> None:
        nonlocal most
        most = max(most, await asyncio.to_thread(browser.memory_of_all))
        watch.tab = max(watch.tab, await asyncio.to_thread(browser.memory))

    async def look_often() -> None:
        while True:
            await asyncio.sleep(_SAMPLE)
            await look()

    before = _processor_time(browser)
    looking = asyncio.create_task(look_often())
    try:
        yield watch
    finally:
        looking.cancel()
        await asyncio.wait({looking})
        used = _processor_time(browser) - before
        # Memory is highest at the end.
        await look()
        watch.cost = Cost(round(used, 2), most)


def _processor_time(browser: Browser) -> float:
    total = 0.0
    for process in browser.processes():
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def give_loopback(namespace: str) -> None:
    """Give a host ::1, which chromedriver needs to listen on a port."""
    command = "echo 0 > /proc/sys/net/ipv6/conf/lo/disable_ipv6"
    subprocess.run(Hosts.on(namespace, "sh", "-c", command), check=False)
