"""Two codes after pauses, with and without relays, and what is reported of a network that is gone.

Everything here waits, so all cases begin together, each in a laboratory of its own; the tests ask
for what came of theirs. Only one of those that are timed connects at a time, several times each:
the best time is what it takes, the others are those of a busy machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.browsers import Browser, require
from tests.lab import DISTANT, Lab
from tests.page import Page, from_disk, random_file
from tests.processes import Ended, Program

STUN: Final = "stun:stun.l.google.com:19302"
SOON: Final = 0.5
"Seconds from the last paste until both are connected."
MARGIN: Final = 0.25
"""Seconds that a busy machine may add to the best of several tries: with a load of 11 on two
processors the slowest one of all cases took 0.64 s, on an idle machine 0.31, with a page 0.38."""
LATE: Final = 2.5
"""Seconds that any of them may take, on a busy machine. Without the repeated check the
connection took half of the pause, or never came about: 11.6 s after 20, nothing after 32 to 48."""
BUSY: Final = 4.0
"Seconds that a busy machine may add to what else is timed."
PAUSES: Final = (20.0, 60.0)
TRIES: Final = 2
SIZE: Final = 2_000_000
RELAYED: Final = 0.2
"Part of the payload's bytes that may pass the server: checks, and what they are answered."
OUTAGE: Final = 20.0

TOPOLOGIES: Final = ("restricted-restricted", "public-restricted")
WITH_RELAY: Final = (*TOPOLOGIES, "fullcone-symmetric")
BROWSERS: Final = ("chromium", "firefox")
RELAYS: Final = ("udp", "tls")


AT_ONCE: Final = 2
STARTING: Final = threading.Semaphore(AT_ONCE)
"Held while programs start: with all of them at once no STUN server answers in time."
ONE: Final = threading.Lock()
"Held by who wants all of them."


@dataclass(frozen=True)
class Met:
    """How two terminals, or a terminal and a page, have met."""

    seconds: float
    "From the last paste until both were connected."
    routes: tuple[str, ...]
    "Of each terminal: `direct` or `relayed`."


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no program starts, and nothing else is timed."""
    with ONE:
        for _ in range(AT_ONCE):
            STARTING.acquire()
    try:
        yield
    finally:
        STARTING.release(AT_ONCE)


def two_codes(lab: Lab, folder: Path, pause: float, *servers: str) -> Met:
    """Let two terminals exchange codes and a file."""
    film = random_file(folder / "film", SIZE)
    options = ["--signal", "sdp", *(f"--ice-server={server}" for server in servers)]
    with STARTING:
        sender = lab.send(lab.a, film, *options, stdin=subprocess.PIPE)
        offer = sender.event("description")["text"]
        receiver = lab.receive(lab.b, offer, folder / "out", *options)
        answer = receiver.event("description")["text"]
    time.sleep(pause)  # a person carries it
    with alone():
        asked = time.monotonic()
        sender.write(answer.encode() + b"\n")
        met = [(program, program.event("connected")) for program in (sender, receiver)]
    assert (sender.end().status, receiver.end().status) == (0, 0)
    return Met(
        max(program.at(event) for program, event in met) - asked,
        tuple(event["route"] for _, event in met),
    )


def relayed(lab: Lab, folder: Path) -> tuple[Met, float]:
    """The same with a relay named; return also which part of the bytes passed the server."""
    before = passed(lab)
    met = two_codes(lab, folder, 2.0, STUN, lab.relay())
    return met, (passed(lab) - before) / SIZE


Found = dict[tuple[str, float], list[Met]]
"By browser and pause."
WITH_RELAY_NAMED: Final = -1.0
"In place of a pause."


def passed(lab: Lab) -> int:
    """Return the bytes that have come to the server."""
    counter = "/sys/class/net/eth0/statistics/rx_bytes"
    return int(lab.server.run(["ip", "netns", "exec", lab.server.namespace, "cat", counter]).stdout)


async def offered(page: Page, servers: tuple[str, ...]) -> str:
    """Have the page make its code."""
    if servers:
        await page.tab.call(
            "(text) => { document.querySelector('#servers').value = text; }", "\n".join(servers)
        )
    await page.tab.call("() => document.querySelector('#two').click()")
    return str(await page.tab.wait_for("document.querySelector('#own-code').value"))


