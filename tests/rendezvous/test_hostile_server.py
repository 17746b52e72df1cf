"""A hostile server between an allocator and two joiners, with every message at its disposal.

It can deliver any message to any side under any phase: those of the sides, those of an earlier
exchange with the same words, changed and spliced ones, refusals, and those that it makes itself
with a guess.
A side must never be confirmed unless the other end has the words, nor get an item that this end did
not seal, nor get items out of their order.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from dcsend.errors import DcsendError, LocalProtocolError
from dcsend.rendezvous.handshake import Allocator, Joiner
from dcsend.rendezvous.items import Item
from tests.rendezvous.shortcodes import ANSWER, OFFER, candidate
from tests.support.amount import amount

WORDS = "walrus-umbrella"
GUESS = "walrus-umpire"
NUMBER = "7"

Body: TypeAlias = tuple[str, bytes]


@dataclass
class End:
    """One end of the conversation, and what it has sent and got."""

    side: Allocator | Joiner
    words: str
    name: int = 0
    "Another one for each end; the offer contains it."
    sent: list[tuple[Body, list[Item]]] = field(default_factory=list)
    got: list[Item] = field(default_factory=list)
    asked: bytes = b""
    "The a0 that a joiner has answered."
    failed: bool = False

    def deliver(self, phase: str, body: bytes) -> None:
        """Pass a message to this end, as its session does."""
        try:
            if phase == "a0" and isinstance(self.side, Joiner) and not self.asked:
                self.asked = body
                offer: list[Item] = [replace(OFFER, fingerprint=bytes([self.name] * 32))]
                self.keep(self.side.join(body, offer), offer)
            else:
                found = self.side.received(phase, body)
                assert not self.failed, "items after an error"
                self.got += found
        except DcsendError:
            self.failed = True

    def talk(self, number: int) -> None:
        """Send the next message: an answer, or a candidate."""
        first = isinstance(self.side, Allocator) and len(self.sent) == 1
        items: list[Item] = [ANSWER] if first else [candidate(number)]
        try:
            self.keep(self.side.seal(items), items)
        except DcsendError:
            # It may not send yet, or no more.
            self.refuse()

    def refuse(self) -> None:
        """Send the refusal once, if there is to be one."""
        with suppress(LocalProtocolError):
            if isinstance(self.side, Allocator) and len(self.sent) == 1:
                self.keep(self.side.refusal(), [])

    def keep(self, message: Body, items: list[Item]) -> None:
        """Note what this end has sealed."""
        self.sent.append((message, items))

    def has_sealed(self, got: list[Item]) -> bool:
        """Return whether *got* is the content of this end's first messages, in their order."""
        read: list[Item] = []
        for _message, items in [pair for pair in self.sent if pair[1]]:
            if len(read) >= len(got):
                break
            read += items
        return read == got


def ends(second: str) -> tuple[End, End, End]:
    """Return an allocator and two joiners, the second with words of its own."""
    one = End(Allocator(WORDS, NUMBER), WORDS)
    one.keep(one.side.first, [])  # type: ignore[union-attr]
    return one, End(Joiner(WORDS, NUMBER), WORDS, 1), End(Joiner(second, NUMBER), second, 2)


def earlier() -> list[Body]:
    """Return what a server has seen of an earlier exchange with the same words."""
    one, other, _ = ends(GUESS)
    a0 = one.sent[0][0]
    other.deliver(*a0)
    one.deliver(*other.sent[0][0])
    one.talk(1)
    other.talk(2)
    return [message for end in (one, other) for message, _items in end.sent]


EARLIER = earlier()
REFUSAL: Body = ("a1", b"\1\0")
PHASES = [f"{letter}{number}" for letter in "ab" for number in range(4)]

HONEST = st.tuples(st.just("honest"), st.integers(0, 2), st.integers(0, 3))
TALK = st.tuples(st.just("talk"), st.integers(0, 2), st.integers(0, 1000))
ANY = st.tuples(
    st.just("deliver"),
    st.integers(0, 2),
    st.sampled_from([*PHASES, ""]),
    st.integers(0, 40),
    st.one_of(st.none(), st.tuples(st.integers(0, 700), st.integers(1, 255))),
)
SPLICE = st.tuples(
    st.just("splice"),
    st.integers(0, 2),
    st.sampled_from(["b0", "a1"]),
    st.integers(0, 40),
    st.integers(0, 40),
    st.sampled_from([2, 18, 34, 50, 66, 98]),
)
COURSE: list[tuple[object, ...]] = [
    *(("honest", 1, 0), ("talk", 1, 1), ("honest", 0, 2), ("honest", 0, 0)),
    *(("talk", 0, 0), ("honest", 1, 1), ("talk", 0, 7), ("honest", 1, 2)),
]
"A whole handshake, in which b1 arrives before b0."


