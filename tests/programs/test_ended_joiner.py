"""A receiver that is ended before it is connected: the code still works, or there is a new one."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Final

import pytest

from tests.support.mailbox_server import StockServer
from tests.support.processes import Stage
from tests.support.round_trips import Client, relayed

PATIENT: Final = """
from dcsend import ending
from dcsend.session import conclusion, finding
ending.LIMIT, conclusion._ORDERLY, finding._GUESS = 40.0, 30.0, 20.0
"""
"A program that is ended has a second, in which a busy machine may not make the round trips."


@pytest.mark.parametrize("at", ["bind", "claim", "open", "add"])
async def test_receiver_that_is_interrupted_leaves_no_code_that_is_shown_and_dead(
    stock_server: StockServer,
    stage: Stage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
) -> None:
    """The signal comes when the server is about to get this message of it."""
    await asyncio.to_thread(stock_server.start)
    file = tmp_path / "film.mkv"
    file.write_bytes(os.urandom(1000))
    monkeypatch.setenv("DCSEND_STUN", "none")
    async with relayed(stock_server.server) as (url, relay):
        monkeypatch.setenv("DCSEND_SERVER", url)
        sender = stage.send(file)
        first = (await asyncio.to_thread(sender.event, "short_code"))["code"]
        await relay.until({"bind", "allocate", "claim", "open", "ping", "add"})

        def nothing(client: Client, kind: str) -> None:
            pass

        def sending(client: Client, kind: str) -> None:
            if kind == at and client is relay.clients[1]:
                relay.sending = nothing  # a second signal would end it at once
                receiver.process.send_signal(signal.SIGINT)

        relay.sending = sending
        receiver = stage.receive(str(first), tmp_path / "none", before=PATIENT)
        assert (await asyncio.to_thread(receiver.end)).status == 130
        relay.sending = nothing
        code = first
        if "claim" in relay.clients[1].sent:
            event = await asyncio.to_thread(
                sender.until,
                lambda event: event["event"] == "short_code" and event["code"] != first,
                "a new code",
            )
            code = event["code"]
        again = stage.receive(str(code), tmp_path / "output")
        assert (await asyncio.to_thread(again.end)).status == 0
        assert (await asyncio.to_thread(sender.end)).status == 0
    assert (tmp_path / "output" / file.name).read_bytes() == file.read_bytes()
