"""The options of a receiver that stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dcsend.cli.keeping import keep_settings
from dcsend.errors import UsageError
from dcsend.settings import MIN_FREE
from tests.support.command_line import COMMANDS


def settings(
    arguments: Sequence[str], *, keep: bool = True, dials: bool = False, yes: bool = False
) -> dict[str, Any]:
    """Return the settings for these arguments of `dcsend receive`."""
    context = COMMANDS["receive"].make_context("receive", list(arguments))
    given = context.params
    sizes = (given["max_total"], given["max_peer"], given["min_free"])
    return keep_settings(context, keep=keep, dials=dials, yes=yes, into=given["into"], sizes=sizes)


def test_limits_are_bytes_and_a_gigabyte_stays_free_by_default() -> None:
    assert settings(["--keep", "--max-total", "10G", "--max-peer", "2M"]) == {
        "keep": True,
        "into": "",
        "max_total": 10_000_000_000,
        "max_peer": 2_000_000,
        "min_free": MIN_FREE,
    }


@pytest.mark.parametrize("limit", [[], ["--max-peer", "1G"]])
def test_accepting_everything_needs_a_limit_for_all_senders_together(limit: list[str]) -> None:
    with pytest.raises(UsageError, match="would accept everything"):
        settings(["--keep", "-y", *limit], yes=True)


@pytest.mark.parametrize("limit", [["--max-total", "1G"], ["--min-free", "1G"]])
def test_limit_for_all_senders_together_is_enough(limit: list[str]) -> None:
    assert settings(["--keep", "-y", *limit], yes=True)["keep"]


@pytest.mark.parametrize("option", ["--max-total", "--max-peer", "--min-free", "--into"])
def test_option_of_a_receiver_that_stays_is_refused_for_another_one(option: str) -> None:
    with pytest.raises(UsageError, match="for a receiver that stays"):
        settings([option, "1G"], keep=False)


def test_variable_has_no_effect_where_this_side_has_a_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DCSEND_KEEP", "1")
    monkeypatch.setenv("DCSEND_MAX_TOTAL", "1G")
    assert settings(["7-walrus-umbrella"], dials=True) == {}
    assert settings(["--keep", "7-walrus-umbrella"], dials=True)["keep"], "the session refuses it"
