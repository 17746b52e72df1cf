"""Our SCTP with that of real browsers, as client and as server of DTLS: a page that echoes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.echoes import CHECKS, Check, connect
from tests.support.tab import Tab

PAGE = Path(__file__).parents[1] / "demo" / "page.html"


class EchoPage:
    """The page of the demo in a tab; it sends each message back."""

    largest = 262_144
    bulk = 10_000_000

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
        """Start the peer; return its offer."""
        return await self._describe("makeOffer('data')")

    async def answer(self, offer: str) -> str:
        """Start the peer with an offer; return its answer."""
        await self._paste(offer)
        return await self._describe("makeAnswer()")

    async def accept(self, answer: str) -> None:
        """Give the peer our answer."""
        await self._paste(answer)
        await self.tab.call("() => takeAnswer()")

    async def open(self, label: str, negotiated: int | None = None) -> None:
        """Open a channel at the peer."""
        options = {} if negotiated is None else {"negotiated": True, "id": negotiated}
        await self.tab.call("(label, options) => create(label, options)", label, options)
        await self._logged(f"open {label} ")

    async def shut(self, label: str) -> None:
        """Close a channel at the peer."""
        await self.tab.call("(label) => shut(label)", label)

    async def leave(self) -> None:
        """Close the connection at the peer."""
        await self.tab.call("() => peer.close()")

    async def vanish(self) -> None:
        """Load another page."""
        await self.tab.open("about:blank")

    async def sees_closing(self, label: str) -> None:
        """Wait for the line of a closed channel."""
        await self._logged(f"closed {label}")


@pytest.mark.parametrize("offers", [True, False], ids=["server", "client"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_our_channels(check: Check, offers: bool, tab: Tab) -> None:
    await tab.open(PAGE.as_uri())
    peer = EchoPage(tab)
    async with connect(peer, offers=offers) as ours:
        await check(ours, peer)
