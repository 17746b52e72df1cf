"""A side that shows a code, and takes a code of the other side meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from dcsend.description import SdpType
from dcsend.errors import ConnectionFailed
from dcsend.peers.contract import Connection
from dcsend.peers.loading import load_aiortc
from dcsend.peers.offer_answer import Negotiation, Servers
from dcsend.session.entered import Enter
from dcsend.session.events import Arrived, CodeReady, DescriptionReady, Event
from dcsend.session.meeting import meet
from dcsend.settings import Settings, Signal
from dcsend.signaling import blob
from dcsend.signaling.dialcode import decode

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("nothing_raised")]

LOCAL = Settings(stun=(), addresses=("127.0.0.1",), connect_timeout=3)


class Side:
    """One side that waits; its connection ends with the context."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._code: asyncio.Future[str] = asyncio.Future()
        self.described: asyncio.Future[DescriptionReady] = asyncio.Future()
        self.connected: asyncio.Task[Connection]

    def emit(self, event: Event) -> None:
        """Take an event."""
        self.events.append(event)
        if isinstance(event, CodeReady):
            self._code.set_result(event.code)
        elif isinstance(event, DescriptionReady):
            self.described.set_result(event)

    async def code(self) -> str:
        """Return the code of this side."""
        return await self._code


@asynccontextmanager
async def waiting(
    role: str, enter: Enter | None = None, settings: Settings = LOCAL
) -> AsyncIterator[Side]:
    """Publish a code; `connected` is a task with the first connection."""
    side = Side()

    async def ask(wanted: SdpType | None, validate: Callable[[str], object]) -> str:
        assert enter is not None
        text = str(await enter())
        validate(text)
        return text

    is_sdp = settings.signal is Signal.SDP
    async with meet(
        settings, side.emit, role, ask if is_sdp else None, None, None if is_sdp else enter
    ) as arrivals:
        side.connected = asyncio.ensure_future(arrivals.next())
        try:
            yield side
        finally:
            side.connected.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionFailed):
                await side.connected


async def test_code_that_is_entered_is_dialed_and_the_own_one_ends() -> None:
    async with waiting("sender") as sender, waiting("receiver", sender.code) as receiver:
        theirs, ours = await asyncio.gather(sender.connected, receiver.connected)
        assert theirs.route.remote == ours.route.remote == "127.0.0.1"
        port = decode(await receiver.code()).addresses[0].port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("", port))  # fails while the port of the own code is open


async def test_offer_that_is_entered_is_answered() -> None:
    await load_aiortc()
    negotiation: Negotiation = await Negotiation.open(Servers(), addresses=["127.0.0.1"])
    try:
        offer = blob.encode(negotiation.describe(SdpType.OFFER))

        async def enter() -> str:
            return offer

        async with waiting("receiver", enter) as side:
            assert (await side.described).type == "answer"
    finally:
        await negotiation.close()


async def test_dial_code_that_is_entered_in_place_of_an_offer_is_dialed() -> None:
    async with waiting("sender") as sender:
        two_codes = replace(LOCAL, signal=Signal.SDP)
        async with waiting("receiver", sender.code, two_codes) as receiver:
            await asyncio.gather(sender.connected, receiver.connected)


async def test_peer_that_connects_ends_the_entering() -> None:
    ended = asyncio.Event()

    async def enter() -> str:
        try:
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]
        finally:
            ended.set()

    async with waiting("receiver", enter) as receiver:
        dialing = replace(LOCAL, code=await receiver.code())
        async with meet(dialing, Side().emit, "sender"):
            await receiver.connected
            assert ended.is_set()
        assert any(isinstance(event, Arrived) for event in receiver.events)


async def test_end_of_input_leaves_the_code_valid() -> None:
    async def enter() -> None:
        return None

    async with waiting("receiver", enter) as receiver:
        dialing = replace(LOCAL, code=await receiver.code())
        async with meet(dialing, Side().emit, "sender"):
            await receiver.connected
