"""The contract of `dcsend.peers.contract` as a table of checks for each implementation.

tests/peers/test_contract.py runs them. The arguments of a check are the ends of a new connection,
which it may close. Two more checks cover a peer that sends more than the application reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import pytest

from dcsend.description import MAX_MESSAGE_SIZE
from dcsend.errors import ConnectionFailed, RemoteProtocolError
from dcsend.peers.contract import LABELS, Channel, Connection
from dcsend.peers.transfer import TransferConnection
from dcsend.sctp.reassembly import Limits
from tests.support.peers import until

__all__ = [
    *("CHECKS", "FEW_QUEUED", "Check"),
    *(
        "a_peer_that_ignores_the_window_is_cut_off",
        "a_peer_whose_messages_are_not_read_is_held_back",
    ),
]

Check = Callable[[Connection, Connection], Awaitable[None]]

FRAME: Final = 64_960
"Bytes of the largest message that the protocol sends."
FEW_QUEUED: Final = 8 * MAX_MESSAGE_SIZE
"In place of `MAX_QUEUED`, which takes ten seconds to send."


async def send(channel: Channel, message: bytes | str) -> None:
    """Send one message after waiting for room in the buffer."""
    while not channel.send(message):
        await channel.writable()


async def flood(channel: Channel, message: bytes, count: int) -> None:
    for _ in range(count):
        await send(channel, message)


async def exactly_three_channels(left: Connection, right: Connection) -> None:
    assert set(left.channels) == set(right.channels) == set(LABELS)
    assert [c.label for c in left.channels.values()] == list(left.channels)


async def channels_are_apart(left: Connection, right: Connection) -> None:
    for label in LABELS:
        assert left.channels[label].send(label)
    for label in reversed(LABELS):
        assert await right.channels[label].receive() == label


async def order_is_kept(left: Connection, right: Connection) -> None:
    for number in range(200):
        await send(left.channels["control"], str(number))
    assert [await right.channels["control"].receive() for _ in range(200)] == [
        str(number) for number in range(200)
    ]


async def text_and_bytes_stay_what_they_are(left: Connection, right: Connection) -> None:
    messages: list[bytes | str] = ["süß 文件 🎉", b"\x00\xff", "1", b"1"]
    for message in messages:
        await send(left.channels["data"], message)
    got = [await right.channels["data"].receive() for _ in messages]
    assert got == messages
    assert [type(m) for m in got] == [type(m) for m in messages]


async def empty_messages_arrive(left: Connection, right: Connection) -> None:
    for message in ("", b"", "end"):
        await send(left.channels["text"], message)
    assert [await right.channels["text"].receive() for _ in range(3)] == ["", b"", "end"]


async def large_messages_arrive_whole(left: Connection, right: Connection) -> None:
    for number in range(8):
        await send(left.channels["data"], bytes([number]) * FRAME)
    for number in range(8):
        assert await right.channels["data"].receive() == bytes([number]) * FRAME
    assert left.channels["data"].max_message_size >= FRAME


async def a_full_buffer_refuses_and_loses_nothing(left: Connection, right: Connection) -> None:
    channel = left.channels["data"]
    taken = 0
    while channel.send(taken.to_bytes(4) * (FRAME // 4)):
        taken += 1
        assert taken < 1000, "send never refuses"
    assert not channel.send(b"refused too")
    for number in range(taken):
        assert await right.channels["data"].receive() == number.to_bytes(4) * (FRAME // 4)
    async with asyncio.timeout(5):
        await channel.writable()
    assert channel.send(b"next")
    assert await right.channels["data"].receive() == b"next"


async def each_task_that_waits_for_room_gets_it(left: Connection, right: Connection) -> None:
    channel = left.channels["data"]
    while channel.send(bytes(FRAME)):
        pass
    waiting = [asyncio.create_task(channel.writable()) for _ in range(2)]
    await asyncio.wait(waiting, timeout=5)
    assert all(task.done() for task in waiting)


async def both_directions_at_once(left: Connection, right: Connection) -> None:
    async def take(channel: Channel) -> None:
        for _ in range(24):
            assert len(await channel.receive()) == FRAME

    ends = (left.channels["data"], right.channels["data"])
    async with asyncio.timeout(150), asyncio.TaskGroup() as group:
        for end in ends:
            group.create_task(flood(end, bytes(FRAME), 24))
            group.create_task(take(end))


async def a_cancelled_receive_loses_nothing(left: Connection, right: Connection) -> None:
    channel = right.channels["control"]
    waiting = asyncio.create_task(channel.receive())
    await asyncio.sleep(0)
    assert left.channels["control"].send("one")
    assert left.channels["text"].send("behind")
    await right.channels["text"].receive()
    # The message has been delivered to the task, or is delivered in this turn of the loop.
    first = []
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        first.append(await waiting)
    assert left.channels["control"].send("two")
    while len(first) < 2:
        first.append(await channel.receive())
    assert first == ["one", "two"]


async def what_arrived_is_handed_out_after_the_end(left: Connection, right: Connection) -> None:
    for number in range(3):
        assert left.channels["control"].send(str(number))
    assert left.channels["text"].send("behind")
    await right.channels["text"].receive()
    await left.close()
    with pytest.raises(ConnectionFailed):
        await right.channels["text"].receive()
    channel = right.channels["control"]
    assert [await channel.receive() for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(ConnectionFailed):
        await channel.receive()


async def after_the_end_nothing_goes(left: Connection, right: Connection) -> None:
    waiting = asyncio.create_task(right.channels["data"].receive())
    await asyncio.sleep(0)
    await left.close()
    for end in (left, right):
        with pytest.raises(ConnectionFailed):
            await end.channels["control"].receive()
        for label in LABELS:
            with pytest.raises(ConnectionFailed):
                end.channels[label].send("too late")
            with pytest.raises(ConnectionFailed):
                await end.channels[label].writable()
    with pytest.raises(ConnectionFailed):
        await waiting


async def the_end_wakes_a_task_that_waits_for_room(left: Connection, right: Connection) -> None:
    channel = left.channels["data"]
    while channel.send(bytes(FRAME)):
        pass
    waiting = asyncio.create_task(channel.writable())
    await asyncio.sleep(0)
    await left.close()
    with suppress(ConnectionFailed):  # the buffer may have had room just before
        await asyncio.wait_for(waiting, 5)
    with pytest.raises(ConnectionFailed):
        channel.send(b"")


async def close_can_be_repeated_and_joined(left: Connection, right: Connection) -> None:
    await asyncio.gather(left.close(), left.close(), right.close())
    await left.close()
    await right.close()


async def a_cancelled_close_still_closes(left: Connection, right: Connection) -> None:
    closing = asyncio.create_task(left.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    await left.close()
    with pytest.raises(ConnectionFailed):
        await right.channels["data"].receive()


async def a_peer_that_ignores_the_window_is_cut_off(left: Connection, right: Connection) -> None:
    size = left.channels["data"].max_message_size
    async with asyncio.timeout(150):
        await flood(left.channels["data"], bytes(size), FEW_QUEUED // size + 1)
        if isinstance(left, TransferConnection):
            await until(lambda: left.sctp.is_drained)
        await send(left.channels["text"], "behind")
        assert await right.channels["text"].receive() == "behind"
        with pytest.raises(RemoteProtocolError):
            await right.channels["data"].receive()


async def a_peer_whose_messages_are_not_read_is_held_back(
    left: Connection, right: Connection
) -> None:
    assert isinstance(left, TransferConnection)
    assert isinstance(right, TransferConnection)
    size = left.channels["data"].max_message_size
    sender, receiver = left.sctp.association.transmission, right.sctp.association
    window = Limits().window
    count = 2 * window // size
    async with asyncio.timeout(150), asyncio.TaskGroup() as group:
        sending = group.create_task(flood(left.channels["data"], bytes(size), count))
        await until(lambda: sender.peer_window == 0 or sending.done())
        before = sender.retransmitted
        # Two probes of the window are refused.
        await until(lambda: sender.retransmitted >= before + 2 or sending.done())
        assert not sending.done()
        assert receiver.held <= window + size  # the last message may have begun before
        for _ in range(count):
            assert len(await right.channels["data"].receive()) == size
        await sending
        await send(left.channels["control"], "behind")
        assert await right.channels["control"].receive() == "behind"


CHECKS: Final[tuple[Check, ...]] = (
    exactly_three_channels,
    channels_are_apart,
    order_is_kept,
    text_and_bytes_stay_what_they_are,
    empty_messages_arrive,
    large_messages_arrive_whole,
    a_full_buffer_refuses_and_loses_nothing,
    each_task_that_waits_for_room_gets_it,
    both_directions_at_once,
    a_cancelled_receive_loses_nothing,
    what_arrived_is_handed_out_after_the_end,
    after_the_end_nothing_goes,
    the_end_wakes_a_task_that_waits_for_room,
    close_can_be_repeated_and_joined,
    a_cancelled_close_still_closes,
)
"For each implementation. The two checks of a peer that sends too much are chosen one by one."
