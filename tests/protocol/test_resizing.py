"""The window is changed during a transfer, and acknowledgements are withheld."""

from __future__ import annotations

import json

import pytest

from dcsend.content import Data
from dcsend.entry import Entry
from dcsend.errors import LocalProtocolError
from dcsend.protocol.receiver import Receiver
from dcsend.protocol.sender import Sender
from dcsend.protocol.side import TransferState

SIZE = 2_000_000


def joined(window: int, *, follows: bool = True) -> tuple[Sender, Receiver]:
    """Return two sides in a transfer of one file; *window* is that of Accept."""
    sender, receiver = Sender([Entry("a", size=SIZE)], agent="a/1"), Receiver(agent="b/1")
    sender.start()
    receiver.start()
    for _ in range(2):
        for text in sender.messages_to_send():
            fields = json.loads(text)
            if not follows and fields["type"] == "hello":
                fields["features"].remove("window")
            receiver.receive(json.dumps(fields))
        if receiver.state is TransferState.DECIDING:
            receiver.resize(window)
            receiver.accept({}, {})
        for text in receiver.messages_to_send():
            sender.receive(text)
    assert (sender.state, receiver.state) == (TransferState.SENDING, TransferState.RECEIVING)
    return sender, receiver


def send(sender: Sender, receiver: Receiver, size: int) -> None:
    """Send *size* bytes of the window in one frame."""
    frame = sender.data(0, sender.position, bytes(size - 24))
    (content,) = receiver.receive_frame(frame)
    assert isinstance(content, Data)


def acknowledge(sender: Sender, receiver: Receiver) -> list[dict[str, object]]:
    """Carry the messages of the receiver to the sender, and return them."""
    messages = receiver.messages_to_send()
    for text in messages:
        sender.receive(text)
    return [json.loads(text) for text in messages]


def test_window_of_accept_can_be_chosen_after_hello() -> None:
    sender, receiver = joined(50_000)
    assert sender.sendable() == 64_960
    send(sender, receiver, 30_000)
    assert sender.sendable() == 20_000
    with pytest.raises(LocalProtocolError, match="window"):
        sender.data(0, sender.position, bytes(30_000))


def test_larger_window_comes_with_an_ack() -> None:
    sender, receiver = joined(50_000)
    send(sender, receiver, 50_000)
    assert sender.sendable() == 0
    receiver.resize(200_000)
    assert acknowledge(sender, receiver) == [{"type": "ack", "bytes": 0, "window": 200_000}]
    assert sender.sendable() == 150_000
    for _ in range(3):
        send(sender, receiver, 50_000)
    assert sender.sendable() == 0
    assert acknowledge(sender, receiver) == []


def test_smaller_window_refuses_nothing_that_was_sent_before() -> None:
    sender, receiver = joined(200_000)
    receiver.resize(20_000)
    for _ in range(4):
        send(sender, receiver, 50_000)
    receiver.written(150_000)
    assert acknowledge(sender, receiver) == [{"type": "ack", "bytes": 150_000, "window": 20_000}]
    assert sender.sendable() == 0
    receiver.written(50_000)
    acknowledge(sender, receiver)
    send(sender, receiver, 15_000)
    assert sender.sendable() == 5000


def test_window_of_the_sender_is_never_exceeded() -> None:
    sender, receiver = joined(50_000)
    receiver.resize(1 << 40)
    acknowledge(sender, receiver)
    assert sender.sendable() == 8 << 20


def test_sender_without_the_feature_keeps_its_window() -> None:
    sender, receiver = joined(50_000, follows=False)
    receiver.resize(200_000)
    assert acknowledge(sender, receiver) == []
    send(sender, receiver, 50_000)
    receiver.written(50_000)
    assert acknowledge(sender, receiver) == [{"type": "ack", "bytes": 50_000}]
    assert sender.sendable() == 64_960


def test_withheld_bytes_are_not_acknowledged() -> None:
    sender, receiver = joined(50_000)
    send(sender, receiver, 40_000)
    receiver.withhold(40_000)
    receiver.written(40_000)
    assert acknowledge(sender, receiver) == []
    receiver.withhold(15_000)
    assert acknowledge(sender, receiver) == [{"type": "ack", "bytes": 25_000}]
    assert sender.sendable() == 35_000


def test_nothing_is_withheld_when_all_frames_are_here() -> None:
    sender, receiver = joined(8 << 20)
    while (rest := SIZE - sender.position) > 60_000:
        send(sender, receiver, 60_000)
    receiver.receive_frame(sender.data(0, sender.position, bytes(rest), bytes(32)))
    receiver.withhold(500_000)
    receiver.written(receiver.received)
    assert acknowledge(sender, receiver) == [{"type": "ack", "bytes": receiver.received}]
    assert sender.acknowledged == receiver.received


def test_frames_are_short_where_the_window_is_small() -> None:
    sender, receiver = joined(1_000_000)
    assert sender.max_payload == 1_000_000 // 20 - 24
    receiver.resize(8 << 20)
    acknowledge(sender, receiver)
    assert sender.max_payload == 64_960 - 24
    receiver.resize(2000)
    acknowledge(sender, receiver)
    assert sender.max_payload == 1024 - 24
