"""The control channel of a half: order of messages, and how a transfer ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dcsend.errors import ConnectionFailed, PeerRefused, SourceError
from dcsend.peers.contract import Channel
from dcsend.protocol.events import Event
from dcsend.protocol.messages import Bye, Cancel, Hello, Manifest, Working, decode, encode
from dcsend.protocol.receiver import Receiver
from dcsend.session import conversation
from dcsend.session.control import Control, Meeting
from dcsend.session.conversation import Conversation
from dcsend.session.outcome import Tally
from dcsend.settings import Settings
from tests.support.memory import MemoryConnection, connected_pair


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


def control_of(connection: MemoryConnection) -> tuple[Control, Receiver]:
    tally = Tally(lambda event: None)
    conversation = Conversation(connection, Settings(), tally.emit)
    side = Receiver(agent="a")
    return Control(Meeting(connection, conversation), side, tally), side


async def greet(
    connection: MemoryConnection, control: Control, features: tuple[str, ...] = ()
) -> None:
    """Follow the peer until it has offered nothing."""
    peer = connection.channels["control"]
    peer.send(encode(Hello((1,), "peer", "sender", features)))
    peer.send(encode(Manifest((), last=True)))

    async def handle(event: Event) -> bool:
        return type(event).__name__ == "ManifestReceived"

    await control.follow(handle, lambda: None)
    assert isinstance(decode(str(await peer.receive())), Hello)


async def test_messages_of_several_tasks_keep_their_order() -> None:
    ours, theirs = connected_pair()
    ours.channels["control"] = Narrow(ours.channels["control"])  # type: ignore[index]
    control, side = control_of(ours)
    await greet(theirs, control)
    side.decline("declined", "first")
    side._send(Bye())
    first = asyncio.create_task(control.flush())
    await asyncio.sleep(0)
    side._send(Working())
    await asyncio.gather(control.flush(), first)
    peer = theirs.channels["control"]
    assert "first" in str(await peer.receive())
    assert [decode(str(await peer.receive())) for _ in range(2)] == [Bye(), Working()]


async def test_cancel_is_sent_with_its_reason_and_waits_until_the_peer_closes() -> None:
    ours, theirs = connected_pair()
    control, _ = control_of(ours)
    await greet(theirs, control)
    cancelling = asyncio.create_task(control.cancel(SourceError("the disk is gone")))
    message = decode(str(await theirs.channels["control"].receive()))
    assert message == Cancel("source", "the disk is gone")
    await asyncio.sleep(0.01)
    assert not cancelling.done()
    await theirs.close()
    await asyncio.wait({cancelling}, timeout=5)
    assert cancelling.done()
    cancelling.exception()


async def test_answer_to_a_decline_tells_whether_the_code_works_again() -> None:
    for answer, is_used in ((Bye(), False), (Cancel("error", "no"), True)):
        ours, theirs = connected_pair()
        control, side = control_of(ours)
        await greet(theirs, control)
        side.decline("destination", "full")
        theirs.channels["control"].send(encode(answer))
        await asyncio.wait_for(control.cancel(PeerRefused("no")), 5)
        assert control.code_is_used is is_used


class Lost:
    """A half whose connection is lost after the peer has sent Hello."""

    def __init__(self, control: Control) -> None:
        self.control = control

    async def run(self) -> None:
        """Fail."""
        raise ConnectionFailed("it was lost")

    async def close(self) -> None:
        """Do nothing."""


async def test_feature_of_a_browser_explains_a_lost_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conversation, "_BROWSER_GIVES_UP", 0)
    for features, is_browser in ((("browser",), True), (("other",), False)):
        ours, theirs = connected_pair()
        tally = Tally(lambda event: None)
        talk = Conversation(ours, Settings(), tally.emit)
        control = Control(Meeting(ours, talk), Receiver(agent="a"), tally)
        await greet(theirs, control, features)
        assert control.introduced
        await theirs.close()
        with pytest.raises(ConnectionFailed) as caught:
            await talk.run(Lost(control))
        assert ("it is a browser" in caught.value.message) is is_browser
