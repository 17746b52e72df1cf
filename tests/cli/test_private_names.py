"""The names of typer that it does not document and dcsend uses: one test for each.

A failure means: the new version of typer moved or changed that name. Look into
dcsend/cli/__init__.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import typer

from dcsend.cli import app


def error_of(*arguments: str) -> Any:  # noqa: ANN401 - its attributes are what is tested
    """Return the error that typer raises for a command line."""
    with pytest.raises(typer.TyperException) as raised:
        app(list(arguments), prog_name="dcsend", standalone_mode=False)
    return raised.value


@pytest.mark.parametrize(
    "arguments",
    [
        ("send", "--no-such-option"),
        ("send", "--window"),
        ("send", "x", "--window", "?"),
    ],
    ids=["unknown option", "no value", "wrong value"],
)
def test_error_of_a_command_line_has_the_context_of_its_command(arguments: tuple[str, ...]) -> None:
    assert error_of(*arguments).ctx.command_path == f"dcsend {arguments[0]}"


def test_error_of_an_unknown_option_has_its_name() -> None:
    error = error_of("send", "--no-such-option")
    assert error.option_name == "--no-such-option"
    assert error.ctx.find_root().command is not None
