"""dcsend's page as its tests see it: what a person does there, and what state it is in.

The contract with the page: `body[data-state]` is one of `STATES`; buttons, fields and lists have
the ids used below, and an item of the list has `data-path`. Whether bytes are right is never asked
of the page, only of the disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from dcsend.engines.addresses import interfaces, rank, route_sources
from dcsend.serving.page import read_page
from tests.processes import PATIENCE, Program, digest
from tests.tab import Download, Tab

__all__ = [
    *("FINAL", "STATES", "Page", "at", "film", "from_disk", "here", "kept_in", "lan_address"),
    *("link_of", "page", "random_file", "served"),
]

FINAL: Final = ("done", "partly", "failed", "unsupported")
"States in which nothing more happens."

STATES: Final = (
    *("paste", "connecting", "offered", "choosing", "waiting", "transferring"),
    *FINAL,
)
"What the page may say of itself."

_OF_FIREFOX: Final = "WebRTC: ICE failed"
"What it says by itself, as an error, where nobody answers."

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
"""Native dialogs can't be driven. These two answer at once, with a place in the origin's private
file system, whose handles are of the same kind; what was written there is found in the profile."""

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

    def check(self) -> None:
        """Check what holds for every page: nothing but itself is fetched, nothing goes wrong."""
        asked = {url.partition("#")[0] for url in self.tab.requests}
        assert asked <= self._opened, asked
        problems = [entry for entry in self.tab.problems if not entry.text.startswith(_OF_FIREFOX)]
        assert not problems, problems

    async def until(self, *states: str, timeout: float = PATIENCE) -> str:
        """Wait until the page is in one of these states; fail if it has come to another end."""
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
        """Return what a person reads in the first element for a selector."""
        return str(await self.tab.call("(s) => document.querySelector(s)?.innerText", selector))

    async def dial(self, code: str) -> None:
        """Paste a code."""
        await self.until("paste")
        await self.tab.type("#code", code)
        await self.tab.click("#connect")

    # Receiving

    async def accept(self, destination: str = "") -> None:
        """Accept what is offered, to the page's first choice of a place or to another one."""
        await self.until("offered")
        if destination:
            await self._choose_way(destination)
        await self.tab.click("#accept")

    async def ways(self) -> list[str]:
        """Return the places that the page offers; none if there is only one."""
        await self.until("offered")
        selector = "[...document.querySelectorAll('input[name=destination]')]"
        return [str(way) for way in await self.tab.evaluate(f"{selector}.map((i) => i.value)")]

    async def receive(self, link: str, destination: str = "", timeout: float = PATIENCE) -> None:
        """Open a link, accept everything, and wait until it is done."""
        await self.open(link)
        await self.accept(destination)
        await self.until("done", timeout=timeout)

    async def answer_pickers(self) -> None:
        """Have the dialogs that ask for a file or a folder answered, see `_PICKERS`."""
        await self.tab.call(_PICKERS)

    async def picked(self) -> list[str]:
        """Return what the dialogs were asked for: suggested names, or `folder`."""
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
        """Drop files, names and contents; made in the page, since no mouse can bring some."""
        await self.until("choosing")
        await self.tab.call(_DROP, files)

    async def paste_files(self, **files: str) -> None:
        """Paste files, names and contents; made in the page, as in `drop`."""
        await self.until("choosing")
        await self.tab.call(_PASTE, files)

    async def listed(self, count: int = 1) -> list[str]:
        """Wait until so many things are in the list, and return their paths."""
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

    # Talking

    async def say(self, line: str) -> None:
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
    """Have programs serve the page, which other tests do without."""
    monkeypatch.delenv("DCSEND_NO_PAGE", raising=False)


@pytest.fixture
async def page(tab: Tab, served: None) -> AsyncIterator[Page]:
    """The page in a new tab; at the end, nothing may have gone wrong in it."""
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


def from_disk(folder: Path, link: str = "") -> str:
    """Write the page into a folder, and return the link to that copy."""
    path = folder / "dcsend.html"
    path.write_bytes(read_page().content)
    code = link.partition("#")[2]
    return f"{path.as_uri()}#{code}" if code else path.as_uri()


def random_file(path: Path, size: int) -> Path:
    """Make a file that can't be compressed, of as many bytes."""
    block = hashlib.shake_128(path.name.encode()).digest(1_000_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for number in range(0, size, len(block)):
            # Every block differs, so that none can stand in for another.
            mark = b"%020d" % number
            file.write((mark + block[len(mark) :])[: size - number])
    return path


def kept_in(profile: Path) -> Iterator[str]:
    """Yield the SHA-256 of each file that a browser keeps in private file systems."""
    for path in sorted(profile.rglob("*")):
        inside = {"File System", "fs"} & set(path.parts)
        if inside and path.is_file() and path.stat().st_size:
            yield digest(path)