@asynccontextmanager
async def holding(what: AbstractContextManager[object]) -> AsyncIterator[None]:
    """Enter and leave in a thread what other threads may hold."""
    await asyncio.to_thread(what.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(what.__exit__, None, None, None)


async def with_page(
    lab: Lab, browser: Browser, folder: Path, pause: float, *servers: str, size: int = SIZE
) -> tuple[Met, Page, Program]:
    """Let a page offer and a terminal answer and send."""
    await asyncio.to_thread(folder.mkdir)
    async with holding(STARTING):
        page = Page(await browser.open_tab(folder / "downloads"))
        await page.open(from_disk(folder))
        await page.until("paste")
        code = await offered(page, servers)
        film = random_file(folder / "film", size)
        options = ["--signal", "sdp", *(f"--ice-server={server}" for server in servers)]
        sender = lab.send(lab.a, film, *options, stdin=subprocess.PIPE)
        await asyncio.to_thread(sender.event, "description", type="offer")
        sender.write(code.encode() + b"\n")
        answer = await asyncio.to_thread(sender.event, "description", type="answer")
    await asyncio.sleep(pause)
    async with holding(alone()):
        await page.tab.activate()
        # The browser has as much to do when a tab comes to the front as when a person looks at it.
        await page.tab.call("() => new Promise((done) => setTimeout(done, 100))")
        asked = time.monotonic()
        await page.tab.call(
            """(text) => {
              document.querySelector("#answer").value = text;
              document.querySelector("#exchange").requestSubmit();
            }""",
            answer["text"],
        )
        met = await asyncio.to_thread(sender.event, "connected")
        await page.until("offered")
    await page.accept("memory")
    return Met(sender.at(met) - asked, (met["route"],)), page, sender


async def done(page: Page, sender: Program) -> None:
    """Wait for the end of a transfer into a page."""
    await page.until("done")
    assert (await asyncio.to_thread(sender.end)).status == 0


def pages(lab: Lab, folder: Path) -> Found:
    """Let both browsers offer, with pauses, and with a relay named, each in a tab of its own."""
    found: Found = {}
    servers = (STUN, lab.relay())

    async def meet(browser: Browser, key: tuple[str, float], place: Path) -> None:
        pause = key[1]
        named = servers if pause == WITH_RELAY_NAMED else ()
        met, page, sender = await with_page(lab, browser, place, max(pause, 1.0), *named)
        await done(page, sender)
        found.setdefault(key, []).append(met)

    async def all_of(browser: Browser, name: str) -> None:
        async with asyncio.TaskGroup() as group:
            for pause in (*PAUSES, WITH_RELAY_NAMED):
                for number in range(1 if pause == WITH_RELAY_NAMED else TRIES):
                    place = folder / f"{name}{pause:.0f}{number}"
                    group.create_task(meet(browser, (name, pause), place))

    async def both(browsers: dict[str, Browser]) -> None:
        # For who waits in a thread; by default there are as few as processors.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(40))
        async with asyncio.TaskGroup() as group:
            for name, browser in browsers.items():
                group.create_task(all_of(browser, name))

    with contextlib.ExitStack() as stack:
        browsers = {}
        for name in BROWSERS:
            browsers[name] = Browser(name, namespace=lab.b.namespace)
            stack.callback(browsers[name].close)
        asyncio.run(both(browsers))
    return found


def hidden(lab: Lab, folder: Path) -> Met:
    """Let Chromium offer its `.local` names to a terminal behind a firewall."""
    browser = Browser("chromium", namespace=lab.b.namespace)
    try:

        async def one() -> Met:
            met, page, sender = await with_page(lab, browser, folder / "hidden", 1.0)
            await done(page, sender)
            return met

        return asyncio.run(one())
    finally:
        browser.close()


def page_outage(lab: Lab, folder: Path) -> tuple[Ended, str]:
    """Cut a page off; return how the terminal ended, and what the page shows."""
    browser = Browser("chromium", namespace=lab.b.namespace)
    try:

        async def one() -> tuple[Ended, str]:
            place = folder / "outage"
            _, page, sender = await with_page(lab, browser, place, 0.0, size=60_000_000)
            await page.until("transferring")
            with lab.silent(lab.a):
                await asyncio.sleep(OUTAGE)
            ended = await asyncio.to_thread(sender.end)
            await page.until("failed")
            return ended, await page.text()

        return asyncio.run(one())
    finally:
        browser.close()


Gone = dict[str, list[tuple[float, float, Ended]]]


def relays_gone(lab: Lab, folder: Path) -> Gone:
    """Take the relays away; return for each when the error came, when the end, and how."""
    running = {}
    for kind in RELAYS:
        place = folder / kind
        place.mkdir()
        film = random_file(place / "film", 60_000_000)
        options = ["--signal", "sdp", f"--ice-server={STUN}", f"--ice-server={lab.relay(kind)}"]
        sender = lab.send(lab.a, film, *options, stdin=subprocess.PIPE)
        offer = sender.event("description")["text"]
        receiver = lab.receive(lab.b, offer, place / "out", *options)
        sender.write(receiver.event("description")["text"].encode() + b"\n")
        running[kind] = (sender, receiver)
    for _, receiver in running.values():
        receiver.event("progress")
    became: Gone = {}
    with lab.silent(lab.server):
        gone = time.monotonic()
        for kind, programs in running.items():
            ends = [(program, program.end(90)) for program in programs]
            became[kind] = [
                (program.at(ended.fatal) - gone, program.over_at - gone, ended)
                for program, ended in ends
            ]
    return became


class Cases:
    """All cases, under way."""

    def __init__(self, pool: ThreadPoolExecutor, folder: Callable[[], Path]) -> None:
        self._pool = pool
        self._folder = folder
        self.stack = contextlib.ExitStack()
        self.becomes: dict[Any, Future[Any]] = {}

    def begin(self, key: Any, lab: Lab, what: Callable[..., Any], *arguments: Any) -> None:  # noqa: ANN401
        """Begin one, in a folder of its own."""
        self.becomes[key] = self._pool.submit(what, lab, self._folder(), *arguments)

    def lab(self, topology: str, *relays: str, **options: Any) -> Lab:  # noqa: ANN401
        """Make a laboratory, with relays that run; one after the other, in one thread."""
        made = self.stack.enter_context(Lab(topology, **options))
        for kind in relays:
            made.relay(kind)
        return made


@pytest.fixture(scope="module")
def became(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Any], Any]]:
    """Begin everything; give what becomes of a case, when it is over."""
    require(*BROWSERS)
    with ThreadPoolExecutor(50) as pool:
        cases = Cases(pool, lambda: tmp_path_factory.mktemp("case"))
        with cases.stack:
            labs = {name: cases.lab(name, "udp", delays=DISTANT) for name in WITH_RELAY}
            for name in TOPOLOGIES:
                cases.begin(("pages", name), labs[name], pages)
            for name in TOPOLOGIES:
                for pause in PAUSES:
                    for number in range(TRIES):
                        cases.begin((name, pause, number), labs[name], two_codes, pause)
            cases.begin("gone", cases.lab("symmetric-symmetric", *RELAYS, rate=16e6), relays_gone)
            cases.begin("outage", cases.lab("lan"), page_outage)
            for delay, delays in (("near", {}), ("far", DISTANT)):
                for name in WITH_RELAY:
                    lab = cases.lab(name, "udp", delays=delays)
                    cases.begin((name, delay), lab, relayed)
            cases.begin("hidden", cases.lab("lan-hostfw"), hidden)
            yield lambda key: cases.becomes[key].result()
            for future in cases.becomes.values():
                future.exception()


