"""The control channel of a half: order of messages, and how a transfer ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from dcsend.entry import Entry
from dcsend.errors import ConnectionFailed, PeerRefused, SourceError
from dcsend.peers.contract import Channel
from dcsend.protocol.events import Event, PeerSaidBye
from dcsend.protocol.limits import PAIRS_PER_MESSAGE
from dcsend.protocol.messages import (
    Accept,
    Bye,
    Cancel,
    Hello,
    Manifest,
    Working,
    decode,
    encode,
)
from dcsend.protocol.receipts import Receipt, encode_receipt
from dcsend.protocol.receiver import Receiver
from dcsend.session.control import ConnectedPeer, Control
from dcsend.session.conversation import Conversation
from dcsend.session.outcome import Tally
from dcsend.settings import Settings
from tests.support.memory import MemoryConnection, connected_pair

VIRTUAL_TIME = True


class Narrow:
    """A channel that takes one message at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._full = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - everything else is the channel's
        return getattr(self._channel, name)

    def send(self, message: bytes | str) -> bool:
        """Send every other time."""
        self._full = not self._full
        return not self._full and self._channel.send(message)

    async def writable(self) -> None:
        """Let other tasks run."""
        await asyncio.sleep(0)


def control_of(
    connection: MemoryConnection, conversation: Conversation | None = None
) -> tuple[Control, Receiver]:
    tally = Tally(lambda event: None)
    conversation = conversation or Conversation(connection, Settings(), tally.emit)
    side = Receiver(agent="a")
    return Control(ConnectedPeer(connection, conversation), side, tally), side


async def greet(
    connection: MemoryConnection,
    control: Control,
    features: tuple[str, ...] = (),
    entries: tuple[Entry, ...] = (),
) -> None:
    """Follow the peer until it has made its offer."""
    peer = connection.channels["control"]
    peer.send(encode(Hello((1,), "peer", "sender", features)))
    peer.send(encode(Manifest(entries, last=True)))

    async def handle(event: Event) -> bool:
        return type(event).__name__ == "ManifestReceived"

    await control.follow(handle, lambda: None)
    assert isinstance(decode(str(await peer.receive())), Hello)


async def test_peer_that_goes_on_with_an_ended_transfer_has_broken_no_rule() -> None:
    """Its Accept was lost, so this side has given the code back."""
    ours, theirs = connected_pair()
    control, _ = control_of(ours)
    theirs.channels["control"].send(encode_receipt(Receipt(3, 0, 1), resumes=True))

    async def handle(event: Event) -> bool:
        return False

    with pytest.raises(ConnectionFailed, match="has ended here"):
        await control.follow(handle, lambda: None)


async def test_messages_of_several_tasks_keep_their_order() -> None:
    ours, theirs = connected_pair()
    ours.channels["control"] = Narrow(ours.channels["control"])  # type: ignore[index]
    control, side = control_of(ours)
    many = PAIRS_PER_MESSAGE + 1
    await greet(theirs, control, entries=tuple(Entry(f"{n}", size=1) for n in range(many + 1)))
    side.accept(dict.fromkeys(range(many), "exists"), {})
    first = asyncio.create_task(control.flush())
    await asyncio.sleep(0)  # it has sent a part, and waits for room
    side.working()
    await asyncio.gather(control.flush(), first)
    peer = theirs.channels["control"]
    sent = [type(decode(str(await peer.receive()))) for _ in range(3)]
    assert sent == [Accept, Accept, Working]


async def test_cancel_is_sent_with_its_reason_and_waits_until_the_peer_closes() -> None:
    ours, theirs = connected_pair()
    control, _ = control_of(ours)
    await greet(theirs, control)
    cancelling = asyncio.create_task(control.cancel(SourceError("the disk is gone")))
    message = decode(str(await theirs.channels["control"].receive()))
    assert message == Cancel("source", "the disk is gone")
    for _ in range(5):
        await asyncio.sleep(0)  # a turn of the loop
    assert not cancelling.done()
    await theirs.close()
    await asyncio.wait({cancelling}, timeout=5)
    assert cancelling.done()
    cancelling.exception()


async def test_cancel_does_not_wait_for_a_peer_that_has_cancelled() -> None:
    ours, theirs = connected_pair()
    control, side = control_of(ours)
    await greet(theirs, control)
    side.receive(encode(Cancel("interrupted", "")))
    await asyncio.wait_for(control.cancel(PeerRefused("the other side cancelled")), 5)


async def test_answer_to_a_decline_shows_whether_the_code_works_again() -> None:
    for answer, is_used in ((Bye(), False), (Cancel("error", "no"), True)):
        ours, theirs = connected_pair()
        control, side = control_of(ours)
        await greet(theirs, control)
        side.decline("destination", "full")
        theirs.channels["control"].send(encode(answer))
        await asyncio.wait_for(control.cancel(PeerRefused("no")), 5)
        assert control.code_is_used is is_used


async def test_answer_to_a_decline_may_arrive_before_the_run_ends() -> None:
    """`follow` has read it, so `cancel` gets no other message."""
    ours, theirs = connected_pair()
    control, side = control_of(ours)
    peer = theirs.channels["control"]
    for message in (Hello((1,), "peer", "sender"), Manifest((), last=True), Cancel("error", "no")):
        peer.send(encode(message))

    async def handle(event: Event) -> bool:
        if type(event).__name__ == "ManifestReceived":
            side.decline("destination", "full")
        return isinstance(event, PeerSaidBye)

    await asyncio.wait_for(control.follow(handle, lambda: None), 5)
    assert control.code_is_used


@pytest.mark.parametrize(
    ("works", "held_up", "messages"), [(False, False, 0), (True, False, 3), (False, True, 3)]
)
async def test_working_is_sent_every_twenty_seconds_of_work_or_of_a_full_display_only(
    works: bool, held_up: bool, messages: int
) -> None:
    ours, theirs = connected_pair()

    async def room() -> None:
        await asyncio.Event().wait()

    conversation = Conversation(ours, Settings(), lambda event: None, room=room)
    control, side = control_of(ours, conversation)
    await greet(theirs, control, entries=(Entry("f", size=1),))
    side.accept({}, {})
    await control.flush()
    tasks = [asyncio.create_task(control.reassure(lambda: works))]
    if held_up:
        tasks.append(asyncio.create_task(conversation.room()))
    await asyncio.sleep(61)
    await asyncio.gather(*(task for task in tasks if task.cancel()), return_exceptions=True)
    await ours.close()
    sent = []
    with contextlib.suppress(ConnectionFailed):
        while True:
            sent.append(decode(str(await theirs.channels["control"].receive())))
    assert sent.count(Working()) == messages
