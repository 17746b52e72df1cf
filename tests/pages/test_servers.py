"""TURN servers of the page, and its messages about servers that fail: coturn, real browsers."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcsend.description import CandidateType
from dcsend.signaling import blob
from tests.support import coturn
from tests.support.coturn import Coturn, rest_account
from tests.support.page import Page, from_disk, lan_address


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Coturn]:
    """Run coturn on an address that browsers use; of loopback they make no candidates."""
    started: list[subprocess.Popen[bytes]] = []

    def popen(argv: list[str]) -> None:
        started.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL))

    folder = tmp_path / "coturn"
    folder.mkdir()
    try:
        yield coturn.start(folder, popen, lan_address())
    finally:
        for process in started:
            process.kill()
            process.wait()


async def made(page: Page, servers: str) -> tuple[list[CandidateType], str]:
    """Create an offer with *servers*; return its candidate types, and the message."""
    await page.tab.call(
        """(servers) => {
          document.querySelector("#servers").value = servers;
          document.querySelector("#renew").requestSubmit();
        }""",
        servers,
    )
    code = await page.tab.wait_for("document.querySelector('#own-code').value")
    candidates = blob.decode(str(code)).candidates
    return [candidate.type for candidate in candidates], await page.text("#notice")


async def test_relay_of_no_use_is_named_with_the_code(
    page: Page, server: Coturn, tmp_path: Path
) -> None:
    await page.open(from_disk(tmp_path))
    await page.until("paste")
    await page.tab.click("#two")
    await page.until("exchanging")
    user, password = rest_account()
    types, said = await made(page, f"turn:{user}:{password}@{server.host}:{server.rest_port}")
    assert CandidateType.RELAYED in types
    assert said == ""
    types, said = await made(page, f"turn:user:wrong@{server.host}:{server.port}")
    assert CandidateType.RELAYED not in types
    assert f"TURN server {server.host} refuses this user or password" in said
    assert "wrong" not in said
    with socket.create_server((server.host, 0)) as closed:
        port = closed.getsockname()[1]
    types, said = await made(page, f"turn:user:x@{server.host}:{port}?transport=tcp")
    assert f"TURN server {server.host}" in said
