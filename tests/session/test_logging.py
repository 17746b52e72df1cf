"""What a session logs: deadlines, Cancel with its reason, and what becomes of the code.

Never a path, a text or content.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from dcsend.errors import ConnectionFailed, DcsendError, PeerRefused, SourceError
from dcsend.peers.contract import Connection
from dcsend.peers.places import Asked
from dcsend.protocol.messages import Cancel, encode
from dcsend.session.arrivals import Awaited, Dialed
from dcsend.session.conversation import Conversation
from dcsend.session.liveness import Overdue
from dcsend.settings import Settings
from tests.session.test_control import control_of, greet
from tests.support.memory import MemoryConnection, connected_pair

VIRTUAL_TIME = True


@pytest.fixture(autouse=True)
def _debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="dcsend.session")


@dataclass
class Listener:
    """A listener whose one dialer is there."""

    deserted: bool = False
    asked: Asked = field(default_factory=Asked)

    def is_deserted(self, connection: Connection) -> bool:
        """Return whether it is."""
        return self.deserted

    def keep(self, connection: Connection) -> None:
        """Do nothing."""

    def use_up(self) -> None:
        """Do nothing."""

    async def give_back(self, connection: Connection) -> None:
        """Do nothing."""


class Idle:
    """A half of a transfer that only waits."""

    def __init__(self, connection: MemoryConnection) -> None:
        self.control, _ = control_of(connection)

    async def run(self) -> None:
        """Wait."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Do nothing."""


async def awaited(listener: Listener) -> Awaited:
    connection, _ = connected_pair()

    async def wait() -> Connection:
        return connection

    arrivals = Awaited(cast(Any, listener), wait, lambda event: None, hold=1.0)
    await arrivals.next()
    return arrivals


async def test_deadline_is_logged_when_it_is_set_and_when_it_is_missed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours, _ = connected_pair()
    settings = Settings(silence_report=900, silence_limit=900)
    talk = Conversation(ours, settings, lambda event: None)
    talk.expect("sent nothing", 20.0)
    talk.lift()
    talk.expect("sent nothing", 20.0)
    with pytest.raises(Overdue):
        await talk.run(Idle(ours))
    assert [line for line in caplog.messages if "deadline" in line] == [
        "deadline in 20 s, or the peer sent nothing",
        "deadline missed: the peer sent nothing",
    ]


async def test_silence_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    ours, _ = connected_pair()
    with pytest.raises(ConnectionFailed):
        await Conversation(ours, Settings(), lambda event: None).run(Idle(ours))
    assert [line for line in caplog.messages if line.startswith("no message")] == [
        "no message of the peer for 12 s",
        "no message of the peer for 30 s",
    ]


async def test_cancel_is_logged_with_its_reason_and_without_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours, theirs = connected_pair()
    control, _ = control_of(ours)
    await greet(theirs, control)
    await theirs.close()
    with pytest.raises(ConnectionFailed):
        await control.cancel(SourceError("/home/me/secret.txt: is gone"))
    assert "Cancel is sent, reason source" in caplog.messages
    assert "secret.txt" not in caplog.text


async def test_cancel_of_the_peer_is_logged_with_its_reason_and_without_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours, theirs = connected_pair()
    control, _ = control_of(ours)
    theirs.channels["control"].send(encode(Cancel("interrupted", "secret.txt")))
    with pytest.raises(PeerRefused):
        await greet(theirs, control)
    assert "Cancel has arrived, reason interrupted" in caplog.messages
    assert "secret.txt" not in caplog.text


async def test_use_of_a_code_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    (await awaited(Listener())).accepted()
    assert caplog.messages == ["accepted: the code is used up"]


async def test_return_of_a_code_is_logged_with_the_number_of_those_that_remain(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arrivals = await awaited(Listener())
    for _ in range(2):
        await arrivals.parted(PeerRefused("secret.txt"), introduced=True)
    overdue: DcsendError = Overdue("did nothing")
    with pytest.raises(Overdue):
        await arrivals.parted(overdue, introduced=True)
    assert caplog.messages == [
        "the peer has left (refused): the code is given back, 4 times more",
        "the peer has left (refused): the code is given back, 3 times more",
        "the peer has left (connection): the run ends",
    ]


async def test_dialer_that_waits_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener(deserted=True)
    arrivals = await awaited(listener)
    displaced = asyncio.create_task(arrivals.displaced())
    await asyncio.sleep(0)
    listener.asked.set()
    await displaced
    assert caplog.messages == ["another dialer waits, deserted: True"]


async def test_second_dial_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    ours, _ = connected_pair()

    async def dial() -> Connection:
        return ours

    await Dialed(ours, dial).parted(ConnectionFailed("lost"), introduced=False)
    assert caplog.messages == ["dialing again: the peer has ended the connection before its Hello"]
