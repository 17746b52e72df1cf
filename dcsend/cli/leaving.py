"""How every command ends: with a documented status, and what never began told in a line or two."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from dcsend.errors import DcsendError

if TYPE_CHECKING:
    from dcsend.runner import Options

__all__ = ["leave", "tell"]


def leave(run: Callable[[Options], int], *, bytes_out: bool = False, **chosen: Any) -> None:  # noqa: ANN401
    """Run a command and leave with its status; what never began is told here."""
    from dcsend.runner import Options

    options = Options(**chosen)
    try:
        status = run(options)
    except DcsendError as exc:
        status = exc.exit_status
        tell(exc, json=options.json and not bytes_out)
    raise typer.Exit(status)


def tell(error: DcsendError, *, json: bool) -> None:
    """Say why nothing began: to a program, or to a person."""
    from dcsend.display.streams import Stream

    if json:
        from dcsend.display.jsonlines import JsonDisplay

        JsonDisplay(Stream.stdout()).refuse(error)
    else:
        from dcsend.display.quiet import complain

        complain(Stream.stderr(), error.message, error.hint)
