"""The sender's side: one test for each row of its table, and each rule of its peer."""

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
from dcsend.protocol import limits
from dcsend.protocol.events import (
    Accepted,
    Cancelled,
    Completed,
    Declined,
    FileJudged,
    PeerIntroduced,
)
from dcsend.protocol.frames import decode_frame
from dcsend.protocol.sender import TRANSITIONS, Sender
from dcsend.protocol.side import Input, State
from tests.test_messages import table

HELLO = (
    '{"type":"hello","versions":[1],"agent":"page/1","role":"receiver","features":[],'
    '"max_frame":64960}'
)
ACCEPT = '{"type":"accept","window":1000,"skip":[],"have":[],"last":true}'
DECLINE = '{"type":"decline","reason":"declined","message":"no"}'
COMPLETE = '{"type":"complete","ok":true,"files":2,"bytes":5}'
CANCEL = '{"type":"cancel","reason":"interrupted","message":"ctrl-c"}'
BYE = '{"type":"bye"}'
DIGEST = bytes(32)
ENTRIES = [Entry("d", Kind.DIRECTORY), Entry("d/a", size=5), Entry("d/b", size=0)]


def ack(total: int) -> str:
    return json.dumps({"type": "ack", "bytes": total})


def verdict(*files: tuple[int, str]) -> str:
    return json.dumps({"type": "verdict", "files": files})


def accept(**fields: object) -> str:
    return json.dumps({**json.loads(ACCEPT), **fields})


def break_a_rule(sender: Sender) -> None:
    """Let the peer break a rule."""
    with pytest.raises(RemoteProtocolError):
        sender.receive("nonsense")


def sender_in(state: State, entries: list[Entry] | None = None) -> Sender:
    """A sender that has come as far as *state*; its messages are taken out."""
    sender = Sender(ENTRIES if entries is None else entries, agent="dcsend/1")
    way: dict[State, Callable[[], object]] = {
        State.NEW: lambda: None,
        State.GREETING: sender.start,
        State.OFFERING: lambda: sender.receive(HELLO),
        State.SENDING: lambda: sender.receive(ACCEPT),
        State.SENT: lambda: (sender.data(1, 0, b"hello", DIGEST), sender.data(2, 0, b"", DIGEST)),
        State.COMPLETED: lambda: (
            sender.receive(verdict((1, "ok"), (2, "ok"))),
            sender.receive(COMPLETE),
        ),
        State.DONE: sender.end,
    }
    ends: dict[State, Callable[[], object]] = {
        State.DECLINED: lambda: sender.receive(DECLINE),
        State.CANCELLED: lambda: sender.cancel("interrupted"),
        State.FAILED: lambda: break_a_rule(sender),
    }
    for step, act in way.items():
        act()
        assert sender.state is step
        if step is state or (state in ends and step is State.OFFERING):
            break
    if state in ends:
        ends[state]()
    sender.messages_to_send()
    assert sender.state is state
    return sender


def test_manifest_written_before_is_sent_as_it_is() -> None:
    sender = Sender(ENTRIES, agent="dcsend/1")
    sender.manifest = ["one", "two"]
    sender.start()
    sender.messages_to_send()
    sender.receive(HELLO)
    assert sender.messages_to_send() == ["one", "two"]
    assert not sender.manifest


def assert_refused(sender: Sender, message: str | bytes, reason: str) -> None:
    """The message is refused, the peer is told, and nothing works any more."""
    with pytest.raises(RemoteProtocolError, match=reason):
        sender.receive(message)
    assert sender.state is State.FAILED
    [told] = map(json.loads, sender.messages_to_send())
    assert (told["type"], told["reason"]) == ("cancel", "protocol")
    assert_dead(sender, RemoteProtocolError)


def assert_dead(sender: Sender, error: type[DcsendError]) -> None:
    """Every further call raises the same."""
    calls: list[Callable[[], object]] = [
        lambda: sender.receive(BYE),
        lambda: sender.data(1, 0, b"hello"),
        lambda: sender.abort(1, "gone"),
        sender.end,
        sender.start,
    ]
    for call in calls:
        with pytest.raises(error):
            call()
    sender.cancel("error")
    assert sender.messages_to_send() == []
    assert sender.sendable() == 0


# --- the table

