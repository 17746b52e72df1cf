"""Which refused dialers are reported as another device that waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from dcsend.errors import ConnectionFailed
from dcsend.peers.contract import Connection
from dcsend.peers.places import Asked
from dcsend.session.arrivals import Awaited
from dcsend.session.events import Event, Warned
from tests.support.memory import connected_pair

VIRTUAL_TIME = True


@dataclass
class Listener:
    """A listener whose one dialer is there."""

    asked: Asked = field(default_factory=Asked)
    given_back: list[Connection] = field(default_factory=list)

    def is_deserted(self, connection: Connection) -> bool:
        """Return False."""
        return False

    def keep(self, connection: Connection) -> None:
        """Do nothing."""

    async def give_back(self, connection: Connection) -> None:
        """Note it."""
        self.given_back.append(connection)


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


@dataclass
class Lasting:
    """A connection that goes on when it is lost."""

    link: Any
    lasts = True

    @property
    def present(self) -> Any:  # noqa: ANN401 - as the link
        """The link."""
        return self.link

    def accepted(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""


class Several:
    """Receivers of one listener, which have accepted and are silent since a time.

    Args:
        silent_since: for each.
    """

    def __init__(self, silent_since: Sequence[float]) -> None:
        self.listener = Listener()
        self._silent_since = silent_since
        self.tasks: list[asyncio.Task[None]] = []
        self.arrivals: list[Awaited] = []

    async def begin(self) -> None:
        """Connect them."""
        first = Awaited(
            cast(Any, self.listener), self._wait, lambda event: None, 120, cast(Any, self._lasting)
        )
        for _ in self._silent_since:
            one = first.beside(lambda event: None)
            await one.next()
            one.accepted()
            self.arrivals.append(one)
            self.tasks.append(asyncio.create_task(one.displaced()))
        await asyncio.sleep(0)

    async def _wait(self) -> Connection:
        return connected_pair()[0]

    def _lasting(self, connection: Connection, emit: object) -> Lasting:
        link = cast(Any, connection)
        link.received_at = self._silent_since[len(self.arrivals)]
        return Lasting(link)

    async def ask(self, host: str, holder: int | None = None) -> list[int]:
        """Let a dialer ask; return those that have had to make room so far.

        Args:
            host: of the dialer.
            holder: the receiver whose address it has.
        """
        link = None if holder is None else self.arrivals[holder]._present
        self.listener.asked.by(host, link)
        await asyncio.sleep(0.01)
        return [number for number, task in enumerate(self.tasks) if task.done()]


async def test_one_dialer_takes_the_place_of_one_receiver_that_for_longest_has_been_silent() -> (
    None
):
    begin = asyncio.get_running_loop().time()
    several = Several([begin + 3, begin + 1, begin + 2])
    await several.begin()
    await asyncio.sleep(25)
    assert await several.ask("192.0.2.7") == []
    await asyncio.sleep(10)
    assert await several.ask("192.0.2.7") == [1]
    # Its connection is being closed.
    assert await several.ask("192.0.2.7") == [1]
    await several.arrivals[1].leave()
    assert await several.ask("192.0.2.8") == [1, 2]
    for number, task in enumerate(several.tasks):
        if number:
            with pytest.raises(ConnectionFailed, match="has taken the place of"):
                task.result()
        task.cancel()


async def test_device_that_is_started_again_takes_its_place_back_soon() -> None:
    several = Several([asyncio.get_running_loop().time()])
    await several.begin()
    address = connected_pair()[0].route.remote
    await asyncio.sleep(5)
    assert await several.ask(address) == []
    await asyncio.sleep(2)
    assert await several.ask("192.0.2.7") == []
    assert await several.ask(address) == [0]
    with pytest.raises(ConnectionFailed, match="has been silent for 7 s"):
        several.tasks[0].result()


async def test_dialer_with_the_address_of_a_silent_receiver_takes_no_other_place() -> None:
    """The port of a program that was killed can be that of the next one."""
    begin = asyncio.get_running_loop().time()
    several = Several([begin, begin + 20, begin])
    await several.begin()
    address = connected_pair()[0].route.remote
    await asyncio.sleep(25)
    assert await several.ask(address, 1) == []
    await asyncio.sleep(2)
    assert await several.ask(address, 1) == [1]
    # Its connection is being closed.
    assert await several.ask(address, 1) == [1]
    with pytest.raises(ConnectionFailed, match="has been silent for 7 s"):
        several.tasks[1].result()
    for task in several.tasks:
        task.cancel()
