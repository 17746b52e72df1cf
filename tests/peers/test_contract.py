"""Every implementation keeps the contract: check_channel.py over memory, our SCTP and aiortc's."""

from __future__ import annotations

import asyncio
import functools
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final

import pytest

from dcsend.errors import ConnectionFailed, RemoteProtocolError
from dcsend.net.segmentation import BURST
from dcsend.net.udp import bind_family
from dcsend.peers.contract import Path
from dcsend.peers.loading import transfer_peer
from dcsend.peers.receive_queue import ReceiveQueue
from tests.support.aiortc_sctp import aiortc_peer
from tests.support.check_channel import (
    CHECKS,
    FEW_QUEUED,
    Check,
    a_peer_that_ignores_the_window_is_cut_off,
    a_peer_whose_messages_are_not_read_is_held_back,
)
from tests.support.memory import connected_pair
from tests.support.peers import MakeTransfer, ethernet, has_ipv6, published

IPV6_SAMPLE = CHECKS[:3]
"The family changes the way there, not the channels."

PAIRS: Final[dict[str, tuple[MakeTransfer, MakeTransfer]]] = {
    "ours": (transfer_peer, transfer_peer),
    "ours-dials-aiortc": (transfer_peer, aiortc_peer),
    "aiortc-dials-ours": (aiortc_peer, transfer_peer),
}
"What the dialer and the listener are made with."
MARKED_PAIRS: Final = [
    pair if pair == "ours" else pytest.param(pair, marks=pytest.mark.full) for pair in PAIRS
]
"aiortc waits for its timers."


@pytest.mark.parametrize(
    "check", [*CHECKS, a_peer_that_ignores_the_window_is_cut_off], ids=lambda check: check.__name__
)
async def test_pair_in_memory_keeps_the_contract(check: Check) -> None:
    left, right = connected_pair(max_queued=FEW_QUEUED)
    await check(left, right)
    await left.close()


@pytest.mark.parametrize("from_", ["dialer", "listener"])
@pytest.mark.parametrize("pair", MARKED_PAIRS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_connected_pair_keeps_the_contract(check: Check, pair: str, from_: str) -> None:
    await run(check, *PAIRS[pair], from_)


@pytest.mark.full
@pytest.mark.parametrize("from_", ["dialer", "listener"])
async def test_our_association_holds_back_a_peer_whose_messages_are_not_read(from_: str) -> None:
    await run(a_peer_whose_messages_are_not_read_is_held_back, *PAIRS["ours"], from_)


@pytest.mark.full
@pytest.mark.parametrize("from_", ["dialer", "listener"])
async def test_peer_that_ignores_the_window_of_aiortc_is_cut_off(from_: str) -> None:
    aiortc = functools.partial(aiortc_peer, max_queued=FEW_QUEUED)
    check = a_peer_that_ignores_the_window_is_cut_off
    if from_ == "dialer":
        await run(check, transfer_peer, aiortc, from_)
    else:
        await run(check, aiortc, transfer_peer, from_)


async def run(check: Check, dials: MakeTransfer, listens: MakeTransfer, from_: str) -> None:
    """Check a pair that is connected over the network."""
    async with published(listens) as here:
        dialer, listener = await here.pair(make=dials)
        ends = (dialer, listener) if from_ == "dialer" else (listener, dialer)
        await check(*ends)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("check", IPV6_SAMPLE, ids=lambda check: check.__name__)
async def test_connected_pair_keeps_the_contract_over_ipv6(check: Check) -> None:
    async with published() as here:
        dialer, listener = await here.pair(host="::1")
        await check(dialer, listener)
        assert (dialer.route.family, dialer.route.remote) == ("IPv6", "::1")


async def test_route_has_family_address_and_round_trip() -> None:
    async with published() as here:
        dialer, listener = await here.pair()
        # Known as soon as something was acknowledged; each side has said hello by then.
        for one, other in ((dialer, listener), (listener, dialer)):
            one.channels["control"].send("hello")
            await other.channels["control"].receive()
        for end in (dialer, listener):
            assert (end.route.path, end.route.family, end.route.remote) == (
                Path.DIRECT,
                "IPv4",
                "127.0.0.1",
            )
            assert end.route.rtt is not None
            assert 0 < end.route.rtt < 5


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone sends several at once")
async def test_packets_of_one_turn_leave_together() -> None:
    calls: list[int] = []

    class Counting(socket.socket):
        def sendmsg(self, datagrams: Sequence[bytes], *rest: Any) -> int:  # type: ignore[override]  # noqa: ANN401
            calls.append(len(datagrams))
            return super().sendmsg(datagrams, *rest)

    def bind(family: socket.AddressFamily, port: int) -> socket.socket | None:
        if (plain := bind_family(family, port)) is None:
            return None
        sock = Counting(fileno=plain.detach())
        sock.setblocking(False)
        return sock

    async with published(ethernet, bind=bind) as here:
        dialer, listener = await here.pair(make=ethernet)
        calls.clear()
        for _ in range(24):
            while not listener.channels["data"].send(bytes(64_960)):
                await listener.channels["data"].writable()
        for _ in range(24):
            await dialer.channels["data"].receive()
    # How many leave together depends on the rate, so on the machine.
    assert 2 < max(calls) <= BURST
    assert sum(calls) > 24 * 64_960 / 1404
    assert sum(calls) / len(calls) > 1.5


async def test_memory_filter_changes_messages_on_their_way() -> None:
    left, right = connected_pair(lambda message: b"changed")
    left.channels["data"].send(b"sent")
    assert await right.channels["data"].receive() == b"changed"


async def test_memory_clogged_channel_holds_messages_in_order() -> None:
    left, right = connected_pair()
    channel = left.memory_channels["data"]
    channel.clog()
    channel.send(b"1")
    channel.send(b"2")
    waiting = asyncio.create_task(right.channels["data"].receive())
    left.channels["text"].send("overtakes")
    assert await right.channels["text"].receive() == "overtakes"
    assert not waiting.done()
    channel.unclog()
    channel.send(b"3")
    assert [await waiting] + [await right.channels["data"].receive() for _ in range(2)] == [
        b"1",
        b"2",
        b"3",
    ]


async def test_receive_queue_counts_messages_without_content() -> None:
    queue = ReceiveQueue(limit=64 * 100)
    for _ in range(101):
        queue.put("", 0)
    with pytest.raises(RemoteProtocolError):
        await queue.get()


async def test_receive_queue_room_comes_back_as_messages_are_taken() -> None:
    queue = ReceiveQueue(limit=1000)
    for _ in range(100):
        queue.put(bytes(900), 900)
        assert await queue.get() == (bytes(900), 900)


async def test_receive_queue_keeps_the_first_reason_of_its_end() -> None:
    queue = ReceiveQueue()
    queue.end(ConnectionFailed("first"))
    queue.end(ConnectionFailed("second"))
    queue.put(b"late", 4)
    with pytest.raises(ConnectionFailed, match="first"):
        await queue.get()


async def test_receive_queue_that_is_never_empty_leaves_the_loop_its_turns() -> None:
    queue = ReceiveQueue()
    queue.put(b"again", 5)
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, over.set)
    # Without its turns the loop would never come to that.
    for _ in range(1_000_000):
        await queue.get()
        queue.put(b"again", 5)
        if over.is_set():
            return
    pytest.fail("a million messages, and nothing else had its turn")
