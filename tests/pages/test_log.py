"""`--debug` of a terminal whose peer is the page: no secret is in the log."""

from __future__ import annotations

from pathlib import Path

from tests.programs.test_log import CONTENT, check, layers_of
from tests.support.page import Page, here, link_of
from tests.support.processes import Stage


async def test_log_of_a_sender_to_a_page_has_no_secret(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "film").write_bytes(CONTENT * 3)
    log = tmp_path / "log"
    sender = stage.send(tmp_path / "film", "--debug", log, *here())
    link = link_of(sender)
    await page.receive(link)
    assert (await page.saved()).path.read_bytes() == CONTENT * 3
    assert sender.end().status == 0
    check([log], [sender.code])
    assert link.rpartition("#")[2].encode() not in log.read_bytes()
    assert {"ice", "dtls", "sctp", "peers", "session", "serving"} <= layers_of(log)


async def test_log_of_a_receiver_from_a_page_has_no_secret(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "film").write_bytes(CONTENT * 3)
    log = tmp_path / "log"
    receiver = stage.receive("", tmp_path / "output", "--debug", str(log), *here())
    link = link_of(receiver)
    await page.send(link, tmp_path / "film")
    assert receiver.end().status == 0
    assert (tmp_path / "output" / "film").read_bytes() == CONTENT * 3
    check([log], [receiver.code])
    assert link.rpartition("#")[2].encode() not in log.read_bytes()
    assert {"ice", "dtls", "sctp", "peers", "session", "serving", "files"} <= layers_of(log)
