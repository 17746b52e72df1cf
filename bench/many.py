"""One sender and many receivers at once, and two that disturb them.

    python -m bench.many [--rounds 5] [--terminals 20] [--pages 2] [--megabytes 50]

In each round, one sender (`--times any`) serves terminals, which discard what they get, and pages
in Chromium and Firefox, over loopback, twice: without and with two more receivers. Of these, one
does not read its standard output, as a disk that stands still, and one sends lines as fast as it
can and acknowledges nothing. The order of the two changes from round to round. The result is the
rate of all others together, what the sender has read from the disk, and its memory.
Writes build/bench/many.json; about 10 minutes by default.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from bench import results
from bench.files import random_file, workshop
from bench.results import MEGABYTE
from bench.running import ROOT, Running
from tests.support.browsers import Browser
from tests.support.launching import NAMES, missing_programs
from tests.support.page import lan_address
from tests.support.scripted_peer import dialing

__all__ = ["main"]

_LIMIT: Final = 600.0
"Seconds for one run."
_ALONE: Final = "others only"
_DISTURBED: Final = "with a standing and a hostile one"


def _dcsend(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dcsend", *arguments]


def _receiving(code: str, output: int) -> subprocess.Popen[bytes]:
    """Start a receiver that writes to its standard output."""
    return subprocess.Popen(
        _dcsend("receive", code, "-o", "-", "-y", "-q"),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.DEVNULL,
    )


@asynccontextmanager
async def _standing(code: str) -> AsyncIterator[None]:
    """Receive into a pipe that is not read."""
    process = _receiving(code, subprocess.PIPE)
    try:
        yield
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def _hostile(code: str) -> AsyncIterator[None]:
    """Accept, acknowledge nothing, and send lines."""
    async with dialing(code) as peer:
        await peer.accept()

        async def flood() -> None:
            line = "x" * 4000 + "\n"
            while True:
                while not peer.text.send(line):
                    await peer.text.writable()
                await asyncio.sleep(0)

        flooding = asyncio.create_task(flood())
        try:
            yield
        finally:
            flooding.cancel()
            await asyncio.wait({flooding})


def _read_by(sender: Running) -> int:
    """Return the bytes that the sender has read from files."""
    found = re.search(r"rchar: (\d+)", Path(f"/proc/{sender.pid}/io").read_text())
    return int(found[1]) if found else 0


def _ended(sender: Running) -> list[tuple[float, int]]:
    """Return when each receiver has ended that has everything, and its bytes."""
    events = ((line.at, json.loads(line.text)) for line in list(sender.lines))
    return [
        (at, event["bytes"])
        for at, event in events
        if event["event"] == "receiver_done" and event["ok"]
    ]


def _all_ended(sender: Running, wanted: int) -> list[tuple[float, int]]:
    """Wait until so many receivers have everything; return what `_ended` does."""
    until = time.monotonic() + _LIMIT
    while len(ended := _ended(sender)) < wanted:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(ended)} of {wanted} receivers in {_LIMIT:g} s")
        time.sleep(0.05)
    return ended


async def _run(
    source: Path, browsers: list[Browser], chosen: argparse.Namespace, *, disturbed: bool
) -> dict[str, float]:
    """Serve all once; return rate of the others together in MB/s, bytes read, memory in MiB."""
    command = _dcsend("send", str(source), "--times", "any", "--json", "--stun", "none")
    sender = Running([*command, "--address", lan_address()])
    async with AsyncExitStack() as stack:
        line, _ = await asyncio.to_thread(sender.until, '"event": ?"code"')
        code, link = (json.loads(line.text)[name] for name in ("code", "link"))
        before = _read_by(sender)
        if disturbed:
            await stack.enter_async_context(_standing(code))
            await stack.enter_async_context(_hostile(code))
        tabs = []
        for number in range(chosen.pages * len(browsers)):
            tab = await browsers[number % len(browsers)].open_tab(source.parent / "downloads")
            await tab.open(link)
            await tab.wait_for("document.body.dataset.state === 'offered'")
            tabs.append(tab)
        began = time.monotonic()
        terminals = [_receiving(code, subprocess.DEVNULL) for _ in range(chosen.terminals)]
        for tab in tabs:
            await tab.click("#accept")
        wanted = len(terminals) + len(tabs)
        ended = await asyncio.to_thread(_all_ended, sender, wanted)
        read = _read_by(sender) - before
        for process in terminals:
            process.wait(30)
        for browser in browsers:
            await browser.close_tabs()
    cost = await asyncio.to_thread(sender.end, 30.0, interrupt=True)
    return {
        "rate": sum(size for _, size in ended) / (max(at for at, _ in ended) - began) / MEGABYTE,
        "read": read / (chosen.megabytes * MEGABYTE),
        "memory": cost.peak_rss / 2**20,
    }


async def _measure(source: Path, chosen: argparse.Namespace) -> list[dict[str, object]]:
    browsers = []
    for name in NAMES if chosen.pages else ():
        if missing := missing_programs(name):
            print(f"without {name}: {', '.join(missing)} not installed")
        else:
            browsers.append(await asyncio.to_thread(Browser, name))
    rows: list[dict[str, object]] = []
    try:
        for number in range(chosen.rounds):
            order = (_ALONE, _DISTURBED) if number % 2 == 0 else (_DISTURBED, _ALONE)
            for title in order:
                found = await _run(source, browsers, chosen, disturbed=title == _DISTURBED)
                rows.append({"round": number + 1, "run": title, **found})
                shown = ", ".join(f"{key} {value:.2f}" for key, value in found.items())
                print(f"round {number + 1}, {title}: {shown}", flush=True)
    finally:
        for browser in browsers:
            await asyncio.to_thread(browser.close)
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--terminals", type=int, default=20)
    parser.add_argument("--pages", type=int, default=2, help="in each browser")
    parser.add_argument("--megabytes", type=int, default=50)
    chosen = parser.parse_args()
    where = results.conditions()
    with workshop(chosen.megabytes * MEGABYTE * (2 + chosen.pages * 2)) as folder:
        source = random_file(folder / "source.bin", chosen.megabytes * MEGABYTE)
        rows = asyncio.run(_measure(source, chosen))
    rates = {
        title: [float(str(row["rate"])) for row in rows if row["run"] == title]
        for title in (_ALONE, _DISTURBED)
    }
    ratios = [b / a for a, b in zip(rates[_ALONE], rates[_DISTURBED], strict=True)]
    print(f"median of {len(ratios)} ratios: {statistics.median(ratios):.2f}")
    results.write("many", {"conditions": where, "rows": rows, "ratios": ratios})


if __name__ == "__main__":
    main()
