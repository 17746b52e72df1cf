"""Closing channels over two associations, packet by packet, and using their ids again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from dcsend.sctp import wire
from dcsend.sctp.association import Association, Options
from dcsend.sctp.channels import ChannelParameters, ChannelState, DataChannel, DataChannels
from dcsend.sctp.events import Ended


class Reusing(DataChannels):
    """Channels of a stack that uses stream ids again."""

    reused: int | None = None
    "The id of the next channel; None for one that was not used before."

    def _free_id(self) -> int:
        reused, self.reused = self.reused, None
        return super()._free_id() if reused is None else reused


class End:
    """An association with its channels."""

    def __init__(self, *, is_client: bool) -> None:
        self.association = Association(Options(), 0.0)
        self.announced: list[DataChannel] = []
        self.messages: list[bytes | str] = []
        self.closed: list[DataChannel] = []
        self.channels = Reusing(self.association, is_client=is_client, on_channel=self.announce)
        self.ended = False

    def announce(self, channel: DataChannel) -> None:
        """Take a channel of the peer."""
        self.announced.append(self.follow(channel))

    def follow(self, channel: DataChannel) -> DataChannel:
        """Keep what comes on a channel."""
        channel.on_message = lambda message, size: self.messages.append(message)
        channel.on_close = lambda: self.closed.append(channel)
        return channel

    def open(self, label: str, now: float, negotiated: int | None = None) -> DataChannel:
        """Open a channel."""
        return self.follow(self.channels.open(ChannelParameters(label, negotiated=negotiated), now))

    def handle(self, now: float) -> None:
        """Take what has happened."""
        while self.association.events:
            event = self.association.events.popleft()
            self.ended = self.ended or isinstance(event, Ended)
            self.channels.handle(event, now)


class Pair:
    """Two ends; `passes` drops packets: of the left one if its second argument is true."""

    def __init__(self) -> None:
        self.now = 0.0
        self.left, self.right = End(is_client=True), End(is_client=False)
        self.passes: Callable[[bytes, bool], bool] = lambda packet, of_left: True
        for end in self.ends():
            end.association.associate(self.now)
        self.run()

    def ends(self) -> Iterator[End]:
        """Give both."""
        yield from (self.left, self.right)

    def exchange(self) -> bool:
        """Deliver the packets of both; return whether there were any."""
        moved = False
        for source, target in ((self.left, self.right), (self.right, self.left)):
            for packet in source.association.packets(self.now):
                moved = True
                if self.passes(packet, source is self.left):
                    target.association.receive(packet, self.now)
            target.handle(self.now)
        return moved

    def run(self, seconds: float = 2.0) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            while self.exchange():
                self.now += 0.001
            self.now += 0.01
            for side in self.ends():
                deadline = side.association.deadline()
                if deadline is not None and deadline <= self.now:
                    side.association.timeout(self.now)
                side.handle(self.now)


@pytest.fixture
def pair() -> Pair:
    return Pair()


def is_re_config(packet: bytes, kind: int) -> bool:
    """Return whether a packet has a RE-CONFIG with a parameter of a kind: 13 asks, 16 answers."""
    return any(
        chunk == wire.RE_CONFIG and any(found == kind for found, _ in wire.parameters(value))
        for chunk, _, value in wire.chunks(packet)
    )


def states(*channels: DataChannel) -> set[ChannelState]:
    """Return the states that channels have."""
    return {channel.state for channel in channels}


def test_channel_is_closed_only_when_the_peer_has_closed_it_too(pair: Pair) -> None:
    ours = pair.left.open("a", pair.now, negotiated=7)
    theirs = pair.right.open("a", pair.now, negotiated=7)
    pair.run()
    # The request of the right end is late.
    pair.passes = lambda packet, of_left: of_left or not is_re_config(packet, 13)
    ours.close()
    pair.run(0.2)
    assert states(ours, theirs) == {ChannelState.CLOSING}
    assert not pair.left.closed
    pair.passes = lambda packet, of_left: True
    pair.run()
    assert states(ours, theirs) == {ChannelState.CLOSED}
    again = (
        pair.left.open("b", pair.now, negotiated=7),
        pair.right.open("b", pair.now, negotiated=7),
    )
    again[0].send("on", pair.now)
    again[1].send("and on", pair.now)
    pair.run()
    assert (pair.right.messages, pair.left.messages) == (["on"], ["and on"])
    assert states(*again) == {ChannelState.OPEN}


def test_id_can_be_used_again_though_the_answer_to_our_reset_was_lost(pair: Pair) -> None:
    channel = pair.left.open("a", pair.now)
    pair.run()
    (theirs,) = pair.right.announced
    theirs.send("one", pair.now)
    channel.send("two", pair.now)
    pair.run()
    pair.passes = lambda packet, of_left: not of_left or not is_re_config(packet, 16)
    channel.close()
    pair.run(0.2)
    assert states(theirs) == {ChannelState.CLOSING}
    assert pair.left.closed == [channel]
    # As by a stack that chooses the lowest free id.
    pair.left.channels.reused = channel.id
    second = pair.left.open("b", pair.now)
    assert second.id == theirs.id
    pair.run(0.1)
    pair.passes = lambda packet, of_left: True
    assert states(theirs) == {ChannelState.CLOSED}
    replacement = pair.right.announced[1]
    second.send("three", pair.now)
    replacement.send("four", pair.now)
    pair.run()
    assert not pair.left.ended
    assert states(second, replacement) == {ChannelState.OPEN}
    assert pair.right.messages == ["two", "three"]
    assert pair.left.messages == ["one", "four"]
