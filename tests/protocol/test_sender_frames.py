"""The sender: frames, verdicts and the end of a transfer."""

from __future__ import annotations

import json

import pytest

from dcsend.entry import Entry, Kind
from dcsend.errors import (
    LocalProtocolError,
    RemoteProtocolError,
)
from dcsend.protocol.events import (
    Cancelled,
    Completed,
    VerdictReceived,
)
from dcsend.protocol.frames import decode_frame
from dcsend.protocol.messages import Bye, Cancel, Decline, Message, decode, encode
from dcsend.protocol.sender import Sender
from dcsend.protocol.side import TransferState
from tests.protocol.test_sender import (
    BYE,
    CANCEL,
    COMPLETE,
    DIGEST,
    ENTRIES,
    HELLO,
    accept,
    assert_refused,
    sender_in,
    verdict,
)

# --- frames


@pytest.mark.parametrize(
    ("number", "offset", "payload", "digest", "reason"),
    [
        (2, 0, b"", DIGEST, "file 2 while file 1 is due"),
        (0, 0, b"x", None, "file 0 while file 1 is due"),
        (1, 1, b"x", None, "at 1 while 0 is due"),
        (1, 0, b"hello!", None, "more than its 5 bytes"),
        (1, 0, b"hell", DIGEST, "less than its 5 bytes"),
        (1, 0, b"", None, "must be the last of its file"),
    ],
)
def test_sender_makes_no_frame_out_of_turn(
    number: int, offset: int, payload: bytes, digest: bytes | None, reason: str
) -> None:
    sender = sender_in(TransferState.SENDING)
    with pytest.raises(LocalProtocolError, match=reason):
        sender.data(number, offset, payload, digest)
    assert sender.data(1, 0, b"hello", DIGEST)


def test_sender_starts_at_what_the_receiver_has() -> None:
    sender = sender_in(TransferState.OFFERING)
    sender.receive(accept(have=[[1, 3]]))
    assert decode_frame(sender.data(1, 3, b"lo", DIGEST)).offset == 3


def test_sender_puts_whole_files_together() -> None:
    entries = [Entry("a", size=5), Entry("d", Kind.DIRECTORY, 0), Entry("b", size=0)]
    sender = sender_in(TransferState.SENDING, entries)
    for numbers, contents in (
        ((0, 2), (b"hell", b"")),
        ((0,), (b"hello!",)),
        ((2,), (b"",)),
        ((0, 1), (b"hello", b"")),
        ((0, 2, 3), (b"hello", b"", b"")),
        ((0, 2), (b"hello",)),
        ((0,), (b"hello", b"")),
        ((), ()),
    ):
        with pytest.raises(LocalProtocolError, match="that is not due"):
            sender.batch(numbers, contents, (DIGEST,) * len(numbers))
    frame = decode_frame(sender.batch((0, 2), (b"hello", b""), (DIGEST, DIGEST)))
    assert (frame.number, frame.offset, bytes(frame.payload)) == (0, 2, b"hello")
    assert frame.digest == DIGEST * 2
    assert sender.state is TransferState.SENT


def test_sender_makes_holes_and_aborts() -> None:
    sender = sender_in(TransferState.SENDING)
    assert decode_frame(sender.hole(1, 0, 4)).length == 4
    with pytest.raises(LocalProtocolError, match="more than its 5 bytes"):
        sender.hole(1, 4, 2)
    with pytest.raises(LocalProtocolError, match="file 2 while file 1 is due"):
        sender.abort(2, "gone")
    frame = decode_frame(sender.abort(1, "gone"))
    assert (frame.number, frame.offset, bytes(frame.payload)) == (1, 4, b"gone")
    assert decode_frame(sender.data(2, 0, b"", DIGEST)).number == 2
    assert sender.state is TransferState.SENT


@pytest.mark.parametrize("state", [TransferState.OFFERING, TransferState.SENT])
def test_sender_makes_no_frame_in_another_state(state: TransferState) -> None:
    sender = sender_in(state)
    with pytest.raises(LocalProtocolError, match=f"send frame is impossible while {state}"):
        sender.data(1, 0, b"hello")
    assert sender.sendable() == 0


# --- verdicts and the last word


