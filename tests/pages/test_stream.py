"""A copy of the page that is hosted over https: its service worker streams into the downloads.

The copy is what `dcsend page` writes; browsers trust its certificate, which is made here.
"""

from __future__ import annotations

import asyncio
import functools
import http.server
import ssl
import threading
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from dcsend.entry import Entry
from dcsend.protocol.limits import WINDOW
from dcsend.serving.page import SERVICE_WORKER
from tests.support.bidi import Json
from tests.support.browsers import Browser, Browsers
from tests.support.identity import Identity
from tests.support.launching import NAMES
from tests.support.page import Page, here, link_of, random_file
from tests.support.page_host import hosting
from tests.support.processes import PATIENCE, Event, Program, Stage, digest, tree
from tests.support.tab import Download, inside
from tests.support.tab_scripts import TRUST

TYPES: Final = {"/": "text/html", f"/{SERVICE_WORKER}": "text/javascript"}
"All that the copy consists of: path -> content type."

OF_FIREFOX: Final = ("WebRTC: ICE failed", "Failed to load ‘’. A ServiceWorker intercepted")
"Messages of the browser on its console when a peer is lost and when a download fails."


@dataclass(slots=True)
class Copy:
    """The hosted copy, while it is served."""

    url: str
    asked: set[str]
    "Paths of all requests."


@dataclass(slots=True)
class Saving:
    """Downloads of a browser as they end, whichever frame has begun them."""

    browser: Browser
    _ended: asyncio.Queue[Download] = field(default_factory=asyncio.Queue)
    "In the thread of the browser's connection."

    def listen(self, event: str, parameters: Json) -> None:
        """Take an event."""
        if event == "browsingContext.downloadEnd":
            complete = parameters["status"] == "complete"
            path = Path(parameters.get("filepath") or "")
            self._ended.put_nowait(Download(parameters["url"], complete, path))

    async def ended(self) -> Download:
        """Wait for the end of the next download."""

        async def next_one() -> Download:
            async with asyncio.timeout(PATIENCE):
                return await self._ended.get()

        return await self.browser.wire.ask(next_one())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the two files to host into a folder, with `dcsend page`."""
    folder = tmp_path_factory.mktemp("written")
    with Stage() as stage:
        for arguments in ((), ("--service-worker",)):
            name = SERVICE_WORKER if arguments else "index.html"
            ended = stage.run("page", *arguments, "-o", folder / name).end()
            assert (ended.status, ended.err) == (0, b"")
    return folder


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves the two files, without a log."""

    def __init__(self, folder: Path, asked: set[str], *given: Any) -> None:  # noqa: ANN401
        self._folder = folder
        self._asked = asked
        super().__init__(*given)

    def do_GET(self) -> None:
        """Respond to a request."""
        self._asked.add(self.path)
        if self.path not in TYPES:
            self.send_error(404)
            return
        content = (self._folder / (self.path[1:] or "index.html")).read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", f"{TYPES[self.path]}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


class _Server(http.server.ThreadingHTTPServer):
    """Shakes hands in the thread of a connection, since browsers open some that they don't use."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing: a browser may close a connection at any time."""


