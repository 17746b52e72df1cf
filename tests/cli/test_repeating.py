"""The command line that repeats a run, for a hint after an interruption."""

from __future__ import annotations

import shlex

import pytest
import typer.main

from dcsend.cli import app
from dcsend.cli.repeating import repeated


def again(line: str) -> str:
    """Return the command that repeats a command line."""
    program = typer.main.get_command(app)
    name, *rest = shlex.split(line)
    command = program.commands[name]  # type: ignore[attr-defined]
    with command.make_context(name, rest) as context:
        return repeated(context)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("receive 7-walrus-umbrella", "dcsend receive"),
        ("receive dc1 -y -o 'my files'", "dcsend receive --output 'my files' --yes"),
        ("receive --code walrus-umbrella --rename", "dcsend receive --rename"),
        ("send a b --to dc1", "dcsend send a b"),
        ("send -- -a", "dcsend send -- -a"),
        (
            "send - --name x --exclude '*.o' --exclude y",
            "dcsend send --name x --exclude '*.o' --exclude y -",
        ),
        ("send a --signal sdp --expires 10m", "dcsend send --signal sdp --expires 10m a"),
        ("send a --stun none --qr half", "dcsend send --stun none --qr half a"),
        # A password would be in the output.
        ("send a --ice-server turn:anna:secret@h --ice-server @f", "dcsend send --stun @f a"),
        # The names of a thousand files are of no use.
        (f"send {'name ' * 500}", ""),
    ],
)
def test_command_has_what_was_typed_but_codes_and_passwords(line: str, command: str) -> None:
    assert again(line) == command


def test_variables_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCSEND_OUTPUT", "elsewhere")
    assert again("receive -y") == "dcsend receive --yes"
