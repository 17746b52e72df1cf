"""Make the two pictures of README from one real run: `make pictures`.

A shell in tmux types `dcsend send film.mkv`; the page behind its QR code is opened in Chromium as
on a phone, and receives the file. docs/terminal.png is the screen of the terminal, drawn cell by
cell in that browser; docs/page.png is the page while the film arrives.
"""

from __future__ import annotations

import asyncio
import html
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

import pyte

from bench.throughput import random_file
from tests.support.browsers import Browser
from tests.support.screens import Pane, tmux_server
from tests.support.tab import Tab

__all__ = ["main", "svg"]

_DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
_FILM: Final = 734_003_200
"Bytes; enough to be still under way when the picture is taken."
_COLUMNS, _ROWS = 80, 40
_CELL: Final = (9, 18)
"Width and height of a character, pixels."
_INK, _PAPER = "d8dee9", "1b1f27"
_HALF: Final = {"█": (0.0, 1.0), "▀": (0.0, 0.5), "▄": (0.5, 0.5)}
"Block characters as rectangles: where they begin and how high they are, in parts of a cell."


def svg(screen: pyte.Screen) -> str:
    """Paint a terminal's screen; without gaps between rows, which a QR code could not stand."""
    width, height = _CELL
    shapes = []
    for row in range(screen.lines):
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            ink = _INK if cell.fg == "default" else cell.fg
            paper = _PAPER if cell.bg == "default" else cell.bg
            x, y = column * width, row * height
            if paper != _PAPER:
                shapes.append(_rectangle(x, y, height, paper))
            if cell.data in _HALF:
                top, part = _HALF[cell.data]
                shapes.append(_rectangle(x, y + top * height, part * height, ink))
            elif cell.data.strip():
                shapes.append(
                    f'<text x="{x}" y="{y + 13.5}" fill="#{ink}">{html.escape(cell.data)}</text>'
                )
    size = f'width="{screen.columns * width + 32}" height="{screen.lines * height + 32}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="-16 -16 '
        f'{screen.columns * width + 32} {screen.lines * height + 32}" font-family="monospace" '
        f'font-size="15" shape-rendering="crispEdges"><rect x="-16" y="-16" width="100%" '
        f'height="100%" fill="#{_PAPER}"/>{"".join(shapes)}</svg>'
    )


def _rectangle(x: float, y: float, height: float, colour: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{_CELL[0]}" height="{height}" fill="#{colour}"/>'


async def _page(tab: Tab, pane: Pane) -> None:
    link = pane.until(r"^(http://\S+#\d+)$")[1]
    await tab.viewport(390, 700, 2)
    await tab.open(link)
    await tab.click("#accept")
    await tab.wait_for(
        "document.body.dataset.state === 'transferring' && "
        "document.querySelector('#progress').value / document.querySelector('#progress').max > 0.4",
        120,
    )
    await tab.screenshot(_DOCS / "page.png")
    await tab.click("#stop")


async def _terminal(tab: Tab, screen: pyte.Screen, folder: Path) -> None:
    width, height = screen.columns * _CELL[0] + 32, screen.lines * _CELL[1] + 32
    picture = folder / "terminal.html"
    style = "<style>body{margin:0}svg{display:block}</style>"
    picture.write_text(f"<!doctype html><meta charset=utf-8>{style}{svg(screen)}", "utf-8")
    await tab.viewport(width, height, 1.5)
    await tab.open(picture.as_uri())
    await tab.screenshot(_DOCS / "terminal.png")


async def _make(folder: Path) -> None:
    browser = await asyncio.to_thread(Browser, "chromium")
    try:
        with tmux_server() as tmux:
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            # As at home, and not as in tests.
            at_home = {
                "PATH": path,
                "DCSEND_ADDRESS": "",
                "DCSEND_NO_PAGE": "0",
                "DCSEND_NO_MDNS": "0",
            }
            pane = tmux.window(folder, _COLUMNS, _ROWS, at_home)
            pane.enter("dcsend send film.mkv")
            pane.until(r"^dcsend receive \d+-[a-z]+-[a-z]+$")
            screen = pane.painted()
            tab = await browser.open_tab(folder / "downloads")
            await _page(tab, pane)
            await _terminal(tab, screen, folder)
    finally:
        await asyncio.to_thread(browser.close)


def main() -> None:
    """Make both pictures anew."""
    _DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dcsend-pictures-") as name:
        random_file(Path(name) / "film.mkv", _FILM)
        asyncio.run(_make(Path(name)))
    print(f"wrote {_DOCS / 'terminal.png'} and {_DOCS / 'page.png'}")


if __name__ == "__main__":
    main()
