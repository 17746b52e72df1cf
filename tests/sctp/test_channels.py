"""Data channels: opening, messages and closing, from both sides, and what a peer may not do."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from dcsend.sctp import wire
from dcsend.sctp.association import Association, Options
from dcsend.sctp.channels import ChannelParameters, ChannelState, DataChannel, DataChannels
from dcsend.sctp.handshake import EXTENSIONS
from dcsend.sctp.queue import Reliability
from dcsend.sctp.reassembly import Violation
from dcsend.sctp.states import State
from tests.sctp.ends import PLAIN, kinds, make_pair

OPEN, CLOSED = ChannelState.OPEN, ChannelState.CLOSED


class Talk:
    """Two ends with channels; what happens to each channel is noted."""

    def __init__(self, right: Options = PLAIN, *, established: bool = True) -> None:
        self.pair = make_pair(PLAIN, right, established=False)
        self.announced: tuple[list[DataChannel], list[DataChannel]] = ([], [])
        self.notes: list[tuple[str, object]] = []
        self.sides = tuple(
            DataChannels(
                self.pair.ends[which],
                is_client=which == 0,
                on_channel=lambda channel, which=which: self._announced(channel, which),  # type: ignore[misc]
            )
            for which in (0, 1)
        )
        self.broken: list[Violation] = []
        self.pair.ends[0].associate(self.pair.now)
        if established:
            self.settle()

    def _announced(self, channel: DataChannel, which: int) -> None:
        self.announced[which].append(channel)
        self.watch(channel)

    def watch(self, channel: DataChannel) -> DataChannel:
        """Note what happens to a channel."""
        label = channel.parameters.label
        channel.on_open = lambda: self.notes.append((label, "open"))
        channel.on_close = lambda: self.notes.append((label, "close"))
        channel.on_message = lambda message, size: self.notes.append((label, message))
        return channel

    def open(self, which: int, label: str = "a", **more: object) -> DataChannel:
        """Open a channel."""
        parameters = ChannelParameters(label, **more)  # type: ignore[arg-type]
        return self.watch(self.sides[which].open(parameters, self.pair.now))

    def step(self, which: int) -> None:
        """Handle the events of an end, and send its packets."""
        end = self.pair.ends[which]
        while end.events:
            event = end.events.popleft()
            try:
                self.sides[which].handle(event, self.pair.now)
            except Violation as exc:
                self.broken.append(exc)
                end.reject(exc)
        self.pair.wire[1 - which].extend(end.packets(self.pair.now))

    def settle(self) -> None:
        """Exchange packets until none is left."""
        for _ in range(100):
            for which in (0, 1):
                for packet in self.pair.lose(which):
                    self.pair.ends[which].receive(packet, self.pair.now)
                self.step(which)
            self.step(0)
            if not any(self.pair.wire):
                return
        raise AssertionError("they talk without end")

    def wait(self) -> None:
        """Let the next timer expire, and both talk."""
        self.pair.wait()
        self.settle()

    def send(self, data: bytes, protocol: int = 50, stream: int = 1) -> Association:
        """Send any message from the right end to the left one, and return that."""
        self.pair.ends[1].send(stream, protocol, data, self.pair.now)
        self.settle()
        return self.pair.ends[0]


@pytest.mark.parametrize("which", [0, 1])
def test_a_channel_is_announced_and_opens_on_both_sides(which: int) -> None:
    talk = Talk()
    channel = talk.open(which, "files", protocol="p", ordered=False, max_retransmits=3)
    assert channel.state is ChannelState.CONNECTING
    with pytest.raises(ValueError, match="not open"):
        channel.send(b"early", 0.0)
    talk.settle()
    [other] = talk.announced[1 - which]
    assert channel.state is other.state is OPEN
    assert channel.id == other.id == which
    assert other.parameters == channel.parameters
    assert talk.notes == [("files", "open")]


def test_a_channel_opened_before_the_association_opens_with_it() -> None:
    talk = Talk(established=False)
    channel = talk.open(0)
    talk.settle()
    assert channel.state is OPEN
    assert len(talk.announced[1]) == 1


@pytest.mark.parametrize("which", [0, 1])
def test_messages_arrive_as_they_were_sent(which: int) -> None:
    talk = Talk()
    channel = talk.open(0)
    talk.settle()
    talk.notes.clear()
    messages: list[bytes | str] = [b"bytes", "text", b"", "", "ü\U0001f600", bytes(5000)]
    sender = [channel, *talk.announced[1]][which]
    for message in messages:
        sender.send(message, talk.pair.now)
    talk.settle()
    assert [message for _, message in talk.notes] == messages


def test_each_side_uses_ids_of_its_own_parity() -> None:
    talk = Talk()
    assert [talk.open(0).id for _ in range(3)] == [0, 2, 4]
    assert [talk.open(1).id for _ in range(3)] == [1, 3, 5]
    talk.settle()
    assert len(talk.announced[0]) == len(talk.announced[1]) == 3


def test_a_negotiated_id_is_passed_over_and_cant_be_taken_twice() -> None:
    talk = Talk()
    talk.open(0, negotiated=0)
    assert talk.open(0).id == 2
    with pytest.raises(ValueError, match="in use"):
        talk.open(0, negotiated=0)


def test_ids_can_be_used_up() -> None:
    talk = Talk()
    for number in range(0, 65_534, 2):
        talk.open(0, negotiated=number)
    assert talk.open(0).id == 65_534
    with pytest.raises(ValueError, match="no stream id is free"):
        talk.open(0)


@pytest.mark.parametrize("established", [False, True])
def test_a_negotiated_channel_opens_on_each_side_by_itself(established: bool) -> None:
    talk = Talk(established=established)
    ends = [talk.open(which, "n", negotiated=7) for which in (0, 1)]
    talk.settle()
    assert [end.state for end in ends] == [OPEN, OPEN]
    assert talk.announced == ([], [])
    ends[0].send(b"x", talk.pair.now)
    talk.settle()
    assert ("n", b"x") in talk.notes


def test_a_message_opens_a_channel_whose_acknowledgement_is_late() -> None:
    talk = Talk()
    channel = talk.open(0, ordered=False)
    talk.step(0)
    packets = talk.pair.lose(1)
    for packet in packets:
        talk.pair.ends[1].receive(packet, talk.pair.now)
    talk.step(1)
    acknowledgement = talk.pair.lose(0)
    talk.announced[1][0].send(b"quick", talk.pair.now)
    talk.step(1)
    for packet in talk.pair.lose(0):
        talk.pair.ends[0].receive(packet, talk.pair.now)
    talk.step(0)
    assert channel.state is OPEN
    for packet in acknowledgement:
        talk.pair.ends[0].receive(packet, talk.pair.now)
    talk.step(0)
    assert talk.notes == [("a", "open"), ("a", b"quick")]


@pytest.mark.parametrize("who", [(0,), (1,), (0, 1)])
def test_a_channel_closes_on_both_sides_once(who: tuple[int, ...]) -> None:
    talk = Talk()
    channel = talk.open(0)
    talk.settle()
    ends = channel, talk.announced[1][0]
    for which in who:
        ends[which].close()
        assert ends[which].state is ChannelState.CLOSING
        ends[which].close()
    talk.settle()
    assert [end.state for end in ends] == [CLOSED, CLOSED]
    assert talk.notes.count(("a", "close")) == 2
    for side in (0, 1):
        talk.open(side, negotiated=ends[0].id)  # which is free again


def test_what_was_sent_before_closing_arrives() -> None:
    talk = Talk()
    channel = talk.open(0)
    talk.settle()
    channel.send(bytes(20_000), talk.pair.now)
    channel.close()
    talk.settle()
    assert [note for note in talk.notes if note[1] != "open"] == [
        ("a", bytes(20_000)),
        ("a", "close"),
        ("a", "close"),
    ]


@pytest.mark.parametrize("lost", [0, 1])
def test_closing_survives_a_lost_packet(lost: int) -> None:
    talk = Talk()
    channel = talk.open(0)
    talk.settle()
    channel.close()
    talk.step(0)
    if lost:
        talk.pair.lose(1)
    else:
        for packet in talk.pair.lose(1):
            talk.pair.ends[1].receive(packet, talk.pair.now)
        talk.step(1)
        talk.pair.lose(0)
    talk.wait()
    talk.wait()
    assert talk.notes.count(("a", "close")) == 2


def test_a_stream_is_free_only_when_both_sides_have_reset_it() -> None:
    talk = Talk()
    channel = talk.open(0)
    talk.settle()
    channel.close()
    talk.step(0)
    for packet in talk.pair.lose(1):
        talk.pair.ends[1].receive(packet, talk.pair.now)
    # The answer arrives before the other half is reset.
    [answer, *_] = talk.pair.ends[1].packets(talk.pair.now)
    assert kinds([answer]) == [wire.RE_CONFIG]
    talk.pair.ends[0].receive(answer, talk.pair.now)
    talk.step(0)
    assert channel.state is ChannelState.CLOSING
    with pytest.raises(ValueError, match="in use"):
        talk.open(0, negotiated=0)
    talk.settle()
    assert channel.state is CLOSED
    talk.open(0, negotiated=0)


@pytest.mark.parametrize("negotiated", [None, 6])
def test_a_channel_closed_before_there_is_a_peer_closes_for_the_peer_too(
    negotiated: int | None,
) -> None:
    talk = Talk(established=False)
    channel = talk.open(0, negotiated=negotiated)
    if negotiated is not None:
        talk.open(1, negotiated=negotiated)
    channel.close()
    talk.settle()
    assert channel.state is CLOSED
    talk.open(1, negotiated=channel.id)  # which is free again


def test_all_channels_close_when_the_association_ends() -> None:
    talk = Talk()
    for _ in range(3):
        talk.open(0)
    talk.settle()
    talk.pair.ends[0].abort()
    talk.settle()
    assert talk.notes.count(("a", "close")) == 6


def test_a_channel_whose_peer_cant_reset_closes_at_once() -> None:
    talk = Talk(replace(PLAIN, extensions=EXTENSIONS - {wire.RE_CONFIG}))
    channel = talk.open(0)
    talk.settle()
    channel.close()
    assert channel.state is CLOSED


# What a peer may not do, and what is passed over


def opening(label: bytes = b"x", kind: int = 0, extra: bytes = b"") -> bytes:
    """Return a DATA_CHANNEL_OPEN."""
    return struct.pack("!BBHLHH", 3, kind, 256, 0, len(label), 0) + label + extra


@pytest.mark.parametrize(
    "message",
    [
        b"\3",
        opening()[:11],
        opening(extra=b"y"),
        opening()[:-1],
        opening(kind=3),
        opening(kind=0x83),
        opening(kind=0x40),
        opening(label=b"\xff"),
    ],
)
def test_an_opening_of_an_unknown_form_is_a_violation(message: bytes) -> None:
    talk = Talk()
    left = talk.send(message)
    assert left.state is State.ENDED
    assert len(talk.broken) == 1


def test_opening_on_a_stream_of_our_parity_is_a_violation() -> None:
    talk = Talk()
    assert talk.send(opening(), stream=2).state is State.ENDED


def test_opening_a_channel_twice_is_a_violation() -> None:
    talk = Talk()
    assert talk.send(opening()).state is State.ESTABLISHED
    assert talk.send(opening()).state is State.ENDED


def test_text_that_is_not_utf_8_is_a_violation() -> None:
    talk = Talk()
    talk.send(opening())
    assert talk.send(b"\xff", protocol=51).state is State.ENDED


@pytest.mark.parametrize(
    ("data", "protocol", "stream"),
    [
        (b"\2", 50, 3),
        (b"\2x", 50, 1),
        (b"\1", 50, 1),
        (b"\xff", 50, 1),
        (b"x", 53, 9),
        (b"x", 0, 1),
        (b"x", 52, 1),
    ],
)
def test_unknown_messages_are_ignored_and_keep_no_memory(
    data: bytes, protocol: int, stream: int
) -> None:
    talk = Talk()
    talk.send(opening())
    left = talk.send(data, protocol, stream)
    assert left.state is State.ESTABLISHED
    assert talk.notes == []
    assert left.held == 0


def test_messages_for_a_channel_that_is_closing_are_passed_over() -> None:
    talk = Talk()
    talk.send(opening())
    talk.announced[0][0].close()
    left = talk.send(b"late", 53)
    assert talk.notes == []
    assert left.held == 0


# ChannelParameters


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize(
    "limit", [{}, {"max_retransmits": 0}, {"max_retransmits": 2**32 - 1}, {"max_lifetime": 1500}]
)
def test_parameters_are_read_as_they_were_written(*, ordered: bool, limit: dict[str, int]) -> None:
    parameters = ChannelParameters("lābel", ordered, protocol="proto", **limit)
    assert ChannelParameters.parse(parameters.encode()) == parameters
    seconds = limit["max_lifetime"] / 1000 if "max_lifetime" in limit else None
    assert parameters.reliability == Reliability(ordered, limit.get("max_retransmits"), seconds)


@pytest.mark.parametrize(
    "parameters", [ChannelParameters("x" * 65_536), ChannelParameters("x", max_retransmits=2**32)]
)
def test_what_does_not_fit_an_opening_is_refused_and_uses_no_stream(
    parameters: ChannelParameters,
) -> None:
    talk = Talk()
    with pytest.raises(ValueError, match="invalid channel parameters"):
        talk.sides[0].open(parameters, 0.0)
    assert talk.open(0).id == 0


def test_every_channel_is_notified_of_room() -> None:
    talk = Talk()
    channel = talk.open(0)
    notes: list[str] = []
    channel.on_room = lambda: notes.append("room")
    talk.sides[0].notify_room()
    assert notes == ["room"]
    assert channel.queued == len(ChannelParameters("a").encode())
