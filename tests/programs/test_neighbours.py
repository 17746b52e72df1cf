"""Devices in the network of a joiner that have the number of its code, and no part in its transfer.

The programs announce and find numbers by real mDNS, with addresses of this machine.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from dcsend.rendezvous import discovery
from dcsend.rendezvous.wire import dump
from tests.support.processes import Program, Stage

HERE = {"DCSEND_NO_MDNS": "", "DCSEND_NO_PAGE": "1"}
"The environment of a program that announces its code, and looks for others, in this network."


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    path.write_bytes(bytes(1000))
    return path


async def short_code(program: Program) -> str:
    return str((await asyncio.to_thread(program.event, "short_code"))["code"])


@pytest.mark.parametrize("phase", ["b1", "b5"])
async def test_neighbour_that_makes_no_guess_keeps_no_joiner_out(
    stage: Stage, tmp_path: Path, file: Path, phase: str
) -> None:
    sender = stage.send(file, environment=HERE)
    code = await short_code(sender)
    (place,) = await discovery.find(number := code.split("-")[0])
    host = next(host for host in place.hosts if "%" not in host)
    url = f"ws://{f'[{host}]' if ':' in host else host}:{place.port}/v1"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url) as socket,
    ):
        for kind in ("bind", "claim"):
            await socket.send_str(dump(kind, appid="dcsend/1", side="aa", nameplate=number))
        async for message in socket:
            if (values := json.loads(message.data))["type"] == "claimed":
                await socket.send_str(dump("open", mailbox=values["mailbox"]))
                await socket.send_str(dump("add", phase=phase, body="00"))
            elif values["type"] in ("error", "message") and values.get("phase") != "a0":
                break
        receiver = stage.receive(code, tmp_path / "output", environment=HERE)
        received = await asyncio.to_thread(receiver.end)
    assert received.status == 0, received.fatal
    assert (await asyncio.to_thread(sender.end)).status == 0
