"""Changes of a run while it runs: typed commands, and JSON on standard input."""

from __future__ import annotations

import json
from typing import Final

from dcsend.errors import UsageError
from dcsend.printable import printable
from dcsend.session.limiting import RateLimit, parse_rate

__all__ = ["obey", "obey_alone", "obey_json"]

_SHOWN: Final = 40
"Characters of a wrong line that are repeated."
_LONGEST: Final = 200
"Characters of a line of JSON; so it can't be nested too deep for the parser."
_COMMANDS: Final = "type /limit 1M or /limit off; a message that begins with / is typed as //"
_ALONE: Final = "type /limit 1M or /limit off"
_FORM: Final = 'write {"limit": 1000000} or {"limit": null}'


def obey(line: str, limit: RateLimit) -> str:
    """Carry out a typed command, or return the message that a line is.

    Args:
        line: without its end.
        limit: of the rate, for `/limit`.

    Returns:
        The text to be sent; empty after a command.

    Raises:
        UsageError: there is no such command, or what follows it is wrong.
    """
    if not line.startswith("/"):
        return line
    if line.startswith("//"):
        return line[1:]
    name, _, value = line.strip().partition(" ")
    if name != "/limit":
        raise UsageError(f"no command: {printable(line[:_SHOWN])}", _COMMANDS)
    limit.change(parse_rate(value))
    return ""


def obey_alone(line: str, limit: RateLimit) -> str:
    """Carry out a typed command of a run that has no messages; see `obey`.

    Raises:
        UsageError: as `obey`, or *line* is no command.
    """
    if obey(line, limit):
        raise UsageError("a typed line is sent to one device only, not to several", _ALONE)
    return ""


def obey_json(line: str, limit: RateLimit) -> str:
    """Carry out a line of standard input of a run with `--json`; an empty one is ignored.

    Returns:
        An empty text: there are no messages.

    Raises:
        UsageError: it is something else than an object with a limit.
    """
    if not line.strip():
        return ""
    try:
        value = json.loads(line) if len(line) <= _LONGEST else None
    except ValueError:
        value = None
    wrong = UsageError(f"no command: {printable(line.strip()[:_SHOWN])}", _FORM)
    if not isinstance(value, dict) or list(value) != ["limit"]:
        raise wrong
    rate = value["limit"]
    if rate is not None and type(rate) not in (int, float):
        raise wrong
    limit.change(rate)
    return ""
