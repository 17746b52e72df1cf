"""`dcsend chat` and the page of the demo, in real browsers, in both roles."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.support.demo_peers import LineProgram, Programs
from tests.support.tab import Tab

PAGE = Path(__file__).parents[1] / "demo" / "page.html"


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
        """Create a description in the page, and return it."""
        await self.tab.call(f"() => {make}")
        return str(await self.tab.wait_for("document.querySelector('#ours').value"))

    async def take(self, description: str) -> None:
        """Paste the description of the peer."""
        await self.tab.call(
            "(text) => { document.querySelector('#theirs').value = text; }", description
        )


@pytest.fixture
async def demo(tab: Tab) -> Demo:
    await tab.open(PAGE.as_uri())
    return Demo(tab)


async def exchange(demo: Demo, program: LineProgram, *, page_offers: bool = True) -> None:
    """Exchange the descriptions; the side that offers has made its own."""
    if page_offers:
        program.write_line(await demo.ours("makeOffer('foo')"))
        await demo.take(await asyncio.to_thread(program.description))
        await demo.tab.call("() => takeAnswer()")
    else:
        await demo.take(await asyncio.to_thread(program.description))
        program.write_line(await demo.ours("makeAnswer()"))
    await asyncio.to_thread(program.until, "has changed: connected")


@pytest.mark.parametrize("page_offers", [True, False], ids=["page-offers", "dcsend-offers"])
async def test_messages_go_both_ways(demo: Demo, programs: Programs, page_offers: bool) -> None:
    program = programs.chat() if page_offers else programs.chat("--offer", "--channel", "foo")
    await exchange(demo, program, page_offers=page_offers)
    if page_offers:
        await asyncio.to_thread(program.until, r"^New DataChannel foo \d+$")
    else:
        await demo.log(r"^New DataChannel foo \d+$")
    theirs = await demo.log(r"^Sending '(\w{15})'$")
    await asyncio.to_thread(program.until, f"^Message from DataChannel 'foo': '{theirs}'$")
    ours = (await asyncio.to_thread(program.until, r"^Sending '(\w{15})'$"))[1]
    await demo.log(f"^Message from DataChannel 'foo': '{ours}'$")
    program.write_line("grüße 文")
    await demo.log("^Message from DataChannel 'foo': 'grüße 文'$")
    await demo.tab.call("() => sendAll(new Uint8Array([1, 2, 255]))")
    await asyncio.to_thread(program.until, "^Message from DataChannel 'foo': 3 bytes 0102ff$")


async def test_page_that_closes_ends_the_chat(demo: Demo, programs: Programs) -> None:
    program = programs.chat()
    await exchange(demo, program)
    await demo.tab.call("() => peer.close()")
    await asyncio.to_thread(program.until, "has gone to closed exiting")
    assert await asyncio.to_thread(program.end) == 0


async def test_chat_that_is_quit_ends_at_the_page(demo: Demo, programs: Programs) -> None:
    program = programs.chat()
    await exchange(demo, program)
    await asyncio.to_thread(program.until, r"open\. Random")
    program.write_line("/quit")
    assert await asyncio.to_thread(program.end) == 0
    await demo.log("^closed foo$")
