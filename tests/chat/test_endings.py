"""What a chat reports when its peer is killed or cut off: Pion, libwebrtc, dcsend, browsers.

All cases run at the same time in one test, each on two hosts of its own, beside other tests that
wait (scripts/tests.py): ICE detects the loss of a peer after 30 s.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.pages.test_chat import PAGE, Demo, exchange
from tests.support.browsers import Browser, require
from tests.support.demo_peers import LineProgram, Programs
from tests.support.netns import Host, Lan, MakeLan

SECONDS: Final = 90.0
"Twice the time after which the slowest peer gives up."
STATE: Final = "^Peer Connection State has changed: "


class Pair:
    """dcsend and its peer, each on its own host."""

    def __init__(self, programs: Programs, lan: Lan, pion: Path) -> None:
        self.programs = programs
        self.lan = lan
        self.pion = pion

    def chat(self, host: Host, *options: str) -> LineProgram:
        """Start a chat on a host."""
        return self.programs.chat(*options, host=host)

    def peer(self, kind: str) -> LineProgram:
        """Start the peer; it is the answerer."""
        host = self.lan.hosts[1]
        if kind == "pion":
            return self.programs.run(self.pion, "-interval", "300ms", host=host)
        return self.programs.libwebrtc(host=host) if kind == "libwebrtc" else self.chat(host)

    async def meet(self, kind: str) -> tuple[LineProgram, LineProgram]:
        """Return dcsend and its peer, once each has received a message."""
        ours, theirs = self.chat(self.lan.hosts[0], "--offer"), self.peer(kind)
        await asyncio.to_thread(self.programs.exchange, ours, theirs)
        for program in (ours, theirs):
            await line_of(program, "^Message from")
        return ours, theirs

    def cable(self, state: str) -> None:
        """Disconnect the peer's host from the network (`down`), or connect it again (`up`)."""
        command = ["ip", "-n", self.lan.bridge, "link", "set", "p1", state]
        subprocess.run(command, check=True)


async def line_of(program: LineProgram, pattern: str, count: int = 1) -> None:
    """Wait for a line."""
    await asyncio.to_thread(program.until, pattern, seconds=SECONDS, count=count)


async def fails(ours: LineProgram) -> None:
    """Check the states of dcsend after the loss of its peer, and its exit."""
    await line_of(ours, f"{STATE}disconnected$")
    await line_of(ours, f"{STATE}failed$")
    await line_of(ours, "^Peer Connection has gone to failed exiting$")
    assert await asyncio.to_thread(ours.end) == 5
    assert re.search(r"nothing was received from the other side for \d\d s$", ours.errors[-1])


async def killed(pair: Pair, kind: str) -> None:
    ours, theirs = await pair.meet(kind)
    theirs.process.kill()
    await fails(ours)


async def cut_off(pair: Pair, kind: str) -> None:
    ours, theirs = await pair.meet(kind)
    pair.cable("down")
    # After a short outage the chat continues, and messages sent meanwhile arrive.
    await line_of(ours, f"{STATE}disconnected$")
    ours.write_line("sent while cut off")
    pair.cable("up")
    await line_of(ours, f"{STATE}connected$", 2)
    await line_of(theirs, "^Message from DataChannel 'data': 'sent while cut off'$")
    pair.cable("down")
    await line_of(theirs, f"{STATE}(disconnected|failed)$")
    await line_of(ours, f"{STATE}disconnected$", 2)
    await fails(ours)


async def we_are_killed(pair: Pair, kind: str) -> None:
    ours, theirs = await pair.meet(kind)
    ours.process.kill()
    await line_of(theirs, f"{STATE}disconnected$")
    await line_of(theirs, f"{STATE}failed$")


@asynccontextmanager
async def met_in_browser(
    pair: Pair, name: str, folder: Path
) -> AsyncIterator[tuple[LineProgram, Demo]]:
    """Yield dcsend and the page of the demo, in a browser on the peer's host."""
    phone = pair.lan.hosts[1]
    # Firefox gathers the address of the default route; without one, gathering may not end.
    phone.run(["ip", "route", "add", "default", "dev", "eth0"])
    browser = await asyncio.to_thread(Browser, name, namespace=phone.namespace)
    try:
        demo = Demo(await browser.open_tab(folder / name))
        await demo.tab.open(PAGE.as_uri())
        ours = pair.chat(pair.lan.hosts[0])
        await exchange(demo, ours)
        await line_of(ours, "^Message from")
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
        await line_of(ours, f"{STATE}disconnected$")
        await demo.log("^state (disconnected|failed)$")
        await fails(ours)


@pytest.mark.slow
async def test_loss_of_a_peer_is_reported_in_the_words_of_the_demo(
    programs: Programs, lan: MakeLan, pion: Path, tmp_path: Path
) -> None:
    require("chromium", "firefox")
    # Most of these threads wait. With the default, six threads on two processors, cases would wait
    # for each other and miss events that must happen within 30 s.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))

    def pair() -> Pair:
        # Without IPv6, chromedriver reports port 0.
        return Pair(programs, lan(2), pion)

    stories: tuple[Callable[..., object], ...] = (killed, cut_off, we_are_killed)
    async with asyncio.TaskGroup() as together:
        for kind in ("pion", "libwebrtc", "dcsend"):
            for story in stories:
                together.create_task(story(pair(), kind))  # type: ignore[arg-type]
        for name in ("chromium", "firefox"):
            together.create_task(browser_killed(pair(), name, tmp_path / "killed"))
            together.create_task(browser_cut_off(pair(), name, tmp_path / "cut off"))
