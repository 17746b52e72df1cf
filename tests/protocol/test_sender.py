"""The sender's side: one test for each row of its table, and each rule of its peer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

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
    Declined,
    PeerIntroduced,
)
from dcsend.protocol.frames import Frame, FrameKind, decode_frame
from dcsend.protocol.manifest_messages import ManifestLimits, split_accept
from dcsend.protocol.messages import encode
from dcsend.protocol.sender import TRANSITIONS, Sender
from dcsend.protocol.side import TransferInput, TransferState
from tests.protocol.test_messages import table

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


def sender_in(state: TransferState, entries: list[Entry] | None = None) -> Sender:
    """A sender that has come as far as *state*; its messages are taken out."""
    sender = Sender(ENTRIES if entries is None else entries, agent="dcsend/1")
    way: dict[TransferState, Callable[[], object]] = {
        TransferState.NEW: lambda: None,
        TransferState.GREETING: sender.start,
        TransferState.OFFERING: lambda: sender.receive(HELLO),
        TransferState.SENDING: lambda: sender.receive(ACCEPT),
        TransferState.SENT: lambda: (
            sender.data(1, 0, b"hello", DIGEST),
            sender.data(2, 0, b"", DIGEST),
        ),
        TransferState.COMPLETED: lambda: (
            sender.receive(verdict((1, "ok"), (2, "ok"))),
            sender.receive(COMPLETE),
        ),
        TransferState.DONE: sender.end,
    }
    ends: dict[TransferState, Callable[[], object]] = {
        TransferState.DECLINED: lambda: sender.receive(DECLINE),
        TransferState.CANCELLED: lambda: sender.cancel("interrupted"),
        TransferState.FAILED: lambda: break_a_rule(sender),
    }
    for step, act in way.items():
        act()
        assert sender.state is step
        if step is state or (state in ends and step is TransferState.OFFERING):
            break
    if state in ends:
        ends[state]()
    sender.messages_to_send()
    assert sender.state is state
    return sender


def test_manifest_written_before_is_sent_as_it_is() -> None:
    sender = Sender(ENTRIES, agent="dcsend/1", manifest=["one", "two"])
    sender.start()
    sender.messages_to_send()
    sender.receive(HELLO)
    assert sender.messages_to_send() == ["one", "two"]
    assert sender.messages_to_send() == []


def assert_refused(sender: Sender, message: str | bytes, reason: str) -> None:
    """The message is refused, the peer gets the reason, and nothing works any more."""
    with pytest.raises(RemoteProtocolError, match=reason):
        sender.receive(message)
    assert sender.state is TransferState.FAILED
    [sent] = map(json.loads, sender.messages_to_send())
    assert (sent["type"], sent["reason"]) == ("cancel", "protocol")
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
    TransferInput.HELLO: HELLO,
    TransferInput.MANIFEST_PART: json.dumps(
        {
            "type": "manifest",
            "entries": [{"path": "a", "kind": "file", "size": 1}],
            "last": False,
        }
    ),
    TransferInput.MANIFEST: '{"type":"manifest","entries":[],"last":true}',
    TransferInput.ACCEPT_PART: accept(skip=[[0, "exists"]], last=False),
    TransferInput.ACCEPT: ACCEPT,
    TransferInput.DECLINE: DECLINE,
    TransferInput.ACK: ack(0),
    TransferInput.VERDICT: verdict((1, "failed")),
    TransferInput.WORKING: '{"type":"working"}',
    TransferInput.AGAIN: '{"type":"again","file":1,"from":0,"to":1}',
    TransferInput.COMPLETE: COMPLETE,
    TransferInput.BYE: BYE,
    TransferInput.CANCEL: CANCEL,
}
OVER = {TransferState.DONE, TransferState.DECLINED, TransferState.CANCELLED, TransferState.FAILED}
ALIVE = [state for state in TRANSITIONS if state not in OVER | {TransferState.NEW}]


def test_sender_table_is_that_of_protocol_md() -> None:
    documented = {(row[0], row[1]): row[2] for row in table("### Sender")}
    assert documented == {
        (state.value, step.value): following.value
        for state, row in TRANSITIONS.items()
        for step, following in row.items()
    }


@pytest.mark.parametrize("state", ALIVE)
@pytest.mark.parametrize("step", PEER_INPUTS)
def test_sender_takes_a_message_only_where_its_table_does(
    state: TransferState, step: TransferInput
) -> None:
    sender = sender_in(state)
    following = TRANSITIONS[state].get(step)
    if following is None:
        assert_refused(sender, PEER_INPUTS[step], "is not allowed while")
    elif step is TransferInput.COMPLETE:
        assert_refused(sender, PEER_INPUTS[step], "complete before all verdicts")
    elif step is TransferInput.AGAIN:
        assert_refused(sender, PEER_INPUTS[step], "asks again for bytes 0 to 1 of file 1")
    else:
        sender.receive(PEER_INPUTS[step])
        assert sender.state is following


@pytest.mark.parametrize(
    "state", [TransferState.DONE, TransferState.DECLINED, TransferState.CANCELLED]
)
@pytest.mark.parametrize("message", [*PEER_INPUTS.values(), "nonsense"])
def test_sender_ignores_everything_when_it_is_over(state: TransferState, message: str) -> None:
    sender = sender_in(state)
    assert sender.receive(message) == []
    assert (sender.state, sender.messages_to_send()) == (state, [])


@pytest.mark.parametrize("state", TransferState)
def test_sender_can_cancel_until_the_last_word(state: TransferState) -> None:
    if state not in TRANSITIONS:
        return
    sender = sender_in(state)
    sender.cancel("source", "x" * 501)
    if TransferInput.SEND_CANCEL in TRANSITIONS[state]:
        [sent] = map(json.loads, sender.messages_to_send())
        assert sent == {"type": "cancel", "reason": "source", "message": "x" * 500}
        assert sender.state is TransferState.CANCELLED
    else:
        assert (sender.state, sender.messages_to_send()) == (state, [])


# --- greeting and offering


def test_sender_starts_with_hello() -> None:
    sender = Sender(ENTRIES, agent="dcsend/1")
    sender.start()
    assert sender.messages_to_send() == [
        '{"type":"hello","versions":[1],"agent":"dcsend/1","role":"sender",'
        '"features":["again","window"],"max_frame":64960}'
    ]
    assert sender.messages_to_send() == []


def test_sides_exchange_the_names_of_their_devices() -> None:
    sender = Sender(ENTRIES, agent="dcsend/1", name="anna's laptop")
    sender.start()
    (hello,) = sender.messages_to_send()
    assert hello.endswith(',"name":"anna\'s laptop"}')
    named = HELLO.removesuffix("}") + ',"name":"ben"}'
    assert sender.receive(named) == [PeerIntroduced("page/1", 1, (), "ben")]


def test_features_of_the_peer_are_those_of_its_hello() -> None:
    sender = sender_in(TransferState.GREETING)
    hello = HELLO.replace('"features":[]', '"features":["browser","later"]')
    assert sender.receive(hello) == [PeerIntroduced("page/1", 1, ("browser", "later"))]


def test_sender_answers_hello_with_its_manifest() -> None:
    sender = sender_in(TransferState.GREETING)
    assert sender.receive(HELLO) == [PeerIntroduced("page/1", 1, ())]
    [manifest] = map(json.loads, sender.messages_to_send())
    assert [entry["path"] for entry in manifest["entries"]] == ["d", "d/a", "d/b"]
    assert manifest["last"] is True


LONG: Final = [Entry(f"{number:0200}") for number in range(5000)]
"A megabyte of paths."


def test_long_manifest_is_returned_in_portions() -> None:
    sender = sender_in(TransferState.GREETING, LONG)
    sender.receive(HELLO)
    portions = list(iter(sender.messages_to_send, []))
    sizes = [sum(map(len, portion)) for portion in portions]
    assert len(sizes) > 3
    assert max(sizes) < 256 * 1024 + limits.MAX_CONTROL
    parts = [json.loads(message) for portion in portions for message in portion]
    assert [entry["path"] for part in parts for entry in part["entries"]] == [e.path for e in LONG]
    assert [part["last"] for part in parts] == [False] * (len(parts) - 1) + [True]


@pytest.mark.parametrize(
    "ends",
    [lambda sender: sender.cancel("interrupted"), lambda sender: sender.receive(DECLINE)],
    ids=["cancelled", "declined"],
)
def test_rest_of_a_long_manifest_is_not_sent_after_the_end(
    ends: Callable[[Sender], object],
) -> None:
    sender = sender_in(TransferState.GREETING, LONG)
    sender.receive(HELLO)
    sender.messages_to_send()
    ends(sender)
    assert [
        json.loads(message)["type"] in ("cancel", "bye") for message in sender.messages_to_send()
    ] == [True]
    assert sender.messages_to_send() == []


def test_sender_starts_only_once() -> None:
    with pytest.raises(LocalProtocolError, match="start is impossible while greeting"):
        sender_in(TransferState.GREETING).start()


def test_sender_does_not_receive_before_start() -> None:
    with pytest.raises(LocalProtocolError, match="received before start"):
        sender_in(TransferState.NEW).receive(HELLO)


def test_sender_refuses_a_peer_without_a_common_version() -> None:
    sender = sender_in(TransferState.GREETING)
    with pytest.raises(IncompatibleVersion):
        sender.receive(HELLO.replace("[1]", "[2]"))
    assert json.loads(sender.messages_to_send()[0])["reason"] == "version"
    assert_dead(sender, IncompatibleVersion)


def test_sender_refuses_a_sender() -> None:
    sender = sender_in(TransferState.GREETING)
    with pytest.raises(UsageError, match="both sides want to send"):
        sender.receive(HELLO.replace("receiver", "sender"))
    assert json.loads(sender.messages_to_send()[0])["reason"] == "protocol"
    assert_dead(sender, UsageError)


def test_sender_refuses_a_binary_message() -> None:
    assert_refused(
        sender_in(TransferState.OFFERING), b"{}", "binary message on the control channel"
    )


def test_sender_takes_at_most_a_million_entries() -> None:
    with pytest.raises(UsageError, match="1000001 entries"):
        Sender([Entry("x")] * (limits.MAX_ENTRIES + 1), agent="a")


def test_sender_refuses_names_that_are_too_long_together() -> None:
    most = ManifestLimits(names=10, names_per_entry=4)
    fits = [Entry("a" * 10), Entry("é" * 2), Entry("l", Kind.LINK, target="b" * 7)]
    Sender(fits, agent="a", most=most)
    with pytest.raises(UsageError, match="the paths of 4 entries are longer together"):
        Sender([*fits, Entry("abcde")], agent="a", most=most)
    # Only behind what allows them: the receiver looks at each part as it comes.
    with pytest.raises(UsageError, match="longer together"):
        Sender([Entry("a" * 15), Entry("b"), Entry("c")], agent="a", most=most)


def test_frames_are_as_small_as_the_peer_requires() -> None:
    sender = sender_in(TransferState.GREETING, [Entry("x", size=5000)])
    sender.receive(HELLO.replace("64960", "2000"))
    sender.receive(ACCEPT.replace("1000", "40000"))
    assert sender.max_payload == 1976
    with pytest.raises(LocalProtocolError, match="the peer takes 2000"):
        sender.data(0, 0, bytes(1977))
    assert len(sender.data(0, 0, bytes(1976))) == 2000


# --- the answer


def test_sender_reports_entries_that_are_skipped_or_exist() -> None:
    sender = sender_in(TransferState.OFFERING)
    assert sender.receive(accept(skip=[[0, "unsafe"]], last=False)) == []
    assert sender.receive(accept(skip=[[2, "exists"]], have=[[1, 3]])) == [
        Accepted({0: "unsafe", 2: "exists"}, {1: 3}, [])
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
    assert_refused(sender_in(TransferState.OFFERING), accept(**fields), reason)


def test_sender_has_part_of_the_answer_until_the_last_part() -> None:
    sender = sender_in(TransferState.OFFERING)
    answering = [sender.answering]
    for part in (accept(skip=[[1, "exists"]], last=False), accept()):
        sender.receive(part)
        answering.append(sender.answering)
    assert answering == [False, True, False]


def test_sender_refuses_a_number_that_two_parts_name() -> None:
    sender = sender_in(TransferState.OFFERING)
    sender.receive(accept(skip=[[1, "exists"]], last=False))
    assert_refused(sender, accept(skip=[[1, "exists"]]), "names an entry twice")


def test_sender_answers_decline_with_bye() -> None:
    sender = sender_in(TransferState.OFFERING)
    assert sender.receive(DECLINE) == [Declined("declined", "no")]
    assert sender.messages_to_send() == [BYE]


# --- a part of another file


def sending(*entries: Entry, have: dict[int, int]) -> Sender:
    """Return a sender whose receiver has these parts."""
    sender = sender_in(TransferState.OFFERING, list(entries))
    sender.receive(accept(have=[[number, offset] for number, offset in have.items()]))
    return sender


def test_file_begins_again_once_and_only_with_a_part() -> None:
    sender = sending(Entry("a", size=5), Entry("b", size=5), have={0: 3})
    sender.data(0, 3, b"x")
    assert decode_frame(sender.restart(0)) == Frame(FrameKind.RESTART, 0, 4, 0, b"", None)
    with pytest.raises(LocalProtocolError, match="of which the receiver has no part"):
        sender.restart(0)
    sender.data(0, 0, b"12345", bytes(32))
    with pytest.raises(LocalProtocolError, match="of which the receiver has no part"):
        sender.restart(1)


@pytest.mark.parametrize(
    "digests",
    [[[1, 1, "0" * 64]], [[0, 4, "0" * 64]], [[0, 2, "0" * 64], [0, 2, "0" * 64]]],
)
def test_sender_refuses_digests_of_what_the_receiver_does_not_have(digests: list[object]) -> None:
    sender = sender_in(TransferState.OFFERING, [Entry("a", size=5), Entry("b", size=5)])
    with pytest.raises(RemoteProtocolError):
        sender.receive(accept(have=[[0, 3]], digests=digests))


def test_sender_takes_many_messages_with_digests_up_to_a_limit() -> None:
    size = limits.MAX_ALL_DIGESTS + limits.MAX_DIGESTS
    entries = [Entry(f"{number}", size=1) for number in range(size)]
    sender = sender_in(TransferState.OFFERING, entries)
    digests = [(number, 1, "0" * 64) for number in range(size)]
    *parts, last = split_accept(9, {}, dict.fromkeys(range(size), 1), digests)
    assert max(len(part.digests) for part in parts) == limits.MAX_DIGESTS
    assert max(len(encode(part)) for part in parts) <= limits.MAX_CONTROL
    for part in parts:
        assert sender.receive(encode(part)) == []
    assert_refused(sender, encode(last), f"has more than {limits.MAX_ALL_DIGESTS} digests")
