"""Connections between a terminal on host `a` and the page in a browser on host `b`.

The page is opened from disk, so that it is available in each network.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from tests.lab.laboratory import Lab
from tests.lab.ways import STUN
from tests.support.browsers import Browser
from tests.support.identity import as_base64, trusting
from tests.support.netns import Host
from tests.support.page import Page, from_disk, random_file
from tests.support.processes import Program
from tests.support.tab import inside
from tests.support.tab_scripts import TRUST

__all__ = ["Shown", "answered", "dial_with_page", "page_on", "two_codes_with_page"]

_LIMIT: Final = 45.0
"Seconds without a message after which the attempt ends."
_SIZE: Final = 300_000


@dataclass(frozen=True, slots=True)
class Shown:
    """The result, as the page shows it."""

    seconds: float | None
    "From opening the link, or pasting the last code, until the files were offered; None: never."
    said: str = ""
    "The message of the page instead."


@asynccontextmanager
async def page_on(
    lab: Lab, folder: Path, name: str = "chromium", host: Host | None = None
) -> AsyncIterator[Page]:
    """Start a browser on a host, `b` if none is named, and give a page in it.

    It trusts the servers of the laboratory.
    """
    where = (host or lab.b).namespace
    authority = x509.load_pem_x509_certificate(lab.authority.read_bytes())
    certificate = x509.load_pem_x509_certificate(lab.certificate.read_bytes())
    flags = trusting(certificate) if name == "chromium" else ()
    browser = await asyncio.to_thread(Browser, name, flags, where)
    try:
        if name == "firefox":
            await inside(browser, TRUST, as_base64(authority))
        yield Page(await browser.open_tab(folder / f"downloads-{name}"))
    finally:
        await asyncio.to_thread(browser.close)


async def dial_with_page(lab: Lab, page: Page, folder: Path) -> Shown:
    """Offer a file at `a`; the page dials."""
    film = random_file(folder / "film", _SIZE)
    sender = await asyncio.to_thread(lab.send, lab.a, film, *lab.topology.options)
    link = (await asyncio.to_thread(sender.event, "code"))["link"]
    start = time.monotonic()
    await page.open(from_disk(folder, link))
    return await _offered(page, start)


async def two_codes_with_page(
    lab: Lab, page: Page, folder: Path, *, pause: float = 0.0, servers: Sequence[str] = (STUN,)
) -> Shown:
    """Create the offer in the page and the answer at `a`, and paste the answer into the page."""
    film = random_file(folder / "film", _SIZE)
    await answered(lab, page, film, pause=pause, servers=servers)
    return await _offered(page, time.monotonic())


async def answered(
    lab: Lab, page: Page, film: Path, *, pause: float = 0.0, servers: Sequence[str] = (STUN,)
) -> Program:
    """Exchange two codes, of which the page makes the first; return the sender on `a`."""
    await page.open(from_disk(film.parent))
    await page.until("paste")
    await page.tab.click("#two")
    await page.until("exchanging")
    await page.tab.call(
        """(servers) => {
          document.querySelector("#servers").value = servers;
          document.querySelector("#renew").requestSubmit();
        }""",
        "\n".join(servers),
    )
    code = str(await page.tab.wait_for("document.querySelector('#own-code').value"))
    options = ["--signal", "sdp", *(f"--ice-server={server}" for server in servers)]
    sender = await asyncio.to_thread(lab.send, lab.a, film, *options, stdin=subprocess.PIPE)
    await asyncio.to_thread(sender.event, "description")
    await asyncio.to_thread(sender.write, code.encode() + b"\n")
    theirs = await asyncio.to_thread(sender.event, "description", type="answer")
    # The time before the code is pasted is a parameter of the measurement.
    await asyncio.sleep(pause)
    await page.tab.type("#answer", str(theirs["text"]))
    await page.tab.click("#exchange button.main")
    return sender


async def _offered(page: Page, start: float) -> Shown:
    state = await page.until("offered", "failed", timeout=_LIMIT)
    seconds = time.monotonic() - start
    if state == "offered":
        await page.accept("memory")
        await page.until("done", timeout=_LIMIT)
        return Shown(seconds)
    return Shown(None, f"{seconds:.0f} s: {' '.join((await page.text('#problem')).split())}")
