"""The command line: options into `Settings`, errors into exit statuses. Only importer of typer.

Everything heavy is imported inside the commands: the code must be on the screen within
300 ms of the start.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from dcsend._version import __version__
from dcsend.cli.chat import chat
from dcsend.cli.leaving import tell
from dcsend.cli.page import page
from dcsend.cli.transfer import receive, send
from dcsend.errors import Interrupted, UsageError

__all__ = ["app", "main"]

# click's, under whatever name typer keeps it: all that a wrong command line raises.
_WrongUsage: type[Exception] = typer.BadParameter.__mro__[1]

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
"What typer takes for yes in a variable."

app = typer.Typer(
    name="dcsend",
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (send, receive, chat, page):
    app.command()(_command)


@app.callback(invoke_without_command=True)
def common(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
) -> None:
    """Send files directly between terminals and browsers: encrypted, no server, no account.

    On one machine: dcsend send PATH; then, on the other: dcsend receive CODE
    """
    from dcsend.display.streams import Stream

    if version:
        Stream.stdout().line(f"dcsend {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        Stream.stderr().line(context.get_help())
        raise typer.Exit(2)


def main() -> None:
    """Run the command line; every error becomes a line or two, and an exit status."""
    from dcsend.display.streams import release
    from dcsend.ending import guard, interrupted

    guard()
    try:
        status = app(prog_name="dcsend", standalone_mode=False) or 0
    except _WrongUsage as exc:
        status = 2
        tell(_explained(exc), json=_wants_events(sys.argv[1:]))
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except Interrupted as exc:
        status = exc.exit_status
    release()
    if interrupted():
        os._exit(status)  # whatever still runs, or waits: the second is nearly over
    if any(thread.name.startswith("dcsend-load-") for thread in threading.enumerate()):
        # A native library that is just being loaded may crash in an interpreter that takes itself
        # apart: 1 of 48 runs with `--expires 1s` on a busy machine (Python 3.11).
        os._exit(status)
    sys.exit(status)


def _explained(wrong: Any) -> UsageError:  # noqa: ANN401 - see _WrongUsage
    """Return what is wrong with a command line, in our own manner."""
    message = " ".join(wrong.format_message().split()).rstrip(".")
    message = message.replace("Value error, ", "")  # what pydantic, below typer, adds
    context = getattr(wrong, "ctx", None)
    command = context.command_path if context else "dcsend"
    return UsageError(message[:1].lower() + message[1:], f"{command} --help")


def _wants_events(arguments: Sequence[str]) -> bool:
    """Tell whether a program reads standard output, by a command line that can't be parsed."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    pairs = itertools.pairwise(options)
    if {"-o-", "--output=-"} & {*options} or {("-o", "-"), ("--output", "-")} & {*pairs}:
        return False  # it is for the received bytes
    return "--json" in options or os.environ.get("DCSEND_JSON", "").strip().lower() in _TRUE
