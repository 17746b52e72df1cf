"""The stages of a connection whose peer falls silent: every row of the table."""

from __future__ import annotations

import pytest

from dcsend.session.interruption import DOUBT, SILENT, Interruption, LinkState

USED, DOUBTED, LOST = LinkState

NOT_YET, LONG, TOO_LONG = DOUBT - 0.01, DOUBT, SILENT


@pytest.mark.parametrize(("state", "silence", "usable", "ready", "expected"), [
    (USED, 0.0, True, True, USED),
    (USED, NOT_YET, True, True, USED),
    (USED, LONG, True, True, DOUBTED),
    (USED, LONG, True, False, USED),
    (USED, LONG, False, True, USED),
    (USED, TOO_LONG, True, False, LOST),
    (USED, TOO_LONG, False, False, LOST),
    (DOUBTED, 0.0, True, False, USED),
    (DOUBTED, 0.0, False, True, DOUBTED),
    (DOUBTED, NOT_YET, True, True, USED),
    (DOUBTED, LONG, True, True, DOUBTED),
    (DOUBTED, TOO_LONG, True, True, LOST),
    (LOST, 0.0, True, False, USED),
    (LOST, 0.0, False, True, LOST),
    (LOST, LONG, True, True, USED),
    (LOST, TOO_LONG, True, True, LOST),
])  # fmt: skip
def test_state_of_a_link_is_that_of_the_table(
    state: LinkState, silence: float, usable: bool, ready: bool, expected: LinkState
) -> None:
    one = Interruption()
    one.enter(state, 0.0)
    assert one.due(9.0, silence, usable=usable, ready=ready) is expected


def doubt(one: Interruption, now: float, *, replaced: bool = False) -> bool:
    """Let the peer be silent for a while; return whether another connection was prepared."""
    state = one.due(now, DOUBT, usable=True, ready=True)
    one.enter(state, now)
    one.enter(USED, now, replaced=replaced)
    return state is DOUBTED


def test_needless_preparations_are_three_in_a_minute() -> None:
    one = Interruption()
    assert [doubt(one, now) for now in (0, 10, 20, 30, 59)] == [True, True, True, False, False]
    assert one.due(59, SILENT, usable=True, ready=True) is LOST
    assert [doubt(one, now) for now in (60, 61, 70, 80)] == [True, False, True, True]


def test_preparations_that_were_of_use_are_not_counted() -> None:
    one = Interruption()
    assert all(doubt(one, now, replaced=True) for now in range(10))
    for now in range(10):
        one.enter(DOUBTED, now)
        one.enter(LOST, now)
        one.enter(USED, now)
    assert doubt(one, 10)
