"""Our SCTP with that of real browsers, as client and as server of DTLS: a page that echoes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.echoes import CHECKS, Check, met
from tests.tab import Tab

PAGE = Path(__file__).parent / "demo" / "page.html"


class EchoPage:
    """The page of the demo's kind in a tab, sending back what comes."""

    largest = 262_144
    bulk = 30_000_000

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    async def _describe(self, make: str) -> str:
        await self.tab.call(f"() => {make}")
        return str(await self.tab.wait_for("document.querySelector('#ours').value"))

    async def _paste(self, description: str) -> None:
        await self.tab.call(
            "(text) => { document.querySelector('#theirs').value = text; echoes = true; }",
            description,
        )

    async def _logged(self, line: str) -> None:
        lines = "[...document.querySelectorAll('#log li')].map((item) => item.textContent)"
        await self.tab.wait_for(f"{lines}.some((line) => line.startsWith({json.dumps(line)}))")

    async def offer(self) -> str:
        """Let it begin."""
        return await self._describe("makeOffer('data')")

    async def answer(self, offer: str) -> str:
        """Let it answer."""
        await self._paste(offer)
        return await self._describe("makeAnswer()")

    async def accept(self, answer: str) -> None:
        """Let it connect."""
        await self._paste(answer)
        await self.tab.call("() => takeAnswer()")

    async def open(self, label: str, negotiated: int | None = None) -> None:
        """Let it open a channel."""
        options = {} if negotiated is None else {"negotiated": True, "id": negotiated}
        await self.tab.call("(label, options) => create(label, options)", label, options)
        await self._logged(f"open {label} ")

    async def shut(self, label: str) -> None:
        """Let it close a channel."""
        await self.tab.call("(label) => shut(label)", label)

    async def leave(self) -> None:
        """Let it close the connection."""
        await self.tab.call("() => peer.close()")

    async def vanish(self) -> None:
        """Go elsewhere."""
        await self.tab.open("about:blank")

    async def notices_closing(self, label: str) -> None:
        """Wait for the line."""
        await self._logged(f"closed {label}")


@pytest.mark.parametrize("offers", [True, False], ids=["server", "client"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_our_channels(check: Check, offers: bool, tab: Tab) -> None:
    await tab.open(PAGE.as_uri())
    peer = EchoPage(tab)
    async with met(peer, offers=offers) as ours:
        await check(ours, peer)
