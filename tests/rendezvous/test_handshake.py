"""The handshake of a short code: the vectors, one guess, order, limits."""

from __future__ import annotations

from typing import Any, Final

import pytest

from dcsend.errors import (
    AuthenticationFailed,
    DcsendError,
    LocalProtocolError,
    RemoteProtocolError,
)
from dcsend.rendezvous import cpace, items, sealing
from dcsend.rendezvous.cpace import Sent
from dcsend.rendezvous.handshake import MAX_CANDIDATES, Allocator, Joiner
from dcsend.rendezvous.items import Bye, End, Item
from dcsend.rendezvous.wire import MAX_PHASES
from tests.rendezvous.shortcodes import (
    ANSWER,
    NUMBER,
    OFFER,
    VECTORS,
    WORDS,
    allocator,
    candidate,
    joined,
    joiner,
    shown,
)
from tests.support.amount import amount

MESSAGES: Final[list[dict[str, Any]]] = VECTORS["messages"]
BODIES: Final = {message["phase"]: bytes.fromhex(message["body"]) for message in MESSAGES}
VALUES: Final = {name: bytes.fromhex(value) for name, value in VECTORS["values"].items()}
SEQUENCES: Final[list[dict[str, Any]]] = VECTORS["sequences"]


def content(phase: str) -> list[Item]:
    """Return the items of a message of the vectors."""
    sealed = {"b0": BODIES["b0"][98:], "a1": BODIES["a1"][66:]}.get(phase, BODIES[phase])
    key = VALUES["a_to_b" if phase[0] == "a" else "b_to_a"]
    parsed = sealing.Phase.parse(phase)
    assert parsed is not None
    return items.decode(sealing.open_sealed(key, parsed, sealed))


def refusal_of(side: Allocator) -> str | None:
    """Return the body of the refusal in hexadecimal; None if there is to be none."""
    try:
        phase, body = side.refusal()
    except LocalProtocolError:
        return None
    assert phase == "a1"
    return body.hex()


# --- the vectors


def test_values_of_the_handshake_are_those_of_the_vectors() -> None:
    context = cpace.lv_cat(b"dcsend short code 1", b"dcsend/1", NUMBER.encode())
    assert context == VALUES["CI"]
    sid = bytes.fromhex(VECTORS["sid"])
    assert cpace.generator(WORDS.encode(), context, sid) == VALUES["g"]
    a, b = Sent(VALUES["Ya"], b"\1\0"), Sent(VALUES["Yb"], b"\1\0")
    k = cpace.scalar_mult(bytes.fromhex(VECTORS["ya"]), b.share)
    isk = cpace.session_key(sid, k, a, b)
    assert isk == VALUES["ISK"]
    assert cpace.confirmation_tag(sid, isk, a) == VALUES["Ta"]
    assert cpace.confirmation_tag(sid, isk, b) == VALUES["Tb"]
    assert BODIES["a0"] == b"\1\0" + sid + a.share
    assert BODIES["b0"][:98] == b"\1\0" + b.share + VALUES["Tb"]
    assert BODIES["a1"][:66] == b"\1\0" + VALUES["Ta"]


def test_every_message_of_the_vectors_is_written() -> None:
    one, other = allocator(), joiner()
    assert one.first == ("a0", BODIES["a0"])
    assert other.join(BODIES["a0"], content("b0")) == ("b0", BODIES["b0"])
    one.received("b0", BODIES["b0"])
    for message in MESSAGES[2:]:
        phase = message["phase"]
        side = one if phase[0] == "a" else other
        assert side.seal(content(phase)) == (phase, BODIES[phase])
        assert [shown(item) for item in content(phase)] == message["items"]


@pytest.mark.parametrize("vector", SEQUENCES, ids=lambda vector: vector["comment"])
def test_sequence_of_the_vectors_has_its_result(vector: dict[str, Any]) -> None:
    words, number = vector.get("words", WORDS), vector.get("number", NUMBER)
    make = allocator if vector["role"] == "allocator" else joiner
    side = make(words, number)
    for step in vector["received"]:
        body = bytes.fromhex(step["body"])
        result: str | list[dict[str, Any]]
        try:
            if isinstance(side, Joiner) and step["phase"] == "a0":
                side.join(body, [OFFER])
                result = []
            else:
                result = [shown(item) for item in side.received(step["phase"], body)]
        except DcsendError as error:
            result = error.kind
        assert result == step["result"]
    assert side.is_confirmed == vector["confirmed"]
    if isinstance(side, Allocator):
        assert refusal_of(side) == vector.get("refusal")


# --- one guess


def test_two_sides_with_the_words_confirm_each_other() -> None:
    one, other = Allocator("walrus-umbrella", "7"), Joiner("walrus-umbrella", "7")
    assert one.received(*other.join(one.first[1], [OFFER, candidate()])) == [OFFER, candidate()]
    assert (one.is_confirmed, other.is_confirmed) == (True, False)
    assert other.received(*one.seal([ANSWER, End()])) == [ANSWER, End()]
    assert other.is_confirmed
    assert one.received(*other.seal([End()])) == [End()]


def test_every_exchange_has_other_bytes() -> None:
    assert Allocator(WORDS, NUMBER).first != Allocator(WORDS, NUMBER).first
    a0 = Allocator(WORDS, NUMBER).first[1]
    assert Joiner(WORDS, NUMBER).join(a0, [OFFER]) != Joiner(WORDS, NUMBER).join(a0, [OFFER])