PEER_INPUTS = {
    Input.HELLO: HELLO,
    Input.MANIFEST_PART: json.dumps(
        {
            "type": "manifest",
            "entries": [{"path": "a", "kind": "file", "size": 1}],
            "last": False,
        }
    ),
    Input.MANIFEST: '{"type":"manifest","entries":[],"last":true}',
    Input.ACCEPT_PART: accept(skip=[[0, "exists"]], last=False),
    Input.ACCEPT: ACCEPT,
    Input.DECLINE: DECLINE,
    Input.ACK: ack(0),
    Input.VERDICT: verdict((1, "failed")),
    Input.WORKING: '{"type":"working"}',
    Input.COMPLETE: COMPLETE,
    Input.BYE: BYE,
    Input.CANCEL: CANCEL,
}
OVER = {State.DONE, State.DECLINED, State.CANCELLED, State.FAILED}
ALIVE = [state for state in TRANSITIONS if state not in OVER | {State.NEW}]


def test_sender_table_is_that_of_protocol_md() -> None:
    documented = {(row[0], row[1]): row[2] for row in table("### Sender")}
    assert documented == {
        (state.value, step.value): following.value
        for state, row in TRANSITIONS.items()
        for step, following in row.items()
    }


@pytest.mark.parametrize("state", ALIVE)
@pytest.mark.parametrize("step", PEER_INPUTS)
def test_sender_takes_a_message_only_where_its_table_does(state: State, step: Input) -> None:
    sender = sender_in(state)
    following = TRANSITIONS[state].get(step)
    if following is None:
        assert_refused(sender, PEER_INPUTS[step], "is not allowed while")
    elif step is Input.COMPLETE:
        assert_refused(sender, PEER_INPUTS[step], "complete before all verdicts")
    else:
        sender.receive(PEER_INPUTS[step])
        assert sender.state is following


@pytest.mark.parametrize("state", [State.DONE, State.DECLINED, State.CANCELLED])
@pytest.mark.parametrize("message", [*PEER_INPUTS.values(), "nonsense"])
def test_sender_ignores_everything_when_it_is_over(state: State, message: str) -> None:
    sender = sender_in(state)
    assert sender.receive(message) == []
    assert (sender.state, sender.messages_to_send()) == (state, [])


@pytest.mark.parametrize("state", State)
def test_sender_can_cancel_until_the_last_word(state: State) -> None:
    if state not in TRANSITIONS:
        return
    sender = sender_in(state)
    sender.cancel("source", "x" * 501)
    if Input.SEND_CANCEL in TRANSITIONS[state]:
        [told] = map(json.loads, sender.messages_to_send())
        assert told == {"type": "cancel", "reason": "source", "message": "x" * 500}
        assert sender.state is State.CANCELLED
    else:
        assert (sender.state, sender.messages_to_send()) == (state, [])


# --- greeting and offering


def test_sender_starts_with_hello() -> None:
    sender = Sender(ENTRIES, agent="dcsend/1")
    sender.start()
    assert sender.messages_to_send() == [
        '{"type":"hello","versions":[1],"agent":"dcsend/1","role":"sender","features":[],'
        '"max_frame":64960}'
    ]
    assert sender.messages_to_send() == []


def test_sender_answers_hello_with_its_manifest() -> None:
    sender = sender_in(State.GREETING)
    assert sender.receive(HELLO) == [PeerIntroduced("page/1", 1, ())]
    [manifest] = map(json.loads, sender.messages_to_send())
    assert [entry["path"] for entry in manifest["entries"]] == ["d", "d/a", "d/b"]
    assert manifest["last"] is True


def test_sender_starts_only_once() -> None:
    with pytest.raises(LocalProtocolError, match="start is impossible while greeting"):
        sender_in(State.GREETING).start()


def test_sender_does_not_receive_before_start() -> None:
    with pytest.raises(LocalProtocolError, match="received before start"):
        sender_in(State.NEW).receive(HELLO)


def test_sender_refuses_a_peer_without_a_common_version() -> None:
    sender = sender_in(State.GREETING)
    with pytest.raises(IncompatibleVersion):
        sender.receive(HELLO.replace("[1]", "[2]"))
    assert json.loads(sender.messages_to_send()[0])["reason"] == "version"
    assert_dead(sender, IncompatibleVersion)


