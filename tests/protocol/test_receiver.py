"""The receiver's side: one test for each row of its table, and each rule of its peer."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from dcsend.entry import Entry, Kind
from dcsend.errors import (
    DcsendError,
    IncompatibleVersion,
    LocalProtocolError,
    RemoteProtocolError,
    UsageError,
)
from dcsend.listing import Entries
from dcsend.protocol.events import (
    ManifestReceived,
    PeerIntroduced,
    PeerSaidBye,
)
from dcsend.protocol.frames import encode_data
from dcsend.protocol.manifest_messages import LIMITS, ManifestLimits
from dcsend.protocol.messages import Manifest, encode
from dcsend.protocol.receiver import TRANSITIONS, Receiver
from dcsend.protocol.side import TransferInput, TransferState
from tests.protocol import test_sender
from tests.protocol.test_messages import table

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


def verify_both_files(receiver: Receiver) -> None:
    """Report that both files are verified and all of their bytes written."""
    receiver.verdict(1, "ok")
    receiver.verdict(2, "ok")
    receiver.written(receiver.received)


def break_a_rule(receiver: Receiver) -> None:
    """Let the peer break a rule."""
    with pytest.raises(RemoteProtocolError):
        receiver.receive("nonsense")


def receiver_in(state: TransferState, most: ManifestLimits = LIMITS) -> Receiver:
    """A receiver that has come as far as *state*; its messages are taken out."""
    receiver = Receiver(agent="dcsend/1", window=WINDOW, most=most)
    way: dict[TransferState, Callable[[], object]] = {
        TransferState.NEW: lambda: None,
        TransferState.GREETING: receiver.start,
        TransferState.WAITING: lambda: receiver.receive(HELLO),
        TransferState.DECIDING: lambda: receiver.receive(MANIFEST),
        TransferState.RECEIVING: lambda: receiver.accept({}, {}),
        TransferState.RECEIVED: lambda: (
            receiver.receive_frame(encode_data(1, 0, b"hello", DIGEST)),
            receiver.receive_frame(encode_data(2, 0, b"", DIGEST)),
        ),
        TransferState.COMPLETED: lambda: verify_both_files(receiver),
        TransferState.DONE: lambda: receiver.receive(BYE),
    }
    ends: dict[TransferState, Callable[[], object]] = {
        TransferState.DECLINED: lambda: receiver.decline("declined"),
        TransferState.CANCELLED: lambda: receiver.cancel("interrupted"),
        TransferState.FAILED: lambda: break_a_rule(receiver),
    }
    for step, act in way.items():
        act()
        assert receiver.state is step
        if step is state or (state in ends and step is TransferState.DECIDING):
            break
    if state in ends:
        ends[state]()
    receiver.messages_to_send()
    assert receiver.state is state
    return receiver


def assert_failed(receiver: Receiver, error: type[DcsendError], reason: str) -> None:
    """One Cancel is sent, and every further call raises the same error."""
    assert receiver.state is TransferState.FAILED
    *_, sent = map(json.loads, receiver.messages_to_send())
    assert (sent["type"], sent["reason"]) == ("cancel", reason)
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
    TransferInput.HELLO: HELLO,
    TransferInput.MANIFEST_PART: MANIFEST_PART,
    TransferInput.MANIFEST: MANIFEST,
}
ALIVE = [state for state, row in TRANSITIONS.items() if row and state is not TransferState.NEW]


def test_receiver_table_is_that_of_protocol_md() -> None:
    documented = {(row[0], row[1]): row[2] for row in table("### Receiver")}
    assert documented == {
        (state.value, step.value): following.value
        for state, row in TRANSITIONS.items()
        for step, following in row.items()
    }


@pytest.mark.parametrize("state", ALIVE)
@pytest.mark.parametrize("step", PEER_INPUTS)
def test_receiver_takes_a_message_only_where_its_table_does(
    state: TransferState, step: TransferInput
) -> None:
    receiver = receiver_in(state)
    following = TRANSITIONS[state].get(step)
    if following is None:
        assert_refused(receiver, PEER_INPUTS[step], "is not allowed while")
    else:
        receiver.receive(PEER_INPUTS[step])
        assert receiver.state is following


@pytest.mark.parametrize(
    "state", [state for state in ALIVE if state is not TransferState.RECEIVING]
)
def test_receiver_takes_frames_only_while_receiving(state: TransferState) -> None:
    assert_frame_refused(receiver_in(state), encode_data(1, 0, b"x"), "Frame is not allowed while")


@pytest.mark.parametrize("state", [TransferState.DONE, TransferState.CANCELLED])
@pytest.mark.parametrize("message", [*PEER_INPUTS.values(), "nonsense"])
def test_receiver_ignores_everything_when_it_is_over(state: TransferState, message: str) -> None:
    receiver = receiver_in(state)
    assert receiver.receive(message) == []
    assert receiver.receive_frame(b"nonsense") == []
    receiver.verdict(1, "ok")
    assert (receiver.state, receiver.messages_to_send()) == (state, [])


@pytest.mark.parametrize("state", TRANSITIONS)
def test_receiver_can_cancel_until_its_last_word(state: TransferState) -> None:
    receiver = receiver_in(state)
    receiver.cancel("destination", "x" * 501)
    if TransferInput.SEND_CANCEL in TRANSITIONS[state]:
        [sent] = map(json.loads, receiver.messages_to_send())
        assert sent == {"type": "cancel", "reason": "destination", "message": "x" * 500}
        assert receiver.state is TransferState.CANCELLED
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
    assert receiver_in(TransferState.GREETING).receive(HELLO) == [PeerIntroduced("page/1", 1, ())]


def test_receiver_refuses_a_peer_without_a_common_version() -> None:
    receiver = receiver_in(TransferState.GREETING)
    with pytest.raises(IncompatibleVersion):
        receiver.receive(HELLO.replace("[1]", "[2]"))
    assert_failed(receiver, IncompatibleVersion, "version")


def test_receiver_refuses_a_receiver() -> None:
    receiver = receiver_in(TransferState.GREETING)
    with pytest.raises(UsageError, match="both sides want to receive"):
        receiver.receive(HELLO.replace("sender", "receiver"))
    assert_failed(receiver, UsageError, "protocol")


def test_receiver_does_not_receive_before_start() -> None:
    for receive in (Receiver(agent="a").receive, Receiver(agent="a").receive_frame):
        with pytest.raises(LocalProtocolError, match="received before start"):
            receive("{}")


def test_receiver_refuses_a_binary_message() -> None:
    assert_refused(
        receiver_in(TransferState.WAITING), b"{}", "binary message on the control channel"
    )


def test_receiver_joins_the_parts_of_the_manifest() -> None:
    receiver = receiver_in(TransferState.WAITING)
    entries = (
        Entry("d", Kind.DIRECTORY, mode=0o755),
        Entry("d/a", size=5),
        Entry("d/b", size=None),
    )
    assert receiver.receive(MANIFEST_PART) == []
    assert receiver.receive(MANIFEST) == [ManifestReceived(Entries(entries * 2))]


def test_receiver_refuses_a_manifest_with_too_many_entries() -> None:
    receiver = receiver_in(TransferState.WAITING, ManifestLimits(entries=5))
    receiver.receive(MANIFEST_PART)
    assert_refused(receiver, MANIFEST_PART, "manifest has more than 5 entries")


def test_receiver_refuses_a_manifest_that_is_too_long() -> None:
    most = ManifestLimits(size=2 * len(MANIFEST_PART))
    receiver = receiver_in(TransferState.WAITING, most)
    receiver.receive(MANIFEST_PART)
    receiver.receive(MANIFEST_PART)
    assert_refused(receiver, MANIFEST_PART, "manifest is longer than")


def test_receiver_refuses_names_that_are_too_long_together() -> None:
    def part(*names: tuple[str, str]) -> str:
        links = (Entry(path, Kind.LINK, target=target) for path, target in names)
        return encode(Manifest(tuple(links), last=False))

    most = ManifestLimits(names=10, names_per_entry=4)
    receiver = receiver_in(TransferState.WAITING, most)
    receiver.receive(part(("a" * 10, "\U0001f389")))  # 14 bytes, of 10 and 4
    receiver.receive(part(("b", "c"), ("d", "é")))  # 19, of 10 and 12
    # The first four have 27 bytes, of 10 and 16.
    assert_refused(
        receiver, part(("e" * 7, "f"), ("g", "h" * 3)), "manifest has names of more than 10 bytes"
    )


# --- the answer


def test_receiver_accepts() -> None:
    receiver = receiver_in(TransferState.DECIDING)
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
        receiver_in(TransferState.DECIDING).accept(skip, have)


def test_receiver_declines() -> None:
    receiver = receiver_in(TransferState.DECIDING)
    receiver.decline("declined", "no")
    assert receiver.messages_to_send() == [PEER_INPUTS[TransferInput.DECLINE]]
    assert receiver.receive(BYE) == [PeerSaidBye()]


def test_receiver_declines_only_for_a_known_reason() -> None:
    with pytest.raises(LocalProtocolError, match="no reason to decline: bored"):
        receiver_in(TransferState.DECIDING).decline("bored")


@pytest.mark.parametrize("state", [TransferState.WAITING, TransferState.RECEIVING])
def test_receiver_answers_only_a_manifest(state: TransferState) -> None:
    with pytest.raises(LocalProtocolError, match=f"accept is impossible while {state}"):
        receiver_in(state).accept({}, {})


def test_receiver_of_nothing_completes_at_once() -> None:
    receiver = receiver_in(TransferState.DECIDING)
    receiver.accept({1: "exists", 2: "exists"}, {})
    types = [json.loads(message)["type"] for message in receiver.messages_to_send()]
    assert types == ["accept", "complete"]
