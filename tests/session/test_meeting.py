"""What goes into the code, and what is shown when no peer connects or a connection ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import pytest

from dcsend.description import SdpType
from dcsend.errors import ConnectionFailed, TimedOut, UsageError
from dcsend.peers.contract import Connection
from dcsend.peers.listener import Listener
from dcsend.peers.loading import load_aiortc, transfer_peer
from dcsend.peers.offer_answer import Negotiation, Servers
from dcsend.session.events import CodeReady, DescriptionReady, Event, Failed, Warned
from dcsend.session.meeting import meet
from dcsend.session.publishing import chosen_addresses, failed_dials
from dcsend.settings import Settings
from dcsend.signaling import blob
from dcsend.signaling.dialcode import decode
from tests.support.memory import connected_pair

E = TypeVar("E", CodeReady, DescriptionReady)

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


async def test_wait_without_a_peer_ends_with_the_code() -> None:
    events: list[Event] = []
    settings = Settings(stun=(), addresses=("127.0.0.1",), expires=0.05)
    with pytest.raises(TimedOut, match="no device connected with the code within"):
        async with meet(settings, events.append, "sender") as arrivals:
            await arrivals.next()
    assert [type(event) for event in events] == [CodeReady, Failed]


async def test_error_of_an_expired_code_does_not_deny_that_a_device_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peers = iter(connected_pair()[:1])

    async def accept(listener: object) -> Connection:
        # After the only peer, the time of the code ends.
        if (peer := next(peers, None)) is None:
            raise TimeoutError
        return peer

    monkeypatch.setattr(Listener, "accept", accept)
    async with meet(LOCAL, lambda event: None, "sender") as arrivals:
        await arrivals.next()
        with pytest.raises(TimedOut, match="nothing was received before the code expired"):
            await arrivals.next()


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


def test_only_the_first_failed_dials_are_reported_each() -> None:
    """A peer with the code can begin connections without end, and fail in each of them."""
    events: list[Event] = []
    report = failed_dials(events.append)
    for _ in range(100):
        report(ConnectionFailed("it did not finish connecting"))
    notes = [event.message for event in events if isinstance(event, Warned)]
    assert notes[:-1] == ["it did not finish connecting"] * 20
    assert "they are not reported" in notes[-1]


# Errors are shown before anything is closed because of them: that may take a while


LOST = ConnectionFailed("the connection to the other side was lost")


class Shown:
    """The events of a run, and whether its connection was open when an error was shown."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.is_open: Callable[[], bool] = lambda: False
        self.was_open: list[bool] = []
        "One for each error."
        self._changed = asyncio.Event()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        self.events.append(event)
        if isinstance(event, Failed):
            self.was_open.append(self.is_open())
        self._changed.set()

    async def first(self, kind: type[E]) -> E:
        """Return the first event of a kind."""
        while True:
            for event in self.events:
                if isinstance(event, kind):
                    return event
            self._changed.clear()
            await self._changed.wait()


def is_bound(port: int) -> bool:
    """Return whether a socket has this UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def sends(connection: Connection) -> bool:
    """Return whether the connection has not been closed here."""
    try:
        return connection.channels["text"].send("x")
    except ConnectionFailed:
        return False


async def test_error_is_reported_before_a_dialed_connection_is_closed() -> None:
    listens, dials = Shown(), Shown()

    async def listen() -> None:
        async with meet(LOCAL, listens, "sender") as arrivals:
            connection = await arrivals.next()
            with contextlib.suppress(ConnectionFailed):  # the end of the dialer
                await connection.channels["control"].receive()

    listening = asyncio.create_task(listen())
    settings = replace(LOCAL, code=(await listens.first(CodeReady)).code)

    async def dial() -> None:
        async with meet(settings, dials, "receiver") as arrivals:
            dials.is_open = partial(sends, await arrivals.next())
            raise LOST

    with pytest.raises(ConnectionFailed):
        await dial()
    assert dials.was_open == [True]
    assert not dials.is_open()
    await listening


async def test_error_is_reported_before_a_listener_is_closed() -> None:
    shown = Shown()

    async def listen() -> None:
        async with meet(LOCAL, shown, "receiver"):
            shown.is_open = partial(is_bound, decode((await shown.first(CodeReady)).code).port)
            raise LOST

    with pytest.raises(ConnectionFailed):
        await listen()
    assert shown.was_open == [True]
    assert not shown.is_open()


@pytest.mark.parametrize("connects", [True, False])
async def test_error_is_reported_before_a_connection_by_two_codes_is_closed(connects: bool) -> None:
    shown = Shown()
    await load_aiortc()
    other = await Negotiation.open(Servers(), addresses=LOCAL.addresses)
    offer = other.describe(SdpType.OFFER)

    async def answer() -> None:
        settings = replace(LOCAL, code=blob.encode(offer), expires=150.0 if connects else 0.05)
        async with meet(settings, shown, "receiver"):
            raise LOST

    answering = asyncio.create_task(answer())
    try:
        theirs = blob.decode((await shown.first(DescriptionReady)).text)
        (port,) = {candidate.port for candidate in theirs.candidates}
        shown.is_open = partial(is_bound, port)
        if connects:
            peer = other.prepare(offer, theirs, transfer_peer)
            await other.establish(peer, theirs, timeout=150.0)
            await peer.close()
        with pytest.raises(ConnectionFailed if connects else TimedOut):
            await answering
    finally:
        await other.close()
    assert shown.was_open == [True]
    assert not shown.is_open()
