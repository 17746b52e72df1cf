"""The window: its arithmetic, and how each side keeps to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dcsend.entry import Entry
from dcsend.errors import LocalProtocolError
from dcsend.protocol import limits
from dcsend.protocol.events import Acknowledged
from dcsend.protocol.frames import encode_data, encode_hole, hole_cost
from dcsend.protocol.sender import Sender
from dcsend.protocol.side import TransferState
from dcsend.protocol.window import Window
from tests.protocol.test_receiver import WINDOW, assert_frame_refused, receiver_in
from tests.protocol.test_sender import ACCEPT, HELLO, ack, sender_in
from tests.protocol.test_sender import assert_refused as assert_sender_refuses


@pytest.fixture
def window() -> Window:
    """A window of 100 bytes, 60 of them in flight."""
    window = Window(100)
    window.send(60)
    return window


def test_window_lets_frames_go_until_it_is_full(window: Window) -> None:
    assert window.room(50) == 40
    assert window.allows(40)
    assert not window.allows(41)


def test_full_window_has_no_room(window: Window) -> None:
    window.send(40)
    assert window.room(50) == 0
    assert not window.allows(1)


def test_acknowledgement_makes_room(window: Window) -> None:
    window.acknowledge(20)
    assert window.room(50) == 60


def test_one_frame_may_go_when_nothing_is_in_flight() -> None:
    small = Window(10)
    assert small.room(50) == 50
    assert small.allows(5000)
    small.send(50)
    assert small.room(50) == 0
    small.acknowledge(50)
    assert small.room(50) == 50


def test_window_may_shrink_below_what_is_in_flight(window: Window) -> None:
    window.size = 30
    assert window.room(50) == 0


@pytest.mark.parametrize("total", [20, 21, 60])
def test_acknowledgement_of_what_was_sent_is_right(window: Window, total: int) -> None:
    window.acknowledge(20)
    assert window.fault(total) == ""


@pytest.mark.parametrize(
    ("total", "fault"),
    [
        (19, "acknowledges 19 bytes after 20"),
        (61, "acknowledges 61 bytes, only 60 were sent"),
    ],
)
def test_acknowledgement_must_not_fall_nor_exceed(window: Window, total: int, fault: str) -> None:
    window.acknowledge(20)
    assert window.fault(total) == fault


# --- the sender


def test_sender_waits_when_the_window_is_full() -> None:
    sender = sender_in(TransferState.SENDING, [Entry("x", size=5000)])
    assert sender.sendable() == limits.MAX_FRAME  # one frame always may
    sender.data(0, 0, bytes(900))
    assert sender.sendable() == 1000 - 924
    with pytest.raises(LocalProtocolError, match="doesn't fit the window"):
        sender.data(0, 900, bytes(100))


def test_sender_goes_on_when_frames_are_acknowledged() -> None:
    sender = sender_in(TransferState.SENDING, [Entry("x", size=5000)])
    sender.data(0, 0, bytes(900))
    assert sender.receive(ack(924)) == [Acknowledged(924)]
    assert sender.acknowledged == 924
    assert sender.sendable() == limits.MAX_FRAME


def test_sender_keeps_to_its_own_window_if_that_is_smaller() -> None:
    sender = Sender([Entry("x", size=None)], agent="a", window=200)
    sender.start()
    sender.receive(HELLO)
    sender.receive(ACCEPT)
    sender.data(0, 0, bytes(100))
    assert sender.sendable() == 200 - 124


@pytest.mark.parametrize("total", [3, 1000, 2**53 - 1])
def test_sender_refuses_an_ack_of_what_it_has_not_sent(total: int) -> None:
    assert_sender_refuses(
        sender_in(TransferState.SENDING), ack(total), f"acknowledges {total} bytes, only 0"
    )


def test_sender_refuses_an_ack_that_falls() -> None:
    sender = sender_in(TransferState.SENDING)
    sender.data(1, 0, b"he")
    sender.receive(ack(26))
    assert_sender_refuses(sender, ack(25), "acknowledges 25 bytes after 26")


# --- the receiver


def test_receiver_refuses_more_than_the_window() -> None:
    receiver = receiver_in(TransferState.DECIDING)
    receiver.accept({1: "exists"}, {})
    receiver.receive_frame(encode_data(2, 0, bytes(WINDOW - 24)))
    assert_frame_refused(receiver, encode_data(2, WINDOW - 24, b"x"), "doesn't fit the window")


def test_receiver_takes_one_frame_larger_than_the_window() -> None:
    receiver = receiver_in(TransferState.DECIDING)
    receiver.accept({1: "exists"}, {})
    assert receiver.receive_frame(encode_data(2, 0, bytes(WINDOW)))


def test_receiver_counts_only_acknowledgements_that_have_left() -> None:
    receiver = receiver_in(TransferState.DECIDING)
    receiver.accept({1: "exists"}, {})
    receiver.receive_frame(encode_data(2, 0, bytes(WINDOW - 24)))
    receiver.written(WINDOW)
    assert_frame_refused(receiver, encode_data(2, WINDOW - 24, b"x"), "doesn't fit the window")


def test_receiver_acknowledges_once_for_all_that_is_written() -> None:
    receiver = receiver_in(TransferState.RECEIVING)
    receiver.receive_frame(encode_data(1, 0, b"he"))
    receiver.receive_frame(encode_data(1, 2, b"llo"))
    receiver.written(26)
    receiver.written(27)
    assert receiver.messages_to_send() == ['{"type":"ack","bytes":53}']
    assert receiver.messages_to_send() == []


def test_receiver_cannot_write_more_than_it_got() -> None:
    with pytest.raises(LocalProtocolError, match="wrote more than received"):
        receiver_in(TransferState.RECEIVING).written(1)


# --- holes


@pytest.mark.parametrize(
    ("length", "cost"),
    json.loads((Path(__file__).parents[1] / "vectors" / "hole-cost.json").read_text()),
)
def test_hole_takes_of_the_window_what_it_costs_the_receiver(length: int, cost: int) -> None:
    assert hole_cost(length) == cost
    receiver = receiver_in(TransferState.DECIDING)
    receiver.accept({1: "exists"}, {})
    (event,) = receiver.receive_frame(encode_hole(2, 0, length))
    assert event.cost == receiver.received == cost
    receiver.written(cost)
    assert f'{{"type":"ack","bytes":{cost}}}' in receiver.messages_to_send()


def test_receiver_refuses_more_holes_than_the_window() -> None:
    receiver = receiver_in(TransferState.DECIDING)
    receiver.accept({1: "exists"}, {})
    receiver.receive_frame(encode_hole(2, 0, 300 << 10))
    receiver.receive_frame(encode_hole(2, 300 << 10, 52 << 10))
    assert receiver.received == WINDOW
    assert_frame_refused(receiver, encode_hole(2, 352 << 10, 1), "doesn't fit the window")


def test_sender_waits_when_holes_have_filled_the_window() -> None:
    sender = sender_in(TransferState.SENDING, [Entry("x", size=1 << 40)])
    sender.hole(0, 0, 900 << 10)
    assert sender.sendable() == 1000 - 924
    with pytest.raises(LocalProtocolError, match="frame of 77 bytes doesn't fit the window"):
        sender.hole(0, 900 << 10, 53 << 10)
    sender.receive(ack(924))
    assert sender.sendable() == limits.MAX_FRAME


@pytest.mark.parametrize(
    ("window", "longest"),
    [(1, limits.MAX_PAYLOAD << 10), (10**6, (10**6 - 24) << 10), (limits.WINDOW, limits.MAX_HOLE)],
)
def test_longest_hole_fits_the_window(window: int, longest: int) -> None:
    sender = Sender([Entry("x", size=1 << 40)], agent="a", window=window)
    sender.start()
    sender.receive(HELLO)
    sender.receive(ACCEPT.replace('"window":1000', f'"window":{window}'))
    assert sender.max_hole == longest
    assert hole_cost(longest) <= sender.sendable()
    sender.hole(0, 0, longest)
