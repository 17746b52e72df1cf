"""Offer and answer with 90 s before each paste.

All cases run at the same time in one test, beside other tests (scripts/tests.py): it waits for
three minutes and uses no processor time meanwhile.
"""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.browsers import Browser, Browsers
from tests.support.page import Page, from_disk, here, random_file
from tests.support.processes import Program, Stage, digest

DELAY: Final = 90.0
"Seconds before each paste: the subject of the test, not a wait for an event."

SDP: Final = ("--signal", "sdp", "--stun", "none")


async def paste(program: Program, code: str) -> None:
    """Paste a code at a terminal, after the delay."""
    await asyncio.sleep(DELAY)
    await asyncio.to_thread(program.write, code.encode() + b"\n")


async def described(program: Program, kind: str) -> str:
    """Wait for the description that a program shows."""
    return str((await asyncio.to_thread(program.event, "description", type=kind))["text"])


async def between_terminals(stage: Stage, folder: Path) -> None:
    file = random_file(folder / "between terminals", 300_000)
    sender = stage.send(file, *SDP, *here(), stdin=subprocess.PIPE)
    receiver = stage.receive("", folder / "out", *SDP, *here(), stdin=subprocess.PIPE)
    await paste(receiver, await described(sender, "offer"))
    await paste(sender, await described(receiver, "answer"))
    assert (await asyncio.to_thread(receiver.end)).status == 0
    assert (await asyncio.to_thread(sender.end)).status == 0
    assert digest(folder / "out" / file.name) == digest(file)


async def exchanged(page: Page, program: Program, folder: Path) -> None:
    """Paste the page's offer at a terminal, and its answer into the page."""
    await page.open(from_disk(folder))
    await page.until("paste")
    await page.tab.call(
        """() => {
          document.querySelector("#servers").value = "none";
          document.querySelector("#two").click();
        }"""
    )
    code = await page.tab.wait_for("document.querySelector('#own-code').value")
    await paste(program, str(code))
    theirs = await described(program, "answer")
    await asyncio.sleep(DELAY)
    await page.tab.call(
        """(text) => {
          document.querySelector("#answer").value = text;
          document.querySelector("#exchange").requestSubmit();
        }""",
        theirs,
    )


async def to_page(stage: Stage, browser: Browser, folder: Path) -> None:
    file = random_file(folder / "to the page", 300_000)
    page = Page(await browser.open_tab(folder / "downloads"))
    sender = stage.send(file, *SDP, *here(), stdin=subprocess.PIPE)
    await exchanged(page, sender, folder)
    await page.until("offered")
    await page.accept("memory")
    await page.until("done")
    assert digest((await page.saved()).path) == digest(file)
    assert (await asyncio.to_thread(sender.end)).status == 0


async def answers_late(stage: Stage, folder: Path) -> None:
    """The answer is pasted after two delays; the answerer must still be waiting."""
    file = random_file(folder / "late", 300_000)
    sender = stage.send(file, *SDP, *here(), stdin=subprocess.PIPE)
    offer = await described(sender, "offer")
    receiver = stage.receive(offer, folder / "out", "--stun", "none", *here())
    answer = await described(receiver, "answer")
    await asyncio.sleep(DELAY)
    await paste(sender, answer)  # three minutes in all
    assert (await asyncio.to_thread(receiver.end)).status == 0
    assert digest(folder / "out" / file.name) == digest(file)


@pytest.mark.slow
async def test_90_seconds_between_pastes_do_no_harm(
    stage: Stage, browsers: Browsers, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("terminals", "late", "chromium", "firefox")]
    for folder in folders:
        folder.mkdir()
    async with asyncio.TaskGroup() as together:
        together.create_task(between_terminals(stage, folders[0]))
        together.create_task(answers_late(stage, folders[1]))
        # At the same time; the fixture `tab` opens one browser after the other.
        for name, folder in zip(("chromium", "firefox"), folders[2:], strict=True):
            together.create_task(to_page(stage, await asyncio.to_thread(browsers, name), folder))
