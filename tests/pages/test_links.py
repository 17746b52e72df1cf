"""A link to a hosted page with both codes: the direct way first, the rendezvous beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dcsend.signaling.dialcode import Address, decode
from dcsend.signaling.link import both_codes, link_of_both
from tests.support.page import Page, here, random_file
from tests.support.peers import LOCAL
from tests.support.processes import Program, Stage, digest
from tests.support.udp import bound

pytestmark = pytest.mark.full


@pytest.fixture
def silent() -> Iterator[Address]:
    """An address that answers nothing, as one of another network."""
    with bound() as sock:
        yield Address(LOCAL, sock.getsockname()[1])


def options(link: str, server: str) -> tuple[str, ...]:
    """Return the options of a terminal whose link points to the hosted page."""
    common = (*here(), "--stun", "none", "--no-mdns")
    return (*common, "--page-url", link, "--server", server)


async def link_of(program: Program) -> str:
    """Return the link with both codes."""
    return str((await asyncio.to_thread(program.event, "short_code"))["link"])


def elsewhere(link: str, silent: Address) -> str:
    """Return the link as it is for a device in another network: its dial code leads nowhere."""
    codes = both_codes(link)
    assert codes is not None
    code = replace(decode(codes[0]), addresses=(silent,))
    return link_of_both(code.link(link.partition("#")[0]), codes[1])


async def test_page_in_the_same_network_dials_and_uses_no_server(
    page: Page, stage: Stage, server: str, link: str, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "film", 1_000_000)
    sender = stage.send(file, *options(link, server))
    await page.open(await link_of(sender))
    await page.accept("memory")
    await page.until("done")
    assert digest((await page.saved()).path) == digest(file)
    assert (await asyncio.to_thread(sender.end)).status == 0
    assert sender.so_far("short_code_used") == []
    assert [url for url in page.tab.requests if url.startswith("ws")] == []
    assert await page.tab.evaluate("location.hash") == ""


async def test_page_in_another_network_uses_the_short_code(
    page: Page, stage: Stage, server: str, link: str, silent: Address, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "photo.jpg", 1_000_000)
    receiver = stage.receive("", tmp_path / "out", *options(link, server))
    await page.open(elsewhere(await link_of(receiver), silent))
    await page.choose(file)
    await page.tab.click("#send")
    await page.until("done")
    assert (await asyncio.to_thread(receiver.end)).status == 0
    assert digest(tmp_path / "out" / "photo.jpg") == digest(file)
    assert len(receiver.so_far("short_code_used")) == 1


async def test_reload_after_the_guess_dials_only(
    page: Page, stage: Stage, server: str, link: str, silent: Address
) -> None:
    """The short code is used up; the dial code works again."""
    sender = stage.send("--text", "hello", *options(link, server))
    link = await link_of(sender)
    await page.open(elsewhere(link, silent))
    await page.until("offered")
    used = len([url for url in page.tab.requests if url.startswith("ws")])
    await page.tab.reload()
    await page.until("connecting")
    stored = await page.tab.evaluate("sessionStorage.getItem('dcsend')")
    assert stored
    assert "+" not in stored
    assert len([url for url in page.tab.requests if url.startswith("ws")]) == used
