"""Accessibility of the page: the rules of axe, and use with the keyboard alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.page import Page, here, link_of, random_file
from tests.support.page_states import walk
from tests.support.processes import ROOT, Stage, digest

AXE: Final = ROOT / "web-receiver" / "node_modules" / "axe-core" / "axe.min.js"
"https://github.com/dequelabs/axe-core, one of the page's development dependencies."

RUN: Final = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations.map(({ id, impact, help, nodes }) => ({
    id, impact, help, nodes: nodes.map(({ html }) => html),
  }));
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    assert AXE.exists(), "the page's tools are not installed: make page"
    return AXE.read_text(encoding="utf-8")


async def examined(page: Page, axe: str) -> list[dict[str, Any]]:
    """Return the serious and critical problems that axe finds."""
    if not await page.tab.evaluate("typeof axe === 'object'"):
        await page.tab.call(f"() => {{ {axe}\n }}")
    found = await page.tab.call(RUN)
    return [problem for problem in found if problem["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("tab", ["chromium"], indirect=True)  # what axe reads is the same in both
async def test_axe_finds_nothing_serious(page: Page, tmp_path: Path, axe: str) -> None:
    """In each state, light and dark."""
    found = {}

    async def look(name: str) -> None:
        for scheme in ("light", "dark"):
            await page.tab.look(scheme)
            if problems := await examined(page, axe):
                found[f"{name} {scheme}"] = problems
        await page.tab.look()

    await walk(page, tmp_path, look)
    assert found == {}


async def test_axe_would_find_something(page: Page, tmp_path: Path, axe: str) -> None:
    """The test above depends on it."""
    path = tmp_path / "page.html"
    path.write_text("<!doctype html><title>x</title><img src='data:,'><input>", encoding="utf-8")
    await page.open(path.as_uri())
    assert {problem["id"] for problem in await examined(page, axe)} >= {"image-alt", "label"}


async def test_keyboard_is_enough(page: Page, stage: Stage, tmp_path: Path) -> None:
    """Paste a code, accept, and send a message, without a mouse."""
    file = random_file(tmp_path / "file", 1000)
    sender = stage.send(file, *here())
    await page.open(link_of(sender).partition("#")[0])
    await page.until("paste")
    await reach(page, "#code")
    await page.tab.press(sender.code, "Enter")
    await page.until("offered")
    await reach(page, "#chat-input")
    await page.tab.press("hello", "Enter")
    sender.event("text", text="hello")
    await reach(page, "#accept", back=True)
    await page.tab.press("Enter")
    await page.until("done")
    assert digest((await page.saved()).path) == digest(file)


async def reach(page: Page, selector: str, *, back: bool = False) -> None:
    """Press Tab until an element has the focus; check that the focus is visible."""
    for _ in range(20):
        await page.tab.chord(*(["Shift"] if back else []), "Tab")
        if await page.tab.call("(s) => document.activeElement?.matches(s)", selector):
            assert await page.tab.evaluate("document.activeElement.matches(':focus-visible')")
            return
    pytest.fail(f"{selector} can't be reached with the Tab key")
