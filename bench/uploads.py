"""Chromium sending over emulated paths: the page's window at the protocol level.

    python -m bench.uploads [--rounds 3] [--megabytes 60] [--limit 60] [--path N]

The page, in a real Chromium in one network namespace, sends a file to `dcsend receive` in another;
on slow paths no more than half the limit would take. Beside the rate stands what the queue adds to
the round trip of a ping in the middle of the transfer (median).
Prints a Markdown table with the medians, and one line of JSON. Needs what `bench.emulation` does,
and the browser of scripts/system-tools.sh.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Final

from bench.emulation import Hosts, Path, joined, requirements
from bench.throughput import random_file
from tests.browsers import Browser
from tests.page import Page

__all__ = ["GRID", "Sent", "main", "upload"]

_ROOT: Final = FilePath(__file__).resolve().parent.parent
_RAMP: Final = 3
"Pings that aren't counted."

_PING: Final = """
import os, socket, struct, sys, time
echo = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
for number in range(1, 60000):
    rest = struct.pack("!HH", os.getpid() & 0xffff, number)
    total = sum(struct.unpack("!HHH", struct.pack("!H", 0x0800) + rest))
    check = ~((total & 0xffff) + (total >> 16)) & 0xffff
    begun = time.perf_counter()
    echo.sendto(struct.pack("!BBH", 8, 0, check) + rest, (sys.argv[1], 0))
    while echo.recv(2048)[20:] != struct.pack("!BBH", 0, 0, (check + 0x0800) & 0xffff) + rest:
        pass
    print(time.perf_counter() - begun, flush=True)
    time.sleep(0.2)
"""
"A ping that needs no package. Runs until it is ended."

GRID: Final = (
    Path(0.04, 0.0, 100e6, 500_000),
    Path(0.06, 0.0, 8e6, 3_000_000),
    Path(0.0005, 0.0, 0.0, 4_000_000),
    Path(0.15, 0.0, 1e9, 8_000_000),
    Path(0.04, 0.001, 1e9, 4_000_000),
)
"An ordinary line; an uplink with three seconds of buffer; a LAN; a far one; one with losses."


@dataclass(frozen=True, slots=True)
class Sent:
    """One transfer out of the page."""

    rate: float
    "Millions of bytes per second, as `dcsend receive` counts; of what came, if time was up."
    added: float
    "Seconds that a ping took longer than the path's round trip, median."


async def upload(hosts: Hosts, path: Path, file: FilePath, limit: float, folder: FilePath) -> Sent:
    """Send *file* from the page on the left to a terminal on the right, *limit* seconds at most."""
    environment = os.environ | {"DCSEND_STUN": "none", "PYTHONPATH": str(_ROOT)}
    arguments = ("receive", "-o", str(folder / "received"), "-y", "--overwrite", "--json")
    receiver = await asyncio.create_subprocess_exec(
        *Hosts.on(hosts.right, sys.executable, "-m", "dcsend", *arguments),
        stdout=PIPE,
        env=environment,
    )
    assert receiver.stdout is not None
    link = json.loads(await receiver.stdout.readline())["link"]
    # chromedriver says that its port is 0 where there is no IPv6 at all.
    await _run(hosts.left, "sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/lo/disable_ipv6")
    browser = await asyncio.to_thread(Browser, "chromium", (), hosts.left)
    try:
        page = Page(await browser.open_tab(folder / "downloads"))
        await page.open(link)
        await page.choose(file)
        pinging = await _ping(hosts)
        await page.tab.click("#send")
        lines = await _lines(receiver, limit)
        pinging.terminate()
        output, _ = await pinging.communicate()
    finally:
        await asyncio.to_thread(browser.close)
    trips = [float(line) for line in output.splitlines()]
    # The first ones were before the transfer had filled anything.
    added = statistics.median(trips[_RAMP:] or trips or [path.rtt]) - path.rtt
    return Sent(_rate(lines, limit), max(0.0, added))


async def _run(namespace: str, *argv: str) -> None:
    process = await asyncio.create_subprocess_exec(*Hosts.on(namespace, *argv))
    if await process.wait():
        raise SystemExit(f"{' '.join(argv)} failed")


async def _ping(hosts: Hosts) -> Process:
    command = Hosts.on(hosts.left, sys.executable, "-c", _PING, hosts.right_address)
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL)


async def _lines(receiver: Process, limit: float) -> list[dict[str, Any]]:
    """Read what the receiver tells, until it ends or time is up."""
    assert receiver.stdout is not None
    reading = asyncio.create_task(receiver.stdout.read())
    await asyncio.wait([reading], timeout=limit)
    if not reading.done():
        receiver.send_signal(signal.SIGINT)
    output = await reading
    await receiver.wait()
    return [json.loads(line) for line in output.splitlines()]


def _rate(lines: list[dict[str, Any]], limit: float) -> float:
    done = lines[-1]
    if done["ok"]:
        return float(done["bytes"] / done["seconds"] / 1e6)
    arrived = max((e["bytes"] for e in lines if e["event"] == "progress"), default=0)
    return float(arrived / (done["seconds"] or limit) / 1e6)


def _measure(path: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    megabytes = chosen.megabytes
    if path.rate:
        megabytes = max(1, min(megabytes, int(path.rate / 8e6 * chosen.limit / 2)))
    results: list[Sent] = []
    with tempfile.TemporaryDirectory(prefix="dcsend-bench-") as name:
        folder = FilePath(name)
        file = random_file(folder / "source.bin", megabytes * 1_000_000)
        for number in range(chosen.rounds):
            with joined(path, seed=number + 1) as hosts:
                results.append(asyncio.run(upload(hosts, path, file, chosen.limit, folder)))
            sent = results[-1]
            print(f"{path}: {sent.rate:.2f} MB/s, {sent.added * 1e3:.0f} ms added", flush=True)
    return {
        "path": str(path),
        "bottleneck": path.rate / 8e6,
        "megabytes": megabytes,
        "mb_per_s": [sent.rate for sent in results],
        "added_s": [sent.added for sent in results],
    }


def _print(results: list[dict[str, Any]]) -> None:
    print("\n| Chromium sends over | MB/s | share of the line | added delay, ms |")
    print("|---|--:|--:|--:|")
    for one in results:
        rate, added = statistics.median(one["mb_per_s"]), statistics.median(one["added_s"])
        share = f"{rate / one['bottleneck']:.2f}" if one["bottleneck"] else "–"
        print(f"| {one['path']} | {rate:.2f} | {share} | {added * 1e3:.0f} |")
    print(json.dumps({"uploads": results}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=60)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each transfer")
    parser.add_argument("--path", type=int, action="append", help="only this one, from 0")
    chosen = parser.parse_args()
    if missing := requirements():
        raise SystemExit(f"an emulated path needs {', '.join(missing)}")
    _print([_measure(GRID[number], chosen) for number in chosen.path or range(len(GRID))])


if __name__ == "__main__":
    main()