def test_sender_refuses_a_sender() -> None:
    sender = sender_in(State.GREETING)
    with pytest.raises(UsageError, match="both sides want to send"):
        sender.receive(HELLO.replace("receiver", "sender"))
    assert json.loads(sender.messages_to_send()[0])["reason"] == "protocol"
    assert_dead(sender, UsageError)


def test_sender_refuses_a_binary_message() -> None:
    assert_refused(sender_in(State.OFFERING), b"{}", "binary message on the control channel")


def test_sender_takes_at_most_a_million_entries() -> None:
    with pytest.raises(UsageError, match="1000001 entries"):
        Sender([Entry("x")] * (limits.MAX_ENTRIES + 1), agent="a")


def test_sender_refuses_names_that_are_too_long_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_NAMES", 10)
    monkeypatch.setattr(limits, "NAMES_PER_ENTRY", 4)
    fits = [Entry("a" * 10), Entry("é" * 2), Entry("l", Kind.LINK, target="b" * 7)]
    Sender(fits, agent="a")
    with pytest.raises(UsageError, match="the paths of 4 entries are longer together"):
        Sender([*fits, Entry("abcde")], agent="a")
    # Only behind what allows them: the receiver looks at each part as it comes.
    with pytest.raises(UsageError, match="longer together"):
        Sender([Entry("a" * 15), Entry("b"), Entry("c")], agent="a")


def test_sender_makes_frames_as_small_as_the_peer_wants() -> None:
    sender = sender_in(State.GREETING, [Entry("x", size=5000)])
    sender.receive(HELLO.replace("64960", "2000"))
    sender.receive(ACCEPT)
    assert sender.max_payload == 1976
    with pytest.raises(LocalProtocolError, match="the peer takes 2000"):
        sender.data(0, 0, bytes(1977))
    assert len(sender.data(0, 0, bytes(1976))) == 2000


# --- the answer


def test_sender_tells_what_is_skipped_and_what_is_there() -> None:
    sender = sender_in(State.OFFERING)
    assert sender.receive(accept(skip=[[0, "unsafe"]], last=False)) == []
    assert sender.receive(accept(skip=[[2, "exists"]], have=[[1, 3]])) == [
        Accepted({0: "unsafe", 2: "exists"}, {1: 3})
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"skip": [[3, "exists"]]}, "skips 3, which is not in the manifest"),
        ({"skip": [[1, "exists"], [1, "unsafe"]]}, "names an entry twice"),
        ({"have": [[1, 1], [1, 2]]}, "names an entry twice"),
        ({"have": [[1, 6]]}, "has 6 bytes of file 1"),
        ({"have": [[0, 1]]}, "has a part of 0, which is not a file"),
        ({"have": [[3, 1]]}, "has a part of 3, which is not a file"),
        ({"have": [[1, 1]], "skip": [[1, "exists"]]}, "has a part of 1"),
        ({"skip": [[n, "exists"] for n in range(4)]}, "more entries than there are"),
    ],
)
def test_sender_refuses_an_answer_to_another_offer(fields: dict[str, object], reason: str) -> None:
    assert_refused(sender_in(State.OFFERING), accept(**fields), reason)


def test_sender_refuses_a_number_that_two_parts_name() -> None:
    sender = sender_in(State.OFFERING)
    sender.receive(accept(skip=[[1, "exists"]], last=False))
    assert_refused(sender, accept(skip=[[1, "exists"]]), "names an entry twice")


def test_sender_answers_decline_with_bye() -> None:
    sender = sender_in(State.OFFERING)
    assert sender.receive(DECLINE) == [Declined("declined", "no")]
    assert sender.messages_to_send() == [BYE]


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
    sender = sender_in(State.SENDING)
    with pytest.raises(LocalProtocolError, match=reason):
        sender.data(number, offset, payload, digest)
    assert sender.data(1, 0, b"hello", DIGEST)


def test_sender_starts_at_what_the_receiver_has() -> None:
    sender = sender_in(State.OFFERING)
    sender.receive(accept(have=[[1, 3]]))
    assert decode_frame(sender.data(1, 3, b"lo", DIGEST)).offset == 3


def test_sender_puts_whole_files_together() -> None:
    entries = [Entry("a", size=5), Entry("d", Kind.DIRECTORY, 0), Entry("b", size=0)]
    sender = sender_in(State.SENDING, entries)
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
            sender.bundle(numbers, contents, (DIGEST,) * len(numbers))
    frame = decode_frame(sender.bundle((0, 2), (b"hello", b""), (DIGEST, DIGEST)))
    assert (frame.number, frame.offset, bytes(frame.payload)) == (0, 2, b"hello")
    assert frame.digest == DIGEST * 2
    assert sender.state is State.SENT


