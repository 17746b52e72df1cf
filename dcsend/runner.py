"""One run of a command, from checked options to the exit status."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from dcsend.display.streams import (
    Stream,
    is_terminal,
    ordinary_files,
    unbuffered_stdin,
    unbuffered_stdout,
)
from dcsend.errors import DcsendError, MalformedCode, UsageError
from dcsend.printable import printable
from dcsend.session.events import Finished, ManifestKnown
from dcsend.session.story import receive_files, send_files
from dcsend.settings import STDIO, Settings, Signal
from dcsend.stage import DisplayOptions, Stage, run_on_stage
from dcsend.threads import begin

if TYPE_CHECKING:
    from dcsend.chat.settings import ChatSettings
    from dcsend.chat.transcript import ChatOptions

__all__ = ["run_chat", "run_receive", "run_send"]


def run_send(paths: list[str], settings: Settings, options: DisplayOptions) -> int:
    """Send; return the exit status."""
    if not paths and settings.text is None:
        raise UsageError(
            "nothing to send", "name files or folders, - for standard input, or --text"
        )
    _refuse_codes(paths)
    uses_stdin = STDIO in paths
    if uses_stdin and settings.code == "@-":
        raise UsageError(
            "standard input can't be both the code and what is sent",
            "give the code itself, or @FILE",
        )
    if uses_stdin and settings.signal is Signal.SDP and not settings.code:
        raise UsageError(
            "standard input is sent, so the other side's code can't be pasted",
            "start on the other side, and pass its code with --to",
        )
    commanded = not uses_stdin and _has_commands(settings)
    settings = _with_code(settings)
    if uses_stdin and sys.stdin is None:
        raise UsageError("standard input is closed", "name files or folders")

    async def run(stage: Stage) -> Finished:
        return await send_files(
            paths,
            settings,
            stage.show,
            ask=None if uses_stdin else stage.ask,
            confirm=stage.confirm,
            lines=stage.lines,
            limit=stage.limit,
            interrupt=stage.interrupt,
            room=stage.room,
            stdin=unbuffered_stdin() if uses_stdin else None,
            written=ordinary_files(options.events, options.log),
        )

    return run_on_stage(
        run, settings, options, sends=True, uses_stdin=uses_stdin, commanded=commanded
    )


def _refuse_codes(paths: list[str]) -> None:
    """Refuse a code where a path belongs.

    Raises:
        UsageError: one of the paths does not exist, and is a code or the beginning of one.
    """
    from dcsend.signaling.forgiving import resembles_code
    from dcsend.signaling.shortcode import resembles_short_code

    for path in paths:
        is_code = resembles_code(path) or resembles_short_code(path)
        if is_code and not os.path.lexists(path):
            raise UsageError(
                f"{printable(path[:12])}… is a code, and no file of that name exists",
                "to receive with it: dcsend receive CODE; to send to it: "
                "dcsend send PATH --to CODE",
            )


def run_receive(settings: Settings, options: DisplayOptions) -> int:
    """Receive; return the exit status."""
    to_stdout = settings.destination is None
    if to_stdout and options.json:
        raise UsageError(
            "--json and -o - both use standard output", "use --json-to FILE for the events"
        )
    if to_stdout and is_terminal(sys.stdout):
        # The bytes may contain escape sequences that control the terminal.
        raise UsageError(
            "standard output is a terminal",
            "pipe it into a file or a program, or choose a folder with --output",
        )
    stdout = unbuffered_stdout() if to_stdout else None
    asks = not (options.yes or settings.dry_run)
    commanded = _has_commands(settings)
    if settings.code != "@-":
        settings = _with_code(settings)  # a damaged code is the first error
    if asks and (reason := _unanswerable(options)):
        raise UsageError(f"can't ask whether to accept: {reason}", "add -y to accept every offer")
    if settings.code == "@-":
        settings = _with_code(settings)

    async def run(stage: Stage) -> Finished:
        return await receive_files(
            settings,
            stage.show,
            stage.display.decide if asks else _accept,
            ask=stage.ask,
            # One keyboard: its next line would answer the question about an offer.
            confirm=None if settings.keep and asks else stage.confirm,
            enter=None if settings.keep else stage.entering(_canonical, _completed),
            lines=stage.lines,
            limit=stage.limit,
            interrupt=stage.interrupt,
            room=stage.room,
            stdout=stdout,
            unattended=options.yes,
            written=ordinary_files(options.events, options.log),
        )

    return run_on_stage(run, settings, options, commanded=commanded)


def _has_commands(settings: Settings) -> bool:
    """Return whether standard input is not needed for codes of the other side."""
    return settings.code != "@-" and settings.signal is Signal.DIAL


def run_chat(
    settings: Settings, choices: ChatSettings, shown: ChatOptions, options: DisplayOptions
) -> int:
    """Run the demo; return the exit status."""
    from dcsend.chat.run import run
    from dcsend.session.exchange import refuse_short_code

    refuse_short_code(settings.code)
    settings = _with_code(settings)
    refuse_short_code(settings.code)
    return run(settings, choices, shown, options)


def _unanswerable(options: DisplayOptions) -> str:
    """Return why no question can be asked; empty if one can."""
    if options.json or options.quiet:
        return f"{'--json' if options.json else '--quiet'} is given"
    if not is_terminal(sys.stdin):
        return "standard input is not a terminal"
    return "" if Stream.stderr().terminal else "standard error is not a terminal"


async def _accept(manifest: ManifestKnown) -> bool:
    return True


def _with_code(settings: Settings) -> Settings:
    """Return the settings with the code that `@FILE` or `@-` stands for."""
    if not settings.code:
        return settings
    if settings.code == "@-" and sys.stdin is None:
        raise UsageError("standard input is closed", "give the code itself, or @FILE")
    from dcsend.display.paste import resolve_code_argument
    from dcsend.signaling.link import both_codes
    from dcsend.signaling.shortcode import is_short_code

    def ends_with_words(text: str) -> bool:
        return is_short_code(text) or both_codes(text) is not None

    def complete(text: str) -> bool:
        # Further words, or a server, may follow a short code: Enter ends it.
        if ends_with_words(text) and not text.endswith("\n"):
            return False
        return not _fault(text)

    def wrong(text: str) -> str:
        """Return why a short code is invalid; empty for other texts."""
        return _fault(text) if text.endswith("\n") and ends_with_words(text) else ""

    if settings.code == "@-" and is_terminal(sys.stdin):
        begin(_load, "dcsend-load")
    code = resolve_code_argument(
        settings.code,
        sys.stdin,
        complete=complete,
        wrong=wrong,
        completed=_completed,
        stderr=sys.stderr,
    )
    try:
        _checked(code)  # before anything is opened
    except MalformedCode as exc:
        if os.path.lexists(code):
            exc.amend(hint=f"to send it: {shlex.join(['dcsend', 'send', printable(code)])}")
        raise
    return replace(settings, code=code)


def _load() -> None:
    """Import what a code needs, which takes a second, while a person types it."""
    from dcsend.session.joining import load

    with contextlib.suppress(Exception):  # it is raised where the module is needed
        load()


def _checked(text: str) -> None:
    """Refuse a text that is no code of another side.

    Raises:
        DcsendError: it is neither a short code, nor a dial code, nor an offer.
    """
    from dcsend.description import SdpType
    from dcsend.signaling import blob, dialcode, link, shortcode

    if (codes := link.both_codes(text)) is not None:
        dialcode.decode(codes[0])
        shortcode.read(codes[1])
    elif shortcode.is_short_code(text):
        shortcode.read(text)
    elif blob.is_blob(text):
        blob.decode(text, SdpType.OFFER)
    else:
        dialcode.decode(text)


def _canonical(text: str) -> str:
    """Return the canonical form of a short code; an empty text for another code.

    Raises:
        DcsendError: as `_checked`.
    """
    from dcsend.signaling.link import both_codes
    from dcsend.signaling.shortcode import is_short_code, read

    _checked(text)
    return read(text).text() if is_short_code(text) and both_codes(text) is None else ""


def _fault(text: str) -> str:
    """Return why a code is invalid; empty if it is valid."""
    try:
        _checked(text)
    except DcsendError as exc:
        return exc.message
    return ""


def _completed(text: str) -> list[str]:
    from dcsend.signaling.shortcode import completed

    return completed(text)
