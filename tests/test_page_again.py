"""The page when something comes at a bad moment: a code again, an answer too late, a new state."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dcsend.protocol import limits
from dcsend.protocol.messages import Accept, Bye, Complete, Hello, Manifest, Verdict
from tests.page import Page, at, here, link_of, random_file
from tests.page_host import hosting
from tests.processes import Stage, digest

_SLOW = """() => {
  // An empty tab has none.
  if (!("StorageManager" in window)) return;
  StorageManager.prototype.getDirectory = () => new Promise(() => undefined);
}"""
"A browser that takes longer than the page waits to say what it can do."

_PATIENCE = 3.0
"Seconds that the page waits for that."


@pytest.fixture
async def slow(page: Page) -> AsyncIterator[Page]:
    """The page in a browser that doesn't say what it can do."""
    browser = page.tab.browser
    made = await browser.command(
        "script.addPreloadScript", functionDeclaration=_SLOW, contexts=[page.tab.context]
    )
    yield page
    await browser.command("script.removePreloadScript", script=made["script"])


async def scan(page: Page, link: str) -> None:
    """Open a link in the tab where the page is: only what follows the # is new."""
    await page.tab.call("(code) => { location.hash = code; }", link.partition("#")[2])


async def test_nothing_is_offered_when_it_is_over_already(
    slow: Page, stage: Stage, tmp_path: Path
) -> None:
    sender = stage.send(random_file(tmp_path / "file", 1000), *here())
    await slow.open(at("localhost", link_of(sender)))
    await asyncio.to_thread(sender.event, "connected")
    sender.process.send_signal(signal.SIGINT)
    await slow.until("failed")
    await asyncio.sleep(_PATIENCE + 0.5)
    assert await slow.state() == "failed"


async def test_file_arrives_although_nobody_knows_what_the_browser_can_do(
    slow: Page, stage: Stage, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "file", 1000)
    sender = stage.send(file, *here())
    await slow.receive(at("localhost", link_of(sender)))
    assert digest((await slow.saved()).path) == digest(file)


async def test_code_that_is_scanned_again_changes_nothing(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    """Its second connection would be refused, and the first one lost."""
    file = random_file(tmp_path / "file", 1000)
    sender = stage.send(file, *here())
    link = link_of(sender)
    await page.open(link)
    await page.until("offered")
    await scan(page, link)
    await page.tab.wait_for("location.hash === ''")
    await page.accept()
    await page.until("done")
    assert digest((await page.saved()).path) == digest(file)
    assert sender.end().status == 0


async def test_another_code_takes_the_place_of_an_offer(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    first, second = (random_file(tmp_path / name, 1000) for name in ("first", "second"))
    left, taken = stage.send(first, *here()), stage.send(second, *here())
    await page.open(link_of(left))
    await page.until("offered")
    await scan(page, link_of(taken))
    await page.tab.wait_for("document.querySelector('#files')?.innerText.includes('second')")
    await page.accept()
    await page.until("done")
    assert digest((await page.saved()).path) == digest(second)
    assert (await asyncio.to_thread(left.event, "left"))["again"]


async def test_line_that_is_being_typed_goes_on(page: Page, tmp_path: Path) -> None:
    """Whatever the page has to say meanwhile; it takes the focus when the field goes."""
    async with hosting() as host:
        await page.open(host.link)
        peer = await host.peer()
        await peer.say(Hello((1,), "peer", "receiver"))
        await page.choose(random_file(tmp_path / "file", 1000))
        await page.listed()
        await page.tab.click("#send")
        await peer.hear(Manifest)
        await page.tab.type("#chat-input", "half a ")
        await peer.say(Accept(limits.WINDOW))
        await peer.take()
        await peer.acknowledge()
        await page.until("transferring")
        await page.tab.press("line")
        typed = await page.tab.evaluate("document.querySelector('#chat-input').value")
        assert typed == "half a line"
        await peer.say(Verdict(((0, "ok"),)), Complete(True, 1, 1000))
        await peer.hear(Bye)
        await page.until("done")
        assert await page.tab.evaluate("document.activeElement.id") == "title"


async def test_download_outlives_its_page(page: Page, stage: Stage, tmp_path: Path) -> None:
    """What the page kept in its private file system is not tidied up while it is copied."""
    file = random_file(tmp_path / "file", 20_000_000)
    # The page of a third program, since a program's own goes with the transfer.
    host, sender = stage.send(file, *here()), stage.send(file, *here(), "--no-page")
    base = at("localhost", link_of(host)).partition("#")[0]
    await page.receive(f"{base}#{link_of(sender).partition('#')[2]}", "private")
    await page.tab.reload()
    await page.until("paste")
    assert digest((await page.saved()).path) == digest(file)
    assert sender.end().status == 0
