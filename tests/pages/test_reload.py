"""A page at http that is loaded again: what it receives goes on, and what it sends ends."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.pages.test_endings import moving
from tests.support.load import Stopwatch
from tests.support.page import Page, here, link_of, random_file
from tests.support.processes import Ended, Program, Stage, digest

_KEPT = """async () => {
  const names = (await indexedDB.databases()).map(({ name }) => name);
  if (!names.includes("dcsend")) return 0;
  const settled = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const database = await settled(indexedDB.open("dcsend"));
  const stores = database.transaction(["runs", "content"]);
  let count = 0;
  for (const one of ["runs", "content"]) count += await settled(stores.objectStore(one).count());
  database.close();
  return count;
}"""
"Returns how many records the page keeps."


_TEXT = """async () => {
  const settled = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const database = await settled(indexedDB.open("dcsend"));
  const runs = await settled(database.transaction("runs").objectStore("runs").getAll());
  database.close();
  return JSON.stringify([runs, ...Object.values(sessionStorage)]);
}"""
"Returns the texts in what the page keeps, except content."


_CERTIFICATE = """async () => {
  const settled = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const database = await settled(indexedDB.open("dcsend"));
  const [{ certificate }] = await settled(
    database.transaction("runs").objectStore("runs").getAll(),
  );
  database.close();
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(certificate));
  return [certificate.constructor.name, [...names, ...Object.keys(certificate)]];
}"""
"Returns the type of the certificate in the first transfer that is kept, and its attributes."


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that takes seconds at the rate of `SLOW`."""
    return random_file(tmp_path / "file", 20_000_000)


SLOW = ("--limit-rate", "4M")
"Until `let_go`."


async def begun(page: Page, stage: Stage, file: Path) -> Program:
    """Let a page receive a file from a slow sender, until content arrives."""
    sender = stage.send(file, *SLOW, *here(), stdin=subprocess.PIPE)
    await page.open(link_of(sender))
    await page.accept()
    await asyncio.to_thread(moving, sender)
    return sender


def let_go(sender: Program) -> None:
    """Remove the limit of the rate: what is left has to arrive only."""
    sender.write(b'{"limit": null}\n')


async def completed(page: Page, sender: Program, file: Path) -> Ended:
    """Wait until the page has the file and the sender has ended, both without a fault."""
    await page.until("done")
    assert digest((await page.saved()).path) == digest(file)
    ended = sender.end()
    assert ended.status == 0
    return ended


async def test_page_that_is_loaded_again_receives_without_a_question(
    page: Page, stage: Stage, file: Path
) -> None:
    sender = await begun(page, stage, file)
    assert await page.tab.call(_KEPT) > 0
    await page.tab.reload()
    let_go(sender)
    ended = await completed(page, sender, file)
    assert ended.of("done")[0]["bytes"] == 20_000_000
    assert await page.tab.call(_KEPT) == 0


async def received(page: Page, stage: Stage, file: Path, at_least: int) -> Program:
    """Receive until so many bytes have arrived."""
    sender = stage.send(file, "--limit-rate", "12M", *here(), stdin=subprocess.PIPE)
    await page.open(link_of(sender))
    await page.accept()
    await asyncio.to_thread(
        sender.until,
        lambda event: event["event"] == "progress" and event["bytes"] >= at_least,
        "progress",
    )
    return sender


