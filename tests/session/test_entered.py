"""A side that shows a code, and takes a code of the other side meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from dcsend.description import SdpType
from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.peers.contract import Connection
from dcsend.peers.loading import load_aiortc
from dcsend.peers.offer_answer import Negotiation, Servers
from dcsend.session.entered import Enter, Try
from dcsend.session.events import Arrived, CodeReady, DescriptionReady, Event, Failed
from dcsend.session.meeting import meet
from dcsend.settings import Settings, Signal
from dcsend.signaling import blob
from dcsend.signaling.address import Address
from dcsend.signaling.dialcode import DialCode, decode
from tests.support.peers import until

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
        entered: list[str] = []

        async def take(code: str) -> None:
            validate(code)
            entered.append(code)

        await enter(take)
        return entered[0]

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


def entering(
    *codes: Callable[[], Awaitable[str]], failed: list[DcsendError] | None = None
) -> Enter:
    """Return a function that enters one code after the other, and keeps the errors."""

    async def enter(attempt: Try) -> bool:
        for code in codes:
            try:
                await attempt(await code())
            except DcsendError as exc:
                assert failed is not None
                failed.append(exc)
            else:
                return True
        return False

    return enter


async def dead_code() -> str:
    """Return a code at whose address nothing listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = int(closed.getsockname()[1])
    address = (Address("127.0.0.1", port),)
    return DialCode(bytes(16), bytes(32), port, address, int(time.time()) + 3600).text()


async def test_code_that_is_entered_is_dialed_and_the_own_one_ends() -> None:
    async with waiting("sender") as sender, waiting("receiver", entering(sender.code)) as receiver:
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

        async with waiting("receiver", entering(enter)) as side:
            assert (await side.described).type == "answer"
    finally:
        await negotiation.close()


async def test_dial_code_that_is_entered_in_place_of_an_offer_is_dialed() -> None:
    async with waiting("sender") as sender:
        two_codes = replace(LOCAL, signal=Signal.SDP)
        async with waiting("receiver", entering(sender.code), two_codes) as receiver:
            await asyncio.gather(sender.connected, receiver.connected)


async def test_peer_that_connects_ends_the_entering() -> None:
    ended = asyncio.Event()

    async def enter(attempt: Try) -> bool:
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
    async with waiting("receiver", entering()) as receiver:
        dialing = replace(LOCAL, code=await receiver.code())
        async with meet(dialing, Side().emit, "sender"):
            await receiver.connected


async def test_code_that_does_not_connect_is_reported_and_the_own_one_stays_valid() -> None:
    failed: list[DcsendError] = []
    ended: list[bool] = []
    enter = entering(dead_code, failed=failed)

    async def enter_and_note(attempt: Try) -> bool:
        ended.append(await enter(attempt))
        return ended[-1]

    quick = replace(LOCAL, connect_timeout=1)
    async with waiting("receiver", enter_and_note, quick) as receiver:
        await until(lambda: bool(ended))
        dialing = replace(LOCAL, code=await receiver.code())
        async with meet(dialing, Side().emit, "sender"):
            await receiver.connected
    assert [type(error) for error in failed] == [ConnectionFailed]
    assert not any(isinstance(event, Failed) for event in receiver.events)


async def test_next_code_is_tried_after_one_that_does_not_connect() -> None:
    failed: list[DcsendError] = []
    async with waiting("sender") as sender:
        enter = entering(dead_code, sender.code, failed=failed)
        # The port of the code that is shown is not needed for another one.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        quick = replace(LOCAL, connect_timeout=1, port=port)
        async with waiting("receiver", enter, quick) as receiver:
            await asyncio.gather(sender.connected, receiver.connected)
    assert len(failed) == 1


async def test_peer_that_connects_ends_an_attempt() -> None:
    trying = asyncio.Event()

    async def enter(attempt: Try) -> bool:
        code = await dead_code()
        trying.set()
        await attempt(code)
        return True

    patient = replace(LOCAL, connect_timeout=600)
    async with waiting("receiver", enter, patient) as receiver:
        await trying.wait()
        dialing = replace(LOCAL, code=await receiver.code())
        async with meet(dialing, Side().emit, "sender"):
            await receiver.connected
        assert any(isinstance(event, Arrived) for event in receiver.events)
