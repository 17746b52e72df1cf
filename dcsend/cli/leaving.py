"""The end of every command: its exit status, and the message of a run that did not begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from dcsend.errors import DcsendError

if TYPE_CHECKING:
    from dcsend.stage import DisplayOptions

__all__ = ["leave", "refuse"]


def leave(
    run: Callable[[DisplayOptions], int],
    *,
    bytes_out: bool = False,
    json_to: str | None = None,
    debug: str | None = None,
    **chosen: Any,  # noqa: ANN401
) -> None:
    """Run a command and exit with its status; report a run that did not begin.

    Args:
        run: the command.
        bytes_out: whether standard output is for the received bytes.
        json_to: file or number of a descriptor to which events are written as well.
        debug: file or number of a descriptor to which the log for developers is written.
        chosen: further fields of `DisplayOptions`.

    Raises:
        typer.Exit: always, with the exit status.
    """
    from dcsend.stage import DisplayOptions

    options = DisplayOptions(**chosen)
    try:
        stdout_taken = options.json or bytes_out
        if json_to is not None:
            from dcsend.display.streams import open_output

            events = open_output(json_to, "--json-to", "events", stdout_taken=stdout_taken)
            options = replace(options, events=events)
        if debug is not None:
            from dcsend.display.log import start_log
            from dcsend.display.streams import open_output

            log = open_output(debug, "--debug", "the log", stdout_taken=stdout_taken)
            options = replace(options, log=log)
            start_log(log)
        status = run(options)
    except DcsendError as exc:
        status = exc.exit_status
        refuse(exc, json=options.json and not bytes_out)
        if options.events is not None:
            from dcsend.display.jsonlines import JsonDisplay

            JsonDisplay(options.events).refuse(exc)
    if options.events is not None:
        options.events.remove_if_unused()
    raise typer.Exit(status)


def refuse(error: DcsendError, *, json: bool) -> None:
    """Report why a run did not begin, as an event or as a message."""
    from dcsend.display.streams import Stream

    if json:
        from dcsend.display.jsonlines import JsonDisplay

        JsonDisplay(Stream.stdout()).refuse(error)
    else:
        from dcsend.display.quiet import show_error

        show_error(Stream.stderr(), error.message, error.hint)
