"""Into real browsers over a cable: `dcsend send` and the page against bare channels of engines.

    python -m bench.browsers [--rounds 5] [--megabytes 300] [--gigabytes 2] [--browser NAME]

The browser is on a second host; the MTU is 1500. In each round each contender sends into a new tab:
`dcsend send` into the page it serves, verified and saved to the browser's private file system
(`--page lan`: as a phone opens it, into memory); libwebrtc and aiortc into a few lines of script
that count and discard. aiortc sends a third. The last transfer is a large file with dcsend, for the
memory of the process of the tab. Writes build/bench/browsers.json; about 12 minutes by default.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from bench import results
from bench.contenders import choose
from bench.contenders.channels import PROGRAMS
from bench.contenders.whole import PROGRAM
from bench.files import random_file, workshop
from bench.hosts import Hosts, cable
from bench.results import MEGABYTE, Result, Row, progress
from bench.running import Failed, Running
from bench.watching import give_loopback, watched
from tests.support.bidi import BidiError
from tests.support.browsers import Browser
from tests.support.launching import NAMES, missing_programs
from tests.support.tab import Tab

__all__ = ["main"]

_LIMIT: Final = 120.0
"Seconds for one transfer."

_DEFAULT: Final = ("dcsend", "libwebrtc", "aiortc")

SMALLER: Final = {"aiortc": 3}
"Contender -> by how much less it sends."

_TIMING: Final = {
    "dcsend into a page": "`dcsend send` into its page: from the accepted manifest to the last "
    "verdict, as the sender counts; verified and saved by the browser",
    "engines into a page": "as the bare channels above, with some lines of script as the receiver",
}
"Definition of the seconds."

_ANSWER: Final = """async (offer, total) => {
  const connection = new RTCPeerConnection();
  connection.ondatachannel = ({ channel }) => {
    let received = 0, confirmed = 0;
    channel.binaryType = "arraybuffer";
    channel.onmessage = ({ data }) => {
      received += data.byteLength;
      if (received === total || received - confirmed >= 1000000) {
        confirmed = received;
        channel.send(String(received));
      }
    };
  };
  window.connection = connection;
  await connection.setRemoteDescription({ type: "offer", sdp: offer });
  await connection.setLocalDescription();
  while (connection.iceGatheringState !== "complete")
    await new Promise((resolve) => { connection.onicegatheringstatechange = resolve; });
  return connection.localDescription.sdp;
}"""
"Runs in the page: takes the offer, returns the answer, counts bytes, as `bench.bare` does."


@dataclass(frozen=True, slots=True)
class _Stage:
    """A browser on the right host, and the origin of its page."""

    hosts: Hosts
    browser: Browser
    folder: Path
    lan: bool

    async def bare(self, name: str, megabytes: int) -> Result:
        """Send over a bare channel of engine *name*."""
        total = megabytes * MEGABYTE
        command = (*PROGRAMS[name], "send", str(total), str(_LIMIT))
        tab = await self.browser.open_tab(self.folder / "downloads")
        with Running(Hosts.on(self.hosts.left, *command)) as sender:
            line, _ = await asyncio.to_thread(sender.until, '"sdp"')
            async with watched(self.browser) as watch:
                answer = await tab.call(_ANSWER, json.loads(line.text)["sdp"], total)
                sender.write_line(json.dumps({"type": "answer", "sdp": answer}))
                line, _ = await asyncio.to_thread(sender.until, '"seconds"', 2 * _LIMIT)
            cost = await asyncio.to_thread(sender.end)
        await self.browser.close_tabs()
        result = json.loads(line.text)
        done = result["bytes"] == total
        return Result(result["bytes"], result["seconds"], done, cost, watch.cost)

    async def whole(self, source: Path) -> tuple[Result, int]:
        """Send with dcsend; return the result, and the most memory of the tab."""
        command = (*PROGRAM, "send", str(source), "--json", "--stun", "none")
        tab = await self.browser.open_tab(self.folder / "downloads")
        with Running(Hosts.on(self.hosts.left, *command)) as sender:
            line, _ = await asyncio.to_thread(sender.until, '"event": ?"code"')
            link = urlsplit(json.loads(line.text)["link"])
            forward = ("python3", "-m", "bench.forward", str(link.port), self.hosts.left_address)
            with Running(Hosts.on(self.hosts.right, *forward)) as forwarding:
                await asyncio.to_thread(forwarding.until, "ready")
                if not self.lan:
                    link = link._replace(netloc=f"localhost:{link.port}")
                await tab.open(urlunsplit(link))
            await tab.wait_for("document.body.dataset.state === 'offered'")
            if not self.lan:
                await _choose_private(tab)
            async with watched(self.browser) as watch:
                await tab.click("#accept")
                line, _ = await asyncio.to_thread(sender.until, '"event": ?"done"', 40 * _LIMIT)
            cost = await asyncio.to_thread(sender.end)
        await self.browser.close_tabs()
        done = json.loads(line.text)
        events = ((one.at, json.loads(one.text)) for one in sender.lines)
        points = [(at, event["bytes"]) for at, event in events if event["event"] == "progress"]
        series = progress(line.at - done["seconds"], points)
        result = Result(done["bytes"], done["seconds"], done["ok"], cost, watch.cost, series)
        return result, watch.tab


async def _choose_private(tab: Tab) -> None:
    # The save picker, which Chromium prefers, would need a person.
    choice = "input[name=destination][value=private]"
    await tab.call("(selector) => document.querySelector(selector)?.click()", choice)


async def _rounds(stage: _Stage, row: Row, chosen: argparse.Namespace) -> None:
    source = random_file(stage.folder / "source.bin", row.megabytes["dcsend"] * MEGABYTE)
    names = list(row.megabytes)
    for number in range(chosen.rounds):
        for name in (*names[number % len(names) :], *names[: number % len(names)]):
            try:
                if name == "dcsend":
                    result, _ = await stage.whole(source)
                else:
                    result = await stage.bare(name, row.megabytes[name])
            except (Failed, TimeoutError, AssertionError, BidiError) as error:
                print(f"{row.title}, {name} failed: {error}")
                result = Result(0, 0.0, complete=False, note=str(error))
                await stage.browser.close_tabs()
            row.results.setdefault(name, []).append(result)
        last = ", ".join(f"{name} {row.results[name][-1].rate:.1f}" for name in names)
        print(f"{row.title}, round {number + 1}: {last} MB/s", flush=True)


async def _measure(name: str, folder: Path, chosen: argparse.Namespace) -> Row:
    megabytes = {one: chosen.megabytes // SMALLER.get(one, 1) for one in _DEFAULT}
    with cable() as hosts:
        await asyncio.to_thread(give_loopback, hosts.right)
        browser = await asyncio.to_thread(Browser, name, (), hosts.right)
        try:
            row = Row(f"into {name} {browser.version}", megabytes, timing=_TIMING)
            stage = _Stage(hosts, browser, folder, chosen.page == "lan")
            await _rounds(stage, row, chosen)
            if chosen.gigabytes:
                large = folder / "large.bin"
                random_file(large, int(chosen.gigabytes * 1e9))
                result, tab = await stage.whole(large)
                large.unlink()
                row.extra["dcsend"] = [
                    {"gigabytes": chosen.gigabytes, "tab_peak": tab, "rate": result.rate}
                ]
                print(f"{name}, {chosen.gigabytes:g} GB: the tab's process {tab / 2**20:.0f} MiB")
        finally:
            await asyncio.to_thread(browser.close)
    return row


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--gigabytes", type=float, default=2, help="for the memory; 0: not")
    parser.add_argument("--browser", choices=NAMES, action="append", help="only this one")
    parser.add_argument("--page", choices=("localhost", "lan"), default="localhost")
    chosen = parser.parse_args()
    choose(_DEFAULT)
    where = results.conditions()
    rows = []
    for name in chosen.browser or NAMES:
        if missing := missing_programs(name):
            print(f"without {name}: {', '.join(missing)} not installed")
            continue
        with workshop(int(2 * chosen.gigabytes * 1e9) + 3 * chosen.megabytes * MEGABYTE) as folder:
            rows.append(asyncio.run(_measure(name, folder, chosen)))
        results.save("browsers", where, vars(chosen), rows)


if __name__ == "__main__":
    main()
