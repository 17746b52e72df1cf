"""What the prompts of the command line take as a complete code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dcsend.runner import run_receive
from dcsend.settings import Settings
from dcsend.signaling.dialcode import Address, DialCode
from dcsend.stage import DisplayOptions

DIAL = DialCode(bytes(16), bytes(32), 4000, (Address("192.0.2.7", 4000),), 2_000_000_000).text()


class _Seen(Exception):
    """The prompt was called."""


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[str], object]]:
    """Return what the prompt for `@-` is given."""
    seen: dict[str, Any] = {}

    def ask(argument: str, stdin: object, **given: object) -> str:
        seen.update(given)
        raise _Seen

    monkeypatch.setattr("dcsend.display.paste.resolve_code_argument", ask)
    with pytest.raises(_Seen):
        run_receive(Settings(code="@-"), DisplayOptions(yes=True))
    return seen


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        (DIAL, True),
        ("7-walrus-umbrella", False),
        ("7-wal-umb", False),
        ("7-wal-umb\n", True),
        ("7-walrus-umbrella@public\n", True),
        ("7-walrus\n", False),
        ("7-walrus\numbrella\n", True),
    ],
)
def test_short_code_is_complete_when_enter_was_pressed(
    given: dict[str, Callable[[str], object]], text: str, complete: bool
) -> None:
    assert given["complete"](text) is complete


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("7-walrus-umbrxxx\n", "'umbrxxx' is not a word of a code"),
        ("7-walrus-umbrxxx", ""),
        ("7-walrus\n", "the code is not complete: it has 1 word"),
        (DIAL[:40] + "\n", ""),
        ("what is this?\n", ""),
    ],
)
def test_wrong_word_is_reported_at_once(
    given: dict[str, Callable[[str], object]], text: str, reason: str
) -> None:
    assert given["wrong"](text) == reason
