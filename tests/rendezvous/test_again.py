"""A second meeting: names, keys and messages of an attempt, and what a hostile server can do."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dcsend.errors import AuthenticationFailed, DcsendError, LocalProtocolError, RemoteProtocolError
from dcsend.rendezvous import items as contents
from dcsend.rendezvous.again import AgainAllocator, AgainJoiner, AgainKeys, tag_of
from dcsend.rendezvous.items import End, Item
from tests.rendezvous.shortcodes import ANSWER, OFFER, candidate, feed
from tests.support.amount import amount

VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "shortcode-again.json").read_text()
)
VALUES: Final[dict[str, str]] = VECTORS["values"]
BODIES: Final = {one["phase"]: bytes.fromhex(one["body"]) for one in VECTORS["messages"]}
KEY: Final = bytes.fromhex(VECTORS["key"])
NONCES: Final = {side: bytes.fromhex(VECTORS[f"nonce_{side}"]) for side in "ab"}

Body: TypeAlias = tuple[str, bytes]


def allocator(key: bytes = KEY) -> AgainAllocator:
    return AgainAllocator(AgainKeys(key), random=feed(NONCES["a"]))


def joiner(key: bytes = KEY) -> AgainJoiner:
    return AgainJoiner(AgainKeys(key), random=feed(NONCES["b"]))


def test_names_and_keys_are_those_of_the_vectors() -> None:
    again = AgainKeys(KEY)
    assert (again.mailbox, again.number) == (VALUES["mailbox"], VALUES["number"])
    assert again.sides == {"a": VALUES["side_a"], "b": VALUES["side_b"]}
    keys = again.keys(BODIES["a0"], BODIES["b0"])
    assert (keys.a_to_b.hex(), keys.b_to_a.hex()) == (VALUES["a_to_b"], VALUES["b_to_a"])
    assert tag_of(BODIES["a0"]) == VALUES["tag"]
    assert KEY.hex() not in f"{again!r}{keys!r}{vars(again).keys()}"


def test_messages_are_those_of_the_vectors() -> None:
    one, other = allocator(), joiner()
    assert one.first == ("a0", BODIES["a0"])
    offer = contents.decode(bytes.fromhex(VECTORS["items"]["b0"]))
    answer = contents.decode(bytes.fromhex(VECTORS["items"]["a1"]))
    assert other.join(BODIES["a0"], offer) == ("b0", BODIES["b0"])
    assert one.received("b0", BODIES["b0"]) == offer
    assert one.seal(answer) == ("a1", BODIES["a1"])
    assert other.received("a1", BODIES["a1"]) == answer
    assert other.seal([End()]) == ("b1", BODIES["b1"])
    assert one.received("b1", BODIES["b1"]) == [End()]
    assert one.is_confirmed
    assert other.is_confirmed


def test_allocator_sends_nothing_before_the_joiner_is_confirmed() -> None:
    with pytest.raises(LocalProtocolError):
        allocator().seal([ANSWER])


def test_offer_for_another_attempt_is_refused() -> None:
    again = AgainKeys(KEY)
    former, present = AgainAllocator(again), AgainAllocator(again)
    recorded = AgainJoiner(again).join(former.first[1], [OFFER])
    with pytest.raises(AuthenticationFailed):
        present.received(*recorded)
    assert not present.is_confirmed


def test_messages_of_a_side_are_refused_by_itself() -> None:
    again = AgainKeys(KEY)
    one, other = AgainAllocator(again), AgainJoiner(again)
    offer = other.join(one.first[1], [OFFER])
    # The keys of the two directions differ, and so do the phases that are authenticated.
    with pytest.raises(DcsendError):
        other.received("a1", offer[1][:2] + offer[1][18:])
    one.received(*offer)
    answer = one.seal([ANSWER])
    with pytest.raises(DcsendError):
        AgainAllocator(again).received("b0", answer[1])


@pytest.mark.parametrize("body", [b"", b"\1", b"\1\0" + bytes(15), b"\1\0" + bytes(17), b"\2\0"])
def test_first_message_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(DcsendError):
        joiner().join(body, [OFFER])


@pytest.mark.parametrize("body", [b"", b"\1\0" + bytes(20), b"\2\0" + bytes(544)])
def test_offer_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(DcsendError):
        allocator().received("b0", body)


def test_answer_comes_before_everything_else() -> None:
    one, other = allocator(), joiner()
    one.received(*other.join(one.first[1], [OFFER]))
    with pytest.raises(LocalProtocolError):
        one.seal([candidate()])
    with pytest.raises(LocalProtocolError):
        one.seal([OFFER])
    other = joiner()
    with pytest.raises(RemoteProtocolError):
        other.received("a1", BODIES["a1"])


# --- a hostile server


class Party:
    """One attempt of one side, and what it has sent and got."""

    def __init__(self, side: AgainAllocator | AgainJoiner, name: int) -> None:
        self.side = side
        self.name = name
        self.sent: list[tuple[Body, list[Item]]] = []
        self.got: list[Item] = []
        self.asked = b""
        self.failed = False
        if isinstance(side, AgainAllocator):
            self.sent.append((side.first, []))

    @property
    def a0(self) -> bytes:
        """The a0 of the attempt."""
        return self.sent[0][0][1] if isinstance(self.side, AgainAllocator) else self.asked

    def deliver(self, phase: str, body: bytes) -> None:
        """Pass a message to this side, as its session does."""
        try:
            if phase == "a0" and isinstance(self.side, AgainJoiner) and not self.asked:
                self.asked = body
                offer: list[Item] = [replace(OFFER, fingerprint=bytes([self.name] * 32))]
                self.sent.append((self.side.join(body, offer), offer))
            else:
                found = self.side.received(phase, body)
                assert not self.failed, "items after an error"
                self.got += found
        except DcsendError:
            self.failed = True

    def talk(self, number: int) -> None:
        """Send the next message: an answer, or a candidate."""
        first = isinstance(self.side, AgainAllocator) and len(self.sent) == 1
        named = replace(ANSWER, fingerprint=bytes([self.name] * 32))
        items: list[Item] = [named] if first else [candidate(number)]
        with suppress(DcsendError):  # it may not send yet, or no more
            self.sent.append((self.side.seal(items), items))

    def has_sealed(self, got: list[Item]) -> bool:
        """Return whether *got* is the content of its first messages, in their order."""
        read: list[Item] = []
        for _, items in self.sent:
            if len(read) >= len(got):
                break
            read += items
        return read == got


OTHER: Final = bytes(32)
"Another key."

MOVES: Final = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.integers(0, 4), st.integers(0, 60), st.just("")),
        st.tuples(
            st.just("deliver"),
            st.integers(0, 4),
            st.integers(0, 60),
            st.sampled_from([f"{side}{number}" for side in "ab" for number in range(4)]),
        ),
        st.tuples(st.just("talk"), st.integers(0, 4), st.integers(0, 99), st.just("")),
        st.tuples(st.just("change"), st.integers(0, 4), st.integers(0, 60), st.just("")),
    ),
    max_size=60,
)
COURSE: Final = [
    ("deliver", 1, 0, ""),
    ("deliver", 0, 3, ""),
    ("talk", 0, 0, ""),
    ("deliver", 1, 4, ""),
    ("talk", 1, 1, ""),
    ("deliver", 0, 5, ""),
]
"A whole attempt."


def play(moves: list[tuple[str, int, int, str]]) -> list[Party]:
    """Let a server do what it likes with two attempts of two sides, and another pair."""
    again = AgainKeys(KEY)
    ends = [
        Party(AgainAllocator(again), 1),
        Party(AgainJoiner(again), 2),
        Party(AgainAllocator(again), 3),
        Party(AgainJoiner(again), 4),
        Party(AgainAllocator(AgainKeys(OTHER)), 5),
    ]
    on_the_way: list[Body] = [message for end in ends for message, _ in end.sent]
    for kind, target, number, phase in moves:
        end = ends[target]
        before = len(end.sent)
        name, body = on_the_way[number % len(on_the_way)]
        match kind:
            case "deliver":
                end.deliver(phase or name, body)
            case "change":
                place = number % len(body)
                changed = bytes([body[place] ^ 1])
                end.deliver(name, body[:place] + changed + body[place + 1 :])
            case "talk":
                end.talk(number)
        on_the_way += [message for message, _ in end.sent[before:]]
        check(ends)
    return ends


def check(ends: list[Party]) -> None:
    for end in ends:
        other = AgainJoiner if isinstance(end.side, AgainAllocator) else AgainAllocator
        partners = [one for one in ends[:4] if isinstance(one.side, other) and one.a0 == end.a0]
        if end.side.is_confirmed:
            assert end.name != 5
            assert any(partner.has_sealed(end.got) for partner in partners)
        else:
            assert not end.got


@pytest.mark.full
@settings(max_examples=amount(500, 3000))
@given(moves=MOVES)
@example(moves=COURSE)
def test_hostile_server_achieves_nothing_but_failure(
    moves: list[tuple[str, int, int, str]],
) -> None:
    play(moves)


def test_honest_server_lets_both_sides_confirm_each_other() -> None:
    one, other, *_ = play(COURSE)
    assert one.side.is_confirmed
    assert other.side.is_confirmed
    assert (len(one.got), len(other.got)) == (2, 1)
