"""The page in a browser tab, for tests: user actions, and its state.

The contract with the page: `body[data-state]` is one of `STATES`; buttons, fields and lists have
the ids used below, and an item of the list has `data-path`. Tests check received bytes on the disk,
not as reported by the page.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from dcsend.net.interfaces import interfaces, rank, route_sources
from dcsend.serving.page import read_page
from tests.support.processes import PATIENCE, Program, digest
from tests.support.tab import Download, Tab

__all__ = [
    *("FINAL", "STATES", "Page", "at", "film", "from_disk", "here", "kept_in", "lan_address"),
    *("link_of", "page", "random_file", "served"),
]

FINAL: Final = ("done", "partly", "failed", "unsupported")
"Final states."

STATES: Final = (
    *("paste", "showing", "connecting", "offered", "choosing", "waiting", "transferring"),
    *FINAL,
)
"The states of the page."

_OF_FIREFOX: Final = ("WebRTC: ICE failed", "The connection to ws://", "Firefox can’t establish")
"What Firefox logs as errors if no address answers, and if a WebSocket fails or its server ends."

_PICKERS: Final = """() => {
  window.dcsendPicked = [];
  const root = () => navigator.storage.getDirectory();
  window.showSaveFilePicker = async ({ suggestedName }) => {
    window.dcsendPicked.push(suggestedName);
    return (await root()).getFileHandle(`picked-${suggestedName}`, { create: true });
  };
  window.showDirectoryPicker = async () => {
    window.dcsendPicked.push("folder");
    return (await root()).getDirectoryHandle("picked-folder", { create: true });
  };
}"""
"""Replaces two native dialogs, which tests cannot drive. They return places in the private file
system of the origin, whose handles have the same type and whose files are in the profile."""

_TREE: Final = """async () => {
  const found = {};
  const walk = async (folder, path) => {
    for await (const [name, handle] of folder.entries()) {
      if (handle.kind === "directory") {
        found[path + name] = "/";
        await walk(handle, `${path}${name}/`);
      } else found[path + name] = (await handle.getFile()).size;
    }
  };
  const root = await navigator.storage.getDirectory();
  await walk(await root.getDirectoryHandle("picked-folder"), "");
  return found;
}"""

_DROP: Final = """async (files) => {
  const data = new DataTransfer();
  for (const [name, text] of Object.entries(files)) data.items.add(new File([text], name));
  const target = document.querySelector("#drop");
  for (const type of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true });
    target.dispatchEvent(event);
  }
}"""

_PASTE: Final = """async (files) => {
  const data = new DataTransfer();
  for (const [name, text] of Object.entries(files)) data.items.add(new File([text], name));
  const event = new Event("paste", { bubbles: true });
  // Firefox leaves files out of a ClipboardEvent that is made by a script.
  Object.defineProperty(event, "clipboardData", { value: data });
  document.body.dispatchEvent(event);
}"""


class Page:
    """The page in one tab."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self._opened: set[str] = set()

    async def open(self, link: str) -> None:
        """Open a link, in front of other tabs; the page starts to connect if a code is in it."""
        self._opened.add(link.partition("#")[0])
        await self.tab.activate()
        await self.tab.open(link)

    def permit(self, server: str) -> None:
        """Let `check` accept WebSockets to this URL, which Firefox reports as requests."""
        self._opened.add(server.replace("ws", "http", 1))

    def check(self) -> None:
        """Check that the page has requested only itself, and that no script has failed.

        Also servers that the test has permitted.
        """
        asked = {url.partition("#")[0] for url in self.tab.requests}
        assert asked <= self._opened, asked
        problems = [entry for entry in self.tab.problems if not entry.text.startswith(_OF_FIREFOX)]
        assert not problems, problems

    async def until(self, *states: str, timeout: float = PATIENCE) -> str:
        """Wait until the page is in one of these states; fail in another final state."""
        last = json.dumps([*states, *FINAL])
        state = str(
            await self.tab.wait_for(
                f"{last}.includes(document.body?.dataset.state) && document.body.dataset.state",
                timeout,
            )
        )
        if state not in states:
            pytest.fail(f"the page is {state}, not {' or '.join(states)}: {await self.text()}")
        return state

    async def state(self) -> str:
        """Return the state it is in."""
        return str(await self.tab.evaluate("document.body.dataset.state"))

    async def text(self, selector: str = "body") -> str:
        """Return the visible text of the first element for a selector."""
        return str(await self.tab.call("(s) => document.querySelector(s)?.innerText", selector))

    async def dial(self, code: str) -> None:
        """Paste a code."""
        await self.until("paste")
        await self.tab.type("#code", code)
        await self.tab.click("#connect")

    async def show_code(self, role: str) -> str:
        """Click to show a short code, to `send` or to `receive`; return the code."""
        await self.until("paste")
        await self.tab.click(f"#show-{role}")
        return await self.shown_code()

    async def shown_code(self, before: str = "") -> str:
        """Wait for a short code that is not *before*, and return it."""
        shown = "document.querySelector('#short-code').textContent"
        return str(await self.tab.wait_for(f"{shown} !== {json.dumps(before)} && {shown}"))

    # Receiving

    async def accept(self, destination: str = "") -> None:
        """Accept the offer, to the destination that the page suggests or to another one."""
        await self.until("offered")
        if destination:
            await self._choose_way(destination)
        await self.tab.click("#accept")

    async def ways(self) -> list[str]:
        """Return the destinations to choose from; none if there is only one."""
        await self.until("offered")
        selector = "[...document.querySelectorAll('input[name=destination]')]"
        return [str(way) for way in await self.tab.evaluate(f"{selector}.map((i) => i.value)")]

    async def receive(self, link: str, destination: str = "", timeout: float = PATIENCE) -> None:
        """Open a link, accept everything, and wait until it is done."""
        await self.open(link)
        await self.accept(destination)
        await self.until("done", timeout=timeout)

    async def answer_pickers(self) -> None:
        """Replace the dialogs for a file or a folder, see `_PICKERS`."""
        await self.tab.call(_PICKERS)

    async def picked(self) -> list[str]:
        """Return the calls of the dialogs: suggested names, or `folder`."""
        return [str(name) for name in await self.tab.evaluate("window.dcsendPicked")]

    async def picked_tree(self) -> dict[str, object]:
        """Return the sizes of all in the folder that was picked, `/` for folders, by path."""
        return dict(await self.tab.call(_TREE))

    async def saved(self) -> Download:
        """Wait for the page's next download to be complete."""
        download = await self.tab.downloaded()
        assert download.complete, download
        return download

    # Sending

    async def choose(self, *paths: Path) -> None:
        """Choose files, and a folder."""
        await self.until("choosing")
        files = [path for path in paths if not path.is_dir()]
        if files:
            await self.tab.set_files("#pick-files", *files)
        for path in paths:
            if path.is_dir():
                await self.tab.set_folder("#pick-folder", path)

    async def drop(self, **files: str) -> None:
        """Drop files, names and contents; made in the page, since a test cannot drag files."""
        await self.until("choosing")
        await self.tab.call(_DROP, files)

    async def paste_files(self, **files: str) -> None:
        """Paste files, names and contents; made in the page, as in `drop`."""
        await self.until("choosing")
        await self.tab.call(_PASTE, files)

    async def listed(self, count: int = 1) -> list[str]:
        """Wait until *count* items are in the list, and return their paths."""
        items = "[...document.querySelectorAll('#files li[data-path]')]"
        found = await self.tab.wait_for(
            f"{items}.length >= {count} && {items}.map((item) => item.dataset.path)"
        )
        return [str(path) for path in found]

    async def send(self, link: str, *paths: Path, timeout: float = PATIENCE) -> None:
        """Open a link, choose, send, and wait until it is done."""
        await self.open(link)
        await self.choose(*paths)
        await self.tab.click("#send")
        await self.until("done", timeout=timeout)

    # Messages

    async def send_text(self, line: str) -> None:
        """Type a line into the chat."""
        await self.tab.type("#chat-input", line)
        await self.tab.click("#chat-send")

    async def problem(self) -> str:
        """Wait for the kind of the problem that is shown."""
        return str(await self.tab.wait_for("document.querySelector('#problem')?.dataset.kind"))

    async def _choose_way(self, destination: str) -> None:
        field = f"input[name=destination][value={destination}]"
        if await self.tab.evaluate("document.querySelector('#ways')?.open === false"):
            await self.tab.click("#ways summary")
        await self.tab.click(field)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make programs serve the page, which is off in other tests."""
    monkeypatch.delenv("DCSEND_NO_PAGE", raising=False)


@pytest.fixture
async def page(tab: Tab, served: None) -> AsyncIterator[Page]:
    """The page in a new tab; its end runs `Page.check`."""
    opened = Page(tab)
    yield opened
    opened.check()


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 300 MB: more than a dozen seconds of transfer."""
    return random_file(tmp_path_factory.mktemp("films") / "film", 300_000_000)


