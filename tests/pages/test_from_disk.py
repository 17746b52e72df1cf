"""A page that is opened from disk, and the stock rendezvous server, which may refuse its origin."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.mailbox_server import StockServer
from tests.support.page import Page, from_disk

pytestmark = pytest.mark.full

ALLOWED = "--websocket-protocol-option=allowNullOrigin=true"
"The option in docs/usage.md."


async def test_page_from_disk_shows_a_code_if_the_server_accepts_its_origin(
    page: Page, stock_server: StockServer, tmp_path: Path
) -> None:
    await asyncio.to_thread(stock_server.start, ALLOWED)
    url = stock_server.server.url
    page.permit(url)
    await page.open(from_disk(tmp_path, server=url))
    code = await page.show_code("send")
    assert await page.text("#command") == f"dcsend receive {code} --server {url}"


async def test_page_from_disk_reports_that_the_server_may_refuse_it(
    page: Page, stock_server: StockServer, tmp_path: Path
) -> None:
    await asyncio.to_thread(stock_server.start)
    url = stock_server.server.url
    page.permit(url)
    await page.open(from_disk(tmp_path, server=url))
    await page.until("paste")
    await page.tab.click("#show-send")
    assert await page.problem() == "unreachable"
    shown = await page.text("#problem")
    assert "may refuse pages from disk" in shown
    assert "use the local network" not in shown
