"""The receiver's side: one test for each row of its table, and each rule of its peer."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from dcsend.entry import Entry, Kind
from dcsend.errors import (
    DcsendError,
    IncompatibleVersion,
    IntegrityError,
    LocalProtocolError,
    RemoteProtocolError,
    UsageError,
)
from dcsend.listing import Entries
from dcsend.protocol import limits
from dcsend.protocol.events import (
    Cancelled,
    DataReceived,
    FileAborted,
    FileEnded,
    HoleReceived,
    ManifestReceived,
    PeerIntroduced,
    PeerSaidBye,
)
from dcsend.protocol.frames import encode_abort, encode_data, encode_hole
from dcsend.protocol.messages import Manifest, encode
from dcsend.protocol.receiver import TRANSITIONS, Receiver
from dcsend.protocol.side import Input, State
from tests import test_sender
from tests.test_messages import table

HELLO = test_sender.HELLO.replace("receiver", "sender")
MANIFEST = json.dumps(
    {
        "type": "manifest",
        "entries": [
            {"path": "d", "kind": "directory", "size": 0},
            {"path": "d/a", "kind": "file", "size": 5},
            {"path": "d/b", "kind": "file", "size": None},
        ],
        "last": True,
    }
)
MANIFEST_PART = MANIFEST.replace("true", "false")
CANCEL = '{"type":"cancel","reason":"interrupted","message":"ctrl-c"}'
BYE = '{"type":"bye"}'
DIGEST = bytes(32)
WINDOW = 400


def judge(receiver: Receiver) -> None:
    """Find both files right."""
    receiver.verdict(1, "ok")
    receiver.verdict(2, "ok")


def break_a_rule(receiver: Receiver) -> None:
    """Let the peer break a rule."""
    with pytest.raises(RemoteProtocolError):
        receiver.receive("nonsense")


def receiver_in(state: State) -> Receiver:
    """A receiver that has come as far as *state*; its messages are taken out."""
    receiver = Receiver(agent="dcsend/1", window=WINDOW)
    way: dict[State, Callable[[], object]] = {
        State.NEW: lambda: None,
        State.GREETING: receiver.start,
        State.WAITING: lambda: receiver.receive(HELLO),
        State.DECIDING: lambda: receiver.receive(MANIFEST),
        State.RECEIVING: lambda: receiver.accept({}, {}),
        State.RECEIVED: lambda: (
            receiver.receive_frame(encode_data(1, 0, b"hello", DIGEST)),
            receiver.receive_frame(encode_data(2, 0, b"", DIGEST)),
        ),
        State.COMPLETED: lambda: judge(receiver),
        State.DONE: lambda: receiver.receive(BYE),
    }
    ends: dict[State, Callable[[], object]] = {
        State.DECLINED: lambda: receiver.decline("declined"),
        State.CANCELLED: lambda: receiver.cancel("interrupted"),
        State.FAILED: lambda: break_a_rule(receiver),
    }
    for step, act in way.items():
        act()
        assert receiver.state is step
        if step is state or (state in ends and step is State.DECIDING):
            break
    if state in ends:
        ends[state]()
    receiver.messages_to_send()
    assert receiver.state is state
    return receiver


def assert_failed(receiver: Receiver, error: type[DcsendError], reason: str) -> None:
    """The peer is told once, and every further call raises the same."""
    assert receiver.state is State.FAILED
    *_, told = map(json.loads, receiver.messages_to_send())
    assert (told["type"], told["reason"]) == ("cancel", reason)
    calls: list[Callable[[], object]] = [
        lambda: receiver.receive(BYE),
        lambda: receiver.receive_frame(encode_data(1, 0, b"hello")),
        lambda: receiver.verdict(1, "ok"),
        lambda: receiver.accept({}, {}),
        lambda: receiver.decline("declined"),
    ]
    for call in calls:
        with pytest.raises(error):
            call()
    receiver.cancel("error")
    assert receiver.messages_to_send() == []


def assert_refused(receiver: Receiver, message: str | bytes, reason: str) -> None:
    """A control message is refused."""
    with pytest.raises(RemoteProtocolError, match=reason):
        receiver.receive(message)
    assert_failed(receiver, RemoteProtocolError, "protocol")


def assert_frame_refused(receiver: Receiver, frame: bytes | str, reason: str) -> None:
    """A data message is refused."""
    with pytest.raises(RemoteProtocolError, match=reason):
        receiver.receive_frame(frame)
    assert_failed(receiver, RemoteProtocolError, "protocol")


# --- the table

PEER_INPUTS = {
    **test_sender.PEER_INPUTS,
    Input.HELLO: HELLO,
    Input.MANIFEST_PART: MANIFEST_PART,
    Input.MANIFEST: MANIFEST,
}
ALIVE = [state for state, row in TRANSITIONS.items() if row and state is not State.NEW]


def test_receiver_table_is_that_of_protocol_md() -> None:
    documented = {(row[0], row[1]): row[2] for row in table("### Receiver")}
    assert documented == {
        (state.value, step.value): following.value
        for state, row in TRANSITIONS.items()
        for step, following in row.items()
    }


@pytest.mark.parametrize("state", ALIVE)
@pytest.mark.parametrize("step", PEER_INPUTS)
def test_receiver_takes_a_message_only_where_its_table_does(state: State, step: Input) -> None:
    receiver = receiver_in(state)
    following = TRANSITIONS[state].get(step)
    if following is None:
        assert_refused(receiver, PEER_INPUTS[step], "is not allowed while")
    else:
        receiver.receive(PEER_INPUTS[step])
        assert receiver.state is following


@pytest.mark.parametrize("state", [state for state in ALIVE if state is not State.RECEIVING])
def test_receiver_takes_frames_only_while_receiving(state: State) -> None:
    assert_frame_refused(receiver_in(state), encode_data(1, 0, b"x"), "Frame is not allowed while")


@pytest.mark.parametrize("state", [State.DONE, State.CANCELLED])
@pytest.mark.parametrize("message", [*PEER_INPUTS.values(), "nonsense"])
def test_receiver_ignores_everything_when_it_is_over(state: State, message: str) -> None:
    receiver = receiver_in(state)
    assert receiver.receive(message) == []
    assert receiver.receive_frame(b"nonsense") == []
    receiver.verdict(1, "ok")
    assert (receiver.state, receiver.messages_to_send()) == (state, [])


@pytest.mark.parametrize("state", TRANSITIONS)
def test_receiver_can_cancel_until_its_last_word(state: State) -> None:
    receiver = receiver_in(state)
    receiver.cancel("destination", "x" * 501)
    if Input.SEND_CANCEL in TRANSITIONS[state]:
        [told] = map(json.loads, receiver.messages_to_send())
        assert told == {"type": "cancel", "reason": "destination", "message": "x" * 500}
        assert receiver.state is State.CANCELLED
    else:
        assert (receiver.state, receiver.messages_to_send()) == (state, [])


# --- greeting, manifest


def test_receiver_starts_with_hello() -> None:
    receiver = Receiver(agent="dcsend/1")
    receiver.start()
    assert receiver.messages_to_send() == [
        '{"type":"hello","versions":[1],"agent":"dcsend/1","role":"receiver","features":[],'
        '"max_frame":64960}'
    ]


def test_receiver_is_introduced() -> None:
    assert receiver_in(State.GREETING).receive(HELLO) == [PeerIntroduced("page/1", 1, ())]


def test_receiver_refuses_a_peer_without_a_common_version() -> None:
    receiver = receiver_in(State.GREETING)
    with pytest.raises(IncompatibleVersion):
        receiver.receive(HELLO.replace("[1]", "[2]"))
    assert_failed(receiver, IncompatibleVersion, "version")


def test_receiver_refuses_a_receiver() -> None:
    receiver = receiver_in(State.GREETING)
    with pytest.raises(UsageError, match="both sides want to receive"):
        receiver.receive(HELLO.replace("sender", "receiver"))
    assert_failed(receiver, UsageError, "protocol")


def test_receiver_does_not_receive_before_start() -> None:
    for receive in (Receiver(agent="a").receive, Receiver(agent="a").receive_frame):
        with pytest.raises(LocalProtocolError, match="received before start"):
            receive("{}")


def test_receiver_refuses_a_binary_message() -> None:
    assert_refused(receiver_in(State.WAITING), b"{}", "binary message on the control channel")


def test_receiver_joins_the_parts_of_the_manifest() -> None:
    receiver = receiver_in(State.WAITING)
    entries = (
        Entry("d", Kind.DIRECTORY, mode=0o755),
        Entry("d/a", size=5),
        Entry("d/b", size=None),
    )
    assert receiver.receive(MANIFEST_PART) == []
    assert receiver.receive(MANIFEST) == [ManifestReceived(Entries(entries * 2))]


def test_receiver_refuses_a_manifest_with_too_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ENTRIES", 5)
    receiver = receiver_in(State.WAITING)
    receiver.receive(MANIFEST_PART)
    assert_refused(receiver, MANIFEST_PART, "manifest has more than 5 entries")


def test_receiver_refuses_a_manifest_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MANIFEST", 2 * len(MANIFEST_PART))
    receiver = receiver_in(State.WAITING)
    receiver.receive(MANIFEST_PART)
    receiver.receive(MANIFEST_PART)
    assert_refused(receiver, MANIFEST_PART, "manifest is longer than")


def test_receiver_refuses_names_that_are_too_long_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_NAMES", 10)
    monkeypatch.setattr(limits, "NAMES_PER_ENTRY", 4)

    def part(*names: tuple[str, str]) -> str:
        links = (Entry(path, Kind.LINK, target=target) for path, target in names)
        return encode(Manifest(tuple(links), last=False))

    receiver = receiver_in(State.WAITING)
    receiver.receive(part(("a" * 10, "\U0001f389")))  # 14 bytes, of 10 and 4
    receiver.receive(part(("b", "c"), ("d", "é")))  # 19, of 10 and 12
    # The first four have 27 bytes, of 10 and 16.
    assert_refused(
        receiver, part(("e" * 7, "f"), ("g", "h" * 3)), "manifest has names of more than 10 bytes"
    )


# --- the answer


def test_receiver_accepts() -> None:
    receiver = receiver_in(State.DECIDING)
    receiver.accept({0: "exists"}, {1: 3})
    assert receiver.messages_to_send() == [
        '{"type":"accept","window":400,"skip":[[0,"exists"]],"have":[[1,3]],"last":true}'
    ]


@pytest.mark.parametrize(
    ("skip", "have", "reason"),
    [
        ({3: "exists"}, {}, "skips 3"),
        ({-1: "exists"}, {}, "skips -1"),
        ({1: "ugly"}, {}, "can't send this accept"),
        ({}, {0: 1}, "has a part of 0"),
        ({}, {1: 0}, "has 0 bytes"),
        ({}, {1: 6}, "has 6 bytes"),
        ({1: "exists"}, {1: 1}, "has a part of 1"),
    ],
)
def test_receiver_accepts_only_what_is_offered(
    skip: dict[int, str], have: dict[int, int], reason: str
) -> None:
    with pytest.raises(LocalProtocolError, match=reason):
        receiver_in(State.DECIDING).accept(skip, have)


def test_receiver_declines() -> None:
    receiver = receiver_in(State.DECIDING)
    receiver.decline("declined", "no")
    assert receiver.messages_to_send() == [PEER_INPUTS[Input.DECLINE]]
    assert receiver.receive(BYE) == [PeerSaidBye()]


def test_receiver_declines_only_for_a_known_reason() -> None:
    with pytest.raises(LocalProtocolError, match="no reason to decline: bored"):
        receiver_in(State.DECIDING).decline("bored")


@pytest.mark.parametrize("state", [State.WAITING, State.RECEIVING])
def test_receiver_answers_only_a_manifest(state: State) -> None:
    with pytest.raises(LocalProtocolError, match=f"accept is impossible while {state}"):
        receiver_in(state).accept({}, {})


def test_receiver_of_nothing_completes_at_once() -> None:
    receiver = receiver_in(State.DECIDING)
    receiver.accept({1: "exists", 2: "exists"}, {})
    types = [json.loads(message)["type"] for message in receiver.messages_to_send()]
    assert types == ["accept", "complete"]


# --- frames


def test_receiver_takes_content() -> None:
    receiver = receiver_in(State.RECEIVING)
    assert receiver.receive_frame(encode_data(1, 0, b"he")) == [DataReceived(1, 0, b"he", 26)]
    assert receiver.receive_frame(encode_hole(1, 2, 2)) == [HoleReceived(1, 2, 2, 24)]
    end = encode_data(1, 4, b"o", DIGEST)
    assert receiver.receive_frame(end) == [FileEnded(1, 4, b"o", 5, DIGEST, 57)]
    assert receiver.receive_frame(encode_abort(2, 0, "fort")) == [FileAborted(2, "fort", 28)]
    assert receiver.state is State.RECEIVED
    assert receiver.received == 26 + 24 + 57 + 28


def test_receiver_takes_the_end_alone() -> None:
    receiver = receiver_in(State.RECEIVING)
    receiver.receive_frame(encode_data(1, 0, b"hello"))
    events = receiver.receive_frame(encode_data(1, 5, b"", DIGEST))
    assert events == [FileEnded(1, 5, b"", 5, DIGEST, 56)]


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
        (b"", "data message of 0 bytes is no frame"),
        ("text", "text message on the data channel"),
    ],
)
def test_receiver_refuses_a_frame_out_of_turn(frame: bytes | str, reason: str) -> None:
    assert_frame_refused(receiver_in(State.RECEIVING), frame, reason)


def test_receiver_refuses_a_stream_of_holes() -> None:
    """Its length is unknown, so nobody has agreed to more zeros than there is content."""
    receiver = receiver_in(State.DECIDING)
    receiver.accept({1: "exists"}, {})

    def take(frame: bytes) -> None:
        receiver.receive_frame(frame)
        receiver.written(receiver.received - receiver._written)
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
    receiver = receiver_in(State.RECEIVING)
    frame = encode_data(1, 0, b"he")
    receiver.receive_frame(frame)
    assert_frame_refused(receiver, frame, "at 0 while 2 is due")


def test_receiver_refuses_a_frame_of_a_skipped_file() -> None:
    receiver = receiver_in(State.DECIDING)
    receiver.accept({1: "exists"}, {})
    assert_frame_refused(receiver, encode_data(1, 0, b"x"), "file 1 while file 2 is due")


def test_receiver_refuses_content_it_already_has() -> None:
    receiver = receiver_in(State.DECIDING)
    receiver.accept({}, {1: 3})
    assert_frame_refused(receiver, encode_data(1, 0, b"hello"), "at 0 while 3 is due")


def test_receiver_refuses_a_damaged_frame() -> None:
    receiver = receiver_in(State.RECEIVING)
    with pytest.raises(IntegrityError):
        receiver.receive_frame(encode_data(1, 0, b"hello")[:-1] + b"\0")
    assert_failed(receiver, IntegrityError, "integrity")


# --- verdicts and the last word


def test_receiver_says_verdicts_together_after_the_acknowledgement() -> None:
    receiver = receiver_in(State.RECEIVING)
    receiver.receive_frame(encode_data(1, 0, b"hello", DIGEST))
    receiver.verdict(1, "mismatch")
    receiver.verdict(2, "failed")
    receiver.written(61)
    assert receiver.messages_to_send() == [
        '{"type":"ack","bytes":61}',
        '{"type":"verdict","files":[[1,"mismatch"],[2,"failed"]]}',
    ]


def test_receiver_completes_after_the_last_verdict() -> None:
    receiver = receiver_in(State.RECEIVED)
    receiver.verdict(2, "ok")
    receiver.verdict(1, "ok")
    assert receiver.messages_to_send() == [
        '{"type":"verdict","files":[[2,"ok"],[1,"ok"]]}',
        '{"type":"complete","ok":true,"files":2,"bytes":5}',
    ]
    receiver.written(10)
    assert receiver.messages_to_send() == []


def test_receiver_completes_with_a_folder_that_could_not_be_made() -> None:
    receiver = receiver_in(State.RECEIVED)
    receiver.verdict(0, "failed")
    receiver.verdict(1, "ok")
    receiver.verdict(2, "ok")
    assert receiver.messages_to_send() == [
        '{"type":"verdict","files":[[0,"failed"],[1,"ok"],[2,"ok"]]}',
        '{"type":"complete","ok":false,"files":2,"bytes":5}',
    ]


def test_receiver_completes_after_the_last_frame_of_a_failed_file() -> None:
    receiver = receiver_in(State.RECEIVING)
    receiver.verdict(1, "failed")
    receiver.verdict(2, "failed")
    assert receiver.state is State.RECEIVING
    receiver.receive_frame(encode_abort(1, 0, ""))
    receiver.receive_frame(encode_data(2, 0, b"x", DIGEST))
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
def test_receiver_cannot_judge(number: int, status: str, reason: str) -> None:
    with pytest.raises(LocalProtocolError, match=reason):
        receiver_in(State.RECEIVING).verdict(number, status)


def test_receiver_judges_a_file_once() -> None:
    receiver = receiver_in(State.RECEIVED)
    receiver.verdict(1, "ok")
    with pytest.raises(LocalProtocolError, match="second verdict on 1"):
        receiver.verdict(1, "ok")


def test_receiver_is_told_why_the_sender_cancels() -> None:
    assert receiver_in(State.RECEIVING).receive(CANCEL) == [Cancelled("interrupted", "ctrl-c")]


def test_cancel_that_crosses_the_last_word_counts_as_bye() -> None:
    assert receiver_in(State.COMPLETED).receive(CANCEL) == [PeerSaidBye()]
