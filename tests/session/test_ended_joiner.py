"""A joiner that is ended at any point before it is connected leaves no code that is shown and dead.

A server gives a number to two sides, and does not report to the allocator that one has claimed it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import pytest

from dcsend.errors import UsageError
from dcsend.peers.loading import transfer_peer
from dcsend.session.joining import join, joined
from dcsend.session.meeting import meet
from tests.session.test_short_codes import SETTINGS, Run
from tests.support.inner_server import InnerServer
from tests.support.peers import published

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("nothing_raised")]

SERVER: Final = replace(SETTINGS, server="ws://inner.example/v1")
TEXTS: Final = 14
"Texts that a joiner and the server exchange until the answer of the allocator has arrived."

FIRST: Final = 4
"Number of the claim, or of a later text. Before it are welcome, bind and ack; then it may wait."


@pytest.mark.parametrize("count", range(1, TEXTS + 1))
async def test_after_a_joiner_is_ended_its_code_works_or_a_new_one_is_shown(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    server = InnerServer(monkeypatch)
    run = Run(SERVER)
    types: list[str] = []

    def passed(text: str) -> None:
        types.append(text)
        if len(types) == count:
            joining.cancel()

    async with meet(run.settings, run.emit, "sender") as arrivals:
        code = await run.code(1)
        server.passed = passed
        joining = asyncio.create_task(join(SERVER, run.emit, code, transfer_peer))
        await asyncio.wait({joining})
        server.passed = lambda text: None
        assert joining.cancelled()
        if "claim" in types:
            code = await run.code(2)
            assert run.notes == ["the other side has ended the attempt"]
        waiting = asyncio.create_task(arrivals.next())
        async with joined(SERVER, run.emit, code, transfer_peer):
            await waiting
    assert "claim" in types or count < FIRST


async def test_joiner_that_has_no_port_does_not_claim_the_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = InnerServer(monkeypatch)
    run = Run(SERVER)
    types: list[str] = []
    async with published() as other, meet(run.settings, run.emit, "sender") as arrivals:
        code = await run.code(1)
        server.passed = types.append
        with pytest.raises(UsageError, match="port"):
            await join(replace(SERVER, port=other.number), run.emit, code, transfer_peer)
        assert "claim" not in types
        waiting = asyncio.create_task(arrivals.next())
        async with joined(SERVER, run.emit, code, transfer_peer):
            await waiting
