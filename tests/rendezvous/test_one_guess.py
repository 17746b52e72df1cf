"""What follows a wrong guess, the refusal, and one code in two mailboxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.errors import AuthenticationFailed, LocalProtocolError, RemoteProtocolError
from dcsend.rendezvous.handshake import Allocator, Joiner
from dcsend.rendezvous.items import End, Item
from tests.rendezvous.shortcodes import ANSWER, NUMBER, OFFER, WORDS, candidate, joined, joiner

WRONG = "walrus-umpire"


def guessed(words: str = WRONG) -> tuple[Allocator, Joiner]:
    """Return two sides after the allocator has refused a guess."""
    one, other = Allocator(WORDS, NUMBER), Joiner(words, NUMBER)
    with pytest.raises(AuthenticationFailed):
        one.received(*other.join(one.first[1], [OFFER]))
    return one, other


# --- the refusal


def test_joiner_with_other_words_fails_at_once_with_the_next_step() -> None:
    one, other = guessed()
    with pytest.raises(AuthenticationFailed, match="the words of the code are wrong") as failure:
        other.received(*one.refusal())
    assert failure.value.hint == "ask the other side for its new code"
    assert not other.is_confirmed
    with pytest.raises(AuthenticationFailed):
        other.seal([End()])


@given(words=st.text(max_size=20).filter(lambda words: words != WORDS))
def test_refusal_is_the_same_for_all_wrong_words(words: str) -> None:
    assert guessed(words)[0].refusal() == ("a1", b"\1\0")


def test_changed_offer_of_the_right_words_is_refused_with_the_same_bytes() -> None:
    one, other = Allocator(WORDS, NUMBER), Joiner(WORDS, NUMBER)
    phase, body = other.join(one.first[1], [OFFER])
    with pytest.raises(AuthenticationFailed):
        one.received(phase, body[:-1] + bytes([body[-1] ^ 1]))
    assert one.refusal() == guessed()[0].refusal()


def test_nothing_is_refused_before_a_guess() -> None:
    with pytest.raises(LocalProtocolError, match="is refused"):
        Allocator(WORDS, NUMBER).refusal()


def test_malformed_message_is_not_refused() -> None:
    one = Allocator(WORDS, NUMBER)
    with pytest.raises(RemoteProtocolError):
        one.received("b0", b"\1\0")
    with pytest.raises(LocalProtocolError, match="is refused"):
        one.refusal()


def test_confirmed_joiner_is_not_refused() -> None:
    one, other = Allocator(WORDS, NUMBER), Joiner(WORDS, NUMBER)
    one.received(*other.join(one.first[1], [OFFER]))
    with pytest.raises(LocalProtocolError, match="is refused"):
        one.refusal()


def test_nothing_is_refused_after_the_answer() -> None:
    one, _ = joined()
    with pytest.raises(AuthenticationFailed):
        one.received("b1", bytes(528))
    with pytest.raises(LocalProtocolError, match="is refused"):
        one.refusal()


@given(flags=st.integers(0, 255), place=st.integers(0, 3), order=st.permutations(range(3)))
def test_refusal_before_the_answer_never_confirms(flags: int, place: int, order: list[int]) -> None:
    one, other = Allocator(WORDS, NUMBER), joiner()
    one.received(*other.join(one.first[1], [OFFER]))
    sent = [one.seal([ANSWER]), one.seal([candidate()]), one.seal([End()])]
    messages = [sent[index] for index in order]
    messages.insert(place, ("a1", bytes([1, flags])))
    refused = place <= order.index(0)
    found: list[Item] = []
    for message in messages:
        try:
            found += other.received(*message)
        except AuthenticationFailed:
            assert refused
    assert other.is_confirmed is not refused
    assert found == ([] if refused else [ANSWER, candidate(), End()])


# --- one code in two mailboxes: on a server, and in the network of the allocator


def test_wrong_guess_in_one_mailbox_uses_the_code_up_in_the_other() -> None:
    one, _ = guessed()
    right = Joiner(WORDS, NUMBER)
    with pytest.raises(AuthenticationFailed):
        one.received(*right.join(one.first[1], [OFFER]))
    assert not one.is_confirmed
    with pytest.raises(AuthenticationFailed):
        one.seal([ANSWER])


def test_second_joiner_with_the_words_does_not_replace_the_first() -> None:
    one, first, second = Allocator(WORDS, NUMBER), Joiner(WORDS, NUMBER), Joiner(WORDS, NUMBER)
    b0 = first.join(one.first[1], [OFFER, candidate(1)])
    other_b0 = second.join(one.first[1], [OFFER, candidate(2)])
    assert one.received(*b0) == [OFFER, candidate(1)]
    assert one.received(*other_b0) == []
    a1 = one.seal([ANSWER])
    with pytest.raises(AuthenticationFailed, match="does not have the words"):
        second.received(*a1)
    assert not second.is_confirmed
    assert first.received(*a1) == [ANSWER]
    assert one.received(*first.seal([End()])) == [End()]


def test_message_of_the_other_mailbox_is_not_opened_even_with_the_right_words() -> None:
    one, first, second = Allocator(WORDS, NUMBER), Joiner(WORDS, NUMBER), Joiner(WORDS, NUMBER)
    one.received(*first.join(one.first[1], [OFFER]))
    second.join(one.first[1], [OFFER])
    with pytest.raises(AuthenticationFailed):
        one.received(*second.seal([candidate()]))


def test_early_message_of_the_other_mailbox_is_not_opened() -> None:
    one, first, second = Allocator(WORDS, NUMBER), Joiner(WORDS, NUMBER), Joiner(WORDS, NUMBER)
    second.join(one.first[1], [OFFER])
    assert one.received(*second.seal([candidate()])) == []
    with pytest.raises(AuthenticationFailed):
        one.received(*first.join(one.first[1], [OFFER]))
    assert one.refusal() == ("a1", b"\1\0")
