"""Which refused dialers are reported as another device that waits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from dcsend.peers.contract import Connection
from dcsend.session.arrivals import Awaited
from dcsend.session.events import Event, Warned
from tests.support.memory import connected_pair

VIRTUAL_TIME = True


@dataclass
class Listener:
    """A listener whose one dialer is there."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def is_deserted(self, connection: Connection) -> bool:
        """Return False."""
        return False


@pytest.mark.parametrize(
    ("asks", "notes"),
    [
        ([0.0], []),
        ([0.0, 0.1, 0.3, 1.1], []),
        ([0.0, 1.0, 2.0], [2.0]),
        ([0.0, 1.0, 2.0, 3.0, 40.0, 41.0, 42.0], [2.0]),
        ([0.0, 0.2, 30.0, 31.0], [30.0]),
        ([1.6], [1.6]),
    ],
)
async def test_other_device_is_reported_unless_it_asks_as_the_first_one_connects(
    asks: list[float], notes: list[float]
) -> None:
    """A device that opens a link with both codes dials and joins; the slower attempt is ended."""
    listener, clock = Listener(), asyncio.get_running_loop().time
    connection, _ = connected_pair()
    reported: list[float] = []

    async def wait() -> Connection:
        return connection

    def emit(event: Event) -> None:
        if isinstance(event, Warned):
            reported.append(clock() - began)

    arrivals = Awaited(cast(Any, listener), wait, emit, hold=1000)
    await arrivals.next()
    displaced = asyncio.create_task(arrivals.displaced())
    await asyncio.sleep(0)
    began = clock()
    for time in asks:
        await asyncio.sleep(began + time - clock())
        listener.asked.set()
    await asyncio.sleep(1)
    displaced.cancel()
    assert [round(time, 1) for time in reported] == notes
