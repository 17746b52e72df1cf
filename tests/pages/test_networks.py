"""What the page reports to the other side of a short code about its network, and its error."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from dcsend.description import Candidate, CandidateType, Description, SdpType, Setup
from dcsend.rendezvous import client
from dcsend.rendezvous.handshake import Allocator
from dcsend.rendezvous.items import End, Item, Mapping, Network, Udp
from dcsend.rendezvous.mailbox import Mailbox
from tests.demo.stun_server import answer
from tests.support.mailbox_server import StockServer
from tests.support.page import Page, lan_address
from tests.support.page_host import hosted
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.full

WORDS = "walrus-umbrella"


class StunServer(asyncio.DatagramProtocol):
    """Reports another port than that of the request, as a NAT has it."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Keep the transport."""
        self._transport = transport

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        """Answer a Binding request."""
        if data[:2] == b"\x00\x01":
            reply = answer(data, source[0], (source[1] + self._offset) % 65536 or 1)
            self._transport.sendto(reply, source)


@asynccontextmanager
async def stun_servers(*offsets: int) -> AsyncIterator[str]:
    """Yield what a person enters under Servers: one server for each offset."""
    loop = asyncio.get_running_loop()
    host = lan_address()
    made = [
        await loop.create_datagram_endpoint(lambda o=offset: StunServer(o), local_addr=(host, 0))  # type: ignore[misc]
        for offset in offsets
    ]
    try:
        ports = [transport.get_extra_info("sockname")[1] for transport, _ in made]
        yield " ".join(f"stun:{host}:{port}" for port in ports)
    finally:
        for transport, _ in made:
            transport.close()


@dataclass(slots=True)
class Side:
    """A side that shows a short code, has a candidate that answers nothing, and collects items."""

    code: str
    mailbox: Mailbox
    items: asyncio.Queue[Item]

    async def network(self) -> Network:
        """Wait for what the page reports about its network."""
        async with asyncio.timeout(PATIENCE):
            while True:
                item = await self.items.get()
                if isinstance(item, Network):
                    return item


@asynccontextmanager
async def silent_side(server: StockServer, network: Network) -> AsyncIterator[Side]:
    """Yield a side that cannot be reached, and reports this about its network."""
    mailbox = await client.allocate(server.server)
    allocator = Allocator(WORDS, mailbox.number)
    mailbox.add(*allocator.first)
    side = Side(f"{mailbox.number}-{WORDS}", mailbox, asyncio.Queue())

    async def follow(port: int) -> None:
        candidate = Candidate(CandidateType.HOST, lan_address(), port, 2_130_706_431)
        described = Description(
            SdpType.ANSWER, "abcd", 24 * "p", bytes(32), Setup.PASSIVE, (candidate,)
        )
        is_answered = False
        while True:
            for item in allocator.received(*await mailbox.next()):
                side.items.put_nowait(item)
            if not is_answered:
                is_answered = True
                mailbox.add(*allocator.seal([described, End(), network]))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((lan_address(), 0))
        following = asyncio.create_task(follow(silent.getsockname()[1]))
        try:
            yield side
        finally:
            following.cancel()
            await asyncio.wait({following})
            await mailbox.close("errory")


@pytest.mark.parametrize(
    ("offsets", "mapping", "said"),
    [
        ((1, 2), Mapping.ADDRESS_DEPENDENT, "symmetric NAT"),
        ((1, 1), Mapping.ENDPOINT_INDEPENDENT, "NAT that is not symmetric"),
    ],
)
async def test_page_reports_how_its_nat_behaves_and_both_are_in_its_error(
    page: Page, stock_server: StockServer, offsets: tuple[int, int], mapping: Mapping, said: str
) -> None:
    stock_server.start()
    page.permit(stock_server.server.url)
    there = Network(Mapping.UNKNOWN, Udp.BLOCKED)
    async with (
        hosted(stock_server.server.url) as link,
        stun_servers(*offsets) as servers,
        silent_side(stock_server, there) as side,
    ):
        await page.open(link)
        await page.until("paste")
        await page.tab.call(
            "(servers) => { document.querySelector('#servers').value = servers; }", servers
        )
        await page.dial(side.code)
        assert await side.network() == Network(mapping, Udp.WORKS)
        await page.until("failed")
        text = await page.text("#problem")
    assert text.startswith("The network of the other side blocks UDP (tried from here: ")
    assert f", {said}; from there: 1 address, UDP blocked)" in text
