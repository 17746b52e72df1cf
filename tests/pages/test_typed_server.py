"""A page that names no rendezvous server shows codes with one that is typed."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest

from tests.support.identity import Identity
from tests.support.mailbox_server import StockServer
from tests.support.page import Page
from tests.support.page_host import hosted
from tests.support.tab import inside
from tests.support.tab_scripts import TRUST

pytestmark = pytest.mark.full


@pytest.fixture
async def over_tls(stock_server: StockServer, identity: Identity) -> AsyncIterator[str]:
    """Run a server behind one that ends TLS; yield its host and port."""
    await asyncio.to_thread(stock_server.start)
    port = int(stock_server.server.url.split(":")[2].split("/")[0])

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, behind[1]), copy(behind[0], writer))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.chain)
    async with await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context) as front:
        yield f"localhost:{front.sockets[0].getsockname()[1]}"


async def test_server_is_typed_into_a_page_that_has_none(
    page: Page, over_tls: str, identity: Identity
) -> None:
    if page.tab.browser.name == "firefox":
        await inside(page.tab.browser, TRUST, identity.base64)
    page.permit(f"wss://{over_tls}/v1")
    async with hosted() as link:
        await page.open(link)
        await page.until("paste")
        assert "dcsend send PATH\n" in await page.text()
        await page.tab.click("#show-send")
        assert await page.state() == "paste"  # the browser asks for the server
        assert await page.tab.evaluate("document.activeElement.id") == "server"
        await page.tab.type("#server", over_tls)
        for command in ("send PATH", "receive"):
            assert f"dcsend {command} --server {over_tls}\n" in await page.text()
        code = await page.show_code("send")
        assert code.endswith(f"@{over_tls}")
        assert await page.text("#command") == f"dcsend receive {code}"
        await page.tab.click("#stop")
        await page.until("paste")


async def test_server_that_is_none_is_refused_at_its_field(page: Page) -> None:
    async with hosted() as link:
        await page.open(link)
        await page.until("paste")
        for wrong in ("/?", "ws://192.0.2.7:4000/v1"):
            await page.tab.type("#server", wrong)
            assert await page.text("#server-problem") == ""
            await page.tab.click("#show-send")
            problem = await page.text("#server-problem")
            assert "names no rendezvous server" in problem
            assert "with TLS (wss:)" in problem
            assert await page.tab.evaluate("document.activeElement.id") == "server"
            assert await page.tab.evaluate("document.querySelector('#problem').hidden")
            assert await page.state() == "paste"


async def test_typed_server_that_makes_no_code_can_be_changed(page: Page) -> None:
    page.permit("wss://localhost:9/v1")
    async with hosted() as link:
        await page.open(link)
        await page.until("paste")
        await page.tab.type("#server", "localhost:9")
        await page.tab.click("#show-send")
        await page.until("failed")
        assert "Check the network, or use another server." in await page.text("#problem")
        await page.tab.click("#retry")
        await page.until("paste")
        assert await page.tab.evaluate("document.activeElement.id") == "server"
        assert await page.tab.evaluate("document.activeElement.value") == "localhost:9"
