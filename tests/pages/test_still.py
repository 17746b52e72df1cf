"""Progress that stops is shown as such, without an outdated rate and time left."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from dcsend.entry import Entry
from dcsend.protocol import limits
from dcsend.protocol.messages import Accept, Hello, Manifest
from tests.support.page import Page, random_file
from tests.support.page_host import hosting

AMOUNT: Final = "document.querySelector('#amount').textContent"


async def test_receiving_page_shows_that_nothing_arrives(page: Page) -> None:
    async with hosting() as host:
        await page.open(host.link)
        peer = await host.peer()
        content = bytes(300_000)
        offering = asyncio.create_task(
            peer.offer(Entry("a", size=len(content)), Entry("b", size=5))
        )
        await page.until("offered")
        await page.accept()
        await offering
        await peer.send(0, content)
        said = str(await page.tab.wait_for(f"{AMOUNT}.includes('arrived') && {AMOUNT}"))
        assert "99\xa0%" in said
        assert "nothing has arrived for 3\xa0s" in said
        assert "/s" not in said
        assert "left" not in said
        await page.tab.wait_for(f"{AMOUNT}.includes('for 4\xa0s')")
        await peer.send(1, b"again")
        await page.tab.wait_for(f"!{AMOUNT}.includes('arrived')")


async def test_sending_page_shows_that_nothing_is_confirmed(page: Page, tmp_path: Path) -> None:
    async with hosting() as host:
        await page.open(host.link)
        peer = await host.peer()
        await peer.send_control(Hello((1,), "peer", "receiver"))
        await page.choose(random_file(tmp_path / "file", 2_000_000))
        await page.listed()
        await page.tab.click("#send")
        await peer.expect(Manifest)
        await peer.send_control(Accept(limits.WINDOW))
        # Before the first acknowledgement, the page shows that the offer was accepted.
        await page.until("transferring")
        await peer.next_frame()
        await peer.acknowledge()
        said = str(await page.tab.wait_for(f"{AMOUNT}.includes('confirmed') && {AMOUNT}"))
        assert "nothing for 3\xa0s" in said
        assert "/s" not in said
        assert "left" not in said
