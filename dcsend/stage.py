"""The surroundings of a run: display, keyboard, events as JSON, signals, the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dcsend.display.log import log_event
from dcsend.display.streams import (
    Stream,
    enable_escapes,
    is_terminal,
    written_aside,
)
from dcsend.ending import watch_for_the_end
from dcsend.errors import DcsendError, UsageError
from dcsend.session.events import CodeReady, Event, Failed, Finished, ShortCodeReady, Warned
from dcsend.session.limiting import RateLimit
from dcsend.session.steering import obey, obey_alone, obey_json
from dcsend.session.story import OwnOutput
from dcsend.settings import Settings
from dcsend.threads import begin

if TYPE_CHECKING:
    from dcsend.description import SdpType
    from dcsend.display.base import Display
    from dcsend.display.editing import Console, Piped
    from dcsend.display.jsonlines import JsonDisplay
    from dcsend.display.keyboard import Keyboard
    from dcsend.display.qr import Request
    from dcsend.display.typed import Completed
    from dcsend.session.conversation import Room
    from dcsend.session.entered import Enter, Try
    from dcsend.session.short_codes import Confirm

__all__ = ["DisplayOptions", "Stage", "event_writer", "run_loop", "run_on_stage", "typed_input"]

_LONGEST: Final = 4096
"Bytes of a line of commands; a longer one is divided, and each part is wrong."


@dataclass(frozen=True, slots=True)
class DisplayOptions:
    """What a run shows, asks and writes besides the transfer."""

    qr: Request = "auto"
    qr_file: Path | None = None
    quiet: bool = False
    json: bool = False
    verbose: bool = False
    yes: bool = False
    long: bool = False
    "Show the dial code as text, although there is a short code."
    suggests_server: bool = True
    "Show how a short code works in other networks: the user has chosen no server, nor `none`."
    events: Stream | None = None
    "Events as JSON besides the display (`--json-to`)."
    log: Stream | None = None
    "The log for developers (`--debug`)."


def typed_input() -> Console | Piped | None:
    """Start reading standard input, a terminal or not; None where it is closed."""
    from dcsend.display.editing import Console, Piped

    if sys.stdin is None:
        return None
    return Console() if is_terminal(sys.stdin) else Piped()


@dataclass(slots=True)
class Stage:
    """What surrounds one run."""

    display: Display
    events: JsonDisplay | None
    interrupt: asyncio.Future[int]
    room: Room
    keyboard: Keyboard | None
    qr_file: Path | None
    limit: RateLimit
    _is_over: bool = False

    @property
    def lines(self) -> asyncio.Queue[str] | None:
        """Typed lines."""
        return self.keyboard.lines if self.keyboard else None

    async def ask(self, wanted: SdpType | None, validate: Callable[[str], object]) -> str:
        """Ask for the other side's session description; see `Asker`."""
        from dcsend.display.asking import Asker

        if self.keyboard is not None:
            self.keyboard.pause()
        source = typed_input()
        try:
            asker = Asker(source, Stream.stderr(), interactive=is_terminal(sys.stdin))
            text = await asker(wanted, validate)
        finally:
            if source is not None:
                source.close()
            if self.keyboard is not None:
                self.keyboard.resume()
        self.display.code_entered()
        return text

    @property
    def confirm(self) -> Confirm | None:
        """Asks whether to show another short code; None where no question can be asked."""
        prompt = self.display.prompt
        return prompt.confirm if prompt is not None else None

    def entering(self, check: Callable[[str], str], completed: Completed) -> Enter | None:
        """Return a function that takes codes while this side waits; None where it can't.

        Args:
            check: as for `CodePrompt.enter`.
            completed: completes the words of a code.
        """
        prompt = self.display.prompt
        if prompt is None:
            return None

        async def enter(attempt: Try) -> bool:
            is_entered = await prompt.enter(check, completed, attempt)
            if is_entered:
                self.display.code_entered()
            return is_entered

        return enter

    def obey(self, line: str, form: Callable[[str, RateLimit], str]) -> str:
        """Carry out a command, and return what is to be sent; show what is wrong with it."""
        if self._is_over:
            return ""
        try:
            return form(line, self.limit)
        except UsageError as error:
            self.show(Warned("command", error.message, error.hint))
            return ""

    def listen(self) -> None:
        """Read commands as JSON from standard input, in a thread; each waits for the one before."""
        loop = asyncio.get_running_loop()

        async def take(line: str) -> None:
            await self.room()
            self.obey(line, obey_json)

        def read() -> None:
            with open(sys.stdin.fileno(), "rb", closefd=False) as stdin:
                is_begun = False
                while line := stdin.readline(_LONGEST):
                    is_rest, is_begun = is_begun, not line.endswith(b"\n")
                    if is_rest:
                        continue  # of a line that was too long, and is refused
                    taking = take(line.decode("utf-8", "replace"))
                    try:
                        taken = asyncio.run_coroutine_threadsafe(taking, loop)
                    except RuntimeError:  # the loop is closed
                        taking.close()
                        return
                    taken.result()

        def listen() -> None:
            with contextlib.suppress(OSError, ValueError, CancelledError):
                read()

        begin(listen, "dcsend-input")

    def show(self, event: Event) -> None:
        """Show an event; write the QR code to its file."""
        log_event(event)
        self._is_over = isinstance(event, Finished)
        self.display.show(event)
        if isinstance(event, Failed) and isinstance(event.error, OwnOutput):
            self.events = None  # or events would be written into the file that is to be sent
        if self.events is not None:
            self.events.show(event)
        link = event.link if isinstance(event, CodeReady | ShortCodeReady) else ""
        if link and self.qr_file is not None:
            from dcsend.display.qr import write_qr_file

            write_qr_file(link, self.qr_file)


