"""The receiver: frames, verdicts and the end of a transfer."""

from __future__ import annotations

import pytest

from dcsend.content import Abort, Data, End, Hole
from dcsend.entry import Entry
from dcsend.errors import (
    IntegrityError,
    LocalProtocolError,
)
from dcsend.protocol import limits
from dcsend.protocol.events import (
    Cancelled,
    PeerSaidBye,
)
from dcsend.protocol.frames import encode_abort, encode_data, encode_hole
from dcsend.protocol.messages import Manifest, encode
from dcsend.protocol.receiver import Receiver
from dcsend.protocol.side import TransferState
from tests.protocol.test_receiver import (
    CANCEL,
    DIGEST,
    HELLO,
    assert_failed,
    assert_frame_refused,
    receiver_in,
)

# --- frames


def test_receiver_takes_content() -> None:
    receiver = receiver_in(TransferState.RECEIVING)
    assert receiver.receive_frame(encode_data(1, 0, b"he")) == [Data(1, 0, b"he", 26)]
    assert receiver.receive_frame(encode_hole(1, 2, 2)) == [Hole(1, 2, 2, 24)]
    end = encode_data(1, 4, b"o", DIGEST)
    assert receiver.receive_frame(end) == [End(1, 5, DIGEST, b"o", 57)]
    assert receiver.receive_frame(encode_abort(2, 0, "fort")) == [Abort(2, "fort", 28)]
    assert receiver.state is TransferState.RECEIVED
    assert receiver.received == 26 + 24 + 57 + 28


def test_receiver_takes_the_end_alone() -> None:
    receiver = receiver_in(TransferState.RECEIVING)
    receiver.receive_frame(encode_data(1, 0, b"hello"))
    events = receiver.receive_frame(encode_data(1, 5, b"", DIGEST))
    assert events == [End(1, 5, DIGEST, b"", 56)]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (encode_data(2, 0, b"x"), "file 2 while file 1 is due"),
        (encode_data(0, 0, b"x"), "file 0 while file 1 is due"),
        (encode_data(99, 0, b"x"), "file 99 while file 1 is due"),
        (encode_data(1, 1, b"x"), "at 1 while 0 is due"),
        (encode_data(1, 0, b"hello!"), "more than its 5 bytes"),
        (encode_data(1, 0, b"hello!", DIGEST), "more than its 5 bytes"),
        (encode_data(1, 0, b"hell", DIGEST), "less than its 5 bytes"),
        (encode_data(1, 0, b"", DIGEST), "less than its 5 bytes"),
        (encode_hole(1, 0, 6), "more than its 5 bytes"),
        (encode_hole(1, 1, 1), "at 1 while 0 is due"),
        (encode_abort(2, 0, ""), "file 2 while file 1 is due"),
        (encode_abort(1, 1, ""), "at 1 while 0 is due"),
        (b"", "data message of 0 bytes is not a frame"),
        ("text", "text message on the data channel"),
    ],
)
def test_receiver_refuses_a_frame_out_of_turn(frame: bytes | str, reason: str) -> None:
    assert_frame_refused(receiver_in(TransferState.RECEIVING), frame, reason)


def test_receiver_refuses_a_stream_of_holes() -> None:
    """Its length is unknown: more zeros than content were not agreed."""
    receiver = receiver_in(TransferState.DECIDING)
    receiver.accept({1: "exists"}, {})

    def take(frame: bytes) -> None:
        before = receiver.received
        receiver.receive_frame(frame)
        receiver.written(receiver.received - before)
        receiver.messages_to_send()

    at = limits.MAX_HOLE
    take(encode_hole(2, 0, at))
    take(encode_data(2, at, b"content"))
    take(encode_hole(2, at + 7, 7))
    assert_frame_refused(receiver, encode_hole(2, at + 14, 1), "more holes than content")


def test_receiver_takes_any_number_of_holes_of_a_known_size() -> None:
    receiver = Receiver(agent="a")
    receiver.start()
    receiver.receive(HELLO)
    receiver.receive(encode(Manifest((Entry("sparse", size=1 << 42),), last=True)))
    receiver.accept({}, {})
    for number in range(1 << 12):
        (event,) = receiver.receive_frame(encode_hole(0, number << 30, 1 << 30))
        receiver.written(event.cost)
        receiver.messages_to_send()


def test_receiver_refuses_a_frame_twice() -> None:
    receiver = receiver_in(TransferState.RECEIVING)
    frame = encode_data(1, 0, b"he")
    receiver.receive_frame(frame)
    assert_frame_refused(receiver, frame, "at 0 while 2 is due")


def test_receiver_refuses_a_frame_of_a_skipped_file() -> None:
    receiver = receiver_in(TransferState.DECIDING)
    receiver.accept({1: "exists"}, {})
    assert_frame_refused(receiver, encode_data(1, 0, b"x"), "file 1 while file 2 is due")


