"""Ends of incomplete transfers: both sides report them, and no file appears complete."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from tests.support.browsers import Browsers
from tests.support.load import Stopwatch
from tests.support.page import Page, from_disk, here, link_of, random_file
from tests.support.processes import Program, Stage, digest

BROKEN_OFF = {5, 7}
"Exit statuses of a program whose connection is lost, or whose peer has cancelled."


def moving(program: Program) -> None:
    """Wait until bytes have been written at the receiver."""
    program.until(lambda event: event["event"] == "progress" and event["bytes"] > 0, "progress")


async def receiving(page: Page, stage: Stage, film: Path) -> Program:
    """Receive in the page up to the middle of a large file."""
    sender = stage.send(film, *here())
    await page.open(link_of(sender))
    await page.accept()
    await asyncio.to_thread(moving, sender)
    return sender


async def sending(page: Page, stage: Stage, film: Path, output: Path) -> Program:
    """Send from the page up to the middle of a large file."""
    receiver = stage.receive("", output, *here())
    await page.open(link_of(receiver))
    await page.choose(film)
    await page.tab.click("#send")
    await page.until("transferring")
    await asyncio.to_thread(moving, receiver)
    return receiver


async def moving_file(
    direction: str, page: Page, stage: Stage, film: Path, output: Path
) -> Program:
    """Receive in the page, or send from it, up to the middle of a large file."""
    if direction == "receiving":
        return await receiving(page, stage, film)
    return await sending(page, stage, film, output)


async def assert_broken_off(program: Program, watch: Stopwatch, seconds: float = 10) -> None:
    """Wait for the end of the program, which must come within *seconds* of *watch*."""
    ended = await asyncio.to_thread(program.end)
    assert ended.status in BROKEN_OFF
    watch.assert_within(seconds)


def saved_whole(folder: Path, film: Path) -> bool:
    return any(path.stat().st_size == film.stat().st_size for path in folder.iterdir())


@pytest.mark.parametrize("direction", ["receiving", "sending"])
async def test_tab_is_closed_in_the_middle(
    page: Page, stage: Stage, tmp_path: Path, film: Path, direction: str
) -> None:
    output = tmp_path / "output"
    program = await moving_file(direction, page, stage, film, output)
    await page.tab.close()
    watch = Stopwatch()
    # A page that receives may have been loaded again.
    await assert_broken_off(program, watch, 25 if direction == "receiving" else 10)
    assert not saved_whole(page.tab.downloads, film)
    assert direction == "receiving" or not saved_whole(output, film)


async def test_only_one_of_two_tabs_gets_the_file(
    page: Page, stage: Stage, tmp_path: Path, browsers: Browsers
) -> None:
    file = random_file(tmp_path / "file", 100_000)
    sender = stage.send(file, *here())
    second = Page(await browsers(page.tab.browser.name).open_tab(page.tab.downloads))
    link = link_of(sender)
    for tab in (page, second):  # a tab that is behind does not dial
        await tab.open(link)
        await tab.until("connecting", "offered", "failed")
    states = await asyncio.gather(
        page.until("offered", "failed"), second.until("offered", "failed")
    )
    assert sorted(states) == ["failed", "offered"]
    winner, loser = (page, second) if states[0] == "offered" else (second, page)
    assert await loser.problem() in {"unreachable", "code-used"}
    await winner.accept()
    await winner.until("done")
    assert digest((await winner.saved()).path) == digest(file)
    assert sender.end().status == 0
    assert os.listdir(page.tab.downloads) == ["file"]


@pytest.mark.parametrize("tab", ["chromium"], indirect=True)
async def test_code_that_is_used_is_not_to_be_tried_again(
    page: Page, stage: Stage, film: Path, browsers: Browsers
) -> None:
    """Firefox does not show a page that the listener has refused it."""
    sender = await receiving(page, stage, film)
    second = Page(await browsers(page.tab.browser.name).open_tab(page.tab.downloads))
    await second.open(str(sender.event("code")["link"]))
    await second.until("failed")
    assert await second.problem() == "code-used", await second.text("#problem")
    assert await second.tab.evaluate("document.querySelector('#retry').hidden")
    second.check()
    await page.tab.activate()
    await page.tab.click("#stop")
    await page.until("failed")
    assert "No file was complete." in await page.text("#problem")
    assert await page.tab.evaluate("document.querySelector('#retry').hidden")
    assert (await asyncio.to_thread(sender.end)).status == 7


async def test_damaged_code_has_its_own_message(page: Page, stage: Stage, tmp_path: Path) -> None:
    await page.open(from_disk(tmp_path, "#1234567890123456789012345678901234567890"))
    await page.until("paste", "failed")
    assert await page.problem() == "code"


async def test_offer_is_declined(page: Page, stage: Stage, tmp_path: Path) -> None:
    random_file(tmp_path / "folder" / "file", 1000)
    (tmp_path / "folder" / "link").symlink_to("file")
    sender = stage.send(tmp_path / "folder", *here())
    await page.open(link_of(sender))
    await page.until("offered")
    assert await page.text("#left-out") == "Not sent: 1 symbolic link."
    await page.tab.click("#decline")
    await page.until("failed")
    assert await page.problem() == "declined"
    assert await page.text("#left-out") == ""  # nothing else was sent, either
    ended = await asyncio.to_thread(sender.end)
    assert (ended.status, ended.fatal["kind"]) == (7, "refused")
    assert os.listdir(page.tab.downloads) == []


@pytest.mark.parametrize("direction", ["receiving", "sending"])
async def test_person_stops_in_the_middle(
    page: Page, stage: Stage, tmp_path: Path, film: Path, direction: str
) -> None:
    output = tmp_path / "output"
    program = await moving_file(direction, page, stage, film, output)
    await page.tab.wait_for("document.querySelector('#current').innerText")
    await page.tab.click("#stop")
    await page.until("failed")
    assert await page.problem() == "interrupted"
    continues = "What has arrived there is not sent again." in await page.text("#problem")
    assert continues == (direction == "sending")
    shown = (await page.text("#files")).replace("\u00a0", " ")
    assert re.fullmatch(r"film\s+not verified: stopped at [\d.]+ [kM]B of 300\.0 MB", shown)
    assert (await asyncio.to_thread(program.end)).status == 7
    assert not saved_whole(page.tab.downloads, film)


async def test_other_side_stops_in_the_middle(page: Page, stage: Stage, film: Path) -> None:
    sender = await receiving(page, stage, film)
    sender.process.send_signal(signal.SIGINT)
    await page.until("failed")
    assert await page.problem() in {"refused", "interrupted"}
    assert (await asyncio.to_thread(sender.end)).status == 130
    assert not saved_whole(page.tab.downloads, film)


async def test_silence_has_its_own_message(
    page: Page, stage: Stage, tmp_path: Path, film: Path, browsers: Browsers
) -> None:
    """No listener, an expired code, a killed peer: in three tabs at the same time."""
    browser = browsers(page.tab.browser.name)
    file = random_file(tmp_path / "file", 1)
    late, gone = stage.send(file, *here(), "--expires", "3s"), stage.send(file, *here())
    links = [from_disk(tmp_path, link_of(program)) for program in (late, gone)]
    assert (await asyncio.to_thread(late.end)).status == 9
    gone.process.kill()
    pages = [Page(await browser.open_tab(page.tab.downloads)) for _ in links]
    for other, link in zip(pages, links, strict=True):
        await other.open(link)
        await other.until("connecting", "failed")  # it dials now, as long as it is in front
    sender = await receiving(page, stage, film)
    sender.process.kill()
    for other, kind in zip(pages, ("code-expired", "unreachable"), strict=True):
        await other.until("failed")
        assert await other.problem() == kind
        other.check()
    # It may come back: only a person can know that it does not.
    await page.tab.wait_for("document.querySelector('#notice').textContent.includes('lost')")
    await page.tab.click("#stop")
    await page.until("failed")
    assert await page.problem() == "interrupted"
    assert not saved_whole(page.tab.downloads, film)


async def test_page_is_used_again_after_a_failure(page: Page, stage: Stage, tmp_path: Path) -> None:
    """With another code, without loading it again."""
    file = random_file(tmp_path / "file", 1000)
    first, second = stage.send(file, *here()), stage.send(file, *here())
    await page.open(link_of(first))
    await page.until("offered")
    await page.tab.click("#decline")
    await page.until("failed")
    await page.tab.click("#restart")
    await page.until("paste")
    await page.tab.type("#code", link_of(second))
    await page.tab.press("Enter")
    await page.accept()
    await page.until("done")
    assert digest((await page.saved()).path) == digest(file)
    assert second.end().status == 0