@st.composite
def courses(draw: st.DrawFn) -> list[tuple[object, ...]]:
    """Draw a course of which moves are left out or made twice, with others among them."""
    moves: list[tuple[object, ...]] = []
    for move in COURSE:
        moves += [move] * draw(st.sampled_from([1, 1, 1, 1, 2, 0]))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(moves)))
        moves.insert(place, draw(st.one_of(HONEST, TALK, ANY, SPLICE)))
    return moves


MOVES = st.one_of(courses(), st.lists(st.one_of(HONEST, HONEST, TALK, ANY, SPLICE), max_size=30))


def guesses(a0: bytes) -> list[Body]:
    """Return what the server makes with words that it guesses."""
    rogue = Allocator(GUESS, NUMBER)
    made: list[Body] = [rogue.first, Joiner(GUESS, NUMBER).join(a0, [OFFER])]
    accomplice = Joiner(GUESS, NUMBER)
    rogue.received(*accomplice.join(rogue.first[1], [OFFER]))
    made += [rogue.seal([ANSWER]), accomplice.seal([candidate(9)])]
    return [*made, REFUSAL]


def pool(everyone: tuple[End, End, End], made: list[Body]) -> list[Body]:
    sent = [message for end in everyone for message, _items in end.sent]
    return [*sent, *made, *EARLIER]


def play(everyone: tuple[End, End, End], moves: list[tuple[object, ...]]) -> None:
    """Make the moves and check after each that no rule is broken."""
    made = guesses(everyone[0].sent[0][0][1])
    for move in moves:
        match move:
            case ("honest", int(target), int(index)):
                # To a joiner from the allocator; to the allocator from one of the joiners.
                source = everyone[0] if target else everyone[1 + index % 2]
                if index < len(source.sent):
                    everyone[target].deliver(*source.sent[index][0])
            case ("talk", int(target), int(number)):
                everyone[target].talk(number)
            case ("deliver", int(target), str(phase), int(index), change):
                bodies = pool(everyone, made)
                name, body = bodies[index % len(bodies)]
                if isinstance(change, tuple):
                    place = change[0] % len(body)
                    body = body[:place] + bytes([body[place] ^ change[1]]) + body[place + 1 :]
                everyone[target].deliver(phase or name, body)
            case ("splice", int(target), str(phase), int(one), int(other), int(place)):
                bodies = pool(everyone, made)
                head = bodies[one % len(bodies)][1][:place]
                everyone[target].deliver(phase, head + bodies[other % len(bodies)][1][place:])
        check(everyone)


def check(everyone: tuple[End, End, End]) -> None:
    allocator, *joiners = everyone
    a0 = allocator.sent[0][0][1]
    partners = [
        joiner
        for joiner in joiners
        if joiner.words == allocator.words and joiner.asked == a0 and joiner.sent
    ]
    if allocator.side.is_confirmed:
        assert any(joiner.has_sealed(allocator.got) for joiner in partners)
    else:
        assert not allocator.got
        assert [message for message, _items in allocator.sent[1:]] in ([], [REFUSAL])
    for joiner in joiners:
        if joiner.side.is_confirmed:
            assert joiner in partners
            assert allocator.has_sealed(joiner.got)
            assert allocator.got[0] == joiner.sent[0][1][0]
        else:
            assert not joiner.got


@given(moves=MOVES, second=st.sampled_from([WORDS, GUESS]))
@example(moves=COURSE, second=WORDS)
@example(moves=COURSE, second=GUESS)
def test_hostile_server_achieves_nothing_but_failure(
    moves: list[tuple[object, ...]], second: str
) -> None:
    play(ends(second), moves)


@pytest.mark.full
@settings(max_examples=amount(500, 3000))
@given(moves=MOVES, second=st.sampled_from([WORDS, GUESS]))
def test_hostile_server_achieves_nothing_in_many_attempts(
    moves: list[tuple[object, ...]], second: str
) -> None:
    everyone = ends(second)
    play(everyone, moves)
    event(f"confirmed: {sum(end.side.is_confirmed for end in everyone)}")


@given(moves=MOVES)
def test_side_with_other_words_is_never_confirmed(moves: list[tuple[object, ...]]) -> None:
    one = End(Allocator(WORDS, NUMBER), WORDS)
    one.keep(one.side.first, [])  # type: ignore[union-attr]
    everyone = one, End(Joiner(GUESS, NUMBER), GUESS), End(Joiner("x", NUMBER), "x")
    play(everyone, moves)
    assert not any(end.side.is_confirmed for end in everyone)


def test_honest_server_lets_both_ends_confirm_each_other() -> None:
    everyone = ends(GUESS)
    play(everyone, COURSE)
    allocator, joiner, other = everyone
    assert allocator.side.is_confirmed
    assert joiner.side.is_confirmed
    assert not other.side.is_confirmed
    assert (len(allocator.got), len(joiner.got)) == (1, 2)
