"""The window's arithmetic."""

from __future__ import annotations

import pytest

from dcsend.protocol.window import Window


@pytest.fixture
def window() -> Window:
    """A window of 100 bytes, 60 of them in flight."""
    window = Window(100)
    window.send(60)
    return window


def test_window_lets_frames_go_until_it_is_full(window: Window) -> None:
    assert window.room(50) == 40
    assert window.allows(40)
    assert not window.allows(41)


def test_full_window_has_no_room(window: Window) -> None:
    window.send(40)
    assert window.room(50) == 0
    assert not window.allows(1)


def test_acknowledgement_makes_room(window: Window) -> None:
    window.acknowledge(20)
    assert window.room(50) == 60


def test_one_frame_may_go_when_nothing_is_in_flight() -> None:
    small = Window(10)
    assert small.room(50) == 50
    assert small.allows(5000)
    small.send(50)
    assert small.room(50) == 0
    small.acknowledge(50)
    assert small.room(50) == 50


def test_window_may_shrink_below_what_is_in_flight(window: Window) -> None:
    window.size = 30
    assert window.room(50) == 0


@pytest.mark.parametrize("total", [20, 21, 60])
def test_acknowledgement_of_what_was_sent_is_right(window: Window, total: int) -> None:
    window.acknowledge(20)
    assert window.fault(total) == ""


@pytest.mark.parametrize(
    ("total", "fault"),
    [
        (19, "acknowledges 19 bytes after 20"),
        (61, "acknowledges 61 bytes, only 60 were sent"),
    ],
)
def test_acknowledgement_must_not_fall_nor_exceed(window: Window, total: int, fault: str) -> None:
    window.acknowledge(20)
    assert window.fault(total) == fault
