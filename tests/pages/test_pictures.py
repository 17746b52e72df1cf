"""Each state of the page fits each screen, and with DCSEND_TESTS_PICTURES=1 there are pictures.

They are for manual review, in build/screenshots: `BROWSER-STATE-SCREEN-SCHEME.png`. They take half
of the time, so that other runs make none.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tests.support.page import Page
from tests.support.page_states import walk
from tests.support.processes import ROOT

FOLDER: Final = ROOT / "build" / "screenshots"
_PICTURES: Final = os.environ.get("DCSEND_TESTS_PICTURES", "") == "1"
"Read before the tests remove DCSEND_…"

SCREENS: Final = {"phone": (390, 844, 2.0), "desktop": (1280, 800, 1.0)}

OVERFLOW: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

CUT: Final = """[...document.querySelectorAll("button, input, a, summary, h1")]
  .filter((element) => element.checkVisibility({ visibilityProperty: true }))
  .filter((element) => !element.matches(".unseen, .unseen *, [type=file]"))
  .map((element) => [element.id || element.tagName, element.getBoundingClientRect()])
  .filter(([, box]) => box.left < 0 || box.right > innerWidth + 1)
  .map(([name]) => name)"""

SMALL: Final = """[...document.querySelectorAll("button, summary, label.button")]
  .filter((element) => element.checkVisibility({ visibilityProperty: true }))
  .filter((element) => element.getBoundingClientRect().height < 24)
  .map((element) => element.id || element.textContent)"""


MOVING: Final = "document.getAnimations().filter((a) => a.playState === 'running').length"


async def test_every_state_fits_every_screen(page: Page, tmp_path: Path) -> None:
    """Check that nothing overflows sideways, and that targets are large enough (WCAG 2.5.8).

    With `prefers-reduced-motion`, also that nothing moves.
    """
    found = {}
    screens = list(SCREENS)

    async def picture(name: str, screen: str, scheme: str) -> None:
        if not _PICTURES:
            return
        path = FOLDER / f"{page.tab.browser.name}-{name}-{screen}-{scheme}.png"
        await page.tab.screenshot(path, whole=True)

    async def check(name: str, screen: str) -> None:
        wrong = [await page.tab.evaluate(what) for what in (OVERFLOW, CUT, SMALL)]
        if wrong != [0, [], []]:
            found[f"{name} {screen}"] = wrong

    async def look(name: str) -> None:
        # Each change takes longer than a picture: so one screen is kept for the next state.
        first, second = screens
        await picture(name, first, "light")
        await page.tab.look("dark")
        await picture(name, first, "dark")
        await check(name, first)
        await page.tab.viewport(*SCREENS[second])
        await picture(name, second, "dark")
        await check(name, second)
        await page.tab.look("dark", reduced_motion=True)
        if count := await page.tab.evaluate(MOVING):
            found[f"{name} moves"] = [count]
        await page.tab.look()
        await picture(name, second, "light")
        screens.reverse()

    await page.tab.viewport(*SCREENS[screens[0]])
    await walk(page, tmp_path, look)
    assert found == {}