def here() -> tuple[str, str]:
    """Return the options by which a program publishes the address of this machine."""
    return ("--address", lan_address())


def link_of(program: Program) -> str:
    """Return the link that a program publishes."""
    return str(program.event("code")["link"])


def lan_address() -> str:
    """Return the IPv4 address of this machine in its network; skip the test if it has none."""
    for address in rank(interfaces(), route_sources()):
        if ":" not in address and not address.startswith("127."):
            return address
    pytest.skip("this machine is in no network")


def at(host: str, link: str) -> str:
    """Return the link to the same page by another name of this machine."""
    scheme, _, rest = link.partition("://")
    port = rest.split("#")[0].rstrip("/").rpartition(":")[2]
    return f"{scheme}://{host}:{port}/#{link.partition('#')[2]}"


def from_disk(folder: Path, link: str = "", *, server: str = "") -> str:
    """Write the page into a folder, and return the link to that copy.

    Args:
        folder: where the copy is.
        link: a link whose fragment the returned one has, too.
        server: the rendezvous server to write into the page.
    """
    path = folder / "dcsend.html"
    path.write_bytes(read_page(server=server).content)
    code = link.partition("#")[2]
    return f"{path.as_uri()}#{code}" if code else path.as_uri()


def random_file(path: Path, size: int) -> Path:
    """Make a file of *size* bytes that cannot be compressed; the same name gives the same bytes."""
    block = hashlib.shake_128(path.name.encode()).digest(1_000_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for number in range(0, size, len(block)):
            # Blocks differ, so that an exchange of blocks is detected.
            mark = b"%020d" % number
            file.write((mark + block[len(mark) :])[: size - number])
    return path


def kept_in(profile: Path) -> Iterator[str]:
    """Yield the SHA-256 of each file that a browser keeps in private file systems."""
    for path in sorted(profile.rglob("*")):
        inside = {"File System", "fs"} & set(path.parts)
        if inside and path.is_file() and path.stat().st_size:
            yield digest(path)
