"""The page from each origin: its features there, and transfers in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.page import Page, at, from_disk, here, link_of, random_file
from tests.support.processes import Stage, digest, tree

WAYS = {
    ("chromium", "lan"): ["memory"],
    ("firefox", "lan"): ["memory"],
    ("chromium", "localhost"): ["picker", "private", "memory"],
    ("firefox", "localhost"): ["private", "memory"],
    ("chromium", "disk"): ["picker", "memory"],
    ("firefox", "disk"): ["private", "memory"],
}
"Where one file can be saved, the best place first."


def placed(place: str, link: str, folder: Path) -> str:
    """Return the link to the page at another place."""
    match place:
        case "localhost":
            return at("localhost", link)
        case "disk":
            return from_disk(folder, link)
    return link


@pytest.mark.parametrize("place", ["lan", "localhost", "disk"])
async def test_page_receives_and_sends(
    page: Page, stage: Stage, tmp_path: Path, place: str
) -> None:
    file, output = random_file(tmp_path / "file", 2_000_000), tmp_path / "output"
    sender = stage.send(file, *here())
    await page.open(placed(place, link_of(sender), tmp_path))
    ways = await page.ways()
    assert ways == WAYS[page.tab.browser.name, place]
    # The picker is a dialog, see test_receive.py.
    await page.accept("" if len(ways) == 1 else next(way for way in ways if way != "picker"))
    await page.until("done")
    assert digest((await page.saved()).path) == digest(file)
    receiver = stage.receive("", output, *here())
    await page.send(placed(place, link_of(receiver), tmp_path), file)
    assert (sender.end().status, receiver.end().status) == (0, 0)
    assert tree(output) == {"file": digest(file)}


async def test_page_of_one_listener_takes_the_code_of_another(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    """As a copy that is hosted somewhere does."""
    file = random_file(tmp_path / "file", 1000)
    host, sender = stage.send(file, *here()), stage.send(file, *here(), "--no-page")
    base = link_of(host).partition("#")[0]
    assert link_of(sender).startswith("dcsend:#")
    await page.receive(f"{base}#{link_of(sender).partition('#')[2]}")
    assert digest((await page.saved()).path) == digest(file)
    assert sender.end().status == 0
