"""The commands by name, and the short forms without one: `dcsend FILE`, `dcsend CODE`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from dcsend.printable import printable
from dcsend.settings import STDIO

__all__ = [
    "Command",
    "Commands",
    "behind",
    "implied",
    "joined",
    "owners",
    "rejoined",
    "resembles_any_code",
]


class Commands(TyperGroup):
    """Commands; `send` is optional before a path and `receive` before a code."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401 - click's classes, which typer does not export
        """Look up a command: first by its name, then an existing path, then a code."""
        if args[0] not in self.commands:
            args = [*implied(args), *args]
        if args[0] not in {*self.commands, "help"}:
            from difflib import get_close_matches

            if not args[0]:
                ctx.fail("the name of the command, file or folder is empty")
            if not get_close_matches(args[0], self.commands):  # otherwise click suggests one
                ctx.fail(f"no such command, file or folder: {printable(args[0])}")
        if args[0] == "help":
            if args[1:2] and args[1] in self.commands:
                args = [args[1], "--help"]
            else:
                from dcsend.display.streams import Stream

                Stream.stdout().line(ctx.get_help())
                raise typer.Exit
        return super().resolve_command(ctx, args)


class Command(TyperCommand):
    """A command none of whose options takes the next option as its argument."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as above
        """Refuse `--debug --json`: it would write the log to a file of that name."""
        options = [option for option in self.params if isinstance(option, TyperOption)]
        names = {name for option in options for name in option.opts}
        flags = {name for option in options if option.is_flag for name in option.opts}
        given = takewhile(lambda argument: argument != "--", args)
        for option, argument in pairwise(given):
            if option in names - flags and argument in names:
                ctx.fail(f"option {option!r} requires an argument, and {argument} is an option")
        return super().parse_args(ctx, args)


def implied(arguments: Sequence[str]) -> list[str]:
    """Return the command for a path or a code; empty if *arguments* begin with neither."""
    first = arguments[0] if arguments else ""
    if first == STDIO or os.path.lexists(os.path.expanduser(first)):
        return ["send"]
    words = list(takewhile(lambda argument: not argument.startswith("-"), arguments))
    if first.startswith("@") or resembles_any_code(first) or _is_code(joined(words)):
        return ["receive"]
    return []


def resembles_any_code(text: str) -> bool:
    """Return whether *text* is probably a code of any kind, complete or not."""
    from dcsend.signaling.forgiving import resembles_code
    from dcsend.signaling.shortcode import resembles_short_code

    return resembles_code(text) or resembles_short_code(text)


def joined(arguments: Iterable[str] | None) -> str:
    """Return the code in several arguments: a shell splits a code with spaces in it."""
    return " ".join(arguments or ())


def behind(arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments that follow a complete code; empty if all of them are the code."""
    if not _is_code(joined(arguments)):
        for end in range(1, len(arguments)):
            if _is_code(joined(arguments[:end])):
                return arguments[end:]
    return ()


def rejoined(code: str, paths: list[str]) -> tuple[str, list[str]]:
    """Return a code with the parts that a shell has split off, and the remaining paths.

    Only the last arguments are taken, only if no file of that name exists, and only if the code is
    complete with them, and not without them.
    """
    if _is_code(code):
        return code, paths
    for last in range(len(paths) - 1, -1, -1):
        if paths[last] == STDIO or os.path.lexists(paths[last]):
            break
        whole = joined([code, *paths[last:]])
        if _is_code(whole):
            return whole, paths[:last]
    return code, paths


def _is_code(text: str) -> bool:
    from dcsend.errors import DcsendError
    from dcsend.signaling.dialcode import decode
    from dcsend.signaling.link import both_codes
    from dcsend.signaling.shortcode import is_short_code, read

    try:
        if (codes := both_codes(text)) is not None:
            decode(codes[0])
            read(codes[1])
        elif is_short_code(text):
            read(text)
        else:
            decode(text)
    except DcsendError:
        return False
    return True


def owners(option: str, group: TyperGroup) -> list[str]:
    """Return the names of the commands that have an option such as `--rename`."""
    return [
        name
        for name, command in group.commands.items()
        if any(option in parameter.opts for parameter in command.params)
    ]