async def test_large_file_goes_on_where_its_content_was_kept(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    """At the last line of the journal, 8 MiB apart, whose pieces of 4 MiB are kept."""
    file = random_file(tmp_path / "film", 60_000_000)
    sender = await received(page, stage, file, 45_000_000)
    await page.tab.reload()
    let_go(sender)
    ended = await completed(page, sender, file)
    # What the second connection has carried. The copies are behind by what the disk needs.
    assert ended.of("done")[0]["bytes"] <= 60_000_000 - 3 * 8 * 2**20
    assert await page.tab.call(_KEPT) == 0


async def test_offer_states_what_a_reload_costs(page: Page, stage: Stage, tmp_path: Path) -> None:
    film = tmp_path / "film"
    for size, expected in ((200_000_000, "goes on"), (200_000_001, "begins again")):
        with film.open("wb") as file:
            file.truncate(size)
        await page.open(link_of(stage.send(film, *here())))
        await page.until("offered")
        assert f"loaded again, the transfer {expected}." in await page.text()


async def test_page_can_be_loaded_again_several_times(page: Page, stage: Stage, file: Path) -> None:
    sender = await begun(page, stage, file)
    for _ in range(3):  # the later ones at once, before the page is connected
        await page.tab.reload()
    let_go(sender)
    await page.until("done")
    assert digest((await page.saved()).path) == digest(file)
    assert sender.end().status == 0


@pytest.mark.parametrize("tab", ["chromium"], indirect=True)
async def test_page_with_a_short_code_goes_on_and_does_not_keep_the_code(
    page: Page, stage: Stage, file: Path, server: str, link: str
) -> None:
    """Also if it is loaded once more before it is connected."""
    sender = stage.send(file, *SLOW, *here(), "--server", server, "--stun", "none")
    code = str((await asyncio.to_thread(sender.event, "short_code"))["code"])
    await page.open(link)
    await page.dial(code)
    await page.accept("memory")
    await asyncio.to_thread(moving, sender)
    kept = str(await page.tab.call(_TEXT))
    assert server in kept
    assert code.partition("-")[2] not in kept, kept  # the words
    for _ in range(2):
        await page.tab.reload()
    await page.until("done")
    assert digest((await page.saved()).path) == digest(file)
    ended = sender.end()
    assert ended.status == 0
    assert await page.tab.call(_KEPT) == 0


async def test_page_that_shows_a_short_code_goes_on_and_keeps_the_servers_that_were_typed(
    page: Page, stage: Stage, file: Path, server: str, link: str
) -> None:
    """Also if it is loaded once more before it is connected."""
    await page.open(link)
    await page.until("paste")
    typed = "stun:192.0.2.1:3479"
    await page.tab.call("(text) => { document.querySelector('#servers').value = text; }", typed)
    code = await page.show_code("receive")
    joining = ("--to", code, "--server", server, "--stun", "none")
    sender = stage.send(file, *SLOW, *joining, stdin=subprocess.PIPE)
    await page.accept("memory")
    await asyncio.to_thread(moving, sender)
    kept = str(await page.tab.call(_TEXT))
    assert server in kept
    assert typed in kept
    assert code.partition("-")[2] not in kept, kept  # the words
    for _ in range(2):
        await page.tab.reload()
    let_go(sender)
    await completed(page, sender, file)
    assert await page.tab.call(_KEPT) == 0


async def test_files_that_the_downloads_have_are_not_received_again(
    page: Page, stage: Stage, tmp_path: Path, file: Path
) -> None:
    photo = random_file(tmp_path / "a-photo", 100_000)
    sender = stage.send(photo, file, *SLOW, *here(), stdin=subprocess.PIPE)
    await page.open(link_of(sender))
    await page.accept()
    await asyncio.to_thread(sender.event, "file", path="a-photo", ok=True)
    saved = [await page.saved()]
    await page.tab.reload()
    let_go(sender)
    await page.until("done")
    saved.append(await page.saved())
    assert [digest(one.path) for one in saved] == [digest(photo), digest(file)]
    assert sorted(one.name for one in page.tab.downloads.iterdir()) == ["a-photo", "file"]
    ended = sender.end()
    assert ended.status == 0
    assert [event["path"] for event in ended.of("file") if event["status"] == "skipped"] == [
        "a-photo"
    ]


async def test_certificate_that_is_kept_has_a_key_that_no_script_can_read(
    page: Page, stage: Stage, file: Path
) -> None:
    await begun(page, stage, file)
    kind, names = await page.tab.call(_CERTIFICATE)
    assert kind == "RTCCertificate"
    assert set(names) <= {"constructor", "expires", "getFingerprints"}


async def test_page_that_sends_ends_and_the_same_file_is_continued(
    page: Page, stage: Stage, tmp_path: Path, file: Path
) -> None:
    output = tmp_path / "output"
    receiver = stage.receive("", output, "--limit-rate", "12M", *here())
    await page.open(link_of(receiver))
    await page.choose(file)
    await page.listed()
    assert "If this page is loaded again, the transfer ends." in await page.text("#about-saving")
    await page.tab.click("#send")
    await asyncio.to_thread(
        receiver.until,
        lambda event: event["event"] == "progress" and event["bytes"] >= 10_000_000,
        "progress",
    )
    await page.tab.reload()
    watch = Stopwatch()
    await page.until("paste")
    assert "choose the same files again" in await page.text("#about")
    ended = await asyncio.to_thread(receiver.end)
    watch.assert_within(10)
    assert ended.status == 7
    assert ended.fatal["message"] == "the other side's page was closed or loaded again"
    assert "to continue, run this: dcsend receive" in ended.fatal["hint"]
    receiver = stage.receive("", output, *here())
    await page.dial(link_of(receiver))
    await page.choose(file)
    await page.tab.click("#send")
    await page.until("done")
    ended = receiver.end()
    assert ended.status == 0
    assert digest(output / "file") == digest(file)
    assert ended.done["bytes"] <= 20_000_000 - 8 * 2**20
    assert await page.tab.evaluate("sessionStorage.getItem('dcsend')") == "used"
