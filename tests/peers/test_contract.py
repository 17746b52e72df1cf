"""Every implementation keeps the contract: check_channel.py over memory, our SCTP and aiortc's."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

import pytest

from dcsend.errors import ConnectionFailed, RemoteProtocolError
from dcsend.net.address import Address
from dcsend.net.segmentation import BURST, Segmentation
from dcsend.net.source_address import Control
from dcsend.peers.contract import MAX_QUEUED, Path
from dcsend.peers.loading import transfer_peer
from dcsend.peers.mailbox import Mailbox
from tests.support.aiortc_sctp import aiortc_peer
from tests.support.check_channel import (
    CHECKS,
    Check,
    a_peer_that_ignores_the_window_is_cut_off,
    a_peer_whose_messages_are_not_read_is_held_back,
)
from tests.support.memory import connected_pair
from tests.support.peers import MakeTransfer, has_ipv6, published

IPV6_SAMPLE = CHECKS[:3]
"The family changes the way there, not the channels."

PAIRS: Final[dict[str, tuple[MakeTransfer, MakeTransfer]]] = {
    "ours": (transfer_peer, transfer_peer),
    "ours-dials-aiortc": (transfer_peer, aiortc_peer),
    "aiortc-dials-ours": (aiortc_peer, transfer_peer),
}
"What the dialer and the listener are made with."


@pytest.mark.parametrize(
    "check", [*CHECKS, a_peer_that_ignores_the_window_is_cut_off], ids=lambda check: check.__name__
)
async def test_pair_in_memory_keeps_the_contract(check: Check) -> None:
    left, right = connected_pair()
    await check(left, right)
    await left.close()


@pytest.mark.parametrize("from_", ["dialer", "listener"])
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_connected_pair_keeps_the_contract(check: Check, pair: str, from_: str) -> None:
    await run(check, pair, from_)


@pytest.mark.full
@pytest.mark.parametrize("from_", ["dialer", "listener"])
async def test_our_association_holds_back_a_peer_that_nobody_reads(from_: str) -> None:
    await run(a_peer_whose_messages_are_not_read_is_held_back, "ours", from_)


@pytest.mark.parametrize(
    ("pair", "from_"),
    [("ours-dials-aiortc", "dialer"), ("aiortc-dials-ours", "listener")],
)
async def test_peer_that_ignores_the_window_of_aiortc_is_cut_off(pair: str, from_: str) -> None:
    await run(a_peer_that_ignores_the_window_is_cut_off, pair, from_)


async def run(check: Check, pair: str, from_: str) -> None:
    """Check a pair that is connected over the network."""
    dials, listens = PAIRS[pair]
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


async def test_route_tells_family_address_and_round_trip() -> None:
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
async def test_packets_of_one_turn_leave_together(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    send = Segmentation.send

    def counted(
        self: Segmentation,
        datagrams: Sequence[bytes],
        target: Address,
        control: Sequence[Control] = (),
    ) -> int:
        calls.append(len(datagrams))
        return send(self, datagrams, target, control)

    monkeypatch.setattr(Segmentation, "send", counted)
    # Loopback's packets are too large.
    monkeypatch.setattr("dcsend.peers.transfer.route_mtu", lambda host: 1500)
    async with published() as here:
        dialer, listener = await here.pair()
        for _ in range(24):
            while not dialer.channels["data"].send(bytes(64_960)):
                await dialer.channels["data"].writable()
        for _ in range(24):
            await listener.channels["data"].receive()
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


async def test_mailbox_counts_messages_without_content() -> None:
    mailbox = Mailbox(limit=64 * 100)
    for _ in range(101):
        mailbox.put("", 0)
    with pytest.raises(RemoteProtocolError):
        await mailbox.get()


async def test_mailbox_room_comes_back_as_messages_are_taken() -> None:
    mailbox = Mailbox(limit=1000)
    for _ in range(100):
        mailbox.put(bytes(900), 900)
        assert await mailbox.get() == (bytes(900), 900)


async def test_mailbox_keeps_the_first_reason_of_its_end() -> None:
    mailbox = Mailbox()
    mailbox.end(ConnectionFailed("first"))
    mailbox.end(ConnectionFailed("second"))
    mailbox.put(b"late", 4)
    with pytest.raises(ConnectionFailed, match="first"):
        await mailbox.get()
    assert mailbox._queued == 0 < MAX_QUEUED


async def test_mailbox_that_is_never_empty_leaves_the_loop_its_turns() -> None:
    mailbox = Mailbox()
    mailbox.put(b"again", 5)
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, over.set)
    # Without its turns the loop would never come to that.
    for _ in range(1_000_000):
        await mailbox.get()
        mailbox.put(b"again", 5)
        if over.is_set():
            return
    pytest.fail("a million messages, and nothing else had its turn")
