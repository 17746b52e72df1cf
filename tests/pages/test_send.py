"""The page sends to a real `dcsend receive`: what lands on disk is what was chosen."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path

import pytest

from dcsend.content import Data
from dcsend.entry import Existing
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.journal import INTERVAL
from dcsend.files.manifest import scan
from tests.pages.test_receive import made, made_tree
from tests.support.page import Page, at, from_disk, here, link_of, random_file
from tests.support.processes import Stage, digest, tree
from tests.support.resuming import flip


@pytest.mark.parametrize("size", [0, 64_905])
async def test_file_arrives(page: Page, stage: Stage, tmp_path: Path, size: int) -> None:
    file, output = random_file(tmp_path / f"of {size} bytes", size), tmp_path / "output"
    receiver = stage.receive("", output, *here())
    await page.send(link_of(receiver), file)
    ended = receiver.end()
    assert ended.status == 0
    assert tree(output) == {file.name: digest(file)}
    assert (output / file.name).stat().st_mtime == pytest.approx(file.stat().st_mtime, abs=0.01)


async def test_file_larger_than_all_buffers_arrives(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    """The windows of dcsend and of SCTP, and the buffer of a browser, hold 40 MiB together."""
    file = random_file(tmp_path / "file", 45_000_000)
    receiver = stage.receive("", tmp_path / "output", *here())
    await page.send(link_of(receiver), file)
    assert receiver.end().status == 0
    assert tree(tmp_path / "output") == {"file": digest(file)}


async def test_page_is_limited_by_the_terminal_that_receives(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "file", 12_000_000)
    receiver = stage.receive(
        "", tmp_path / "output", "--limit-rate", "1M", *here(), stdin=subprocess.PIPE
    )
    sending = asyncio.create_task(page.send(link_of(receiver), file))
    await asyncio.to_thread(
        receiver.until, lambda e: e["event"] == "progress" and e["bytes"] >= 4_000_000, "4 MB"
    )
    receiver.write(b'{"limit": null}\n')
    changed = time.monotonic()
    await sending
    assert receiver.end().status == 0
    (begin, first), *steps = receiver.steps()
    limited = [(when - begin, count - first) for when, count in steps if when < changed]
    # What was in flight at first, half a second of the rate, is there at once.
    assert all(count <= 1_050_000 * seconds + 600_000 for seconds, count in limited)
    assert limited[-1][0] > 2.5
    assert tree(tmp_path / "output") == {"file": digest(file)}


async def test_changed_bytes_of_a_part_are_sent_again(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    file, output = random_file(tmp_path / "film.bin", 3 * INTERVAL), tmp_path / "output"
    os.utime(file, (1_700_000_000, 1_700_000_000))
    sink = DirectorySink(output, existing=Existing.REFUSE)
    sink.plan(list(scan([file]).entries))
    for place in range(2):
        start = place * INTERVAL
        sink.apply([Data(0, start, file.read_bytes()[start : start + INTERVAL])], more=True)
    sink.close()
    flip(output / "film.bin.dcsend-part", INTERVAL + 5)
    receiver = stage.receive("", output, *here())
    await page.send(link_of(receiver), file)
    ended = receiver.end()
    assert ended.status == 0
    assert [(one["start"], one["end"]) for one in ended.of("damaged")] == [(INTERVAL, 2 * INTERVAL)]
    assert ended.done["bytes"] == 2 * INTERVAL  # the rest, and the range
    assert tree(output) == {"film.bin": digest(file)}


async def test_folder_arrives(page: Page, stage: Stage, tmp_path: Path) -> None:
    """Without its empty folders, which the folder dialog of a browser omits."""
    source, output = made_tree(tmp_path / "tree"), tmp_path / "output"
    receiver = stage.receive("", output, *here())
    await page.send(at("localhost", link_of(receiver)), source)
    assert receiver.end().status == 0
    (source / "empty folder").rmdir()
    assert tree(output / "tree") == tree(source)


async def test_files_chosen_one_after_another_arrive_together(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    files = [made(tmp_path / "here" / name, **{name: b"content"}) / name for name in "abc"]
    receiver = stage.receive("", output, *here())
    await page.open(link_of(receiver))
    await page.choose(*files[:2])
    await page.choose(files[2])
    await page.drop(dropped="dropped", **{"<b>": "markup"})
    await page.paste_files(pasted="pasted")
    assert sorted(await page.listed(6)) == ["<b>", "a", "b", "c", "dropped", "pasted"]
    await page.tab.click('#files li[data-path="b"] button')
    assert "b" not in await page.listed(5)
    await page.tab.click("#send")
    await page.until("done")
    assert receiver.end().status == 0
    contents = {path.name: path.read_text() for path in output.iterdir()}
    assert contents == {
        **{"a": "content", "c": "content", "<b>": "markup"},
        **{"dropped": "dropped", "pasted": "pasted"},
    }


async def test_path_that_is_refused_keeps_its_small_letters(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    """Messages of the page are sentences; none begins with a path."""
    made(tmp_path / "photos", ok=b"content", **{"film.mkv.dcsend-part": b"a part"})
    receiver = stage.receive("", tmp_path / "output", *here())
    await page.open(link_of(receiver))
    await page.choose(tmp_path / "photos")
    await page.tab.wait_for("!document.querySelector('#notice').hidden")
    assert await page.text("#notice") == (
        "Can't be sent: photos/film.mkv.dcsend-part: the name is reserved for unfinished files."
    )
    await page.tab.click("#send")
    await page.until("done")
    assert receiver.end().status == 0


async def test_files_of_one_name_are_both_sent(page: Page, stage: Stage, tmp_path: Path) -> None:
    output = tmp_path / "output"
    receiver = stage.receive("", output, *here())
    await page.open(link_of(receiver))
    for number in "12":
        await page.choose(made(tmp_path / number, **{"file.txt": number.encode()}) / "file.txt")
    await page.listed(2)
    await page.tab.click("#send")
    await page.until("done")
    assert receiver.end().status == 0
    assert sorted(path.read_text() for path in output.iterdir()) == ["1", "2"]


async def test_file_that_shrinks_meanwhile_is_given_up(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    """It must not arrive as complete; the other file does."""
    fickle = random_file(tmp_path / "fickle", 1_000_000)
    steady = random_file(tmp_path / "steady", 1000)
    receiver = stage.receive("", tmp_path / "output", *here())
    await page.open(link_of(receiver))
    await page.choose(fickle, steady)
    await page.listed(2)
    fickle.write_bytes(b"shorter")
    await page.tab.click("#send")
    await page.until("partly")
    ended = receiver.end()
    assert ended.status == 11
    assert [path for path, event in ended.files.items() if event["ok"]] == ["steady"]
    assert "fickle" not in os.listdir(tmp_path / "output")


async def test_refusal_of_the_receiver_is_shown(page: Page, stage: Stage, tmp_path: Path) -> None:
    arguments = ("receive", "-o", tmp_path / "output", *here())
    receiver = stage.run(*arguments, terminal=True, listen=False)
    code = receiver.stdout.readline().decode().strip()
    await page.open(from_disk(tmp_path))
    await page.dial(code)
    await page.choose(random_file(tmp_path / "file", 1000))
    await page.tab.click("#send")
    await page.until("waiting")
    receiver.until_shown(b"ccept")
    receiver.write(b"n\n")
    await page.until("failed")
    assert await page.problem() == "refused"
    assert receiver.end().status == 7
    assert not (tmp_path / "output").exists()


async def test_existing_file_is_not_overwritten(page: Page, stage: Stage, tmp_path: Path) -> None:
    output = made(tmp_path / "output", file=b"precious")
    receiver = stage.receive("", output, *here())
    await page.open(link_of(receiver))
    await page.choose(random_file(tmp_path / "file", 1000))
    await page.tab.click("#send")
    await page.until("failed")
    assert await page.problem() == "cannot-save"
    # No person has declined, so the same code works for the next try; the choice is kept.
    assert receiver.event("left")["again"]
    await page.tab.click("#retry")
    await page.until("choosing")
    await page.tab.click('#files li[data-path="file"] button')
    await page.choose(random_file(tmp_path / "other", 1000))
    await page.tab.click("#send")
    await page.until("done")
    assert receiver.end().status == 0
    assert (output / "file").read_bytes() == b"precious"
    assert sorted(path.name for path in output.iterdir()) == ["file", "other"]