def test_receiver_refuses_content_it_already_has() -> None:
    receiver = receiver_in(TransferState.DECIDING)
    receiver.accept({}, {1: 3})
    assert_frame_refused(receiver, encode_data(1, 0, b"hello"), "at 0 while 3 is due")


def test_receiver_refuses_a_damaged_frame() -> None:
    receiver = receiver_in(TransferState.RECEIVING)
    with pytest.raises(IntegrityError):
        receiver.receive_frame(encode_data(1, 0, b"hello")[:-1] + b"\0")
    assert_failed(receiver, IntegrityError, "integrity")


# --- verdicts and the last word


def test_verdicts_follow_the_acknowledgement_in_one_message() -> None:
    receiver = receiver_in(TransferState.RECEIVING)
    receiver.receive_frame(encode_data(1, 0, b"hello", DIGEST))
    receiver.verdict(1, "mismatch")
    receiver.verdict(2, "failed")
    receiver.written(61)
    assert receiver.messages_to_send() == [
        '{"type":"ack","bytes":61}',
        '{"type":"verdict","files":[[1,"mismatch"],[2,"failed"]]}',
    ]


def test_receiver_completes_after_the_last_verdict() -> None:
    receiver = receiver_in(TransferState.RECEIVED)
    receiver.verdict(2, "ok")
    receiver.written(receiver.received)
    receiver.verdict(1, "ok")
    assert receiver.messages_to_send() == [
        f'{{"type":"ack","bytes":{receiver.received}}}',
        '{"type":"verdict","files":[[2,"ok"],[1,"ok"]]}',
        '{"type":"complete","ok":true,"files":2,"bytes":5}',
    ]


def test_receiver_completes_when_the_last_frame_is_written() -> None:
    receiver = receiver_in(TransferState.RECEIVED)
    arrived = receiver.received
    receiver.verdict(2, "ok")
    receiver.verdict(1, "ok")
    states = []
    for cost in (arrived - 1, 1):
        receiver.written(cost)
        states.append(receiver.state)
    assert states == [TransferState.RECEIVED, TransferState.COMPLETED]


def test_receiver_completes_with_a_folder_that_could_not_be_made() -> None:
    receiver = receiver_in(TransferState.RECEIVED)
    receiver.verdict(0, "failed")
    receiver.verdict(1, "ok")
    receiver.verdict(2, "ok")
    receiver.written(receiver.received)
    assert receiver.messages_to_send() == [
        f'{{"type":"ack","bytes":{receiver.received}}}',
        '{"type":"verdict","files":[[0,"failed"],[1,"ok"],[2,"ok"]]}',
        '{"type":"complete","ok":false,"files":2,"bytes":5}',
    ]


def test_receiver_completes_after_the_last_frame_of_a_failed_file() -> None:
    receiver = receiver_in(TransferState.RECEIVING)
    receiver.verdict(1, "failed")
    receiver.verdict(2, "failed")
    assert receiver.state is TransferState.RECEIVING
    receiver.receive_frame(encode_abort(1, 0, ""))
    receiver.receive_frame(encode_data(2, 0, b"x", DIGEST))
    receiver.verdict(0, "failed")  # folders are made last
    receiver.written(receiver.received)
    assert receiver.messages_to_send()[-1] == ('{"type":"complete","ok":false,"files":0,"bytes":0}')


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [
        (0, "ok", "verdict ok on 0, which is no file"),
        (3, "ok", "verdict on 3"),
        (-1, "ok", "verdict on -1"),
        (1, "good", "no verdict: good"),
        (1, "ok", "verdict ok on file 1, which has not ended"),
        (1, "mismatch", "verdict mismatch on file 1, which has not ended"),
    ],
)
def test_receiver_cannot_give_a_verdict(number: int, status: str, reason: str) -> None:
    with pytest.raises(LocalProtocolError, match=reason):
        receiver_in(TransferState.RECEIVING).verdict(number, status)


def test_receiver_gives_a_file_one_verdict() -> None:
    receiver = receiver_in(TransferState.RECEIVED)
    receiver.verdict(1, "ok")
    with pytest.raises(LocalProtocolError, match="second verdict on 1"):
        receiver.verdict(1, "ok")


def test_receiver_gets_the_reason_of_the_senders_cancel() -> None:
    assert receiver_in(TransferState.RECEIVING).receive(CANCEL) == [
        Cancelled("interrupted", "ctrl-c")
    ]


def test_cancel_that_crosses_the_last_word_counts_as_bye() -> None:
    assert receiver_in(TransferState.COMPLETED).receive(CANCEL) == [PeerSaidBye(by_cancel=True)]
