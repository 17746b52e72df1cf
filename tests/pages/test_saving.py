"""How the page saves several files: one by one, as a zip, into a folder in which some exist."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from dcsend.entry import Entry
from dcsend.protocol.frames import encode_data
from dcsend.protocol.manifest_messages import split_manifest
from dcsend.protocol.messages import Cancel, Hello, Verdict
from tests.support.page import Page, at, here, link_of, random_file
from tests.support.page_host import Host, hosting
from tests.support.processes import Stage, digest
from tests.support.scripted_peer import Peer

ONLY_CHROMIUM = pytest.mark.parametrize("tab", ["chromium"], indirect=True)
"For what needs the file dialogs of pages, which Firefox doesn't have."


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    return [random_file(tmp_path / f"IMG_{number}.jpg", 100_000 + number) for number in range(4)]


@pytest.mark.parametrize("place", ["lan", "localhost"])
async def test_loose_files_go_to_the_downloads_and_have_a_button_each(
    page: Page, stage: Stage, photos: list[Path], place: str
) -> None:
    sender = stage.send(*photos, *here())
    link = link_of(sender)
    await page.open(link if place == "lan" else at("localhost", link))
    way = "memory-each" if place == "lan" else "private-each"
    assert way in await page.ways()
    if place == "lan":
        assert await page.ways() == ["memory-each", "memory"]
        assert "They go to your downloads one by one" in await page.text("#about-saving")
    await page.accept(way)
    await page.until("done")
    assert await page.tab.evaluate(MAIN) == []
    assert sender.end().status == 0
    # The sender reports them as done, so none of them may wait for a click.
    saved = [await page.saved() for _ in range(4)]
    assert {file.path.name: digest(file.path) for file in saved} == {
        path.name: digest(path) for path in photos
    }
    assert "4 of 4 files were handed" in await page.text("#about-saving")
    assert "Check that all of them are in your downloads" in await page.text("#notice")
    assert await page.text("#save") == "Save all again"
    button = '#files li[data-path="IMG_2.jpg"] button'
    assert await page.text(button) == "Save again"
    await page.tab.click(button)
    assert digest((await page.saved()).path) == digest(photos[2])


async def test_zip_of_loose_files_is_a_choice(page: Page, stage: Stage, photos: list[Path]) -> None:
    sender = stage.send(*photos, *here())
    await page.open(link_of(sender))
    await page.until("offered")
    await page.tab.click("input[name=destination][value=memory]")
    assert "one zip: dcsend.zip" in await page.text("#about-saving")
    await page.accept()
    await page.until("done")
    assert (await page.saved()).path.name == "dcsend.zip"
    assert sender.end().status == 0


async def test_zip_of_a_folder_is_announced(
    page: Page, stage: Stage, photos: list[Path], tmp_path: Path
) -> None:
    sender = stage.send(tmp_path, *here())
    await page.open(link_of(sender))
    await page.until("offered")
    said = await page.text("#about-saving")
    assert said.endswith(f"It arrives as one zip: {tmp_path.name}.zip.")
    assert await page.ways() == ["memory"]
    await page.tab.click("#decline")
    await page.until("failed")
    assert sender.end().status == 7
    assert len(photos) == 4


async def accepted(page: Page, host: Host, **contents: bytes) -> Peer:
    """Return a peer; the page has accepted its offer of these files and one more."""
    await page.open(host.link)
    peer = await host.peer()
    entries = [Entry(name, size=len(content)) for name, content in contents.items()]
    offering = asyncio.create_task(peer.offer(*entries, Entry("last", size=5)))
    await page.accept("memory-each")
    await offering
    return peer


async def test_loose_files_are_handed_over_during_the_transfer_and_once(page: Page) -> None:
    async with hosting() as host:
        peer = await accepted(page, host, a=b"one", b=b"two", c=b"three")
        await peer.send(0, b"one")
        assert (await page.saved()).path.name == "a"
        assert await page.state() == "transferring"
        assert "may ask whether this page may download several" in await page.text("#notice")
        # One more is handed over, and one still waits for the pause between two, when it fails.
        await peer.send(1, b"two")
        await peer.send(2, b"three")
        await page.tab.wait_for("document.querySelector('#digests').childElementCount === 2")
        await peer.send_control(Cancel("source", "the disk was unplugged"))
        await page.until("partly")
        saved = [await page.saved() for _ in range(2)]
        assert {file.path.name: file.path.read_bytes() for file in saved} == {
            "b": b"two",
            "c": b"three",
        }
        await page.tab.wait_for("document.querySelector('#save').innerText === 'Save all again'")
        assert "3 of 3 files were handed" in await page.text("#about-saving")
        assert await page.text('#files li[data-path="last"] small') == "not verified"


async def test_file_that_was_stopped_is_listed_with_its_bytes(page: Page) -> None:
    """Those of the complete file alone are in the summary."""
    async with hosting() as host:
        peer = await accepted(page, host, photo=b"photo", film=bytes(2_000_000))
        await peer.send(0, b"photo")
        await peer.put(encode_data(1, 0, bytes(50_000)))
        await page.tab.wait_for("document.querySelector('#amount').innerText.includes('50.0')")
        await peer.send_control(Cancel("interrupted", ""))
        await page.until("partly")
        about = (await page.text("#about")).replace("\u00a0", " ")
        assert re.fullmatch(r"1 file, 5 B in \d+\.\d s\.", about)
        listed = await page.tab.evaluate(
            "[...document.querySelectorAll('#files small')].map((one) => one.innerText)"
        )
        assert [str(text).replace("\u00a0", " ") for text in listed] == [
            "not verified: stopped at 50.0 kB of 2.0 MB",
            "not verified",
            "5 B, verified",
        ]


@ONLY_CHROMIUM
async def test_loose_files_that_the_sender_counts_as_done_survive_a_reload(page: Page) -> None:
    contents = {"a": os.urandom(2_000_000), "b": os.urandom(1_000_000)}
    async with hosting() as host:
        peer = await accepted(page, host, **contents)
        for number, content in enumerate(contents.values()):
            await peer.send(number, content)
        done: list[tuple[int, str]] = []
        while len(done) < 2:
            done += (await peer.expect(Verdict)).files
        assert sorted(done) == [(0, "ok"), (1, "ok")]
        await page.tab.reload()
        await page.until("paste")
        saved = [await page.saved() for _ in range(2)]
        assert {file.path.name: file.path.read_bytes() for file in saved} == contents
        assert "saved before are in your downloads" in await page.text()


OLD = """async () => {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle("picked-folder", { create: true });
  for (const name of ["IMG_0.jpg", "IMG_1.jpg"]) {
    const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
    await writable.write("old");
    await writable.close();
  }
}"""
"Two files in the folder that `Page.answer_pickers` gives."


@ONLY_CHROMIUM
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("rename", {"IMG_0.jpg": 3, "IMG_1.jpg": 3, "IMG_0 (1).jpg": 0, "IMG_1 (1).jpg": 1}),
        ("overwrite", {"IMG_0.jpg": 0, "IMG_1.jpg": 1}),
        ("skip", {"IMG_0.jpg": 3, "IMG_1.jpg": 3}),
    ],
)
async def test_files_that_exist_are_asked_about_before_anything_is_accepted(
    page: Page, stage: Stage, photos: list[Path], answer: str, expected: dict[str, int]
) -> None:
    """A size below 100 000 in *expected* that is no 3 is the number of the photo."""
    sender = stage.send(*photos, *here())
    await page.open(at("localhost", link_of(sender)))
    await page.answer_pickers()
    await page.tab.call(OLD)
    await page.accept("folder")
    await page.tab.wait_for("!document.querySelector('#existing').hidden")
    assert await page.state() == "offered"
    assert "2 files" in await page.text("#existing-title")
    assert await page.text("#existing-names") == "IMG_0.jpg, IMG_1.jpg"
    # The page shows the offer again, which can be accepted.
    await page.tab.click("#existing-back")
    # Where a keyboard, and a screen reader, go on.
    await page.tab.wait_for("document.activeElement.id === 'accept'")
    # With no box ticked nothing can be accepted, even if the question was open.
    await page.tab.click("#accept")
    await page.tab.wait_for("!document.querySelector('#existing').hidden")
    assert await page.tab.evaluate("document.querySelector('#files').inert")
    await page.tab.evaluate("document.querySelector('#all').click()")
    await page.tab.click("#existing-back")
    await page.tab.wait_for("!document.querySelector('#files').inert")
    assert await page.tab.evaluate("document.querySelector('#accept').disabled")
    await page.tab.click("#all")
    await page.tab.click("#accept")
    await page.tab.click(f"#existing-{answer}")
    await page.until("done")
    sizes = {name: 3 if size == 3 else 100_000 + size for name, size in expected.items()}
    assert await page.picked_tree() == {**sizes, "IMG_2.jpg": 100_002, "IMG_3.jpg": 100_003}
    ended = sender.end()
    assert ended.status == 0
    left_out = {path for path, event in ended.files.items() if not event["ok"]}
    assert left_out == ({"IMG_0.jpg", "IMG_1.jpg"} if answer == "skip" else set())


@ONLY_CHROMIUM
async def test_offer_that_ended_behind_the_dialog_asks_nothing(page: Page) -> None:
    """The question would cover the buttons of the later screen."""
    async with hosting() as host:
        await page.open(at("localhost", host.link))
        peer = await host.peer()
        await peer.send_control(Hello((1,), "peer", "sender"))
        await peer.send_control(
            *split_manifest([Entry("IMG_0.jpg", size=5), Entry("IMG_1.jpg", size=5)])
        )
        await page.answer_pickers()
        await page.tab.call(OLD)
        await page.tab.call("""() => {
          const pick = window.showDirectoryPicker;
          const chosen = new Promise((resolve) => { window.dcsendChoose = resolve; });
          window.showDirectoryPicker = () => chosen.then(pick);
        }""")
        await page.accept("folder")
        await peer.send_control(Cancel("interrupted", "no patience"))
        await page.until("failed")
        await page.tab.evaluate("window.dcsendChoose()")
        question = "!document.querySelector('#existing').hidden"
        await page.tab.wait_for(f"{question} || !document.querySelector('#accept').disabled")
        assert not await page.tab.evaluate(question)
        assert await page.tab.evaluate("document.querySelector('#restart').checkVisibility()")


MARKED = """[...document.querySelectorAll('#files [data-status="exists"]')]
  .map((row) => row.dataset.path)"""
MAIN = """[...document.querySelectorAll(".main")].filter((one) => one.checkVisibility())
  .map((one) => one.innerText)"""


@pytest.mark.parametrize(
    ("tab", "way"), [("chromium", "leave-out"), ("firefox", "unlink")], indirect=["tab"]
)
async def test_files_can_be_sent_again_after_the_receiver_could_not_save_them(
    page: Page, stage: Stage, photos: list[Path], tmp_path: Path, way: str
) -> None:
    output = tmp_path / "output"
    output.mkdir()
    (output / "IMG_1.jpg").write_bytes(b"precious")
    receiver = stage.receive("", output, *here())
    await page.open(link_of(receiver))
    await page.choose(*photos)
    await page.listed(4)
    await page.tab.click("#send")
    await page.until("failed")
    assert await page.problem() == "cannot-save"
    assert receiver.event("left")["again"]
    assert await page.text("#retry") == "Change what to send"
    await page.tab.click("#retry")
    await page.until("choosing")
    assert len(await page.listed(4)) == 4
    assert await page.tab.evaluate(MARKED) == ["IMG_1.jpg"]
    assert "--rename" in await page.text("#notice")
    # The page does not suggest the way that has failed.
    assert await page.tab.evaluate(MAIN) == ["Leave out 1 file"]
    if way == "leave-out":
        await page.tab.click("#unpick")
    else:
        (output / "IMG_1.jpg").unlink()
    await page.tab.click("#send")
    await page.until("done")
    assert receiver.end().status == 0
    there = {path.name: digest(path) for path in photos}
    if way == "leave-out":
        there["IMG_1.jpg"] = digest(output / "IMG_1.jpg")
        assert (output / "IMG_1.jpg").read_bytes() == b"precious"
    assert {path.name: digest(path) for path in output.iterdir()} == there


@ONLY_CHROMIUM
async def test_page_that_can_not_save_it_there_can_save_it_elsewhere_with_the_same_code(
    page: Page, stage: Stage, photos: list[Path]
) -> None:
    sender = stage.send(photos[0], *here())
    await page.open(at("localhost", link_of(sender)))
    await page.until("offered")
    # The private file system fails on opening, after the answer.
    await page.tab.evaluate(
        "void (navigator.locks.request = () => Promise.reject(new DOMException('', 'AbortError')))"
    )
    await page.accept("private")
    await page.until("failed")
    assert await page.problem() == "destination"
    assert (await asyncio.to_thread(sender.event, "left"))["again"]
    assert await page.tab.evaluate("document.querySelector('#retry').checkVisibility()")
    await page.tab.click("#retry")
    await page.accept("memory")
    await page.until("done")
    assert digest((await page.saved()).path) == digest(photos[0])
    assert sender.end().status == 0
