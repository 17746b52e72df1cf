"""How often a short code waits for the server, counted without a clock."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.mailbox_server import StockServer
from tests.support.processes import Program, Stage
from tests.support.round_trips import CONNECTING, Relay, relayed

ALLOCATED: Final = {"bind", "allocate", "claim", "open", "ping", "add"}
"What a side has sent that shows a code."

MEETING: Final = 4
"claim, open, the first message to the other side, and its answer."


@pytest.fixture
async def relay(stock_server: StockServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Relay]:
    """Start a server behind a relay, which all programs of the test use."""
    await asyncio.to_thread(stock_server.start)
    async with relayed(stock_server.server) as (url, made):
        monkeypatch.setenv("DCSEND_SERVER", url)
        monkeypatch.setenv("DCSEND_STUN", "none")
        yield made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    path.write_bytes(os.urandom(1000))
    return path


async def shown(program: Program) -> str:
    """Return the short code that a program shows."""
    return str((await asyncio.to_thread(program.event, "short_code"))["code"])


async def ended(*programs: Program) -> None:
    for program in programs:
        assert (await asyncio.to_thread(program.end)).status == 0


async def test_code_at_the_prompt_takes_four_round_trips_to_the_server(
    relay: Relay, stage: Stage, tmp_path: Path, file: Path
) -> None:
    """The connection is there before Enter; six are permitted."""
    sender = stage.send(file)
    code = await shown(sender)
    await relay.until(ALLOCATED)
    receiver = stage.run("receive", "-o", tmp_path / "output", "-y", terminal=True)
    await relay.until(ALLOCATED, ALLOCATED, {"bind"})
    await asyncio.to_thread(receiver.until_shown, b"or enter a code")
    relay.begin()
    await asyncio.to_thread(receiver.write, code.encode() + b"\n")
    await ended(sender, receiver)
    assert relay.answered["a1"] == MEETING
    assert len(relay.clients) == 3


async def test_code_on_the_command_line_takes_as_many_and_a_connection(
    relay: Relay, stage: Stage, tmp_path: Path, file: Path
) -> None:
    sender = stage.send(file)
    code = await shown(sender)
    await relay.until(ALLOCATED)
    relay.begin()
    await ended(stage.receive(code, tmp_path / "output"), sender)
    assert relay.answered["a1"] == CONNECTING + MEETING
