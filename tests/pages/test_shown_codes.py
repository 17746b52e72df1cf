"""A short code that the page shows: to be read, copied, scanned and shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import cv2
import pytest

from tests.support.mailbox_server import StockServer
from tests.support.page import Page, at, lan_address
from tests.support.page_host import hosted

pytestmark = pytest.mark.full

PHONE: Final = (390, 844, 2.0)
COVERED: Final = """(() => {
  const bar = document.querySelector("#actions").getBoundingClientRect();
  return ["#short-code", "#code-state", "#command", "#qr", "#copy-link"].filter((selector) => {
    const box = document.querySelector(selector).getBoundingClientRect();
    return box.bottom > bar.top && box.top < bar.bottom;
  });
})()"""
"What is below the bar of buttons."

COPIED: Final = """() => {
  // As on http pages of other hosts.
  delete Navigator.prototype.clipboard;
  document.addEventListener("copy", () => { window.copied = document.activeElement.value; });
}"""


@pytest.mark.parametrize("tab", ["chromium"], indirect=True)  # the region is the same in both
async def test_code_is_in_a_region_that_screen_readers_announce(page: Page, link: str) -> None:
    await page.open(link)
    code = await page.show_code("send")
    region = "document.querySelector('#short-code').closest('[aria-live=polite]')"
    assert code in await page.tab.evaluate(f"{region}.innerText")
    assert await page.tab.evaluate("document.querySelector('#short-code').localName") == "button"


async def test_code_is_copied_by_a_click(page: Page, link: str) -> None:
    await page.open(link)
    code = await page.show_code("send")
    await page.tab.call(COPIED)
    await page.tab.click("#short-code")
    assert await page.tab.wait_for("window.copied") == code
    assert "Copied" in await page.text("#copied")


@pytest.fixture
async def published(page: Page, tmp_path: Path) -> AsyncIterator[str]:
    """The link to a page that other devices can open, as they can its server."""
    mailboxes = StockServer(tmp_path, lan_address())
    await asyncio.to_thread(mailboxes.start)
    page.permit(mailboxes.server.url)
    try:
        async with hosted(mailboxes.server.url) as link:
            yield at(lan_address(), link).rstrip("#")
    finally:
        mailboxes.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_code_is_also_a_link_and_a_qr_code(
    page: Page, published: str, tmp_path: Path, scheme: str
) -> None:
    await page.tab.viewport(*PHONE)
    await page.tab.look(scheme)
    await page.open(published)
    code = await page.show_code("send")
    assert await page.tab.evaluate(COVERED) == []
    await page.tab.screenshot(tmp_path / "page.png", whole=True)
    picture = cv2.imread(str(tmp_path / "page.png"), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    scanned, _corners, _straight = cv2.QRCodeDetectorAruco().detectAndDecode(picture)
    assert scanned == f"{published}#{code}"
    await page.tab.call(COPIED)
    await page.tab.click("#copy-link")
    assert await page.tab.wait_for("window.copied") == scanned
    assert await page.text("#copy-link") == "Copied"


async def test_link_is_shared_where_the_browser_can(page: Page, published: str) -> None:
    await page.open(published)
    await page.until("paste")
    await page.tab.call(
        """() => {
          Object.defineProperty(navigator, "canShare", { value: ({ url }) => url !== "" });
          const share = async ({ url }) => { window.shared = url; };
          Object.defineProperty(navigator, "share", { value: share });
        }"""
    )
    code = await page.show_code("send")
    await page.tab.click("#share-link")
    assert await page.tab.evaluate("window.shared") == f"{published}#{code}"


async def test_page_that_no_other_device_can_open_has_no_link(page: Page, link: str) -> None:
    await page.open(link)
    await page.show_code("send")
    assert await page.tab.evaluate("document.querySelector('#link').hidden")