@pytest.fixture
def copy(written: Path, identity: Identity) -> Iterator[Copy]:
    """Serve the copy over https: each time from a port, hence an origin, of its own."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(identity.chain)
    asked: set[str] = set()
    with _Server(("127.0.0.1", 0), functools.partial(_Handler, written, asked)) as server:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Copy(f"https://localhost:{server.server_port}/", asked)
        server.shutdown()
        thread.join()


@pytest.fixture(params=NAMES)
async def trusting(
    request: pytest.FixtureRequest, browsers: Browsers, identity: Identity
) -> Browser:
    """The running browser, which trusts the host."""
    browser = await asyncio.to_thread(browsers, request.param)
    if browser.name == "firefox":
        await inside(browser, TRUST, identity.base64)
    return browser


@pytest.fixture
async def saving(trusting: Browser) -> AsyncIterator[Saving]:
    opened = Saving(trusting)
    trusting.wire.listen(opened.listen)
    yield opened
    trusting.wire.ignore(opened.listen)


@pytest.fixture
async def hosted(trusting: Browser, copy: Copy, tmp_path: Path) -> AsyncIterator[Page]:
    """Open a tab for the copy; at the end, check that only the two files were requested."""
    page = Page(await trusting.open_tab(tmp_path / "downloads"))
    yield page
    failed = await page.state() != "done"
    await page.tab.close()
    assert copy.asked == set(TYPES)
    expected = OF_FIREFOX if failed and trusting.name == "firefox" else ()
    assert not [entry for entry in page.tab.problems if not entry.text.startswith(expected)]


def sent(stage: Stage, copy: Copy, source: Path) -> Program:
    return stage.send(source, "--page-url", copy.url, *here())


def well_on(event: Event) -> bool:
    return bool(event["event"] == "progress" and event["bytes"] > WINDOW)


def saved_nothing(path: Path) -> bool:
    """Return whether no file appears complete; Firefox reserves the name with an empty one."""
    return not path.exists() or path.stat().st_size == 0


async def test_file_streams_into_the_downloads(
    hosted: Page, saving: Saving, stage: Stage, copy: Copy, tmp_path: Path
) -> None:
    """A file that is larger than the window."""
    file = random_file(tmp_path / "süß 文件 (1).bin", WINDOW + 600_000)
    sender = sent(stage, copy, file)
    link = link_of(sender)
    assert link.startswith(f"{copy.url}#")
    await hosted.receive(link, "stream")
    saved = await saving.ended()
    assert saved.complete
    assert "/dcsend-download/" in saved.url
    assert saved.path == hosted.tab.downloads / file.name
    assert digest(saved.path) == digest(file)
    ended = await asyncio.to_thread(sender.end)
    assert ended.status == 0
    assert ended.files[file.name]["sha256"] == digest(file)


async def test_folder_streams_into_the_downloads_as_one_zip(
    hosted: Page, saving: Saving, stage: Stage, copy: Copy, tmp_path: Path
) -> None:
    """With a file that is kept until its digest is checked, and one that is too large for that."""
    source = tmp_path / "tree"
    random_file(source / "deep" / "large", 9_000_000)
    random_file(source / "deep" / "small", 100_001)
    random_file(source / "empty", 0)
    (source / "empty folder").mkdir()
    sender = sent(stage, copy, source)
    await hosted.receive(link_of(sender), "stream")
    saved = await saving.ended()
    assert (saved.complete, saved.path) == (True, hosted.tab.downloads / "tree.zip")
    with zipfile.ZipFile(saved.path) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "unzipped")
    assert tree(tmp_path / "unzipped" / "tree") == tree(source)
    assert (await asyncio.to_thread(sender.end)).status == 0


async def test_download_fails_when_the_sender_stops(
    hosted: Page, saving: Saving, stage: Stage, copy: Copy, film: Path
) -> None:
    sender = sent(stage, copy, film)
    await hosted.open(link_of(sender))
    await hosted.accept("stream")
    await asyncio.to_thread(sender.until, well_on, "progress")
    sender.process.terminate()
    await hosted.until("failed")
    assert not (await saving.ended()).complete
    assert saved_nothing(hosted.tab.downloads / film.name)


async def test_download_fails_when_the_digest_is_another(
    hosted: Page, saving: Saving, copy: Copy
) -> None:
    """All bytes arrived, in the announced length; without Complete they do not count."""
    content = bytes(3_000_000)
    async with hosting() as host:
        await hosted.open(copy.url + "#" + host.link.partition("#")[2])
        peer = await host.peer()
        offering = asyncio.create_task(peer.offer(Entry("file", size=len(content))))
        await hosted.accept("stream")
        await offering
        await peer.send(0, content, sha256=bytes(32))
        complete = await peer.finish()
        assert not complete.ok
        await hosted.until("failed", "partly")
    assert not (await saving.ended()).complete
    assert saved_nothing(hosted.tab.downloads / "file")
