"""Ranges that are asked for again: what each side refuses, and what it does not."""

from __future__ import annotations

import json

import pytest

from dcsend.content import Repair
from dcsend.entry import Entry
from dcsend.errors import LocalProtocolError, RemoteProtocolError
from dcsend.protocol import limits
from dcsend.protocol.events import AskedAgain
from dcsend.protocol.frames import encode_abort, encode_again, encode_data, encode_restart
from dcsend.protocol.receiver import Receiver
from dcsend.protocol.sender import Sender
from dcsend.protocol.side import TransferState

ENTRIES = [Entry("a", size=1000), Entry("b", size=5), Entry("c", size=None)]
HAVE = {0: 900, 2: 7}
DIGEST = bytes(32)


def joined(have: dict[int, int] | None = None) -> tuple[Sender, Receiver]:
    """Return two sides in a transfer of `ENTRIES`."""
    sender, receiver = Sender(ENTRIES, agent="a/1"), Receiver(agent="b/1")
    sender.start()
    receiver.start()
    for _ in range(2):
        for text in sender.messages_to_send():
            receiver.receive(text)
        if receiver.state is TransferState.DECIDING:
            receiver.accept({}, HAVE if have is None else have)
        for text in receiver.messages_to_send():
            sender.receive(text)
    assert (sender.state, receiver.state) == (TransferState.SENDING, TransferState.RECEIVING)
    return sender, receiver


def again(number: int, start: int, end: int) -> str:
    return json.dumps({"type": "again", "file": number, "from": start, "to": end})


@pytest.mark.parametrize(
    ("number", "start", "end"),
    [(0, 0, 901), (0, 900, 901), (1, 0, 1), (2, 6, 8), (3, 0, 1), (limits.MAX_ENTRIES - 1, 0, 1)],
)
def test_sender_refuses_to_send_again(number: int, start: int, end: int) -> None:
    sender, receiver = joined()
    assert not receiver.again(number, start, end)
    with pytest.raises(RemoteProtocolError, match="asks again for bytes"):
        sender.receive(again(number, start, end))
    assert sender.asked is None


def test_flood_of_ranges_is_refused() -> None:
    sender, receiver = joined()
    for at in range(limits.MAX_AGAIN):
        assert receiver.again(0, at, at + 1)
        assert sender.receive(again(0, at, at + 1)) == [AskedAgain(0, at, at + 1)]
    assert not receiver.again(0, 500, 501)
    assert not receiver.again(2, 0, 1)  # too many are not answered
    assert receiver.receive_frame(sender.again(b"x")) == [Repair(0, 0, 1, b"x", 25)]
    assert not receiver.again(0, 500, 501)  # too many of this file
    assert receiver.again(2, 0, 1)
    sender.receive(again(2, 0, 1))
    with pytest.raises(RemoteProtocolError, match="for more than 64 ranges"):
        sender.receive(again(0, 500, 501))


def test_range_must_follow_the_one_before_it() -> None:
    sender, receiver = joined()
    assert receiver.again(0, 10, 20)
    assert not receiver.again(0, 19, 30)
    assert not receiver.again(0, 0, 10)
    sender.receive(again(0, 10, 20))
    with pytest.raises(RemoteProtocolError, match="bytes 10 to 20 of file 0, which it can't"):
        sender.receive(again(0, 10, 20))


@pytest.mark.parametrize(
    "frame",
    [
        encode_again(0, 9, b"x"),
        encode_again(0, 10, b"x" * 11),
        encode_again(0, 10, 11),
        encode_again(0, 11, 0),
        encode_again(1, 10, b"x"),
    ],
)
def test_receiver_refuses_bytes_that_are_not_due_again(frame: bytes) -> None:
    for asked in (True, False):
        _, receiver = joined()
        if asked:
            receiver.again(0, 10, 20)
        with pytest.raises(RemoteProtocolError, match="are not due again"):
            receiver.receive_frame(frame)
        assert receiver.state is TransferState.FAILED


@pytest.mark.parametrize("state", [TransferState.DECIDING, TransferState.COMPLETED])
def test_receiver_takes_bytes_again_only_while_it_can_ask(state: TransferState) -> None:
    sender, receiver = joined(have={0: 1000, 2: 7})
    if state is TransferState.DECIDING:
        receiver = Receiver(agent="b/1")
        receiver.start()
        receiver.receive(
            '{"type":"hello","versions":[1],"agent":"a","role":"sender",'
            '"features":["again"],"max_frame":64960}'
        )
        receiver.receive('{"type":"manifest","entries":[],"last":true}')
    else:
        for number, offset, payload in ((0, 1000, b""), (1, 0, b"12345"), (2, 7, b"")):
            receiver.receive_frame(sender.data(number, offset, payload, DIGEST))
            receiver.verdict(number, "ok")
        receiver.written(receiver.received)
    assert receiver.state is state
    with pytest.raises(RemoteProtocolError, match="is not allowed while"):
        receiver.receive_frame(encode_again(0, 0, b"x"))


def test_sender_makes_no_more_than_it_was_asked_for() -> None:
    sender, _ = joined()
    with pytest.raises(LocalProtocolError):
        sender.again(b"x")
    sender.receive(again(0, 10, 20))
    with pytest.raises(LocalProtocolError):
        sender.again(bytes(11))
    with pytest.raises(LocalProtocolError):
        sender.again(11)
    sender.again(10)
    assert sender.asked is None


def test_bytes_are_of_no_use_when_the_file_begins_again_or_is_given_up() -> None:
    for frame in (encode_restart(0, 900), encode_abort(0, 900, "gone")):
        sender, receiver = joined()
        receiver.again(0, 10, 20)
        sender.receive(again(0, 10, 20))
        receiver.receive_frame(frame)
        is_restart = frame[0] == 5
        assert (sender.restart(0) if is_restart else sender.abort(0, "gone")) == frame
        assert sender.asked == (0, 10, 10)
        assert receiver.receive_frame(sender.again(0)) == [Repair(0, 10, 0, b"", 24)]
        # An Again that crosses the frame is no violation.
        sender.receive(again(0, 20, 30))
        assert sender.asked == (0, 20, 20)


def test_file_with_a_verdict_is_not_asked_for() -> None:
    sender, receiver = joined()
    receiver.again(0, 10, 20)
    receiver.verdict(0, "failed")
    assert not receiver.again(0, 20, 30)
    for text in receiver.messages_to_send():
        sender.receive(text)
    assert sender.asked == (0, 10, 10)
    with pytest.raises(RemoteProtocolError, match="which has a verdict"):
        sender.receive(again(0, 20, 30))


def test_peer_without_the_feature_is_not_asked() -> None:
    receiver = Receiver(agent="b/1")
    receiver.start()
    hello = {"type": "hello", "versions": [1], "agent": "a", "role": "sender"}
    receiver.receive(json.dumps({**hello, "features": ["later"], "max_frame": 64960}))
    file = {"path": "a", "kind": "file", "size": 10}
    receiver.receive(json.dumps({"type": "manifest", "entries": [file], "last": True}))
    receiver.accept({}, {0: 5})
    assert not receiver.again(0, 0, 5)


def test_bytes_that_are_sent_again_count_in_the_window() -> None:
    sender, receiver = joined()
    receiver.again(0, 0, 900)
    sender.receive(again(0, 0, 900))
    before = sender.sendable()
    receiver.receive_frame(sender.again(bytes(100)))
    assert sender.sendable() == before - 124
    receiver.receive_frame(sender.again(800))
    assert sender.sendable() == before - 124 - 24
    assert receiver.received == 124 + 24
    receiver.receive_frame(encode_data(0, 900, b"x"))
