"""Into real browsers: `dcsend send` and the page against a bare aiortc data channel.

    python -m bench.browsers [--megabytes 300] [--rounds 3] [--gigabytes 2]

Each round moves the same number of bytes into Chromium, and then into Firefox, first through a bare
channel (a stock RTCPeerConnection here, a few lines of script there that count and throw away),
then with `dcsend send` into the page it serves: verified, and saved to the browser's private file
system. At last a large file, to see how much memory the tab takes. Prints a Markdown table with
medians and ratios, and one line of JSON. Needs the browsers of scripts/system-tools.sh.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from bench.bare import MESSAGE_SIZE, PATIENCE, pump
from bench.throughput import random_file
from tests.browsers import Browser
from tests.launching import NAMES
from tests.page import lan_address
from tests.tab import Tab

__all__ = ["bare", "main", "whole"]

_ROOT: Final = Path(__file__).resolve().parent.parent
_SAMPLE: Final = 0.2
"Seconds between two looks at the memory of the tab."

_ANSWER: Final = """async (offer, total) => {
  const connection = new RTCPeerConnection();
  connection.ondatachannel = ({ channel }) => {
    let received = 0;
    channel.binaryType = "arraybuffer";
    channel.onmessage = ({ data }) => {
      received += data.byteLength;
      if (received === total) channel.send("done");
    };
  };
  window.connection = connection;
  await connection.setRemoteDescription({ type: "offer", sdp: offer });
  await connection.setLocalDescription();
  while (connection.iceGatheringState !== "complete")
    await new Promise((resolve) => { connection.onicegatheringstatechange = resolve; });
  return connection.localDescription.sdp;
}"""
"Runs in the page: takes the offer, gives the answer, counts what comes."


@dataclass(frozen=True, slots=True)
class Received:
    """One transfer into the page."""

    rate: float
    "Millions of bytes per second, as dcsend itself counts: accepted manifest to last verdict."
    memory: int
    "Most bytes of memory, resident, that the tab's process has had."


async def bare(tab: Tab, total: int) -> float:
    """Send *total* bytes over a bare channel; return millions of bytes per second."""
    async with _empty_page() as url:
        await tab.open(url)
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        channel = connection.createDataChannel("data")
        opened, finished = asyncio.Event(), asyncio.Event()
        channel.on("open", opened.set)
        channel.on("message", lambda _: finished.set())
        try:
            async with asyncio.timeout(PATIENCE):
                await connection.setLocalDescription(await connection.createOffer())
                answer = await tab.call(_ANSWER, connection.localDescription.sdp, total)
                await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
                await opened.wait()
            start = time.perf_counter()
            async with asyncio.timeout(PATIENCE + total / 100_000):
                await pump(channel, total, MESSAGE_SIZE)
                await finished.wait()
            return total / (time.perf_counter() - start) / 1e6
        finally:
            await connection.close()


async def whole(tab: Tab, source: Path, watched: Browser | None = None) -> Received:
    """Send *source* with dcsend into its page here; watching the memory costs time."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dcsend", "send", str(source), "--json", "--stun", "none"),
        stdout=PIPE,
        cwd=_ROOT,
    )
    assert process.stdout is not None
    link = json.loads(await process.stdout.readline())["link"]
    # On localhost the page may use the private file system, as a hosted one may.
    parts = urlsplit(link)
    await tab.open(urlunsplit(parts._replace(netloc=f"localhost:{parts.port}")))
    await tab.wait_for("document.body.dataset.state === 'offered'")
    # The save picker, which Chromium prefers, would need a person.
    choice = "input[name=destination][value=private]"
    await tab.call("(selector) => document.querySelector(selector)?.click()", choice)
    await tab.click("#accept")
    watching = asyncio.create_task(_most_memory(watched, process))
    lines = (await process.stdout.read()).decode().splitlines()
    await process.wait()
    done = json.loads(lines[-1])
    if not done["ok"]:
        raise SystemExit("a transfer failed:\n" + "\n".join(lines[-3:]))
    return Received(done["bytes"] / done["seconds"] / 1e6, await watching)


async def _most_memory(browser: Browser | None, process: asyncio.subprocess.Process) -> int:
    most = 0
    while browser is not None and process.returncode is None:
        most = max(most, await asyncio.to_thread(browser.memory))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _SAMPLE)
    return most


@asynccontextmanager
async def _empty_page() -> AsyncIterator[str]:
    """Serve a page without anything on the address that other machines see."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>bare</title>", content_type="text/html")

    application = web.Application()
    application.router.add_get("/", page)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, lan_address(), 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/"
    finally:
        await runner.cleanup()


async def _measure(name: str, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    browser = await asyncio.to_thread(Browser, name)
    total = chosen.megabytes * 1_000_000
    source = await asyncio.to_thread(random_file, folder / f"{name}.bin", total)
    pairs: list[tuple[float, float]] = []
    memory = 0
    try:
        for number in range(chosen.rounds):
            tab = await browser.open_tab(folder / "downloads")
            other = await bare(tab, total)
            ours = await whole(tab, source)
            await browser.close_tabs()
            pairs.append((other, ours.rate))
            print(f"{name}, round {number + 1}: bare {other:.1f}, dcsend {ours.rate:.1f} MB/s")
        if chosen.gigabytes:
            size = int(chosen.gigabytes * 1e9)
            large = await asyncio.to_thread(random_file, folder / f"{name}-large.bin", size)
            tab = await browser.open_tab(folder / "downloads")
            memory = (await whole(tab, large, browser)).memory
            large.unlink()
    finally:
        await asyncio.to_thread(browser.close)
    return {
        "browser": name,
        "bare_mb_per_s": statistics.median(other for other, _ in pairs),
        "dcsend_mb_per_s": statistics.median(ours for _, ours in pairs),
        "ratio": statistics.median(ours / other for other, ours in pairs),
        "tab_mib": memory / 2**20,
    }


async def _measure_all(folder: Path, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    # One loop for all: aioice keeps a lock of its first one.
    return [await _measure(name, folder, chosen) for name in chosen.browser or NAMES]


def _print(results: Sequence[dict[str, Any]], chosen: argparse.Namespace) -> None:
    print(
        f"\n| {chosen.megabytes} MB into | bare aiortc, MB/s | dcsend and its page, MB/s | ratio "
        f"| tab's memory at {chosen.gigabytes:g} GB, MiB |\n|---|--:|--:|--:|--:|"
    )
    for one in results:
        print(
            f"| {one['browser']} | {one['bare_mb_per_s']:.1f} | {one['dcsend_mb_per_s']:.1f} "
            f"| {one['ratio']:.2f} | {one['tab_mib']:.0f} |"
        )
    print(json.dumps({"browsers": results}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gigabytes", type=float, default=2, help="for the memory; 0: not")
    parser.add_argument("--browser", choices=NAMES, action="append", help="only this one")
    chosen = parser.parse_args()
    # TMPDIR decides: where files are in memory, those of the private file system count twice.
    with tempfile.TemporaryDirectory(prefix="dcsend-bench-", dir=os.environ.get("TMPDIR")) as name:
        results = asyncio.run(_measure_all(Path(name), chosen))
    _print(results, chosen)


if __name__ == "__main__":
    main()
