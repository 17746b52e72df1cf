"""A connection whose peer is silent for some seconds: another one is prepared beside it."""

from __future__ import annotations

import asyncio

import pytest

from dcsend.errors import CodeUsed
from dcsend.peers.contract import ConnectionLost
from dcsend.session.events import Event
from dcsend.session.interruption import DOUBT, SILENT
from tests.session.test_lasting import close, exchange
from tests.support.links import Ways, lasting_pair
from tests.support.virtual_time import VirtualTimeLoop

VIRTUAL_TIME = True


async def test_path_in_doubt_is_replaced_by_another_one_without_an_event() -> None:
    ways = Ways()
    events: list[Event] = []
    ends = await lasting_pair(ways, (events.append, events.append))
    await asyncio.sleep(1)
    ways.pairs[0][0].silent_since = asyncio.get_running_loop().time()
    # The dialer's datagrams arrive at the listener: only one direction is interrupted.
    await asyncio.sleep(DOUBT + 0.3)
    assert len(ways.pairs) == 2
    await exchange(ends, 10)
    assert events == []
    await close(ends)


async def test_path_in_doubt_is_used_and_its_preparation_ends_when_it_answers() -> None:
    ways = Ways()
    events: list[Event] = []
    ends = await lasting_pair(ways, (events.append, events.append))
    await exchange(ends, 1)
    ways.open.clear()
    for end in ways.pairs[0]:
        end.silent_since = asyncio.get_running_loop().time()
    await asyncio.sleep(DOUBT + 0.5)
    assert (ways.dials, ways.losses) == (1, [1, 1])
    await exchange(ends, 10)  # it has not lost anything
    for end in ways.pairs[0]:
        end.silent_since = None
    await asyncio.sleep(0.5)
    assert ways.losses == [0, 0]
    ways.open.set()
    await asyncio.sleep(60)
    assert (ways.dials, len(ways.pairs), events) == (1, 1, [])
    await close(ends)


async def test_refusal_of_a_dial_ends_nothing_while_the_path_may_answer() -> None:
    """What has ended the transfer there may still arrive: the refusal has another reason then."""
    ways = Ways()
    ends = await lasting_pair(ways)
    ways.refusal = CodeUsed("another device has already connected with this code")
    ways.pairs[0][0].silent_since = asyncio.get_running_loop().time()
    await asyncio.sleep(SILENT - 0.5)
    assert ways.dials == 1
    ways.pairs[0][0].silent_since = None
    await asyncio.sleep(1)
    await exchange(ends, 10)
    ways.pairs[0][0].silent_since = asyncio.get_running_loop().time()
    await asyncio.sleep(SILENT + 0.5)
    with pytest.raises(ConnectionLost, match="has been silent"):
        ends[0].channels["data"].send(b"")
    await close(ends)


async def test_nothing_is_prepared_before_the_answer_is_sure_to_have_arrived() -> None:
    """The listener could take the dial for one of another device, and the dialer for lost."""
    ways = Ways()
    ends = await lasting_pair(ways, roles=("receiver", "sender"))
    ways.pairs[0][0].silent_since = asyncio.get_running_loop().time()
    await asyncio.sleep(SILENT - 0.5)
    assert ways.dials == 0
    await asyncio.sleep(1)
    assert ways.dials == 1
    await exchange(ends, 10)
    ways.pairs[1][0].silent_since = asyncio.get_running_loop().time()
    await asyncio.sleep(DOUBT + 0.5)
    assert ways.dials == 2
    await close(ends)


async def test_program_that_was_stopped_takes_nothing_for_silent() -> None:
    ways = Ways()
    ends = await lasting_pair(ways)
    await asyncio.sleep(1)
    loop = asyncio.get_running_loop()
    stopped = 20.0
    ways.pairs[0][0].silent_since = loop.time()
    assert isinstance(loop, VirtualTimeLoop)
    loop.skip(stopped)
    await asyncio.sleep(0.01)
    ways.pairs[0][0].silent_since = None  # the datagrams that have arrived are read now
    await asyncio.sleep(1)
    assert (ways.dials, ends[0].is_interrupted()) == (0, False)
    await close(ends)
