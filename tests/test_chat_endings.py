"""What a chat tells when its peer is killed or cut off: Pion, libwebrtc, dcsend, both browsers.

Everything in one test, side by side, on hosts of its own, in the run that waits
(scripts/tests.py): ICE notices a peer that is gone after half a minute.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.browsers import Browser, require
from tests.demo_peers import Cast, Talker
from tests.netns import Host, Lan, MakeLan
from tests.test_page_chat import PAGE, Demo, introduced

DEMO: Final = Path(__file__).parent / "demo"
SECONDS: Final = 90.0
"Twice what the slowest peer takes to give up."
STATE: Final = "^Peer Connection State has changed: "


class Pair:
    """A dcsend and its peer, each on a host of its own."""

    def __init__(self, cast: Cast, lan: Lan, pion: Path) -> None:
        self.cast = cast
        self.lan = lan
        self.pion = pion

    def run(self, host: Host, *argv: str | Path) -> Talker:
        """Start a program on a host."""
        return self.cast.run("ip", "netns", "exec", host.namespace, *argv)

    def dcsend(self, host: Host, *options: str) -> Talker:
        """Start a chat on a host."""
        chat = ("chat", "--interval", "0.3", *options)
        return self.run(host, sys.executable, "-m", "dcsend", *chat)

    def peer(self, kind: str) -> Talker:
        """Start the peer that answers."""
        host = self.lan.hosts[1]
        if kind == "pion":
            return self.run(host, self.pion, "-interval", "300ms")
        if kind == "libwebrtc":
            script = DEMO / "libwebrtc_peer.py"
            return self.run(host, sys.executable, script, "--interval", "0.3")
        return self.dcsend(host)

    async def meet(self, kind: str) -> tuple[Talker, Talker]:
        """Return dcsend and its peer, between which messages go."""
        ours, theirs = self.dcsend(self.lan.hosts[0], "--offer"), self.peer(kind)
        await asyncio.to_thread(self.cast.introduce, ours, theirs)
        for talker in (ours, theirs):
            await said(talker, "^Message from")
        return ours, theirs

    def cable(self, state: str) -> None:
        """Pull the peer's cable out (`down`), or put it in again (`up`)."""
        command = ["ip", "-n", self.lan.bridge, "link", "set", "p1", state]
        subprocess.run(command, check=True)


async def said(talker: Talker, pattern: str, count: int = 1) -> None:
    """Wait for a line."""
    await asyncio.to_thread(talker.until, pattern, seconds=SECONDS, count=count)


async def fails(ours: Talker) -> None:
    """Expect the story of a peer that is gone."""
    await said(ours, f"{STATE}disconnected$")
    await said(ours, f"{STATE}failed$")
    await said(ours, "^Peer Connection has gone to failed exiting$")
    assert await asyncio.to_thread(ours.end) == 5
    assert re.search(r"nothing came from the other side for \d\d s$", ours.errors[-1])


async def killed(pair: Pair, kind: str) -> None:
    ours, theirs = await pair.meet(kind)
    theirs.process.kill()
    await fails(ours)


async def cut_off(pair: Pair, kind: str) -> None:
    ours, theirs = await pair.meet(kind)
    pair.cable("down")
    # It may come back: then everything goes on, what was sent meanwhile included.
    await said(ours, f"{STATE}disconnected$")
    ours.say("said into the void")
    pair.cable("up")
    await said(ours, f"{STATE}connected$", 2)
    await said(theirs, "^Message from DataChannel 'data': 'said into the void'$")
    pair.cable("down")
    await said(theirs, f"{STATE}(disconnected|failed)$")
    await said(ours, f"{STATE}disconnected$", 2)
    await fails(ours)


async def we_are_killed(pair: Pair, kind: str) -> None:
    ours, theirs = await pair.meet(kind)
    ours.process.kill()
    await said(theirs, f"{STATE}disconnected$")
    await said(theirs, f"{STATE}failed$")


@asynccontextmanager
async def met_in_browser(pair: Pair, name: str, folder: Path) -> AsyncIterator[tuple[Talker, Demo]]:
    """Yield dcsend and a page of the demo's kind, which runs on the peer's host."""
    phone = pair.lan.hosts[1]
    # Firefox gathers the address that leads to the world; without one, it may never end.
    phone.run(["ip", "route", "add", "default", "dev", "eth0"])
    browser = await asyncio.to_thread(Browser, name, namespace=phone.namespace)
    try:
        demo = Demo(await browser.open_tab(folder / name))
        await demo.tab.open(PAGE.as_uri())
        ours = pair.dcsend(pair.lan.hosts[0])
        await introduced(demo, ours)
        await said(ours, "^Message from")
        yield ours, demo
    finally:
        await asyncio.to_thread(browser.close)


async def browser_killed(pair: Pair, name: str, folder: Path) -> None:
    async with met_in_browser(pair, name, folder) as (ours, demo):
        for process in demo.tab.browser.processes():
            process.kill()
        await fails(ours)


async def browser_cut_off(pair: Pair, name: str, folder: Path) -> None:
    async with met_in_browser(pair, name, folder) as (ours, demo):
        pair.cable("down")
        await said(ours, f"{STATE}disconnected$")
        await demo.log("^state (disconnected|failed)$")
        await fails(ours)


@pytest.mark.slow
async def test_peer_that_is_gone_is_told_in_the_demos_words(
    cast: Cast, lan: MakeLan, pion: Path, tmp_path: Path
) -> None:
    require("chromium", "firefox")
    # Most of these threads wait; the usual six of two processors would make stories wait for each
    # other, and what has to happen within half a minute come too late.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))

    def pair() -> Pair:
        # Without IPv6, chromedriver says that it listens on port 0.
        return Pair(cast, lan(2), pion)

    stories: tuple[Callable[..., object], ...] = (killed, cut_off, we_are_killed)
    async with asyncio.TaskGroup() as together:
        for kind in ("pion", "libwebrtc", "dcsend"):
            for story in stories:
                together.create_task(story(pair(), kind))  # type: ignore[arg-type]
        for name in ("chromium", "firefox"):
            together.create_task(browser_killed(pair(), name, tmp_path / "killed"))
            together.create_task(browser_cut_off(pair(), name, tmp_path / "cut off"))
