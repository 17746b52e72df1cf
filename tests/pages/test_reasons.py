"""Messages of the page when no connection is possible, in browsers on hosts of test networks."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

import pytest

from dcsend.signaling.dialcode import Address, DialCode
from tests.pages.test_ipv6 import started
from tests.support.browsers import Browser, require
from tests.support.load import Stopwatch
from tests.support.netns import Host, MakeLan
from tests.support.page import Page, from_disk, random_file

ELSEWHERE: Final = {4: "10.99.0.2", 6: "2001:db8:99::2"}
NO_ADDRESS: Final = "The browser has found no address of this device that it can use."
OTHER_FAMILY: Final = (
    "The code has IPv6 addresses only, and the browser found no such address here."
)
SOON: Final = 10.0
"Seconds; browsers give up by themselves after 15 (Chromium) or 11 and 5 (Firefox)."


def link(folder: Path, version: int) -> str:
    """Return a link to the page on disk, with the code of a listener that does not exist."""
    places = (Address(ELSEWHERE[version], 40_000),)
    code = DialCode(bytes(16), bytes(32), 40_000, places, int(time.time()) + 3600)
    return code.link(from_disk(folder))


def only(host: Host, version: int) -> None:
    """Leave a host addresses of one family; its drivers need both on loopback."""
    other = "-4" if version == 6 else "-6"
    host.run(["ip", other, "address", "flush", "dev", "eth0"])


@pytest.mark.parametrize(
    ("name", "here", "dials"),
    [
        ("chromium", 6, [(True, 6, NO_ADDRESS)]),
        ("firefox", 4, [(False, 4, NO_ADDRESS), (True, 6, OTHER_FAMILY)]),
    ],
    ids=["chromium", "firefox"],
)
async def test_dial_that_the_browser_cannot_even_try_is_reported_soon(
    name: str, here: int, dials: list[tuple[bool, int, str]], lan: MakeLan, tmp_path: Path
) -> None:
    """For each dial: whether the host has a default route, the family of the code, the message."""
    require(name)
    host = lan(1).hosts[0]
    only(host, here)
    browser = await asyncio.to_thread(Browser, name, namespace=host.namespace)
    try:
        for default_route, there, message in dials:
            if default_route:
                host.run(["ip", f"-{here}", "route", "add", "default", "dev", "eth0"])
            page = Page(await browser.open_tab(tmp_path / "downloads"))
            watch = Stopwatch()
            await page.open(link(tmp_path, there))
            await page.until("failed")
            watch.assert_within(SOON)
            assert message in await page.text("#problem")
            assert "two codes" in await page.text("#problem")
    finally:
        await asyncio.to_thread(browser.close)


async def test_firewall_that_lets_the_page_through_but_no_udp_is_named(
    lan: MakeLan, tmp_path: Path, served: None
) -> None:
    require("firefox")
    computer, phone = lan(2, ipv6=False).hosts
    computer.run(["sh", "-c", f"nft '{_NO_UDP}'"])
    browser = await asyncio.to_thread(Browser, "firefox", namespace=phone.namespace)
    try:
        page = Page(await browser.open_tab(tmp_path / "downloads"))
        _, code = started(computer, "send", random_file(tmp_path / "film", 1000))
        await page.open(code["link"])
        await page.until("failed")
        said = await page.text("#problem")
        assert (
            f"No answer from {computer.ipv4} over UDP, although this page was loaded from there"
            in said
        )
        # The more frequent cause is shown first: the code is in use.
        assert said.index("Another device may be connected") < said.index("open UDP port")
    finally:
        await asyncio.to_thread(browser.close)


_NO_UDP: Final = (
    "table inet host { chain in { type filter hook input priority 0; meta l4proto udp drop; }; }"
)
