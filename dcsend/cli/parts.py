"""`dcsend parts`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcsend.cli.leaving import leave
from dcsend.errors import DcsendError, DestinationError, UsageError
from dcsend.printable import format_size, printable

if TYPE_CHECKING:
    from dcsend.files.leftovers import Leftover
    from dcsend.stage import DisplayOptions

__all__ = ["parts"]


def parts(
    folder: Annotated[
        str,
        typer.Argument(help="Folder to search, with the folders in it.", metavar="[FOLDER]"),
    ] = ".",
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete them, after a question.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
) -> None:
    """List or delete the unfinished files of earlier transfers.

    Each line has the size, the time since it was written, and the name. The next transfer of the
    same file continues it. --delete leaves what a running dcsend is receiving.
    """

    def run(options: DisplayOptions) -> int:
        return _run(folder, delete=delete, yes=yes)

    leave(run)


def _run(folder: str, *, delete: bool, yes: bool) -> int:
    """List the parts, or delete them; return the exit status."""
    from dcsend.display.quiet import write_broken
    from dcsend.display.streams import Stream, is_terminal
    from dcsend.display.wording import counted

    if not folder:
        raise UsageError("the folder to search is empty", "name a folder; . is the current one")
    if yes and not delete:
        raise UsageError("-y is for --delete", "add --delete")
    if delete and not yes and not is_terminal(sys.stdin):
        raise UsageError("can't ask: standard input is not a terminal", "add -y to delete them")
    root, err = Path(os.path.expanduser(folder)), Stream.stderr()
    found = _list(root)
    what = f"{counted(len(found), 'unfinished file')}, {format_size(sum(f.size for f in found))}"
    if not found:
        err.line("no unfinished files" + (" to delete" if delete else ""))
    elif not delete:
        write_broken(err, f"{what}; --delete removes them")
    elif yes or _confirmed(what):
        return _delete(root, found, what)
    return 0


def _confirmed(what: str) -> bool:
    """Ask on standard error whether to delete; the end of input means no."""
    from dcsend.display.streams import Stream
    from dcsend.display.wording import wrapped

    err, question = Stream.stderr(), f"delete {what}? [y/N]"
    rows = wrapped(question, err.window[0] - 1) if err.terminal else [question]
    # `typer.confirm` writes a space to standard output, which has the list.
    err.write("\n".join(rows) + " ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _list(root: Path) -> list[Leftover]:
    """Write a line for each, and return those that can be deleted."""
    from dcsend.display.quiet import write_broken
    from dcsend.display.streams import Stream
    from dcsend.display.wording import ago
    from dcsend.files.leftovers import find_leftovers

    out, now = Stream.stdout(), time.time()
    found = []
    for one in find_leftovers(root):
        age = ago(max(0.0, now - one.mtime))
        note = ", being received" if one.is_busy else ""
        write_broken(out, f"{format_size(one.size):>9}  {age:>12}  {printable(one.path)}{note}")
        if not one.is_busy:
            found.append(one)
    return found


def _delete(root: Path, found: list[Leftover], what: str) -> int:
    """Delete them; return the exit status."""
    from dcsend.display.quiet import show_error, write_broken
    from dcsend.display.streams import Stream
    from dcsend.files.leftovers import remove_leftover

    err, status = Stream.stderr(), 0
    for one in found:
        try:
            remove_leftover(root, one)
        except DcsendError as error:
            show_error(err, error.message)
            status = DestinationError.exit_status
    if not status:
        write_broken(err, f"deleted {what}")
    return status
