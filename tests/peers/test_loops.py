"""A whole transfer and a raw connection on both event loops, and where sockets can't be watched."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Final

import pytest

import dcsend
from dcsend.ice.relay import allocate
from dcsend.ice.turn_server import TurnServer
from dcsend.net.address import Address
from dcsend.peers.diagnosis import stay_closed
from dcsend.peers.situations import RemoteAddress
from tests.support.peers import published, transfer, until

UVLOOP: Final = True


@pytest.mark.unwatched
async def test_both_directions_of_a_connection() -> None:
    async with published() as here:
        dialer, listener = await here.pair()
        # 10 MB each way.
        await asyncio.gather(transfer(dialer, listener, 160), transfer(listener, dialer, 160))


def opened() -> int:
    """Return the number of open files."""
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists the open files in /proc")
async def test_probes_that_are_cancelled_while_they_begin_leave_no_socket() -> None:
    before = opened()
    probing = asyncio.create_task(stay_closed([RemoteAddress("127.0.0.1", 9)], 1.0, bool))
    await until(lambda: opened() > before)
    probing.cancel()
    await asyncio.wait({probing})
    await asyncio.sleep(0)
    assert opened() == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists the open files in /proc")
async def test_request_to_a_turn_server_that_is_cancelled_while_it_begins_leaves_no_socket() -> (
    None
):
    server = TurnServer(("127.0.0.1", 9), "user", "password")

    async def resolve(address: Address) -> list[Address]:
        return [address]

    before = opened()
    asking = asyncio.create_task(allocate(server, asyncio.DatagramProtocol, resolve=resolve))
    while opened() == before:  # noqa: ASYNC110 - each turn of the loop
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait({asking})
    await until(lambda: opened() == before, 5)


@pytest.mark.full
@pytest.mark.unwatched
async def test_file_arrives(tmp_path: Path) -> None:
    content = random.Random(1).randbytes(20_000_000)
    (tmp_path / "file").write_bytes(content)
    code: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_event(event: dcsend.Event) -> None:
        if isinstance(event, dcsend.CodeReady):
            code.set_result(event.code)

    settings = dcsend.Settings(stun=(), addresses=("127.0.0.1",))
    async with asyncio.timeout(150), asyncio.TaskGroup() as group:
        group.create_task(dcsend.send(tmp_path / "file", settings=settings, on_event=on_event))
        group.create_task(dcsend.receive(await code, output=tmp_path / "in", settings=settings))
    assert (tmp_path / "in" / "file").read_bytes() == content