Became = Callable[[Any], Any]
Record = Callable[[str, object], None]


def assert_soon(met: list[Met], record_property: Record) -> None:
    """Check what several tries took, and have it told."""
    times = sorted(one.seconds for one in met)
    record_property("figure", " ".join(f"{1000 * seconds:.0f}" for seconds in times) + " ms")
    assert times[0] < SOON + MARGIN, times
    assert times[-1] < LATE, times


@pytest.mark.parametrize("pause", PAUSES)
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_terminals_connect_at_once_after_any_pause(
    became: Became, topology: str, pause: float, record_property: Record
) -> None:
    met = [became((topology, pause, number)) for number in range(TRIES)]
    assert_soon(met, record_property)
    assert {one.routes for one in met} == {("direct", "direct")}


@pytest.mark.parametrize("delay", ["near", "far"])
@pytest.mark.parametrize("topology", WITH_RELAY)
def test_terminals_use_no_relay_where_a_direct_path_works(
    became: Became, topology: str, delay: str
) -> None:
    met, through = became((topology, delay))
    assert met.routes == ("direct", "direct"), met
    assert through < RELAYED


@pytest.mark.parametrize("browser", BROWSERS)
@pytest.mark.parametrize("pause", PAUSES)
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_page_and_a_terminal_connect_at_once_after_any_pause(
    became: Became, topology: str, pause: float, browser: str, record_property: Record
) -> None:
    met = became(("pages", topology))[browser, pause]
    assert_soon(met, record_property)
    assert {one.routes for one in met} == {("direct",)}


@pytest.mark.parametrize("browser", BROWSERS)
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_page_and_a_terminal_use_no_relay_where_a_direct_path_works(
    became: Became, topology: str, browser: str
) -> None:
    (met,) = became(("pages", topology))[browser, WITH_RELAY_NAMED]
    assert met.routes == ("direct",)


def test_the_names_of_a_browser_lead_through_the_firewall_of_the_terminal(became: Became) -> None:
    assert became("hidden").routes == ("direct",)


@pytest.mark.parametrize("kind", RELAYS)
def test_a_relay_that_is_gone_is_reported_within_thirty_seconds(became: Became, kind: str) -> None:
    for reported, over, ended in became("gone")[kind]:
        assert ended.status == 5
        assert "silent" in ended.fatal["message"], ended.fatal
        assert reported < 30 + BUSY
        assert over - reported < 1 + BUSY


def test_after_an_outage_both_sides_name_the_browser_that_gave_up(became: Became) -> None:
    ended, page = became("outage")
    assert ended.status == 5
    assert "a browser, which ends a connection after about 16 s" in ended.fatal["message"]
    assert "After about 16 seconds of silence a browser ends a connection" in page
