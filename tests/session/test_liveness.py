"""The three clocks of the text channel, with the time passed in."""

from __future__ import annotations

import re

import pytest

from dcsend.protocol.limits import KEEP_ALIVE_INTERVAL
from dcsend.session.liveness import Liveness, Sign, is_line, random_letters
from dcsend.settings import Settings


def clocks() -> Liveness:
    return Liveness(100.0, interval=5.0, report=12.0, limit=30.0)


def test_nothing_is_due_before_the_first_keep_alive_message() -> None:
    assert clocks().due(104.9) == []


def test_a_random_message_is_due_every_five_seconds() -> None:
    liveness = clocks()
    assert liveness.due(105.0) == [Sign.SEND]
    assert liveness.due(109.9) == []
    liveness.note_arrival(109.9)
    assert liveness.due(110.0) == [Sign.SEND]


def test_silence_is_reported_once_after_twelve_seconds() -> None:
    liveness = clocks()
    liveness.due(105.0)
    liveness.due(110.0)
    assert liveness.due(112.0) == [Sign.REPORT]
    assert liveness.due(113.0) == []


def test_silence_is_reported_again_after_something_has_arrived() -> None:
    liveness = clocks()
    assert Sign.REPORT in liveness.due(112.0)
    liveness.note_arrival(113.0)
    assert Sign.REPORT in liveness.due(125.0)


def test_thirty_seconds_of_silence_end_it() -> None:
    assert clocks().due(130.0) == [Sign.GIVE_UP]


def test_after_a_suspended_minute_one_message_is_due_and_not_twelve() -> None:
    liveness = clocks()
    liveness.note_arrival(165.0)
    assert liveness.due(165.0) == [Sign.SEND]
    assert liveness.due(165.1) == []


@pytest.mark.parametrize("now", [100.0, 105.0, 112.0, 129.0])
def test_next_due_is_never_in_the_past_once_due_was_asked(now: float) -> None:
    liveness = clocks()
    liveness.due(now)
    assert liveness.next_due() > now


def test_a_sign_of_life_is_fifteen_letters_and_another_each_time() -> None:
    made = {random_letters() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch("[A-Za-z]{15}", letters) for letters in made)


def test_the_interval_is_the_one_that_the_protocol_names() -> None:
    assert Settings().keep_alive_interval == KEEP_ALIVE_INTERVAL


def test_a_typed_word_of_fifteen_letters_is_not_taken_for_a_sign_of_life() -> None:
    assert is_line("congratulations\n")
    assert not is_line(random_letters())