def test_sender_makes_holes_and_aborts() -> None:
    sender = sender_in(State.SENDING)
    assert decode_frame(sender.hole(1, 0, 4)).length == 4
    with pytest.raises(LocalProtocolError, match="more than its 5 bytes"):
        sender.hole(1, 4, 2)
    with pytest.raises(LocalProtocolError, match="file 2 while file 1 is due"):
        sender.abort(2, "gone")
    frame = decode_frame(sender.abort(1, "gone"))
    assert (frame.number, frame.offset, bytes(frame.payload)) == (1, 4, b"gone")
    assert decode_frame(sender.data(2, 0, b"", DIGEST)).number == 2
    assert sender.state is State.SENT


@pytest.mark.parametrize("state", [State.OFFERING, State.SENT])
def test_sender_makes_no_frame_in_another_state(state: State) -> None:
    sender = sender_in(state)
    with pytest.raises(LocalProtocolError, match=f"send frame is impossible while {state}"):
        sender.data(1, 0, b"hello")
    assert sender.sendable() == 0


# --- verdicts and the last word


def test_sender_passes_verdicts_on() -> None:
    sender = sender_in(State.SENT)
    assert sender.receive(verdict((2, "ok"), (1, "mismatch"))) == [
        FileJudged(2, "ok"),
        FileJudged(1, "mismatch"),
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
    assert_refused(sender_in(State.SENT), verdict(*files), reason)


def test_sender_hears_of_a_folder_that_could_not_be_made() -> None:
    sender = sender_in(State.SENT)
    assert sender.receive(verdict((0, "failed"))) == [FileJudged(0, "failed")]
    sender.receive(verdict((1, "ok"), (2, "ok")))
    with pytest.raises(RemoteProtocolError, match="complete doesn't match the verdicts"):
        sender.receive(COMPLETE)  # which says that all is well


@pytest.mark.parametrize("status", ["ok", "mismatch"])
def test_sender_refuses_an_early_verdict(status: str) -> None:
    sender = sender_in(State.SENDING)
    assert_refused(sender, verdict((1, status)), f"verdict {status} on file 1, which has not ended")


def test_sender_refuses_ok_for_an_aborted_file() -> None:
    sender = sender_in(State.SENDING)
    sender.abort(1, "gone")
    assert_refused(sender, verdict((1, "ok")), "which has not ended")


def test_sender_takes_an_early_failure() -> None:
    sender = sender_in(State.SENDING)
    assert sender.receive(verdict((1, "failed"))) == [FileJudged(1, "failed")]
    sender.data(1, 0, b"hello", DIGEST)


def test_sender_ends_with_bye() -> None:
    sender = sender_in(State.SENT)
    sender.receive(verdict((1, "ok"), (2, "ok")))
    assert sender.receive(COMPLETE) == [Completed(ok=True, files=2, bytes=5)]
    sender.end()
    assert sender.messages_to_send() == [BYE]


def test_sender_does_not_end_before_the_last_word() -> None:
    with pytest.raises(LocalProtocolError, match="end is impossible while sent"):
        sender_in(State.SENT).end()


@pytest.mark.parametrize(
    "wrong", [{"ok": False}, {"files": 1}, {"files": 3}, {"bytes": 4}, {"bytes": 0}]
)
def test_sender_refuses_a_last_word_that_contradicts_the_verdicts(wrong: dict[str, int]) -> None:
    sender = sender_in(State.SENT)
    sender.receive(verdict((1, "ok"), (2, "ok")))
    last_word = json.dumps({**json.loads(COMPLETE), **wrong})
    assert_refused(sender, last_word, "complete doesn't match the verdicts")


def test_sender_is_told_why_the_receiver_cancels() -> None:
    sender = sender_in(State.SENDING)
    assert sender.receive(CANCEL) == [Cancelled("interrupted", "ctrl-c")]
    assert sender.messages_to_send() == []


def test_sender_cancels_only_for_a_known_reason() -> None:
    with pytest.raises(LocalProtocolError, match="no reason to cancel: bored"):
        sender_in(State.SENDING).cancel("bored")
