"""Events at a bad moment: a code that is opened again, a late answer, a change of state."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dcsend.protocol import limits
from dcsend.protocol.messages import Accept, Bye, Complete, Hello, Manifest, Verdict
from tests.support.page import Page, at, here, link_of, random_file
from tests.support.page_host import hosting
from tests.support.processes import Stage, digest

_SLOW = """() => {
  // A blank tab has no StorageManager.
  if (!("StorageManager" in window)) return;
  StorageManager.prototype.getDirectory = () => new Promise(() => undefined);
  const timer = window.setTimeout;
  window.setTimeout = (run, delay, ...rest) => {
    if (delay !== 3000 || window.held) return timer(run, delay, ...rest);
    window.held = () => run(...rest);
  };
}"""
"""A browser that does not report its features: a probe never ends, and the page's timer of 3 s for
it, its first of this length, fires when a test calls `time_out`."""


async def time_out(page: Page) -> None:
    """Fire the page's timer for the features of the browser, once it runs."""
    await page.tab.wait_for("window.held !== undefined")
    await page.tab.call("() => window.held()")


@pytest.fixture
async def slow(page: Page) -> AsyncIterator[Page]:
    """The page in a browser that does not report its features."""
    browser = page.tab.browser
    made = await browser.command(
        "script.addPreloadScript", functionDeclaration=_SLOW, contexts=[page.tab.context]
    )
    yield page
    await browser.command("script.removePreloadScript", script=made["script"])


async def scan(page: Page, link: str) -> None:
    """Open a link in the tab of the page: only the fragment differs."""
    await page.tab.call("(code) => { location.hash = code; }", link.partition("#")[2])


async def test_nothing_is_offered_when_it_is_over_already(
    slow: Page, stage: Stage, tmp_path: Path
) -> None:
    sender = stage.send(random_file(tmp_path / "file", 1000), *here())
    await slow.open(at("localhost", link_of(sender)))
    await asyncio.to_thread(sender.event, "connected")
    sender.process.send_signal(signal.SIGINT)
    await slow.until("failed")
    await time_out(slow)
    await slow.tab.call("() => new Promise((done) => setTimeout(done, 0))")
    assert await slow.state() == "failed"


async def test_file_arrives_although_the_browser_does_not_report_its_features(
    slow: Page, stage: Stage, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "file", 1000)
    sender = stage.send(file, *here())
    await slow.open(at("localhost", link_of(sender)))
    await time_out(slow)
    await slow.accept()
    await slow.until("done")
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


_ONLINE = """(online) => {
  Object.defineProperty(navigator, "onLine", { value: online, configurable: true });
  dispatchEvent(new Event(online ? "online" : "offline"));
}"""
"What a browser reports of the device; the network of this machine can't be taken away."


async def test_device_that_was_offline_shows_it_afterwards(page: Page) -> None:
    async with hosting() as host:
        await page.open(host.link)
        peer = await host.peer()
        await peer.send_control(Hello((1,), "peer", "receiver"))
        await page.until("choosing")
        await page.tab.call(_ONLINE, False)
        await peer.connection.close()
        await page.until("failed")
        assert await page.text("#title") == "This device is offline"
        await page.tab.call(_ONLINE, True)
        assert await page.text("#title") == "This device was offline"
        assert await page.problem() == "was-offline"
        spoken = "document.querySelector('#status').textContent"
        assert await page.tab.evaluate(spoken) == "This device was offline."
        # Nothing was accepted.
        assert await page.tab.evaluate("document.querySelector('#retry').checkVisibility()")


async def test_code_that_expires_on_the_screen_is_not_offered_again(page: Page) -> None:
    async with hosting(seconds=6) as host:
        await page.open(host.link)
        peer = await host.peer()
        await peer.send_control(Hello((1,), "peer", "receiver"))
        await page.until("choosing")
        await peer.connection.close()
        await page.until("failed")
        await page.tab.wait_for("document.querySelector('#retry').checkVisibility()")
        # The timer of the page fires before the clock of the device has reached the time of expiry.
        await page.tab.call("() => { const now = Date.now; Date.now = () => now() - 1500; }")
        await page.tab.wait_for("document.querySelector('#retry').hidden")
        assert "try again" not in (await page.text("#problem"))


async def test_line_that_is_being_typed_goes_on(page: Page, tmp_path: Path) -> None:
    """Whatever the page shows meanwhile; it moves the focus when the field is removed."""
    async with hosting() as host:
        await page.open(host.link)
        peer = await host.peer()
        await peer.send_control(Hello((1,), "peer", "receiver"))
        await page.choose(random_file(tmp_path / "file", 1000))
        await page.listed()
        await page.tab.click("#send")
        await peer.expect(Manifest)
        await page.tab.type("#chat-input", "half a ")
        await peer.send_control(Accept(limits.WINDOW))
        await peer.next_frame()
        await peer.acknowledge()
        await page.until("transferring")
        await page.tab.press("line")
        typed = await page.tab.evaluate("document.querySelector('#chat-input').value")
        assert typed == "half a line"
        await peer.send_control(Verdict(((0, "ok"),)), Complete(True, 1, 1000))
        await peer.expect(Bye)
        await page.until("done")
        assert await page.tab.evaluate("document.activeElement.id") == "title"


async def test_download_outlives_its_page(page: Page, stage: Stage, tmp_path: Path) -> None:
    """A file in the private file system is not deleted while it is copied."""
    file = random_file(tmp_path / "file", 20_000_000)
    # The page of a third program, since the page of a sender ends with its transfer.
    host, sender = stage.send(file, *here()), stage.send(file, *here(), "--no-page")
    base = at("localhost", link_of(host)).partition("#")[0]
    await page.receive(f"{base}#{link_of(sender).partition('#')[2]}", "private")
    await page.tab.reload()
    await page.until("paste")
    assert digest((await page.saved()).path) == digest(file)
    assert sender.end().status == 0
