"""The page receives from a real `dcsend send`: what lands on disk is what was sent."""

from __future__ import annotations

import asyncio
import os
import re
import zipfile
from pathlib import Path

import pytest

from tests.support.browsers import Browser, Browsers
from tests.support.load import Stopwatch
from tests.support.page import Page, at, here, kept_in, link_of, random_file
from tests.support.processes import Stage, digest, tree

NAMES = ("süß 文件 🎉.txt", "עברית", "<b>&amp;\"'", "a" * 251 + ".txt")
"The third is not valid on each system, and a browser does not report its system."


ONLY_CHROMIUM = pytest.mark.parametrize("tab", ["chromium"], indirect=True)
"For what needs the file dialogs of pages, which Firefox doesn't have."


def made(folder: Path, **contents: bytes) -> Path:
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def made_tree(folder: Path) -> Path:
    """A folder with everything that is easily lost."""
    made(folder, **{name: name.encode() for name in NAMES})
    made(folder / "deep" / "er", empty=b"", odd=os.urandom(64_937), large=os.urandom(3_000_000))
    (folder / "empty folder").mkdir()
    return folder


def portable(found: dict[str, str]) -> dict[str, str]:
    """Return a tree as the page saves it: with names that every system can write."""
    return {re.sub(r'[<>:"|?*]', "_", name): value for name, value in found.items()}


