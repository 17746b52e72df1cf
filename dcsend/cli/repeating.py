"""The command line that repeats a run, for a hint after an interruption."""

from __future__ import annotations

import enum
import os
import shlex
from typing import Any, Final

import typer

from dcsend.cli.options import typed

__all__ = ["repeated"]

_LONGEST: Final = 1000
"Characters; the names of a thousand files are of no use."
_CODES: Final = frozenset({"code", "to", "own_code"})
"Parameters with a code, which does not work again."


def repeated(context: typer.Context) -> str:
    """Return the command of *context* with the parameters that were typed; empty if it is long.

    Codes are left out, and passwords, which must not be in the output of a program: a TURN server
    with a password is named again by the person.
    """
    words = ["dcsend", str(context.info_name)]
    arguments: list[str] = []
    given = typed(context) - _CODES
    command: Any = context.command
    for parameter in command.params:
        if parameter.name not in given:
            continue
        value = context.params[parameter.name]
        values = [_text(one) for one in (value if isinstance(value, list | tuple) else [value])]
        if parameter.param_type_name == "argument":
            arguments += values
        elif parameter.is_flag:
            words.append(parameter.opts[0])
        else:
            for one in values:
                if not _has_password(one):
                    words += [parameter.opts[0], one]
    if any(argument.startswith("-") and argument != "-" for argument in arguments):
        words.append("--")
    whole = _joined([*words, *arguments])
    return whole if len(whole) <= _LONGEST else ""


def _joined(words: list[str]) -> str:
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline(words)
    return shlex.join(words)


def _text(value: object) -> str:
    return str(value.value if isinstance(value, enum.Enum) else value)


def _has_password(value: str) -> bool:
    """Return whether *value* names a TURN server with a password.

    >>> _has_password("turn:anna:secret@example.org"), _has_password("@servers.txt")
    (True, False)
    """
    return value.lower().startswith(("turn:", "turns:")) and "@" in value
