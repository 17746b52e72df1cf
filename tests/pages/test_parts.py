"""Unfinished files in the private storage of the page's origin: continued, deleted, repaired."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from dcsend.files.journal import INTERVAL
from tests.support.page import Page, here, link_of, random_file
from tests.support.page_host import hosted
from tests.support.processes import Ended, Program, Stage, digest
from tests.support.resuming import flip, held

SIZE: Final = 3 * INTERVAL
HELD: Final = 2 * INTERVAL + 2_000_000
"The sender stops here; the page then has two lines of its journal."

_PARTS: Final = """async () => {
  const found = {};
  const root = await navigator.storage.getDirectory();
  let top;
  try { top = await root.getDirectoryHandle("dcsend"); } catch { return found; }
  for await (const [id, folder] of top.entries()) {
    for await (const [name, handle] of folder.entries()) {
      if (name === "content") found[id] = (await handle.getFile()).size;
    }
  }
  return found;
}"""
"The bytes of each content, by its folder."

_FLIP: Final = """async (offset) => {
  const root = await navigator.storage.getDirectory();
  const top = await root.getDirectoryHandle("dcsend");
  for await (const folder of top.values()) {
    const handle = await folder.getFileHandle("content");
    const at = await (await handle.getFile()).slice(offset, offset + 1).arrayBuffer();
    const file = await handle.createWritable({ keepExistingData: true });
    const data = new Uint8Array(at).map((byte) => byte ^ 1);
    await file.write({ type: "write", position: offset, data });
    await file.close();
  }
}"""

_NOTES: Final = """() => {
  window.notes = [];
  const note = document.querySelector("#notice");
  const add = () => window.notes.push(note.innerText);
  new MutationObserver(add).observe(note, { childList: true, subtree: true });
}"""
"Collects the notes that the page shows from now on."

_LISTED: Final = "[...document.querySelectorAll('#left-files li')].map((one) => one.innerText)"


@dataclass
class Origin:
    """A page on one origin, in one tab after the other."""

    page: Page
    stage: Stage
    url: str
    film: Path

    def send(self, before: str = "") -> Program:
        """Start a sender of the film."""
        return self.stage.send(self.film, *here(), before=before)

    async def open(self, sender: Program) -> None:
        """Open the page with the code of a sender."""
        code = link_of(sender).partition("#")[2]
        await self.page.open(f"{self.url}#{code}")

    async def interrupt(self) -> None:
        """Receive to HELD, close the tab, and open the page in another one."""
        sender = self.send(held(HELD))
        await self.open(sender)
        await self.page.accept("private")
        await asyncio.to_thread(
            sender.until,
            lambda event: event["event"] == "progress" and event["bytes"] >= HELD - 1_000_000,
            "bytes",
        )
        await self.renew()
        sender.kill()

    async def renew(self) -> None:
        """Close the tab and open another one."""
        tab = self.page.tab
        await tab.close()
        self.page.tab = await tab.browser.open_tab(tab.downloads)  # type: ignore[attr-defined]

    async def parts(self) -> dict[str, int]:
        """Return the bytes of each content in the storage."""
        return dict(await self.page.tab.call(_PARTS))

    async def complete(self, most: int, about: str = "are there already") -> Ended:
        """Receive the film from a new sender, which sends *most* bytes again at most.

        Args:
            most: in bytes.
            about: what the offer says.
        """
        sender = self.send()
        await self.open(sender)
        await self.page.until("offered")
        # That of a tab that has just been closed may still be there.
        shown = "document.querySelector('#about-saving').innerText"
        await self.page.tab.wait_for(f"{shown}.includes({json.dumps(about)})")
        await self.page.tab.call(_NOTES)
        await self.page.accept("private")
        await self.page.until("done")
        saved = await self.page.saved()
        assert digest(saved.path) == digest(self.film)
        ended = sender.end()
        assert ended.status == 0
        assert ended.done["bytes"] - (SIZE - HELD) <= most, ended.done
        return ended


@pytest.fixture
async def origin(page: Page, stage: Stage, tmp_path: Path) -> AsyncIterator[Origin]:
    async with hosted() as url:
        yield Origin(page, stage, url, random_file(tmp_path / "film.mkv", SIZE))


async def listed(page: Page) -> list[str]:
    """Wait for the list of parts, and return its lines."""
    await page.tab.wait_for("!document.querySelector('#left').hidden")
    lines = await page.tab.evaluate(_LISTED)
    return [str(line).replace("\u00a0", " ").replace("\n", " ") for line in lines]


async def test_closed_tab_is_continued_with_another_code(origin: Origin) -> None:
    page = origin.page
    await origin.interrupt()
    await page.open(origin.url)
    # The worker of a tab that is closed may or may not write a last line of the journal.
    (line,) = await listed(page)
    assert re.fullmatch(r"film.mkv 1[6-9].\d of 25.2 MB, 1 minute old Delete", line), line
    await origin.complete(INTERVAL)
    await page.open(origin.url)
    await page.until("paste")
    assert await page.tab.evaluate("document.querySelector('#left').hidden")


async def test_page_that_is_loaded_again_continues_its_part_by_itself(origin: Origin) -> None:
    page = origin.page
    sender = origin.stage.send(origin.film, "--limit-rate", "12M", *here())
    await origin.open(sender)
    await page.accept("private")
    await asyncio.to_thread(
        sender.until,
        lambda event: event["event"] == "progress" and event["bytes"] >= HELD,
        "bytes",
    )
    await page.tab.reload()
    await page.until("done")
    assert digest((await page.saved()).path) == digest(origin.film)
    ended = sender.end()
    assert ended.status == 0
    # What the second connection has carried.
    assert ended.done["bytes"] <= SIZE - 2 * INTERVAL


async def test_bytes_that_were_changed_in_the_storage_are_sent_again(origin: Origin) -> None:
    page = origin.page
    await origin.interrupt()
    await page.open(origin.url)
    await listed(page)
    await page.tab.call(_FLIP, INTERVAL + 1_000_000)
    ended = await origin.complete(2 * INTERVAL)
    assert len(ended.of("damaged")) == 1
    notes = await page.tab.evaluate("window.notes")
    assert "Bytes 8 to 17 MB of film.mkv were changed on the disk and are sent again." in notes


async def test_changed_source_is_received_from_its_start(origin: Origin) -> None:
    await origin.interrupt()
    flip(origin.film, 1_000_000)
    # It is continued at the last line of the journal before it begins again.
    await origin.complete(SIZE + HELD % INTERVAL)
    notes = await origin.page.tab.evaluate("window.notes")
    assert any(
        "Since a part of film.mkv was received, the file has changed" in note for note in notes
    )


async def test_part_is_deleted_in_a_click(origin: Origin) -> None:
    page = origin.page
    await origin.interrupt()
    await page.open(origin.url)
    await listed(page)
    assert len(await origin.parts()) == 1
    await page.tab.click("#left-files button")
    await page.tab.wait_for("document.querySelector('#left').hidden")
    assert await origin.parts() == {}
    sender = origin.send()
    await origin.open(sender)
    await page.until("offered")
    assert "there already" not in await page.text("#about-saving")
    await page.tab.click("#decline")
    await page.until("failed")
    sender.end()


async def test_second_tab_reports_that_and_writes_to_a_file_of_its_own(
    origin: Origin, tmp_path: Path
) -> None:
    """The first tab has what an earlier one has left, and another tab receives the same file."""
    page = origin.page
    await origin.interrupt()
    first = origin.send(held(HELD + 5_000_000))
    await origin.open(first)
    await page.accept()
    await page.until("transferring")
    other = Page(await page.tab.browser.open_tab(tmp_path / "others"))  # type: ignore[attr-defined]
    here, origin.page = origin.page, other
    await other.open(origin.url)
    await other.until("paste")
    await origin.complete(SIZE, "Another tab of this browser is receiving it")
    origin.page = here
    assert await here.state() == "transferring"
    assert len(await origin.parts()) == 2
    first.kill()


async def test_part_of_a_sender_that_ends_is_listed_and_continued_in_the_same_tab(
    origin: Origin,
) -> None:
    page = origin.page
    sender = origin.send(held(HELD))
    await origin.open(sender)
    await page.accept("private")
    await asyncio.to_thread(
        sender.until,
        lambda event: event["event"] == "progress" and event["bytes"] >= HELD - 1_000_000,
        "bytes",
    )
    sender.process.send_signal(signal.SIGINT)
    await page.until("failed")
    (line,) = await listed(page)
    assert re.fullmatch(r"film.mkv 1[6-9].\d of 25.2 MB, 1 minute old Delete", line), line
    await origin.complete(INTERVAL)