def test_wrong_words_use_the_code_up_after_one_message() -> None:
    one, right = Allocator(WORDS, NUMBER), Joiner(WORDS, NUMBER)
    wrong = Joiner("walrus-umpire", NUMBER)
    with pytest.raises(AuthenticationFailed, match="entered other words"):
        one.received(*wrong.join(one.first[1], [OFFER]))
    with pytest.raises(AuthenticationFailed):
        one.received(*right.join(one.first[1], [OFFER]))
    with pytest.raises(AuthenticationFailed):
        one.seal([ANSWER])
    assert not one.is_confirmed


def test_malformed_message_uses_the_code_up_too() -> None:
    one, right = Allocator(WORDS, NUMBER), Joiner(WORDS, NUMBER)
    with pytest.raises(RemoteProtocolError):
        one.received("b0", b"\1\0")
    with pytest.raises(RemoteProtocolError):
        one.received(*right.join(one.first[1], [OFFER]))
    assert not one.is_confirmed


def test_allocator_sends_nothing_before_the_other_side_is_confirmed() -> None:
    with pytest.raises(LocalProtocolError, match="before the other side is confirmed"):
        Allocator(WORDS, NUMBER).seal([ANSWER])


def test_joiner_refuses_an_allocator_with_other_words() -> None:
    one, other = Allocator(WORDS, NUMBER), Joiner(WORDS, NUMBER)
    other.join(Allocator("walrus-umpire", NUMBER).first[1], [OFFER])
    one.received(*Joiner(WORDS, NUMBER).join(one.first[1], [OFFER]))
    with pytest.raises(AuthenticationFailed, match="does not have the words"):
        other.received(*one.seal([ANSWER]))
    assert not other.is_confirmed


def test_joiner_makes_one_guess() -> None:
    one, other = Allocator(WORDS, NUMBER), Joiner(WORDS, NUMBER)
    other.join(one.first[1], [OFFER])
    with pytest.raises(LocalProtocolError):
        other.join(Allocator(WORDS, NUMBER).first[1], [OFFER])


@pytest.mark.parametrize("size", [2, 49, 51])
def test_joiner_refuses_a_first_message_of_another_length(size: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"a0 has {size} bytes"):
        joiner().join(BODIES["a0"].ljust(51)[:size], [OFFER])


def test_joiner_refuses_a_reflected_share() -> None:
    other = joiner()
    a0 = BODIES["a0"]
    # The attacker can't know the share in advance, except with the vectors.
    with pytest.raises(RemoteProtocolError, match="returned the share"):
        other.join(a0[:18] + VALUES["Yb"], [OFFER])


# --- order and limits


def test_joiner_sends_candidates_before_the_answer_arrives() -> None:
    one, other = Allocator(WORDS, NUMBER), Joiner(WORDS, NUMBER)
    b0 = other.join(one.first[1], [OFFER])
    b1 = other.seal([candidate()])
    assert one.received(*b1) == []
    assert not one.is_confirmed
    assert one.received(*b0) == [OFFER, candidate()]


def test_joiner_sends_nothing_before_there_is_a_key() -> None:
    with pytest.raises(LocalProtocolError, match="before there is a key"):
        Joiner(WORDS, NUMBER).seal([End()])


@pytest.mark.parametrize("wrong", [[], [ANSWER], [End(), OFFER], [OFFER, OFFER], [Bye("x", "")]])
def test_joiner_begins_with_an_offer(wrong: list[Item]) -> None:
    with pytest.raises(LocalProtocolError, match="b0"):
        joiner().join(BODIES["a0"], wrong)


@pytest.mark.parametrize("wrong", [[], [OFFER], [End()], [Bye("x", ""), ANSWER], [candidate()]])
def test_allocator_begins_with_an_answer_or_a_bye(wrong: list[Item]) -> None:
    one = allocator()
    one.received("b0", BODIES["b0"])
    with pytest.raises(LocalProtocolError, match="a1"):
        one.seal(wrong)
    assert one.seal([Bye("error", "")])[0] == "a1"


def test_description_is_sent_once() -> None:
    one, other = joined()
    for side, item in ((one, ANSWER), (other, OFFER)):
        with pytest.raises(LocalProtocolError):
            side.seal([item])


def test_candidates_are_limited() -> None:
    one, other = joined()
    for number in range(MAX_CANDIDATES):
        one.received(*other.seal([candidate(number)]))
    with pytest.raises(LocalProtocolError):
        other.seal([candidate()])
    assert one.received(*other.seal([End()])) == [End()]


def test_messages_are_limited() -> None:
    one, other = joined()
    for number in range(2, MAX_PHASES):
        phase, body = one.seal([End()])
        assert phase == f"a{number}"
        assert other.received(phase, body) == [End()]
    with pytest.raises(LocalProtocolError, match="no more than 64"):
        one.seal([End()])


def test_message_that_can_not_be_sealed_leaves_the_next_one_possible() -> None:
    one, other = joined()
    with pytest.raises(LocalProtocolError):
        one.seal([Bye("error", "x" * 200)] * 12)
    with pytest.raises(LocalProtocolError):
        one.seal([Bye("error", "x" * 150)] * 14)
    assert other.received(*one.seal([End()])) == [End()]


def test_size_of_a_message_does_not_show_how_many_candidates_it_has() -> None:
    one, _ = joined()
    assert len(one.seal([candidate()])[1]) == len(one.seal([candidate()] * 20)[1])


# --- many guesses


@pytest.mark.full
def test_many_wrong_codes_connect_to_none() -> None:
    for number in range(amount(1000, 10_000)):
        one = Allocator(WORDS, NUMBER)
        b0 = Joiner(f"walrus-{number}", NUMBER).join(one.first[1], [OFFER])
        with pytest.raises(AuthenticationFailed):
            one.received(*b0)
        assert not one.is_confirmed
