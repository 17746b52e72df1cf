"""The command line: options into `Settings`, errors into exit statuses. Only importer of typer.

Everything heavy is imported inside the commands, so that the code is on the screen about 150 ms
after the start (docs/performance.md).
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import threading
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from dcsend._version import __version__
from dcsend.cli.chat_command import chat
from dcsend.cli.commands import Command, Commands, implied, owners
from dcsend.cli.leaving import refuse
from dcsend.cli.options import EPILOG
from dcsend.cli.page import page
from dcsend.cli.parts import parts
from dcsend.cli.transfer import receive, send
from dcsend.errors import Interrupted, UsageError

__all__ = ["app", "main"]

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
"Values of a variable that typer accepts as true."

app = typer.Typer(
    name="dcsend",
    cls=Commands,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command, _others in (
    (send, "DCSEND_CODE sets --to, and DCSEND_OWN_CODE sets --code."),
    (receive, "DCSEND_CODE sets CODE, and DCSEND_OWN_CODE sets --code."),
    (chat, "DCSEND_CODE sets CODE, and DCSEND_CHAT_QR sets --qr."),
):
    app.command(cls=Command, epilog=EPILOG.format(others=_others))(_command)
app.command(cls=Command)(page)
app.command(cls=Command)(parts)


@app.callback(invoke_without_command=True)
def common(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
) -> None:
    """Send files directly between terminals and browsers: end-to-end encrypted, no account.

    On one machine, run: dcsend send PATH

    On the other, run: dcsend receive CODE

    The words send and receive are optional: dcsend PATH, dcsend CODE
    """
    from dcsend.display.streams import Stream

    if version:
        Stream.stdout().line(f"dcsend {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        Stream.stderr().line(context.get_help())
        raise typer.Exit(2)


def main() -> None:
    """Run the command line; each error becomes a message of one or two lines and an exit status."""
    from dcsend.display.streams import release
    from dcsend.ending import guard, interrupted, settle

    guard()
    try:
        status = app(prog_name="dcsend", standalone_mode=False) or 0
    except typer.TyperException as exc:
        status = 2
        refuse(_explained(exc), json=_wants_events(sys.argv[1:]))
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except Interrupted as exc:
        status = exc.exit_status
    settle(status)
    release()
    if interrupted():
        os._exit(status)  # threads may still run or wait, and a signal allows one second
    if any(thread.name.startswith("dcsend-load-") for thread in threading.enumerate()):
        # A native library that is being loaded may crash while the interpreter shuts down:
        # 1 of 48 runs with `--expires 1s` on a busy machine (Python 3.11).
        os._exit(status)
    sys.exit(status)


def _explained(wrong: typer.TyperException) -> UsageError:
    """Return the error of a command line in the style of other messages."""
    message = " ".join(wrong.format_message().split()).rstrip(".")
    message = re.sub(r"a valid int(eger)?( range)?$", "a whole number", message)
    message = re.sub(r"a valid float( range)?$", "a number", message)
    # typer documents neither attribute; tests/cli/test_private_names.py checks them.
    context: Any = getattr(wrong, "ctx", None)
    command = context.command_path if context else _named(sys.argv[1:])
    option = getattr(wrong, "option_name", "")  # of an option that the command does not have
    if option and context and (others := owners(option, context.find_root().command)):
        return UsageError(
            f"{option} is an option of dcsend {' and '.join(others)}", f"{command} --help"
        )
    return UsageError(message[:1].lower() + message[1:], f"{command} --help")


def _named(arguments: Sequence[str]) -> str:
    """Return the command of a command line whose error does not name it."""
    names = {one.callback.__name__ for one in app.registered_commands if one.callback}
    first = arguments[0] if arguments else ""
    return " ".join(["dcsend", *([first] if first in names else implied(arguments))])


def _wants_events(arguments: Sequence[str]) -> bool:
    """Return whether events go to standard output, from a command line that can't be parsed."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    pairs = itertools.pairwise(options)
    if {"-o-", "--output=-"} & {*options} or {("-o", "-"), ("--output", "-")} & {*pairs}:
        return False  # standard output is for the received bytes
    return "--json" in options or os.environ.get("DCSEND_JSON", "").strip().lower() in _TRUE
