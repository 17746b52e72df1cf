"""What goes into the code, and what happens when nobody comes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from dcsend.description import SdpType
from dcsend.errors import ConnectionFailed, DcsendError, TimedOut, UsageError
from dcsend.peers.listener import Listener
from dcsend.peers.loading import load_aiortc
from dcsend.peers.offer_answer import Negotiation, Servers
from dcsend.session import meeting
from dcsend.session.arrivals import Awaited
from dcsend.session.events import CodeReady, Event, Failed, Warned
from dcsend.session.meeting import meet
from dcsend.session.publishing import chosen_addresses
from dcsend.settings import Settings
from dcsend.signaling import blob
from dcsend.signaling.dialcode import decode

LOCAL = Settings(stun=(), addresses=("127.0.0.1",))


THREE_NETWORKS = ["192.168.1.7", "192.168.0.7", "192.168.2.7"]
"Of a machine with Ethernet, Wi-Fi and a VPN."


@pytest.mark.parametrize(
    ("mapped", "hosts"),
    [
        ([], ["192.168.1.7", "192.168.0.7", "192.168.2.7"]),
        ([("203.0.113.9", 5000)], ["192.168.1.7", "203.0.113.9", "192.168.0.7"]),
        ([("203.0.113.9", 6000)], ["192.168.1.7", "192.168.0.7", "192.168.2.7", "203.0.113.9"]),
        ([("::ffff:203.0.113.9", 6000)], ["192.168.1.7", "192.168.0.7", "192.168.2.7"]),
    ],
    ids=["no STUN", "the NAT keeps the port", "the NAT changes the port", "a useless answer"],
)
def test_the_public_address_is_never_the_one_that_is_cut(
    mapped: list[tuple[str, int]], hosts: list[str]
) -> None:
    found = chosen_addresses([], THREE_NETWORKS, mapped, 5000)
    assert [address.host for address in found] == hosts


def test_an_address_named_twice_is_shown_once() -> None:
    chosen = ["10.0.0.1", "10.0.0.1", "10.0.0.2"]
    assert [a.host for a in chosen_addresses(chosen, [], [], 5000)] == ["10.0.0.1", "10.0.0.2"]


async def test_nobody_comes() -> None:
    events: list[Event] = []
    settings = Settings(stun=(), addresses=("127.0.0.1",), expires=0.05)
    with pytest.raises(TimedOut, match="no device connected with the code within"):
        async with meet(settings, events.append, "sender") as arrivals:
            await arrivals.next()
    assert [type(event) for event in events] == [CodeReady, Failed]


async def test_a_clock_in_the_far_future_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcsend.session.publishing.time.time", lambda: 2.0**32)
    code: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def emit(event: Event) -> None:
        if isinstance(event, CodeReady):
            code.set_result(event.code)

    async def wait() -> None:
        async with meet(LOCAL, emit, "sender") as arrivals:
            await arrivals.next()

    waiting = asyncio.create_task(wait())
    assert decode(await code).expires == 2**32 - 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_no_server_is_asked_when_addresses_are_named() -> None:
    # This one would make the code two seconds late.
    settings = Settings(
        stun=("stun:127.0.0.1:9",), addresses=("127.0.0.1",), expires=0.05, stun_timeout=60
    )
    async with asyncio.timeout(150):
        with pytest.raises(TimedOut):
            async with meet(settings, lambda event: None, "sender") as arrivals:
                await arrivals.next()


async def test_a_bad_address_is_named() -> None:
    with pytest.raises(UsageError, match=r"'my\.host' is not an IP address"):
        async with meet(Settings(stun=(), addresses=("my.host",)), print, "sender"):
            pass


async def test_dialers_that_fail_are_told_of_only_so_many_times() -> None:
    """Who has the code can begin connections without end, and fail in each of them."""
    events: list[Event] = []
    settings = Settings(addresses=("127.0.0.1",), page=False)
    async with meet(settings, events.append, "sender") as arrivals:
        assert isinstance(arrivals, Awaited)
        for _ in range(100):
            arrivals._listener._failed(ConnectionFailed("it did not finish connecting"))
    told = [event.message for event in events if isinstance(event, Warned)]
    assert told[:-1] == ["it did not finish connecting"] * 20
    assert "they are not reported" in told[-1]


# Errors are shown before anything is closed because of them: that may take a while


LOST = ConnectionFailed("the connection to the other side was lost")


class Closing:
    """Notes what has been reported when something is closed."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.before: list[DcsendError] | None = None
        "Errors that were reported by then."

    def note(self) -> None:
        """Note it, the first time."""
        if self.before is None:
            self.before = [event.error for event in self.events if isinstance(event, Failed)]

    async def close(self) -> None:
        """As that of a connection."""
        self.note()

    def watch(self, monkeypatch: pytest.MonkeyPatch, closed: type[Any]) -> None:
        """Note the end of all that are of that class."""
        close = closed.close

        async def noting(it: object) -> None:
            self.note()
            await close(it)

        monkeypatch.setattr(closed, "close", noting)

    async def lose(self, settings: Settings) -> None:
        """Meet somebody, and lose the connection, if there is one."""
        with pytest.raises(ConnectionFailed):
            async with meet(settings, self.events.append, "receiver"):
                raise LOST


async def test_error_is_reported_before_a_dialed_connection_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closing = Closing()

    async def dial(*arguments: object) -> Closing:
        return closing

    monkeypatch.setattr(meeting, "_dial", dial)
    await closing.lose(replace(LOCAL, code="dc1"))
    assert closing.before == [LOST]


async def test_error_is_reported_before_a_listener_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closing = Closing()
    closing.watch(monkeypatch, Listener)
    await closing.lose(LOCAL)
    assert closing.before == [LOST]


@pytest.mark.parametrize("connects", [True, False])
async def test_error_is_reported_before_a_connection_by_two_codes_is_closed(
    monkeypatch: pytest.MonkeyPatch, connects: bool
) -> None:
    closing = Closing()

    async def establish(endpoint: Negotiation, *arguments: object, timeout: float) -> None:
        await endpoint._end_tasks()
        if not connects:
            raise LOST

    await load_aiortc()
    other = await Negotiation.open(Servers(), addresses=LOCAL.addresses)
    try:
        offer = blob.encode(other.describe(SdpType.OFFER))
        monkeypatch.setattr(Negotiation, "establish", establish)
        from dcsend.peers.transfer import TransferConnection

        closing.watch(monkeypatch, TransferConnection)
        await closing.lose(replace(LOCAL, code=offer))
    finally:
        await other.close()
    assert closing.before == [LOST]
