"""Offer and answer: the page makes the offer, a terminal the answer."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.support.page import Page, from_disk, here, random_file
from tests.support.processes import Program, Stage, digest

SDP = ("--signal", "sdp", "--stun", "none")


async def first_code(page: Page, folder: Path) -> str:
    """Open the page from disk and create its offer, without a server."""
    await page.open(from_disk(folder))
    await page.until("paste")
    await page.tab.click("#two")
    await page.until("exchanging")
    await page.tab.call(
        """() => {
          document.querySelector("#servers").value = "none";
          document.querySelector("#renew").requestSubmit();
        }"""
    )
    return str(await page.tab.wait_for("document.querySelector('#own-code').value"))


async def answer(page: Page, program: Program, code: str) -> None:
    """Paste the page's offer at the terminal, and its answer into the page."""
    await asyncio.to_thread(program.write, code.encode() + b"\n")
    theirs = await asyncio.to_thread(program.event, "description", type="answer")
    await page.tab.type("#answer", str(theirs["text"]))
    await page.tab.click("#exchange button.main")


async def test_page_receives(page: Page, stage: Stage, tmp_path: Path) -> None:
    file = random_file(tmp_path / "film", 3_000_000)
    sender = stage.send(file, *SDP, *here(), stdin=subprocess.PIPE)
    await answer(page, sender, await first_code(page, tmp_path))
    await page.accept("memory")
    await page.until("done")
    assert digest((await page.saved()).path) == digest(file)
    assert (await asyncio.to_thread(sender.end)).status == 0


async def test_page_sends(page: Page, stage: Stage, tmp_path: Path) -> None:
    file = random_file(tmp_path / "photo.jpg", 2_000_000)
    receiver = stage.receive("", tmp_path / "out", *SDP, *here(), stdin=subprocess.PIPE)
    await answer(page, receiver, await first_code(page, tmp_path))
    await page.choose(file)
    await page.tab.click("#send")
    await page.until("done")
    assert (await asyncio.to_thread(receiver.end)).status == 0
    assert digest(tmp_path / "out" / "photo.jpg") == digest(file)


async def test_damaged_code_is_refused_and_the_right_one_then_works(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    sender = stage.send("--text", "hello", *SDP, *here(), stdin=subprocess.PIPE)
    code = await first_code(page, tmp_path)
    await asyncio.to_thread(sender.write, code.encode() + b"\n")
    theirs = str((await asyncio.to_thread(sender.event, "description", type="answer"))["text"])
    damaged = theirs[:40] + ("b" if theirs[40] == "a" else "a") + theirs[41:]
    for text, said in (
        (damaged, "damaged"),
        (theirs[:-3], "damaged"),
        (code, "step 1"),
        ("hello", "not a code"),
    ):
        await page.tab.call("() => { document.querySelector('#answer').value = ''; }")
        await page.tab.type("#answer", text)
        await page.tab.click("#exchange button.main")
        problem = await page.tab.wait_for(
            "!document.querySelector('#answer-problem').hidden"
            " && document.querySelector('#answer-problem').textContent"
        )
        assert said in problem
        assert await page.state() == "exchanging"
    await page.tab.call("() => { document.querySelector('#answer').value = ''; }")
    await page.tab.type("#answer", theirs)
    await page.tab.press("Enter")
    await page.accept()
    await page.until("done")


async def test_code_of_the_wrong_kind_is_named(page: Page, tmp_path: Path) -> None:
    code = await first_code(page, tmp_path)
    await page.tab.click("#restart")
    await page.until("paste")
    await page.tab.type("#code", code)
    await page.tab.click("#connect")
    await page.tab.wait_for("!document.querySelector('#problem').hidden")
    assert "two codes" in await page.text("#problem")


async def test_server_that_is_none_is_named(page: Page, tmp_path: Path) -> None:
    await page.open(from_disk(tmp_path))
    await page.until("paste")
    await page.tab.click("#two")
    await page.tab.call(
        """() => {
          document.querySelector("#servers").value = "https://example.org";
          document.querySelector("#renew").requestSubmit();
        }"""
    )
    said = await page.tab.wait_for("document.querySelector('#answer-problem').textContent")
    assert "not a server: https://example.org" in said


@pytest.mark.parametrize("tab", ["chromium"], indirect=True)
async def test_answer_of_a_side_that_is_gone_offers_two_new_codes(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    sender = stage.send("--text", "hello", *SDP, *here(), stdin=subprocess.PIPE)
    code = await first_code(page, tmp_path)
    await asyncio.to_thread(sender.write, code.encode() + b"\n")
    theirs = await asyncio.to_thread(sender.event, "description", type="answer")
    sender.kill()
    await page.tab.type("#answer", str(theirs["text"]))
    await page.tab.click("#exchange button.main")
    await page.until("failed", timeout=150)
    assert "two new codes" in await page.text("#problem")
    await page.tab.click("#two")
    await page.until("exchanging")
