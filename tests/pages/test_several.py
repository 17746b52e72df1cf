"""One side with a page and a terminal at once."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.support.page import Page, here, link_of, random_file
from tests.support.processes import Stage, digest


async def test_page_and_terminal_receive_at_once_and_neither_is_named_to_the_other(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    file = random_file(tmp_path / "film.bin", 20_000_000)
    sender = stage.send(file, *here(), "--times", "3")
    link = link_of(sender)
    await page.open(link)
    await page.until("offered")
    terminal = stage.receive(sender.code, tmp_path / "in", "--as", "secret name")
    await page.accept()
    saved = await page.saved()
    assert digest(saved.path) == digest(file)
    assert terminal.end().status == 0
    assert digest(tmp_path / "in" / file.name) == digest(file)
    assert "secret name" not in await page.text()
    # The page has its place until it is closed, and the link works for another one.
    again = stage.receive(sender.code, tmp_path / "again").end()
    assert again.status == 0
    assert sender.end().done["receivers"]["complete"] == 3


async def test_page_and_terminal_send_to_a_receiver_that_stays_and_a_limit_is_shown(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    film, note = random_file(tmp_path / "film.bin", 3_000_000), random_file(tmp_path / "note", 9)
    inbox = stage.receive("", tmp_path / "in", "--keep", "--max-total", "4M", *here())
    link = link_of(inbox)
    await page.send(link, film)
    assert stage.send(note, "--to", inbox.code).end().status == 0
    await page.open(link)
    await page.choose(film)
    await page.tab.click("#send")
    await page.problem()
    assert "only 995.9 kB more are accepted" in await page.text()
    inbox.until(lambda event: len(inbox.so_far("sender_done")) == 2, "both")
    inbox.process.send_signal(signal.SIGINT)
    ended = inbox.end()
    assert ended.done["senders"] == {"complete": 2, "failed": 0, "declined": 0}
    assert digest(tmp_path / "in" / film.name) == digest(film)
    assert digest(tmp_path / "in" / note.name) == digest(note)
