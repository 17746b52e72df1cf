"""A listener waits for the first message on each new connection of its dialer, on all at once."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from dcsend.errors import ConnectionFailed
from dcsend.protocol.receipts import Receipt, encode_receipt
from dcsend.session.lasting import LastingConnection
from tests.support.links import LostLink, Ways, lasting_pair

VIRTUAL_TIME = True

RESUME = encode_receipt(Receipt(1, 0, 0), resumes=True)


class Lost:
    """A listener that has lost its connection; a test has the part of its dialer."""

    def __init__(self) -> None:
        self.ways = Ways()

    async def begin(self) -> LastingConnection:
        """Lose the connection; return the listener's end of it."""
        self.dialer, listener = await lasting_pair(self.ways)
        self.ways.open.clear()
        self.ways.lose()
        return listener

    async def dial(self, first: str = "") -> LostLink:
        """Connect once more; return the dialer's end, which has sent *first*."""
        ours, theirs = self.ways.pair()
        self.ways.waiting.put_nowait(theirs)
        if first:
            ours.channels["control"].send(first)
        await asyncio.sleep(0.1)
        return ours


def uses(listener: LastingConnection, link: LostLink) -> bool:
    """Return whether a connection has taken over."""
    present: object = listener.link
    return present is link.peer


async def test_connection_that_the_dialer_has_given_up_does_not_delay_the_next_one() -> None:
    """The message about its end is lost."""
    lost = Lost()
    listener = await lost.begin()
    given_up = await lost.dial()
    await asyncio.sleep(2)
    used = await lost.dial(RESUME)
    assert uses(listener, used)
    with pytest.raises(ConnectionFailed):
        await given_up.channels["control"].receive()
    await listener.close()
    await lost.dialer.close()


async def test_of_two_connections_the_one_with_resume_takes_over() -> None:
    """Two attempts of the dialer have connected at once; the end of the newer one comes late."""
    lost = Lost()
    listener = await lost.begin()
    used = await lost.dial()
    newer = await lost.dial()
    used.channels["control"].send(RESUME)
    await asyncio.sleep(0.1)
    assert uses(listener, used)
    newer.channels["control"].send(RESUME)
    await asyncio.sleep(0.1)
    assert uses(listener, newer)
    await listener.close()
    await lost.dialer.close()


async def test_late_resume_of_a_connection_that_was_given_up_changes_nothing() -> None:
    lost = Lost()
    listener = await lost.begin()
    given_up = await lost.dial()
    used = await lost.dial(RESUME)
    with contextlib.suppress(ConnectionFailed):
        given_up.channels["control"].send(RESUME)
    await asyncio.sleep(0.1)
    assert uses(listener, used)
    listener.check()
    await listener.close()
    await lost.dialer.close()


async def test_connection_without_a_message_is_dropped_after_10_s() -> None:
    lost = Lost()
    listener = await lost.begin()
    idle = await lost.dial()
    await asyncio.sleep(9.8)
    idle.channels["text"].send("it is open")
    await asyncio.sleep(0.2)
    with pytest.raises(ConnectionFailed):
        idle.channels["text"].send("it is closed")
    await listener.close()
    await lost.dialer.close()
