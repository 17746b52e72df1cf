"""Tests of the harness for real browsers, with a page that is not part of dcsend."""

from __future__ import annotations

import asyncio
import functools
import http.server
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bidi import BidiError
from tests.support.browsers import Browser, Browsers, require
from tests.support.launching import NAMES
from tests.support.netns import MakeLan
from tests.support.page import lan_address
from tests.support.tab import Tab

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; require-trusted-types-for 'script'; "
    "img-src data:; style-src 'unsafe-inline'"
)

PAGE = f"""<!doctype html>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="icon" href="data:,">
<title>page</title>
<div style="height: 2000px">tall</div>
<button id="button">button</button>
<button id="late" disabled>late</button>
<input id="field">
<input id="files" type="file" multiple>
<input id="folder" type="file" webkitdirectory>
<ul></ul>
<script>
  const note = (text) => document.querySelector("ul")
    .appendChild(document.createElement("li")).append(text);
  const on = (id, type, action) => document.getElementById(id).addEventListener(type, action);
  on("button", "click", (event) => {{
    note(`clicked ${{event.isTrusted}} ${{navigator.userActivation.isActive}}`);
    setTimeout(() => {{ document.getElementById("late").disabled = false; }}, 50);
  }});
  on("late", "click", () => note("late"));
  on("field", "change", (event) => note(`typed ${{event.target.value}}`));
  for (const id of ["files", "folder"]) on(id, "change", async (event) => {{
    for (const file of event.target.files)
      note(`${{file.webkitRelativePath || file.name}}: ${{await file.text()}}`);
    note("chosen");
  }});
  const save = (name, content) => {{
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content]));
    link.download = name;
    link.click();
  }};
  const notes = () => [...document.querySelectorAll("li")].map((item) => item.textContent);
</script>
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    (folder / "page.html").write_text(PAGE, encoding="utf-8")
    return folder


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a log."""

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    """Serve the folder on every address of this machine."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("0.0.0.0", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
async def page(tab: Tab, folder: Path) -> Tab:
    await tab.open((folder / "page.html").as_uri())
    return tab


async def test_page_opens_over_the_network_and_from_disk(tab: Tab, port: int, folder: Path) -> None:
    lan, local = f"http://{lan_address()}:{port}/page.html", f"http://localhost:{port}/page.html"
    secure = {lan: False, local: True, (folder / "page.html").as_uri(): True}
    for url, expected in secure.items():
        await tab.open(url)
        assert await tab.evaluate("[document.title, location.href, isSecureContext]") == [
            *("page", url),
            expected,
        ]
    assert tab.requests == [lan, local]
    assert tab.problems == []


async def test_values_go_in_and_come_out(page: Tab) -> None:
    value = {"text": 'ü "\u202e\n', "list": [1, 2.5, None, True]}
    assert await page.call("async (a, b) => [b, a]", value, "x") == ["x", value]
    assert await page.evaluate("undefined") is None
    with pytest.raises(BidiError, match="no such thing"):
        await page.evaluate("Promise.reject(new Error('no such thing'))")


async def test_click_is_a_gesture_on_what_can_be_clicked(page: Tab) -> None:
    await page.click("#button")
    await page.click("#late")
    assert await page.wait_for("notes().length == 2 && notes()") == ["clicked true true", "late"]


async def test_keys_type(page: Tab) -> None:
    await page.type("#field", "süß x")
    await page.press("Backspace", "y", "Enter")
    assert await page.wait_for("notes()[0]") == "typed süß y"


async def test_files_and_folders_are_chosen(page: Tab, tmp_path: Path) -> None:
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    files = [tmp_path / "a", tmp_path / "tree" / "b", tmp_path / "tree" / "sub" / "c"]
    for file in files:
        file.write_text(f"I am {file.name}")
    await page.set_files("#files", *files[:2])
    assert await page.wait_for("notes()[2] && notes()") == ["a: I am a", "b: I am b", "chosen"]
    await page.set_folder("#folder", tmp_path / "tree")
    assert sorted(await page.wait_for("notes()[5] && notes().slice(3)")) == [
        *("chosen", "tree/b: I am b", "tree/sub/c: I am c"),
    ]


async def test_download_lands_on_disk(page: Tab) -> None:
    await page.call("(name) => save(name, 'content')", "file.txt", gesture=True)
    download = await page.downloaded()
    assert download.complete
    assert download.path == page.downloads / "file.txt"
    assert download.path.read_text() == "content"


async def test_light_dark_and_motion_are_chosen(page: Tab) -> None:
    queries = "['(prefers-color-scheme: dark)', '(prefers-reduced-motion)']"
    query = f"{queries}.map((query) => matchMedia(query).matches)"
    assert await page.evaluate(query) == [False, False]
    await page.look("dark", reduced_motion=True)
    assert await page.evaluate(query) == [True, True]
    await page.look()
    assert await page.evaluate(query) == [False, False]


@pytest.mark.parametrize(("width", "height", "ratio"), [(390, 844, 2), (1280, 800, 1)])
async def test_screenshot_has_the_size_of_the_screen(
    page: Tab, tmp_path: Path, width: int, height: int, ratio: int
) -> None:
    await page.viewport(width, height, ratio)
    await page.screenshot(tmp_path / "shot.png")
    head = (tmp_path / "shot.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:]) == (width * ratio, height * ratio)


@pytest.mark.parametrize(
    "breakage",
    [
        "console.error('broken')",
        "setTimeout(() => { throw new Error('broken'); })",
        "Promise.reject(new Error('broken')) && 0",
        "void import('data:text/javascript,broken').catch(() => 0)",
        "(() => { try { document.body.innerHTML = 'broken'; } catch {} })()",
    ],
    ids=["console", "exception", "rejection", "policy", "trusted types"],
)
async def test_problems_are_collected(page: Tab, breakage: str) -> None:
    await page.evaluate(f"({breakage}) && 0")
    await page.evaluate("new Promise((resolve) => setTimeout(resolve, 50))")
    assert page.problems


async def test_pages_close_and_reload(tab: Tab, browsers: Browsers, port: int) -> None:
    url = f"http://localhost:{port}/page.html"
    await tab.open(url)
    await tab.evaluate("note('gone')")
    await tab.reload()
    assert await tab.evaluate("notes()") == []
    other = await browsers(tab.browser.name).open_tab(tab.downloads)
    await other.open(url)
    await tab.close()
    assert await other.evaluate("document.title") == "page"
    with pytest.raises(BidiError):
        await tab.evaluate("1")


async def test_memory_of_a_page_shows_what_it_holds(page: Tab, browsers: Browsers) -> None:
    browser = browsers(page.browser.name)
    before = browser.memory()
    assert before > 30e6
    # `before` may be the memory of a page of an earlier test.
    held = before + 100_000_000
    await page.evaluate(f"(window.held = new Uint8Array({held}).fill(1)).length")
    assert browser.memory() > held
    assert browser.memory_of_all() > held


@pytest.mark.parametrize("name", NAMES)
async def test_browser_runs_in_a_network_of_its_own_and_leaves_nothing(
    name: str, browsers: Browsers, lan: MakeLan, tmp_path: Path, port: int
) -> None:
    require(name)
    (host,) = lan(1).hosts
    browser = await asyncio.to_thread(Browser, name, namespace=host.namespace)
    try:
        tab = await browser.open_tab(tmp_path)
        with pytest.raises(BidiError, match=r"(?i)refused|neterror|unreachable"):
            await tab.open(f"http://localhost:{port}/page.html")
        processes = browser.processes()
        assert len(processes) > 3
        assert browser.profile.exists()
    finally:
        await asyncio.to_thread(browser.close)
    assert [process for process in processes if process.is_running()] == []
    assert not browser.profile.parent.exists()


@pytest.mark.parametrize("ci", [True, False])
def test_missing_browser_is_reported(ci: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CI", str(ci).lower())
    with pytest.raises(
        BaseException, match=r"not installed: chromium, chromedriver; .*\.sh"
    ) as outcome:
        require("chromium")
    assert type(outcome.value).__name__ == ("Failed" if ci else "Skipped")