def test_sender_passes_verdicts_on() -> None:
    sender = sender_in(TransferState.SENT)
    assert sender.receive(verdict((2, "ok"), (1, "mismatch"))) == [
        VerdictReceived(2, "ok"),
        VerdictReceived(1, "mismatch"),
    ]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([(0, "ok")], "verdict ok on 0, which is no file"),
        ([(0, "failed"), (0, "failed")], "second verdict on 0"),
        ([(3, "failed")], "verdict on 3, which is not a file"),
        ([(1, "ok"), (1, "ok")], "second verdict on 1"),
    ],
)
def test_sender_refuses_a_verdict_on(files: list[tuple[int, str]], reason: str) -> None:
    assert_refused(sender_in(TransferState.SENT), verdict(*files), reason)


def test_sender_reports_a_folder_that_the_receiver_could_not_create() -> None:
    sender = sender_in(TransferState.SENT)
    assert sender.receive(verdict((0, "failed"))) == [VerdictReceived(0, "failed")]
    sender.receive(verdict((1, "ok"), (2, "ok")))
    with pytest.raises(RemoteProtocolError, match="complete doesn't match the verdicts"):
        sender.receive(COMPLETE)  # which says that all is well


@pytest.mark.parametrize("status", ["ok", "mismatch"])
def test_sender_refuses_an_early_verdict(status: str) -> None:
    sender = sender_in(TransferState.SENDING)
    assert_refused(sender, verdict((1, status)), f"verdict {status} on file 1, which has not ended")


def test_sender_refuses_ok_for_an_aborted_file() -> None:
    sender = sender_in(TransferState.SENDING)
    sender.abort(1, "gone")
    assert_refused(sender, verdict((1, "ok")), "which has not ended")


def test_file_is_refused_from_its_early_failure_until_it_ends() -> None:
    sender = sender_in(TransferState.SENDING)
    assert [sender.is_refused(number) for number in range(-1, 4)] == [False] * 5
    sender.receive(verdict((1, "failed")))
    sender.receive(verdict((0, "failed")))  # a folder, which has no frames
    assert [sender.is_refused(number) for number in range(-1, 4)] == [
        False,
        False,
        True,
        False,
        False,
    ]
    sender.abort(1, "not wanted")
    assert not sender.is_refused(1)


def test_sender_takes_an_early_failure() -> None:
    sender = sender_in(TransferState.SENDING)
    assert sender.receive(verdict((1, "failed"))) == [VerdictReceived(1, "failed")]
    sender.data(1, 0, b"hello", DIGEST)


def test_sender_ends_with_bye() -> None:
    sender = sender_in(TransferState.SENT)
    sender.receive(verdict((1, "ok"), (2, "ok")))
    assert sender.receive(COMPLETE) == [Completed(ok=True, files=2, bytes=5)]
    sender.end()
    assert sender.messages_to_send() == [BYE]


def test_sender_does_not_end_before_the_last_word() -> None:
    with pytest.raises(LocalProtocolError, match="end is impossible while sent"):
        sender_in(TransferState.SENT).end()


@pytest.mark.parametrize(
    "wrong", [{"ok": False}, {"files": 1}, {"files": 3}, {"bytes": 4}, {"bytes": 0}]
)
def test_sender_refuses_a_last_word_that_contradicts_the_verdicts(wrong: dict[str, int]) -> None:
    sender = sender_in(TransferState.SENT)
    sender.receive(verdict((1, "ok"), (2, "ok")))
    last_word = json.dumps({**json.loads(COMPLETE), **wrong})
    assert_refused(sender, last_word, "complete doesn't match the verdicts")


def test_sender_gets_the_reason_of_the_receivers_cancel() -> None:
    sender = sender_in(TransferState.SENDING)
    assert sender.receive(CANCEL) == [Cancelled("interrupted", "ctrl-c")]
    assert sender.messages_to_send() == []


def test_sender_cancels_only_for_a_known_reason() -> None:
    with pytest.raises(LocalProtocolError, match="no reason to cancel: bored"):
        sender_in(TransferState.SENDING).cancel("bored")


@pytest.mark.parametrize(
    ("is_last", "reason", "answer"),
    [
        (False, "destination", Bye()),
        (True, "destination", Cancel("error", "the code does not work again")),
        (True, "declined", Bye()),
    ],
)
def test_answer_to_a_decline_has_whether_the_code_works_again(
    is_last: bool, reason: str, answer: Message
) -> None:
    sender = Sender(ENTRIES, agent="dcsend/1", is_last=is_last)
    sender.start()
    sender.receive(HELLO)
    sender.messages_to_send()
    sender.receive(encode(Decline(reason)))
    assert list(map(decode, sender.messages_to_send())) == [answer]
