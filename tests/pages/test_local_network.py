"""A page from the internet that uses the local network: Chromium's rules (Local Network Access).

Chromium has an address space for each server. The tests let it take the page for one of the
internet; the listener and the server of the mailbox are on loopback, which is behind the same rules
as a local network.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from dcsend.serving.page import read_page
from tests.support.browsers import Browser, require
from tests.support.identity import Identity
from tests.support.mailbox_server import StockServer
from tests.support.page import Page
from tests.support.processes import Stage

pytestmark = pytest.mark.full

WEBRTC = "--enable-features=LocalNetworkAccessChecksWebRTC"
"Applies the rules to WebRTC, too: Chromium 156 has them, and does not apply them by default."
OPTIONS = ("--address", "127.0.0.1", "--stun", "none")


@asynccontextmanager
async def over_https(identity: Identity, server: str = "") -> AsyncIterator[int]:
    """Serve the page over https on loopback; yield the port."""
    content = read_page(server=server).content
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(identity.chain)

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            head = f"Content-Type: text/html\r\nContent-Length: {len(content)}\r\n"
            writer.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\n{head}\r\n".encode() + content)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    made = await asyncio.start_server(respond, "127.0.0.1", 0, ssl=context)
    try:
        yield made.sockets[0].getsockname()[1]
    finally:
        made.close()


@contextmanager
def chromium(identity: Identity, port: int, *flags: str) -> Iterator[Browser]:
    """Start a browser that takes the server of this port for one of the internet."""
    require("chromium")
    space = f"--ip-address-space-overrides=127.0.0.1:{port}=public"
    browser = Browser("chromium", (*identity.chromium, space, *flags))
    try:
        yield browser
    finally:
        browser.close()


async def opened(browser: Browser, port: int, link: str, state: str, folder: Path) -> Page:
    """Open the page with a permission that is `granted`, `denied`, or not decided: `prompt`."""
    origin = f"https://localhost:{port}"
    for name in ("local-network-access", "local-network", "loopback-network"):
        await browser.command(
            "permissions.setPermission", descriptor={"name": name}, state=state, origin=origin
        )
    page = Page(await browser.open_tab(folder))
    await page.open(f"{origin}/{link}")
    return page


def fragment(stage: Stage) -> str:
    """Return the fragment of a link with a dial code."""
    sender = stage.send("--text", "hello", *OPTIONS, "--page-url", "https://localhost/")
    return "#" + str(sender.event("code")["link"]).partition("#")[2]


@pytest.mark.parametrize(
    ("flags", "state"), [((), "prompt"), ((), "denied"), ((WEBRTC,), "granted")]
)
async def test_hosted_page_dials_a_local_address(
    identity: Identity, stage: Stage, tmp_path: Path, flags: tuple[str, ...], state: str
) -> None:
    """Without the flag as Chromium is: it sends the checks whatever the permission is."""
    async with over_https(identity) as port:
        link = await asyncio.to_thread(fragment, stage)
        with chromium(identity, port, *flags) as browser:
            page = await opened(browser, port, link, state, tmp_path)
            await page.until("offered")


@pytest.mark.parametrize("state", ["prompt", "denied"])
async def test_hosted_page_without_the_permission_has_one_line_about_it(
    identity: Identity, stage: Stage, tmp_path: Path, state: str
) -> None:
    async with over_https(identity) as port:
        link = await asyncio.to_thread(fragment, stage)
        with chromium(identity, port, WEBRTC) as browser:
            page = await opened(browser, port, link, state, tmp_path)
            await page.until("failed")
            text = await page.text("#problem")
    assert "Allow the browser and this page to use the local network, in the settings" in text


@pytest.mark.parametrize("state", ["granted", "denied"])
async def test_hosted_page_uses_a_local_server_only_with_the_permission(
    identity: Identity, stock_server: StockServer, tmp_path: Path, state: str
) -> None:
    stock_server.start()
    async with over_https(identity, stock_server.server.url) as port:
        with chromium(identity, port) as browser:
            page = await opened(browser, port, "#4711-walrus-umbrella", state, tmp_path)
            await page.until("failed")
            text = await page.text("#problem")
    if state == "granted":
        assert "The code in this link was used up, or is wrong" in text
    else:
        assert "can't be reached" in text
        assert "Allow this page to use the local network" in text