def run_on_stage(
    run: Callable[[Stage], Awaitable[Finished]],
    settings: Settings,
    options: DisplayOptions,
    *,
    sends: bool = False,
    uses_stdin: bool = False,
    commanded: bool = False,
) -> int:
    """Run with a display, a keyboard and signals; return the exit status.

    Args:
        run: a transfer; its errors have been shown when it raises them.
        settings: of the run.
        options: of the display.
        sends: whether this side sends.
        uses_stdin: whether standard input is what is sent.
        commanded: whether standard input has commands, with `--json`, unless it is a terminal.
    """
    qr_file = None if settings.code or settings.relay_only else options.qr_file
    if qr_file is not None:
        from dcsend.display.qr import check_qr_file

        check_qr_file(qr_file)

    async def stage_run(interrupt: asyncio.Future[int], room: Room) -> int:
        from dcsend.display.screen import watched_window

        keyboard = None if uses_stdin else _keyboard()
        limit = RateLimit(settings.limit_rate)
        display = _display(settings, options, keyboard, sends=sends)
        events = event_writer(options, verbose=options.verbose)
        stage = Stage(display, events, interrupt, room, keyboard, qr_file, limit)
        if keyboard is not None:
            form = obey if settings.peers == 1 else obey_alone
            keyboard.on_line(partial(stage.obey, form=form), display.entered)
        elif options.json and commanded and sys.stdin is not None:
            stage.listen()
        try:
            with watched_window(display.resized):
                return (await run(stage)).exit
        except DcsendError as exc:
            return exc.exit_status  # the display has shown it
        finally:
            display.close()
            if events is not None:
                events.close()
            if keyboard is not None:
                keyboard.close()

    return run_loop(stage_run)


def run_loop(run: Callable[[asyncio.Future[int], Room], Awaitable[int]]) -> int:
    """Run the event loop; return the exit status.

    Args:
        run: called with a future that is set when the run is to end, and with a function that
            waits for the readers of its output.
    """

    async def main() -> int:
        interrupt: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with watch_for_the_end(interrupt), written_aside() as outlets:
            try:
                return await run(interrupt, outlets.room)
            finally:
                await outlets.finish(interrupt, Stream.stderr().line)

    # aiortc and asyncio log faults of peers; the display reports them.
    logging.lastResort = None
    try:
        return asyncio.run(main())
    finally:
        # Otherwise the interpreter collects garbage for 0.2 s before it exits.
        gc.freeze()


def event_writer(options: DisplayOptions, *, verbose: bool) -> JsonDisplay | None:
    """Return the writer of `--json-to`, if that is given."""
    if options.events is None:
        return None
    from dcsend.display.jsonlines import JsonDisplay

    return JsonDisplay(options.events, verbose=verbose)


def _keyboard() -> Keyboard | None:
    """Start reading typed lines, if standard input is a terminal."""
    if not is_terminal(sys.stdin):
        return None
    from dcsend.display.keyboard import Keyboard

    keyboard = Keyboard()
    keyboard.start()
    return keyboard


def _display(
    settings: Settings, options: DisplayOptions, keyboard: Keyboard | None, *, sends: bool
) -> Display:
    """Return the display; no other is imported, which would delay the code."""
    out, err = Stream.stdout(), Stream.stderr()
    if options.json:
        from dcsend.display.jsonlines import JsonDisplay

        return JsonDisplay(out, verbose=options.verbose)
    if options.quiet:
        from dcsend.display.quiet import QuietDisplay

        return QuietDisplay(None if settings.destination is None else out, err)
    from dcsend.display.terminal import TerminalDisplay, TerminalOptions

    enable_escapes()
    chosen = TerminalOptions(
        options.qr,
        verbose=options.verbose,
        sends=sends,
        keeps=settings.keep,
        dials=bool(settings.code),
        hosted=bool(settings.page_url),
        long=options.long,
        suggests_server=options.suggests_server,
        names_file=settings.names_file,
        dry_run=settings.dry_run,
        output=settings.output,
        limit=settings.limit_rate,
    )
    return TerminalDisplay(out, err, chosen, keyboard)