def unzipped(path: Path, folder: Path) -> dict[str, str]:
    """Return the contents of a zip file in the form of `tree`."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return tree(folder)


@pytest.mark.parametrize("size", [0, 64_905])
async def test_file_arrives(page: Page, stage: Stage, tmp_path: Path, size: int) -> None:
    file = random_file(tmp_path / f"of {size} bytes", size)
    sender = stage.send(file, *here())
    await page.receive(link_of(sender))
    saved = await page.saved()
    assert saved.path.name == file.name
    assert digest(saved.path) == digest(file)
    ended = sender.end()
    assert ended.status == 0
    assert ended.files[file.name]["sha256"] == digest(file)


async def test_file_larger_than_all_buffers_arrives(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    """The windows of dcsend and of SCTP, and the buffer of a browser, hold 40 MiB together."""
    file = random_file(tmp_path / "file", 45_000_000)
    sender = stage.send(file, *here())
    await page.receive(link_of(sender))
    saved = await page.saved()
    assert digest(saved.path) == digest(file)
    assert sender.end().status == 0


@pytest.mark.parametrize("place", ["lan", "localhost"])
async def test_folder_arrives_as_one_zip(
    page: Page, stage: Stage, tmp_path: Path, place: str
) -> None:
    """Kept in memory if the page came over the network, else in the private file system."""
    source = made_tree(tmp_path / "tree")
    sender = stage.send(source, *here())
    link = link_of(sender)
    await page.open(link if place == "lan" else at("localhost", link))
    await page.accept("" if place == "lan" else "private")
    await page.until("done")
    saved = await page.saved()
    assert saved.path.name == "tree.zip"
    assert unzipped(saved.path, tmp_path / "unzipped") == {
        "tree": "/",
        **{f"tree/{name}": value for name, value in portable(tree(source)).items()},
    }
    assert sender.end().status == 0


@pytest.mark.parametrize("destination", ["private", "memory"])
async def test_file_is_handed_to_the_downloads(
    page: Page, stage: Stage, tmp_path: Path, destination: str
) -> None:
    file = random_file(tmp_path / "file", 3_000_000)
    sender = stage.send(file, *here())
    await page.receive(at("localhost", link_of(sender)), destination)
    assert digest((await page.saved()).path) == digest(file)
    assert sender.end().status == 0


@ONLY_CHROMIUM
async def test_file_is_written_to_the_place_that_is_picked(
    page: Page, stage: Stage, tmp_path: Path, browsers: Browsers
) -> None:
    """The dialog returns a place in the private file system, see `Page`."""
    file = random_file(tmp_path / "file", 3_000_000)
    sender = stage.send(file, *here())
    await page.open(at("localhost", link_of(sender)))
    await page.answer_pickers()
    await page.accept("picker")
    await page.until("done")
    assert await page.picked() == ["file"]
    assert digest(file) in set(kept_in(browsers("chromium").profile))
    assert sender.end().status == 0


@ONLY_CHROMIUM
async def test_folder_is_written_into_the_folder_that_is_picked(
    page: Page, stage: Stage, tmp_path: Path, browsers: Browsers
) -> None:
    """The dialog returns a place in the private file system, see `Page`."""
    source = made_tree(tmp_path / "tree")
    sender = stage.send(source, *here())
    await page.open(at("localhost", link_of(sender)))
    await page.answer_pickers()
    await page.accept("folder")
    await page.until("done")
    sent = {f"tree/{name}": value for name, value in portable(tree(source)).items()}
    written = await page.picked_tree()
    assert set(written) == {"tree", *sent}
    assert {name for name in written if written[name] == "/"} == {
        *("tree", "tree/deep", "tree/deep/er", "tree/empty folder"),
    }
    # The names are reported by the page; the contents are read from the disk.
    empty = digest(source / "deep" / "er" / "empty")
    assert {value for value in sent.values() if value not in ("/", empty)} <= set(
        kept_in(browsers("chromium").profile)
    )
    assert sender.end().status == 0


async def test_what_is_not_wanted_is_not_sent(page: Page, stage: Stage, tmp_path: Path) -> None:
    made(tmp_path, wanted=b"wanted", unwanted=b"unwanted")
    sender = stage.send(tmp_path / "wanted", tmp_path / "unwanted", *here())
    await page.open(link_of(sender))
    await page.until("offered")
    await page.tab.click('#files li[data-path="unwanted"] input')
    await page.accept()
    await page.until("done", "partly")
    saved = await page.saved()
    assert (saved.path.name, saved.path.read_bytes()) == ("wanted", b"wanted")
    ended = sender.end()
    assert ended.files["wanted"]["ok"] is True
    assert ended.files["unwanted"]["ok"] is False


async def test_hidden_names_are_named_beside_the_question(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    made(tmp_path, photo=b"photo", **{".zshenv": b"hidden", ".ssh/authorized_keys": b"hidden"})
    sender = stage.send(*(tmp_path / name for name in ("photo", ".zshenv", ".ssh")), *here())
    await page.open(link_of(sender))
    await page.until("offered")
    shown = "document.querySelector('#hidden-names')"
    assert await page.tab.evaluate(f"{shown}.textContent") == (
        "Hidden, perhaps settings of programs: .zshenv, .ssh"
    )
    assert await page.tab.evaluate(f"{shown}.hidden") is False
    await page.tab.click("#decline")
    await page.until("failed")
    assert await page.tab.evaluate(f"{shown}.hidden") is True
    assert sender.end().status == 7


async def test_text_is_shown_and_not_saved(page: Page, stage: Stage) -> None:
    sender = stage.send("--text", "<i>two</i>\nlines & more", *here())
    await page.receive(link_of(sender))
    shown = "document.querySelector('#texts textarea').value"
    assert await page.tab.evaluate(shown) == "<i>two</i>\nlines & more"
    assert sender.end().status == 0
    assert os.listdir(page.tab.downloads) == []


async def test_page_and_terminal_talk(page: Page, stage: Stage, tmp_path: Path) -> None:
    made(tmp_path, file=b"content")
    sender = stage.send(tmp_path / "file", *here(), terminal=True)
    await page.open(link_of(sender))
    await page.until("offered")
    await page.send_text("hello, terminal <b>")
    arrived = await asyncio.to_thread(sender.event, "text", text="hello, terminal <b>")
    assert arrived["kind"] == "line"
    sender.write(b"hello, page <b>\n")
    lines = "[...document.querySelectorAll('#chat li[data-kind=line]')].map((l) => l.innerText)"
    said = await page.tab.wait_for(f"{lines}.length >= 2 && {lines}")
    assert "hello, terminal <b>" in said[0]
    assert "hello, page <b>" in said[1]
    await page.accept()
    await page.until("done")
    assert sender.end().status == 0


async def test_signs_of_life_are_kept_out_of_the_conversation(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    made(tmp_path, file=b"content")
    sender = stage.send(tmp_path / "file", *here(), "-v")
    await page.open(link_of(sender))
    await page.until("offered")
    ours = await asyncio.to_thread(sender.event, "text", sent=True)
    theirs = await asyncio.to_thread(sender.event, "text", sent=False)
    shown = "document.querySelector('#details')?.textContent"
    for sign in (ours, theirs):
        assert sign["kind"] == "random"
        await page.tab.wait_for(f"{shown}.includes('{sign['text']}')")
        assert sign["text"] not in await page.text("#chat")


async def test_secret_leaves_the_address_bar(page: Page, stage: Stage, tmp_path: Path) -> None:
    sender = stage.send(made(tmp_path, file=b"") / "file", *here())
    link = link_of(sender)
    await page.open(link)
    await page.until("offered")
    assert await page.tab.evaluate("location.href") == link.partition("#")[0]
    assert await page.tab.evaluate("history.length") <= 3


async def test_code_is_pasted(page: Page, stage: Stage, tmp_path: Path) -> None:
    file = random_file(tmp_path / "file", 1000)
    sender = stage.send(file, *here())
    await page.open(link_of(sender).partition("#")[0])
    await page.dial(sender.code)
    await page.accept()
    await page.until("done")
    assert digest((await page.saved()).path) == digest(file)


async def test_offer_is_there_within_a_second(page: Page, stage: Stage, tmp_path: Path) -> None:
    """From an open page to open channels."""
    sender = stage.send(made(tmp_path, file=b"") / "file", *here())
    link = link_of(sender)
    watch = Stopwatch()
    await page.open(link)
    await page.until("offered")
    watch.assert_within(1)


CHANGED = """async () => {
  const peer = new RTCPeerConnection();
  peer.createDataChannel("x");
  const { sdp } = await peer.createOffer();
  const changed = sdp.replace(/a=ice-ufrag:.*/, "a=ice-ufrag:changed");
  return peer.setLocalDescription({ type: "offer", sdp: changed }).then(() => true, () => false);
}"""
"Whether a page may change its own description, as other programs do to connect one way."


async def test_page_dials_where_descriptions_must_not_be_changed(
    browsers: Browsers, stage: Stage, tmp_path: Path, served: None
) -> None:
    """A Chromium feature behind a flag; the test checks that the flag has an effect."""
    free = await (await asyncio.to_thread(browsers, "chromium")).open_tab(tmp_path)
    file, back = random_file(tmp_path / "file", 100_000), tmp_path / "back"
    trial = "--force-fieldtrials=WebRTC-NoSdpMangleUfrag/Enabled/"
    browser = await asyncio.to_thread(Browser, "chromium", [trial])
    try:
        page = Page(await browser.open_tab(tmp_path / "downloads"))
        assert [await tab.call(CHANGED) for tab in (free, page.tab)] == [True, False]
        sender = stage.send(file, *here())
        await page.receive(link_of(sender))
        assert digest((await page.saved()).path) == digest(file)
        receiver = stage.receive("", back, *here())
        await page.send(link_of(receiver), file)
        assert (sender.end().status, receiver.end().status) == (0, 0)
        assert digest(back / "file") == digest(file)
        page.check()
    finally:
        await asyncio.to_thread(browser.close)


@pytest.mark.parametrize(
    ("tab", "destination"),
    [("chromium", "picker"), ("chromium", "private"), ("firefox", "private")],
    indirect=["tab"],
)
async def test_memory_stays_flat(
    page: Page, stage: Stage, tmp_path: Path, browsers: Browsers, destination: str
) -> None:
    """Holes on the way, but every byte is hashed and written; the benchmark sends 2 GB."""
    browser = browsers(page.tab.browser.name)
    giant = tmp_path / "giant"
    with giant.open("wb") as file:
        file.truncate(400_000_000)
    sender = stage.send(giant, *here())
    await page.open(at("localhost", link_of(sender)))
    await page.answer_pickers()
    browser.watch_memory()
    await page.accept(destination)
    await page.until("done")
    assert browser.growth() < 80_000_000
    if destination == "private":
        assert digest((await page.saved()).path) == digest(giant)
    assert sender.end().status == 0
