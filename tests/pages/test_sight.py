"""The page dials automatically only if it is visible and not inside another page."""

from __future__ import annotations

import asyncio
import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.browsers import Browsers
from tests.support.page import Page, at, from_disk, here, link_of, random_file
from tests.support.processes import Stage


class _Silent(http.server.SimpleHTTPRequestHandler):
    """Serves files without the headers of dcsend, as any static host does."""

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def static_host(folder: Path) -> Iterator[int]:
    """Serve *folder*, and yield the port."""
    handler = functools.partial(_Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


async def test_page_in_the_frame_of_another_site_never_dials(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    sender = stage.send(random_file(tmp_path / "file", 1000), *here(), "--no-page")
    digits = link_of(sender).partition("#")[2]
    (tmp_path / "host").mkdir()
    from_disk(tmp_path / "host")
    with static_host(tmp_path / "host") as hosted, static_host(tmp_path) as evil:
        address = f"http://localhost:{hosted}/dcsend.html"
        (tmp_path / "evil.html").write_text(
            f'<link rel="icon" href="data:,"><iframe src="{address}#{digits}"></iframe>'
        )
        await page.open(f"http://127.0.0.1:{evil}/evil.html")
        frame = "document.querySelector('iframe').src"
        # The site may also set the code later.
        await page.tab.evaluate(f"{frame} = {frame}.replace('#', '#0')")
        await page.tab.evaluate(f"{frame} = {frame}.replace('#0', '#')")
        (top,) = [
            context
            for context in (await page.tab.browser.command("browsingContext.getTree"))["contexts"]
            if context["context"] == page.tab.context
        ]
        inner = Page(page.tab.inside(top["children"][0]["context"]))
        assert await inner.until("unsupported") == "unsupported"
        assert await inner.problem() == "framed"
        assert not await inner.tab.evaluate("document.querySelector('#connect').checkVisibility()")
    # The code still works, so it was not dialed.
    await page.open(from_disk(tmp_path, link_of(sender)))
    await page.until("offered")
    await page.tab.click("#decline")
    assert (await asyncio.to_thread(sender.end)).status == 7


async def test_page_in_a_tab_behind_dials_when_it_comes_to_the_front(
    page: Page, stage: Stage, tmp_path: Path, browsers: Browsers
) -> None:
    file = random_file(tmp_path / "file", 1000)
    sender, other = stage.send(file, *here()), stage.send(file, *here())
    behind = Page(await browsers(page.tab.browser.name).open_tab(page.tab.downloads))
    await page.open(from_disk(tmp_path, link_of(other)))
    await behind.tab.open(link_of(sender))
    await behind.until("connecting")
    assert "as soon as it is visible" in await behind.text()
    await page.until("offered")
    assert not sender.so_far("connected")
    await behind.tab.activate()
    await behind.until("offered")


_REQUESTS = """() => {
  const lock = navigator.wakeLock;
  const request = lock.request.bind(lock);
  window.requested = [];
  lock.request = (type) => {
    window.requested.push(type);
    return request(type);
  };
}"""
"Counts requests for wake locks from now on."


async def test_screen_is_kept_on_again_when_the_page_comes_back_to_the_front(
    page: Page, stage: Stage, tmp_path: Path, browsers: Browsers
) -> None:
    """The browser releases the wake lock of a page that is hidden."""
    sender = stage.send(random_file(tmp_path / "file", 1000), *here())
    await page.open(at("localhost", link_of(sender)))
    await page.until("offered")
    await page.tab.call(_REQUESTS)
    other = await browsers(page.tab.browser.name).open_tab(page.tab.downloads)
    await other.activate()
    await page.tab.wait_for("document.visibilityState === 'hidden'")
    assert await page.tab.evaluate("window.requested") == []
    await page.tab.activate()
    await page.tab.wait_for("window.requested.length > 0")
    assert await page.tab.evaluate("window.requested") == ["screen"]


async def test_program_that_only_loads_the_link_leaves_the_code_to_others(
    page: Page, stage: Stage, tmp_path: Path, browsers: Browsers
) -> None:
    sender = stage.send(random_file(tmp_path / "file", 1000), *here())
    scanner = Page(await browsers(page.tab.browser.name).open_tab(page.tab.downloads))
    await scanner.open(link_of(sender))
    await scanner.until("offered")
    await scanner.tab.close()
    left = await asyncio.to_thread(sender.event, "left")
    assert left["again"]
    receiver = stage.receive(sender.code, tmp_path / "out")
    assert (await asyncio.to_thread(receiver.end)).status == 0
    assert (await asyncio.to_thread(sender.end)).status == 0


async def test_page_that_is_loaded_again_before_an_answer_dials_again(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    sender = stage.send(random_file(tmp_path / "file", 1000), *here())
    await page.open(link_of(sender))
    await page.until("offered")
    await page.tab.reload()
    await page.accept()
    await page.until("done")
    ended = await asyncio.to_thread(sender.end)
    assert ended.status == 0
    (left,) = ended.of("left")
    if left["kind"] == "refused":  # else its last message was lost
        assert left["message"] == "the other side's page was closed or loaded again"


async def test_page_that_is_loaded_again_with_photos_chosen_keeps_its_code(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    photo, output = random_file(tmp_path / "IMG_1.jpg", 1000), tmp_path / "output"
    receiver = stage.receive("", output, *here())
    await page.open(link_of(receiver))
    await page.choose(photo)
    await page.listed()
    await page.tab.reload()
    await page.choose(photo)
    await page.listed()
    await page.tab.click("#send")
    await page.until("done")
    assert (await asyncio.to_thread(receiver.end)).status == 0
    assert (output / "IMG_1.jpg").read_bytes() == photo.read_bytes()


async def test_page_behind_another_device_is_let_in_when_that_leaves(
    page: Page, stage: Stage, tmp_path: Path, browsers: Browsers
) -> None:
    sender = stage.send(random_file(tmp_path / "file", 1000), "-v", *here())
    first = Page(await browsers(page.tab.browser.name).open_tab(page.tab.downloads))
    await first.open(link_of(sender))
    await first.until("offered")
    # Firefox asks once only, and at first a request may be of the device that has connected. The
    # first keep-alive message follows after that time.
    await asyncio.to_thread(sender.event, "text")
    await page.open(link_of(sender))
    await page.until("connecting")
    await asyncio.to_thread(sender.event, "error", kind="code-busy")
    await first.tab.close()
    # Chromium continues by itself; Firefox may end the connection after the refusal.
    if await page.until("offered", "failed") == "failed":
        await page.tab.click("#retry")
    await page.accept()
    await page.until("done")
    assert (await asyncio.to_thread(sender.end)).status == 0
