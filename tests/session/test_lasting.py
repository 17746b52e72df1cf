"""A connection that goes on over another one: nothing is lost, repeated or in another order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcsend.errors import CodeUsed, ConnectionFailed, RemoteProtocolError
from dcsend.peers.contract import LABELS, ConnectionLost
from dcsend.protocol.messages import RECONNECT, Hello, encode
from dcsend.protocol.receipts import Receipt, encode_receipt, is_receipt
from dcsend.session.events import Disconnected, Event, Reconnected
from dcsend.session.interruption import DOUBT, SILENT
from dcsend.session.lasting import LastingConnection
from tests.support.links import DialerWay, Ways, lasting_pair
from tests.support.virtual_time import VirtualTimeLoop

VIRTUAL_TIME = True

COUNT: Final = 100
"Messages of each channel and direction."


async def send_all(end: LastingConnection, label: str, count: int = COUNT, size: int = 0) -> None:
    channel = end.channels[label]
    for number in range(count):
        message = f"{number}:".ljust(size)
        while not channel.send(message.encode() if label == "data" else message):
            await channel.writable()


async def receive_all(end: LastingConnection, label: str, count: int = COUNT) -> list[int]:
    numbers = []
    for _ in range(count):
        message = await end.channels[label].receive()
        text = message if isinstance(message, str) else message.decode()
        numbers.append(int(text.partition(":")[0]))
    return numbers


async def exchange(ends: Sequence[LastingConnection], count: int = COUNT, size: int = 0) -> None:
    """Send on each channel in both directions, and check what arrives."""
    sending: list[Awaitable[None]] = [
        send_all(end, label, count, size) for end in ends for label in LABELS
    ]
    receiving = [receive_all(end, label, count) for end in ends for label in LABELS]
    async with asyncio.timeout(500):
        arrived = await asyncio.gather(*receiving, *sending)
    assert arrived[: len(receiving)] == [list(range(count))] * len(receiving)


async def close(ends: Sequence[LastingConnection]) -> None:
    for end in ends:
        await end.close()


# A cut may hit every message, those by which a next connection takes over among them.


@settings(max_examples=60)
@given(st.lists(st.integers(0, 3 * COUNT), max_size=12))
def test_nothing_is_lost_repeated_or_reordered_wherever_it_is_cut(cuts: list[int]) -> None:
    async def run() -> None:
        ways = Ways([2 + (cuts or [0])[0], *cuts[1:]])
        ends = await lasting_pair(ways)
        await exchange(ends)
        await close(ends)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


@pytest.mark.parametrize("cut", range(2, 40))
async def test_cut_at_each_of_the_first_messages_of_a_connection(cut: int) -> None:
    ways = Ways([30, cut - 2, cut - 2])
    ends = await lasting_pair(ways)
    await exchange(ends, 20)
    await close(ends)


async def test_what_has_arrived_is_not_sent_again() -> None:
    ways = Ways([400])
    ends = await lasting_pair(ways)
    await exchange(ends)
    await close(ends)
    sent = [message for message in ways.delivered if not is_receipt(message)]
    # Two Hello, the message that was cut, and those behind it in six directions at most.
    assert len(sent) <= 6 * COUNT + 2 + 7
    assert len(ways.pairs) == 2


async def test_messages_are_released_when_the_peer_confirms_them() -> None:
    ends = await lasting_pair(Ways())
    await exchange(ends, 1000, 4000)
    # Receipts come with the messages of the control channel, of which there is no other one.
    reading = [asyncio.create_task(end.channels["control"].receive()) for end in ends]
    await asyncio.sleep(1)
    for end in ends:
        assert sum(channel.unconfirmed for channel in end.channels.values()) < 64
    for task in reading:
        task.cancel()
    await close(ends)


async def test_peer_without_the_feature_gets_no_receipts_and_nothing_is_kept() -> None:
    ways = Ways()
    ends = await lasting_pair(ways, features=("later",))
    await exchange(ends)
    assert not any(map(is_receipt, ways.delivered))
    assert not any(channel.unconfirmed for end in ends for channel in end.channels.values())
    ways.lose()
    with pytest.raises(ConnectionLost):
        await ends[0].channels["control"].receive()
    assert not ways.dials
    await close(ends)


async def test_before_acceptance_a_loss_is_an_error() -> None:
    ways = Ways()
    first, _ = ways.pair()
    end = LastingConnection(first, DialerWay(ways), lambda event: None, 600)
    ways.lose()
    with pytest.raises(ConnectionLost):
        await end.channels["control"].receive()
    assert not ways.dials
    await end.close()


async def test_side_that_closes_ends_it_for_both() -> None:
    ways = Ways()
    ends = await lasting_pair(ways)
    await ends[0].close()
    with pytest.raises(ConnectionFailed, match="the other side closed the connection"):
        await ends[1].channels["control"].receive()
    assert not ways.dials
    await close(ends)


async def test_connection_that_the_dialer_gives_up_while_it_takes_over_is_lost() -> None:
    ways = Ways()
    ends = await lasting_pair(ways)
    ways.open.clear()
    ways.lose()
    ours, theirs = ways.pair()
    ways.waiting.put_nowait(theirs)
    control = ours.channels["control"]
    assert control.send(encode_receipt(Receipt(1, 0, 0), resumes=True))
    assert is_receipt(await control.receive())
    receiving = asyncio.create_task(ends[1].channels["data"].receive())
    await ours.close()  # orderly, as at the end of a run
    await asyncio.sleep(1)
    assert ends[1].is_interrupted()
    ways.open.set()
    await send_all(ends[0], "data", 1)
    assert await receiving == b"0:"
    await close(ends)


@pytest.mark.parametrize("side", [0, 1])
async def test_calls_wait_until_the_time_is_over(side: int) -> None:
    ways = Ways()
    events: list[Event] = []
    emits = (events.append, lambda e: None) if side == 0 else (lambda e: None, events.append)
    ends = await lasting_pair(ways, emits, limit=90)
    await send_all(ends[0], "data", 1)
    await receive_all(ends[1], "data", 1)
    ways.open.clear()
    clock = asyncio.get_running_loop().time
    begin = clock()
    ways.lose()
    with pytest.raises(ConnectionLost, match="lost"):
        await ends[side].channels["data"].receive()
    assert 90 <= clock() - begin <= 91
    with pytest.raises(ConnectionLost, match="lost"):
        ends[side].channels["data"].send(b"")
    (lost,) = events
    assert lost == Disconnected(0.0, 90)
    await close(ends)


async def test_receiver_whose_answer_may_be_lost_does_not_wait_for_long() -> None:
    """A sender that has not got it does not connect again."""
    ways = Ways()
    events: list[Event] = []
    ends = await lasting_pair(ways, (lambda e: None, events.append))
    ways.open.clear()
    assert ends[0].channels["text"].send("a line")
    await ends[1].channels["text"].receive()
    clock = asyncio.get_running_loop().time
    begin = clock()
    ways.lose()
    with pytest.raises(ConnectionLost, match="before your answer had arrived"):
        await ends[1].channels["data"].receive()
    assert 60 <= clock() - begin <= 61
    assert events == [Disconnected(0.0, 60)]
    await close(ends)


async def test_content_is_sent_again_when_it_is_permitted() -> None:
    ways = Ways()
    ends = await lasting_pair(ways)
    permitted: list[tuple[float, int]] = []
    clock = asyncio.get_running_loop().time

    async def permit(size: int) -> None:
        await asyncio.sleep(1)
        permitted.append((clock(), size))

    ends[0].channels["data"].pace(permit)
    noticing = asyncio.create_task(ends[0].channels["control"].receive())
    for label in ("data", "text"):
        await send_all(ends[0], label, 5, size=100)
    ways.lose()
    begin = clock()
    assert await receive_all(ends[1], "text", 5) == list(range(5))
    assert clock() - begin < 1
    for number in range(5):
        assert await receive_all(ends[1], "data", 1) == [number]
        assert len(permitted) == number + 1
    assert [size for _, size in permitted] == [100] * 5
    noticing.cancel()
    await close(ends)


async def test_nothing_is_sent_while_it_is_lost() -> None:
    ways = Ways()
    ends = await lasting_pair(ways)
    ways.open.clear()
    receiving = asyncio.create_task(ends[0].channels["text"].receive())
    ways.lose()
    await asyncio.sleep(1)
    assert ends[0].is_interrupted()
    assert not ends[0].channels["text"].send("a line")
    waiting = asyncio.create_task(ends[0].channels["text"].writable())
    await asyncio.sleep(10)
    assert not waiting.done()
    ways.open.set()
    await waiting
    assert ends[0].channels["text"].send("a line")
    assert await ends[1].channels["text"].receive() == "a line"
    receiving.cancel()
    await close(ends)


async def test_silent_path_is_dialed_again_while_it_lives_and_goes_on_if_it_answers() -> None:
    ways = Ways()
    events: list[Event] = []
    ends = await lasting_pair(ways, (events.append, lambda e: None))
    clock = asyncio.get_running_loop().time
    ways.open.clear()
    ways.pairs[0][0].silent_since = clock()
    await asyncio.sleep(DOUBT - 0.5)
    assert (ways.dials, ends[0].is_interrupted()) == (0, False)
    await asyncio.sleep(1)
    assert (ways.dials, ends[0].is_interrupted(), events) == (1, False, [])
    await asyncio.sleep(SILENT - DOUBT)
    assert (ways.dials, ends[0].is_interrupted()) == (1, True)
    ways.pairs[0][0].silent_since = None
    await asyncio.sleep(1)
    ways.open.set()
    await exchange(ends, 10)
    assert (len(ways.pairs), ends[0].is_interrupted()) == (1, False)
    assert [type(event) for event in events] == [Disconnected, Reconnected]
    await close(ends)


async def test_time_without_a_datagram_is_that_of_the_events() -> None:
    ways = Ways()
    events: list[Event] = []
    ends = await lasting_pair(ways, (events.append, lambda e: None), limit=300)
    ways.open.clear()
    for end in ways.pairs[0]:
        end.silent_since = asyncio.get_running_loop().time()
    await asyncio.sleep(30)
    ways.lose()
    await asyncio.sleep(10)
    ways.open.set()
    await exchange(ends, 1)
    lost, again = events
    assert isinstance(lost, Disconnected)
    assert SILENT <= lost.seconds < SILENT + 0.5
    assert isinstance(again, Reconnected)
    assert 39.9 < again.seconds < 41
    await close(ends)


async def test_listener_that_does_not_wait_ends_it() -> None:
    ways = Ways()
    ends = await lasting_pair(ways)
    ways.refusal = CodeUsed("another device has already connected with this code")
    ways.lose()
    with pytest.raises(ConnectionLost, match="lost"):
        await ends[0].channels["control"].receive()
    await close(ends)


@pytest.mark.parametrize("text", [
    encode_receipt(Receipt(0, 1, 0)),
    encode_receipt(Receipt(2, 0, 0)),
    '{"type":"received","control":-1,"data":0,"text":0}',
    '{"type":"received","control":1,"data":0}',
    '{"type":"resume","control":1,"data":0,"text":0}',
])  # fmt: skip
async def test_confirmation_of_what_was_not_sent_is_a_violation(text: str) -> None:
    ways = Ways()
    ends = await lasting_pair(ways)
    ways.pairs[0][1].channels["control"].send(text)
    with pytest.raises(RemoteProtocolError):
        await ends[0].channels["control"].receive()
    await close(ends)


@pytest.mark.parametrize("text", [
    encode_receipt(Receipt(1, 1, 0), resumes=True),
    encode_receipt(Receipt(0, 0, 0), resumes=False),
    "anything",
])  # fmt: skip
async def test_wrong_resume_is_a_violation(text: str) -> None:
    ways = Ways()
    ends = await lasting_pair(ways)
    forged, theirs = ways.pair()
    forged.channels["control"].send(text)
    ways.waiting.put_nowait(theirs)
    with pytest.raises(RemoteProtocolError):
        await ends[1].channels["control"].receive()
    await close(ends)


async def test_dialer_whose_accept_was_lost_learns_that_the_code_is_given_back() -> None:
    """The listener has ended the transfer, and begins anew with the dialer that comes back."""
    ways = Ways()
    ends = await lasting_pair(ways)
    ways.lose()
    theirs = await ways.waiting.get()
    theirs.channels["control"].send(encode(Hello((1,), "test", "sender", (RECONNECT,))))
    with pytest.raises(ConnectionFailed, match="before your answer had arrived"):
        await ends[0].channels["control"].receive()
    assert ways.dials == 1
    await close(ends)


async def test_dialer_that_has_content_learns_that_the_transfer_was_ended() -> None:
    ways = Ways()
    ends = await lasting_pair(ways)
    await send_all(ends[1], "data", 1)
    await receive_all(ends[0], "data", 1)
    ways.lose()
    await ends[1].close()
    theirs = await ways.waiting.get()
    theirs.channels["control"].send(encode(Hello((1,), "test", "sender", (RECONNECT,))))
    with pytest.raises(ConnectionLost, match="has ended this transfer"):
        await ends[0].channels["control"].receive()
    await close(ends)


async def test_new_connection_without_resume_changes_nothing() -> None:
    ways = Ways()
    ends = await lasting_pair(ways)
    _, theirs = ways.pair()
    ways.waiting.put_nowait(theirs)
    await asyncio.sleep(20)
    await exchange(ends, 10)
    with pytest.raises(ConnectionFailed):
        await theirs.channels["control"].receive()
    await close(ends)


async def test_cancelled_call_loses_no_message() -> None:
    ways = Ways([60, 20, 40])
    ends = await lasting_pair(ways)

    async def impatient() -> list[int]:
        numbers: list[int] = []
        while len(numbers) < COUNT:
            try:
                async with asyncio.timeout(0):
                    numbers += await receive_all(ends[1], "text", 1)
            except TimeoutError:
                await asyncio.sleep(0.001)
        return numbers

    receiving = asyncio.create_task(ends[0].channels["control"].receive())
    other = asyncio.create_task(ends[1].channels["control"].receive())
    _, numbers = await asyncio.gather(send_all(ends[0], "text"), impatient())
    assert numbers == list(range(COUNT))
    receiving.cancel()
    other.cancel()
    await close(ends)


async def test_living_path_is_replaced_in_the_middle_of_a_transfer() -> None:
    """What the former connection still delivers is neither taken twice nor lost."""
    ways = Ways()
    ends = await lasting_pair(ways)

    async def slowly(end: LastingConnection, label: str) -> list[int]:
        numbers = []
        for _ in range(4 * COUNT):
            numbers += await receive_all(end, label, 1)
            await asyncio.sleep(0.05)
        return numbers

    async def interrupt() -> None:
        while True:
            ways.pairs[-1][0].silent_since = asyncio.get_running_loop().time()
            await asyncio.sleep(DOUBT + 0.6)

    interrupting = asyncio.create_task(interrupt())
    sending = [send_all(end, label, 4 * COUNT) for end in ends for label in LABELS]
    receiving = [slowly(end, label) for end in ends for label in LABELS]
    async with asyncio.timeout(500):
        arrived = await asyncio.gather(*receiving, *sending)
    assert arrived[: len(receiving)] == [list(range(4 * COUNT))] * len(receiving)
    assert len(ways.pairs) > 3
    interrupting.cancel()
    await close(ends)
