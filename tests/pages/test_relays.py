"""Transfers of the page through a relay: coturn, over UDP, TCP and TLS, with real browsers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509

from tests.support.browsers import Browser, require
from tests.support.coturn import Coturn
from tests.support.identity import as_base64
from tests.support.identity import trusting as trusted
from tests.support.launching import NAMES
from tests.support.mailbox_server import StockServer
from tests.support.page import Page, here, random_file
from tests.support.page_host import hosted
from tests.support.processes import Stage, digest
from tests.support.scripted_mailbox import scripted_server
from tests.support.tab import inside
from tests.support.tab_scripts import TRUST

pytestmark = pytest.mark.full

RELAY_ONLY = """() => {
  const Ordinary = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Ordinary {
    constructor(configuration) {
      super({ ...configuration, iceTransportPolicy: "relay" });
    }
  };
}"""
"Lets the browser use relayed candidates only, as behind a firewall that blocks all others."


@asynccontextmanager
async def relaying(page: Page) -> AsyncIterator[Page]:
    """Let the browser use relays only."""
    script = await page.tab.browser.command(
        "script.addPreloadScript", functionDeclaration=RELAY_ONLY, contexts=[page.tab.context]
    )
    yield page
    await page.tab.browser.command("script.removePreloadScript", script=script["script"])


@pytest.fixture
async def relayed(page: Page) -> AsyncIterator[Page]:
    """The page in a browser that uses relays only."""
    async with relaying(page):
        yield page


@pytest.fixture(params=NAMES)
async def trusting(
    request: pytest.FixtureRequest, relay: Coturn, served: None, tmp_path: Path
) -> AsyncIterator[Page]:
    """The page in a browser that uses relays only, and trusts the authority of the relay."""
    require(request.param)
    authority = x509.load_pem_x509_certificate(relay.authority.read_bytes())
    flags = trusted(authority) if request.param == "chromium" else ()
    browser = await asyncio.to_thread(Browser, request.param, flags)
    try:
        if request.param == "firefox":
            await inside(browser, TRUST, as_base64(authority))
        async with relaying(Page(await browser.open_tab(tmp_path / "downloads"))) as page:
            yield page
        page.check()
    finally:
        await asyncio.to_thread(browser.close)


@asynccontextmanager
async def offering(server: StockServer, servers: object) -> AsyncIterator[str]:
    """Yield the URL of a server that offers ICE servers, in front of the stock server."""

    async def pass_on(here: web.WebSocketResponse) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(server.server.url) as there,
            asyncio.TaskGroup() as group,
        ):

            async def upwards() -> None:
                async for message in here:
                    await there.send_str(message.data)
                await there.close()

            group.create_task(upwards())
            async for message in there:
                fields: dict[str, Any] = json.loads(message.data)
                if fields["type"] == "welcome":
                    fields["welcome"]["dcsend-ice-servers"] = servers
                await here.send_str(json.dumps(fields))

    async with scripted_server(pass_on) as made:
        yield made.url


async def received(page: Page, stage: Stage, server: str, file: Path) -> str:
    """Receive a file by the short code of a terminal; return how the page is connected."""
    sender = stage.send(file, *here(), "--stun", "none", "--no-mdns", "--server", server)
    code = str((await asyncio.to_thread(sender.event, "short_code"))["code"])
    await page.dial(code)
    await page.accept("memory")
    await page.until("done")
    assert digest((await page.saved()).path) == digest(file)
    assert (await asyncio.to_thread(sender.end)).status == 0
    return await page.tab.evaluate("document.querySelector('#facts').textContent")  # type: ignore[no-any-return]


async def receive_by(
    named: str, page: Page, stage: Stage, stock_server: StockServer, folder: Path
) -> None:
    """Receive a file through the TURN server that is *named* in the page."""
    stock_server.start()
    page.permit(stock_server.server.url)
    file = random_file(folder / "film", 3_000_000)
    async with hosted(stock_server.server.url) as link:
        await page.open(link)
        await page.until("paste")
        await page.tab.call(
            "(servers) => { document.querySelector('#servers').value = servers; }", named
        )
        facts = await received(page, stage, stock_server.server.url, file)
    assert "through a relay" in facts


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_page_receives_through_the_relay_that_a_person_names(
    relayed: Page,
    stage: Stage,
    relay: Coturn,
    stock_server: StockServer,
    tmp_path: Path,
    transport: str,
) -> None:
    named = f"turn:user:password@{relay.host}:{relay.port}?transport={transport}"
    await receive_by(named, relayed, stage, stock_server, tmp_path)


async def test_page_receives_through_a_relay_over_tls(
    trusting: Page, stage: Stage, relay: Coturn, stock_server: StockServer, tmp_path: Path
) -> None:
    # Firefox connects to no TURN server over TLS that is named by an address.
    named = f"turns:user:password@localhost:{relay.tls_port}"
    await receive_by(named, trusting, stage, stock_server, tmp_path)


async def test_page_receives_through_the_relay_that_the_server_offers(
    relayed: Page, stage: Stage, relay: Coturn, stock_server: StockServer, tmp_path: Path
) -> None:
    stock_server.start()
    file = random_file(tmp_path / "film", 3_000_000)
    offered = {
        "urls": [f"turn:{relay.host}:{relay.port}?transport=udp"],
        "username": "user",
        "credential": "password",
    }
    async with offering(stock_server, [offered]) as server, hosted(server) as link:
        relayed.permit(server)
        await relayed.open(link)
        await relayed.until("paste")
        facts = await received(relayed, stage, server, file)
    assert "through a relay" in facts
