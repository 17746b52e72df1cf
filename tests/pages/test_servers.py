"""TURN servers of the page, and its messages about servers that fail: coturn, real browsers."""

from __future__ import annotations

import socket
from pathlib import Path

from dcsend.description import CandidateType
from dcsend.signaling import blob
from tests.support.coturn import Coturn, rest_account
from tests.support.page import Page, from_disk


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
    page: Page, relay: Coturn, tmp_path: Path
) -> None:
    await page.open(from_disk(tmp_path))
    await page.until("paste")
    await page.tab.click("#two")
    await page.until("exchanging")
    user, password = rest_account()
    types, said = await made(page, f"turn:{user}:{password}@{relay.host}:{relay.rest_port}")
    assert CandidateType.RELAYED in types
    assert said == ""
    types, said = await made(page, f"turn:user:wrong@{relay.host}:{relay.port}")
    assert CandidateType.RELAYED not in types
    assert f"TURN server {relay.host} refuses this user or password" in said
    assert "wrong" not in said
    with socket.create_server((relay.host, 0)) as closed:
        port = closed.getsockname()[1]
    types, said = await made(page, f"turn:user:x@{relay.host}:{port}?transport=tcp")
    assert f"TURN server {relay.host}" in said
