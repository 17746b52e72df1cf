"""The first screen: what is offered and by which device, and the choices."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from dcsend.entry import Entry
from dcsend.protocol.manifest_messages import split_manifest
from dcsend.protocol.messages import Bye, Complete, Hello
from tests.support.page import Page, lan_address, random_file
from tests.support.page_host import hosting
from tests.support.processes import ROOT
from tests.support.scripted_peer import put

PHOTOS: Final = tuple(Entry(f"IMG_{number}.jpg", size=2_000_000) for number in range(19))
FOLDER: Final = ROOT / "build" / "screenshots"

NARROW: Final = "document.documentElement.scrollWidth <= innerWidth"
ORDER: Final = "[...document.querySelectorAll('#files li')].map((row) => row.dataset.path)"
PLACES: Final = """(() => {
  const [before, name, after] = document.querySelector("#about").childNodes;
  const places = (node) => [...node.data].map((_, at) => {
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + 1);
    return Math.round(range.getBoundingClientRect().left);
  });
  const end = Math.round(name.getBoundingClientRect().right);
  return [...places(before), end, ...places(after)];
})()"""
"Where each character before the device's name begins, the name ends, and each after it begins."
LINKS: Final = """[...document.querySelectorAll('#log a, #texts a')]
  .map((link) => [link.href, link.rel, link.target])"""


async def picture(page: Page, name: str) -> None:
    """Take pictures on a phone and on a narrow screen, light and dark."""
    for width, height in ((390, 844), (320, 568)):
        await page.tab.viewport(width, height, 2.0)
        for scheme in ("light", "dark"):
            await page.tab.look(scheme)
            path = FOLDER / f"{page.tab.browser.name}-{name}-{width}-{scheme}.png"
            await page.tab.screenshot(path, whole=True)
        assert await page.tab.evaluate(NARROW), f"{name} is wider than {width}"
    await page.tab.look()
    await page.tab.viewport(390, 844, 2.0)


async def test_heading_and_button_count_what_is_ticked(page: Page) -> None:
    async with hosting() as host:
        await page.tab.viewport(390, 844, 2.0)
        await page.open(host.link)
        peer = await host.peer()
        offering = asyncio.create_task(peer.offer(*PHOTOS, Entry("note.txt", size=4)))
        await page.until("offered")
        assert await page.text("#title") == "Accept 20 files, 38.0\xa0MB?"
        assert await page.text("#accept") == "Accept 20 files"
        spoken = "document.querySelector('#status').textContent"
        assert (await page.tab.evaluate(spoken)).startswith(
            "Accept 20 files, 38.0\xa0MB? Offered by a computer at "
        )
        # Without scrolling, on a phone.
        place = "document.querySelector('#title').getBoundingClientRect()"
        assert await page.tab.evaluate(f"{place}.top >= 0 && {place}.bottom <= innerHeight")
        await page.tab.click("#all")
        assert await page.text("#title") == "Accept none of 20 files?"
        # Screen readers read the sum; an outdated heading must not be beside it.
        assert await page.tab.evaluate(spoken) == ""
        assert await page.tab.evaluate("document.querySelector('#accept').disabled")
        await page.tab.click('#files li[data-path="note.txt"] input')
        assert await page.text("#title") == "Accept 1 of 20 files, 4\xa0B?"
        assert await page.text("#accept") == "Accept 1 file"
        await picture(page, "one-of-twenty")
        await page.accept()
        await offering
        await put(peer.text, "look: https://example.org/a. javascript:alert(1)\n")
        await peer.send(19, b"text")
        await peer.expect(Complete)
        await peer.send_control(Bye())
        await page.until("done")
        # Received files are listed before those that were left out.
        assert (await page.tab.evaluate(ORDER))[:2] == ["note.txt", "IMG_0.jpg"]
        assert await page.tab.evaluate(LINKS) == [
            ["https://example.org/a", "noopener noreferrer", "_blank"]
        ]
        await picture(page, "one-has-arrived")


async def test_device_that_offers_is_named(page: Page) -> None:
    async with hosting() as host:
        await page.open(host.link)
        peer = await host.peer()
        name = "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET} \u202e 10"
        await peer.send_control(Hello((1,), "dcsend/1 (Linux)", "sender", name=name))
        await peer.send_control(*split_manifest([Entry("a", size=5)]))
        await page.until("offered")
        shown = name.replace("\u202e", "\\u202e")
        address = (await page.text("#about")).removeprefix(f"Offered by {shown} at ")
        assert address.partition(":")[0] == lan_address()
        # Whatever the name is written in, the address stays behind it, digit by digit.
        order = await page.tab.evaluate(PLACES)
        assert order == sorted(order)
        assert "dcsend/1 (Linux)" not in await page.text("main")
        await page.tab.click("#details summary")
        assert "dcsend/1 (Linux)" in await page.text("#details")


async def test_sending_page_has_one_thing_to_do_first(page: Page, tmp_path: Path) -> None:
    async with hosting() as host:
        await page.open(host.link)
        peer = await host.peer()
        await peer.send_control(Hello((1,), "dcsend", "receiver"))
        await page.until("choosing")
        shown = """[...document.querySelectorAll('.main')].filter((one) => one.checkVisibility())
          .map((one) => one.innerText)"""
        assert await page.tab.evaluate(shown) == ["Choose files"]
        assert await page.text("#about") == "To a computer"
        assert await page.text("#chat-send") == "Send message"
        await picture(page, "choose-first")
        await page.choose(random_file(tmp_path / "IMG_1.jpg", 1000))
        await page.listed()
        assert await page.tab.evaluate(shown) == ["Send 1 file"]
        await picture(page, "send-then")
        # Loading the page again loses what was chosen, but not the code.
        leaving = """(() => {
          const event = new Event("beforeunload", { cancelable: true });
          dispatchEvent(event);
          return event.defaultPrevented;
        })()"""
        assert await page.tab.evaluate(leaving)
        await page.tab.click("#files button")
        assert not await page.tab.evaluate(leaving)
