"""`dcsend chat` and a page of the demo's kind, in real browsers, in both roles."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.demo_peers import Cast, Talker
from tests.tab import Tab

PAGE = Path(__file__).parent / "demo" / "page.html"


class Demo:
    """The page in a tab."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    async def log(self, pattern: str) -> str:
        """Wait for a line of its log that has *pattern*; return its first group, or all of it."""
        expression = (
            "[...document.querySelectorAll('#log li')].map((i) => i.textContent)"
            f".find((line) => /{pattern}/.test(line))"
        )
        found = re.search(pattern, str(await self.tab.wait_for(expression)))
        assert found is not None
        return found[1] if found.lastindex else found[0]

    async def ours(self, make: str) -> str:
        """Let it make its description."""
        await self.tab.call(f"() => {make}")
        return str(await self.tab.wait_for("document.querySelector('#ours').value"))

    async def take(self, description: str) -> None:
        """Paste the other side's description."""
        await self.tab.call(
            "(text) => { document.querySelector('#theirs').value = text; }", description
        )


@pytest.fixture
async def demo(tab: Tab) -> Demo:
    await tab.open(PAGE.as_uri())
    return Demo(tab)


async def introduced(demo: Demo, talker: Talker, *, page_offers: bool = True) -> None:
    """Let both sides paste each other's description; the one that offers has shown its own."""
    if page_offers:
        talker.say(await demo.ours("makeOffer('foo')"))
        await demo.take(await asyncio.to_thread(talker.description))
        await demo.tab.call("() => takeAnswer()")
    else:
        await demo.take(await asyncio.to_thread(talker.description))
        talker.say(await demo.ours("makeAnswer()"))
    await asyncio.to_thread(talker.until, "has changed: connected")


@pytest.mark.parametrize("page_offers", [True, False], ids=["page-offers", "dcsend-offers"])
async def test_messages_go_both_ways(demo: Demo, cast: Cast, page_offers: bool) -> None:
    talker = cast.dcsend() if page_offers else cast.dcsend("--offer", "--channel", "foo")
    await introduced(demo, talker, page_offers=page_offers)
    if page_offers:
        await asyncio.to_thread(talker.until, r"^New DataChannel foo \d+$")
    else:
        await demo.log(r"^New DataChannel foo \d+$")
    theirs = await demo.log(r"^Sending '(\w{15})'$")
    await asyncio.to_thread(talker.until, f"^Message from DataChannel 'foo': '{theirs}'$")
    ours = (await asyncio.to_thread(talker.until, r"^Sending '(\w{15})'$"))[1]
    await demo.log(f"^Message from DataChannel 'foo': '{ours}'$")
    talker.say("grüße 文")
    await demo.log("^Message from DataChannel 'foo': 'grüße 文'$")
    await demo.tab.call("() => sendAll(new Uint8Array([1, 2, 255]))")
    await asyncio.to_thread(talker.until, "^Message from DataChannel 'foo': 3 bytes 0102ff$")


async def test_page_that_closes_ends_the_chat(demo: Demo, cast: Cast) -> None:
    talker = cast.dcsend()
    await introduced(demo, talker)
    await demo.tab.call("() => peer.close()")
    await asyncio.to_thread(talker.until, "has gone to closed exiting")
    assert await asyncio.to_thread(talker.end) == 0


async def test_chat_that_is_quit_ends_at_the_page(demo: Demo, cast: Cast) -> None:
    talker = cast.dcsend()
    await introduced(demo, talker)
    await asyncio.to_thread(talker.until, r"open\. Random")
    talker.say("/quit")
    assert await asyncio.to_thread(talker.end) == 0
    await demo.log("^closed foo$")
