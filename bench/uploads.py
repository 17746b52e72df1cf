"""Out of real browsers over emulated paths: the page's window at the protocol level.

    python -m bench.uploads [--rounds 5] [--megabytes 60] [--limit 30] [--path N …] [--browser NAME]

The page, in a real browser on one host, sends a file to `dcsend receive` on the other; on slow
paths no more than half the limit would take. Beside it go small datagrams the same way
(`bench.ping`): what they take longer than on the idle line is the delay that the browser adds.
Writes build/bench/uploads.json; about 15 minutes by default.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path as FilePath
from typing import Final

from bench import results
from bench.contenders.whole import PROGRAM, summarise
from bench.delays import beside
from bench.emulation import Hosts, Path, joined, requirements
from bench.files import random_file, workshop
from bench.results import MEGABYTE, Result, Row
from bench.rounds import attempt
from bench.running import Failed, Running
from bench.watching import give_loopback, watched
from tests.support.bidi import BidiError
from tests.support.browsers import Browser
from tests.support.launching import NAMES, missing_programs
from tests.support.page import Page

__all__ = ["main"]

_GRID: Final = (
    Path(0.04, 0.0, 100e6, 500_000),
    Path(0.06, 0.0, 8e6, 3_000_000),
    Path(0.0005, 0.0, 0.0, 4_000_000),
    Path(0.15, 0.0, 1e9, 8_000_000),
    Path(0.04, 0.001, 1e9, 4_000_000),
)
"An ordinary line; an uplink with three seconds of buffer; a LAN; a far one; one with losses."

_TIMING: Final = {
    "a page into dcsend": "dcsend's page into `dcsend receive`: from the accepted manifest to the "
    "last verdict, as the receiver counts; written, synced, verified",
}
"Definition of the seconds."


async def _upload(
    hosts: Hosts, name: str, source: FilePath, limit: float, folder: FilePath
) -> Result:
    """Send *source* from the page on the left to a terminal on the right."""
    options = ("-o", str(folder / "received"), "-y", "--overwrite", "--json", "--stun", "none")
    with Running(Hosts.on(hosts.right, *PROGRAM, "receive", *options)) as receiver:
        line, _ = await asyncio.to_thread(receiver.until, '"event": ?"code"')
        await asyncio.to_thread(give_loopback, hosts.left)
        browser = await asyncio.to_thread(Browser, name, (), hosts.left)
        try:
            page = Page(await browser.open_tab(folder / "downloads"))
            await page.open(json.loads(line.text)["link"])
            await page.choose(source)
            over = False
            async with watched(browser) as watch:
                await page.tab.click("#send")
                accepted, _ = await asyncio.to_thread(receiver.until, '"event": ?"manifest"')
                try:
                    await asyncio.to_thread(receiver.until, '"event": ?"done"', limit)
                except TimeoutError:
                    over = True
            cost = await asyncio.to_thread(partial(receiver.end, interrupt=over))
        except (AssertionError, BidiError) as error:
            raise Failed(str(error)) from error
        finally:
            await asyncio.to_thread(browser.close)
    return summarise(accepted, receiver, limit, (watch.cost, cost))


def _transfer(
    hosts: Hosts, name: str, source: FilePath, limit: float, folder: FilePath
) -> Callable[[], Result]:
    return lambda: attempt(name, lambda: asyncio.run(_upload(hosts, name, source, limit, folder)))


def _rounds(row: Row, path: Path, chosen: argparse.Namespace, folder: FilePath) -> None:
    names = list(row.megabytes)
    source = random_file(folder / "source.bin", row.megabytes[names[0]] * MEGABYTE)
    for number in range(chosen.rounds):
        for name in (*names[number % len(names) :], *names[: number % len(names)]):
            with joined(path, seed=number + 1) as hosts:
                transfer = _transfer(hosts, name, source, chosen.limit, folder)
                result, delays = beside(hosts, path, transfer)
            row.results.setdefault(name, []).append(result)
            row.extra.setdefault(name, []).append(delays)
            print(
                f"{path}, round {number + 1}, {name}: {result.rate:.2f} MB/s, "
                f"{'done' if result.complete else 'not done'}, idle {delays['idle_ms']:.0f} ms, "
                f"busy {delays['busy_ms']:.0f}, 95 %: {delays['busy_95_ms']:.0f} ms",
                flush=True,
            )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=60)
    parser.add_argument("--limit", type=float, default=30.0, help="seconds for each transfer")
    parser.add_argument("--path", type=int, action="append", help="only this one, from 0")
    parser.add_argument("--browser", choices=NAMES, action="append", help="only this one")
    chosen = parser.parse_args()
    if missing := requirements():
        raise SystemExit(f"an emulated path needs {', '.join(missing)}")
    names = chosen.browser or NAMES
    for name in names:
        if missing := missing_programs(name):
            raise SystemExit(f"{name} needs {', '.join(missing)}")
    where = results.conditions()
    rows = []
    for path in [_GRID[number] for number in chosen.path or range(len(_GRID))]:
        megabytes = chosen.megabytes
        if path.rate:
            megabytes = max(1, min(megabytes, int(path.rate / 8e6 * chosen.limit / 2)))
        row = Row(str(path), dict.fromkeys(names, megabytes), timing=_TIMING)
        row.bottleneck = path.rate / 8e6
        with workshop(3 * megabytes * MEGABYTE) as folder:
            _rounds(row, path, chosen, folder)
        rows.append(row)
        results.save("uploads", where, vars(chosen), rows)


if __name__ == "__main__":
    main()
