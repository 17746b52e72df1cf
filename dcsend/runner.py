"""Between the command line and the session: display, signals, one run of the loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dcsend.display.streams import Stream, enable_escapes, is_terminal, unbuffered_stdout
from dcsend.ending import watch_for_the_end
from dcsend.entry import Existing
from dcsend.errors import DcsendError, DestinationError, UsageError
from dcsend.processor import settle_in
from dcsend.session.events import CodeReady, Event, Finished, ManifestKnown, StateChanged
from dcsend.session.story import receive_files, send_files
from dcsend.settings import STDIO, ChatSettings, Settings, Signal

if TYPE_CHECKING:
    from dcsend.description import SdpType
    from dcsend.display.base import Display
    from dcsend.display.chat import ChatOptions
    from dcsend.display.editing import Console, Piped
    from dcsend.display.keyboard import Keyboard
    from dcsend.display.qr import Request

__all__ = [
    "Options",
    "by_descriptions",
    "one_of",
    "parse_duration",
    "run_chat",
    "run_receive",
    "run_send",
    "write_page",
]

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_LONGEST = 30 * 86400
"Seconds; the certificate is valid no longer."


@dataclass(frozen=True, slots=True)
class Options:
    """What concerns the display, not the transfer."""

    qr: Request = "auto"
    qr_file: Path | None = None
    quiet: bool = False
    json: bool = False
    verbose: bool = False
    yes: bool = False


def parse_duration(text: str) -> float:
    """Return seconds.

    Raises:
        UsageError: it is not a time, or not between 1 s and 30 days.

    >>> parse_duration("90"), parse_duration("10m"), parse_duration("1.5h")
    (90.0, 600.0, 5400.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|)", text.strip().lower(), re.ASCII)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 1 <= seconds <= _LONGEST:
        raise UsageError(f"{text!r} is not a time", "write 90s, 10m, 1h or 2d; at most 30d")
    return seconds


def by_descriptions(way: Signal, code: str) -> bool:
    """Tell whether the two sides meet by descriptions; of a code that is still to be read, no."""
    if way is Signal.SDP or not code:
        return way is Signal.SDP
    from dcsend.signaling.blob import is_blob  # a listener can do without

    return is_blob(code)


def one_of(chosen: Mapping[Existing, bool]) -> Existing:
    """Return the policy that was chosen, or the default.

    Raises:
        UsageError: more than one was.
    """
    wanted = [policy for policy, on in chosen.items() if on]
    if len(wanted) > 1:
        names = " and ".join(f"--{policy}" for policy in wanted)
        raise UsageError(f"{names} contradict each other", "choose one of them")
    return wanted[0] if wanted else Existing.REFUSE


def run_send(paths: list[str], settings: Settings, options: Options) -> int:
    """Send; return the exit status."""
    if not paths and settings.text is None:
        raise UsageError(
            "nothing to send", "name files or folders, - for standard input, or --text"
        )
    uses_stdin = STDIO in paths
    if uses_stdin and settings.code == "@-":
        raise UsageError(
            "standard input can't be both the code and what is sent",
            "give the code itself, or @FILE",
        )
    if uses_stdin and settings.signal is Signal.SDP and not settings.code:
        raise UsageError(
            "standard input is what is sent, so nobody can be asked for the other side's code",
            "begin on the other side, and give its code with --to",
        )
    settings = _with_code(settings)
    if uses_stdin and sys.stdin is None:
        raise UsageError("standard input is closed", "name files or folders")

    async def run(stage: _Stage) -> Finished:
        return await send_files(
            paths,
            settings,
            stage.show,
            ask=None if uses_stdin else stage.ask,
            lines=stage.lines,
            interrupt=stage.interrupt,
            stdin=_unbuffered_stdin() if uses_stdin else None,
        )

    return _run(run, settings, options, sends=True, uses_stdin=uses_stdin)


def run_receive(settings: Settings, options: Options) -> int:
    """Receive; return the exit status."""
    to_stdout = settings.destination is None
    if to_stdout and options.json:
        raise UsageError("--json and -o - both want standard output", "choose one of them")
    if to_stdout and is_terminal(sys.stdout):
        # The bytes of a stranger can do to a terminal whatever its escape sequences can.
        raise UsageError(
            "standard output is a terminal",
            "pipe it into a file or a program, or choose a folder with --output",
        )
    stdout = unbuffered_stdout() if to_stdout else None
    asks = not options.yes
    if asks and (reason := _unanswerable(options)):
        raise UsageError(
            f"nobody can be asked whether to accept: {reason}", "add -y to accept what comes"
        )
    settings = _with_code(settings)

    async def run(stage: _Stage) -> Finished:
        return await receive_files(
            settings,
            stage.show,
            stage.display.decide if asks else _accept,
            ask=stage.ask,
            lines=stage.lines,
            interrupt=stage.interrupt,
            stdout=stdout,
            unattended=not asks,
        )

    return _run(run, settings, options)


def run_chat(settings: Settings, choices: ChatSettings, options: ChatOptions, *, json: bool) -> int:
    """Chat; return the exit status."""
    from dcsend.display.asking import Asker
    from dcsend.session.chat import chat

    settings = _with_code(settings)
    logging.lastResort = None

    async def main() -> int:
        interrupt: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with watch_for_the_end(interrupt):
            return await talk(interrupt)

    async def talk(interrupt: asyncio.Future[int]) -> int:
        source = _source()
        out, err = Stream.stdout(), Stream.stderr()
        display: Display
        if json:
            from dcsend.display.jsonlines import JsonDisplay

            display = JsonDisplay(out, verbose=True)
        else:
            from dcsend.display.chat import ChatDisplay

            enable_escapes()
            display = ChatDisplay(out, err, options, lambda: source.pending if source else "")
        asker = Asker(source, err, interactive=is_terminal(sys.stdin))
        lines = source.lines if source else None
        if source is not None and not _asks(settings, choices):
            source.release()

        def show(event: Event) -> None:
            if source is not None and isinstance(event, StateChanged):
                source.release()  # no more codes to be pasted
            display.show(event)

        try:
            finished = await chat(settings, choices, show, asker, lines=lines, interrupt=interrupt)
            return finished.exit
        except DcsendError as exc:
            return exc.exit_status  # the display has told it
        finally:
            display.close()
            if source is not None:
                source.close()

    try:
        return asyncio.run(main())
    finally:
        gc.freeze()


def _asks(settings: Settings, choices: ChatSettings) -> bool:
    """Tell whether a code is going to be pasted, so that what is typed may be one."""
    return choices.offers or not (settings.code or choices.listens)


def _source() -> Console | Piped | None:
    """Begin to read standard input, whatever it is; None where it is closed."""
    from dcsend.display.editing import Console, Piped

    if sys.stdin is None:
        return None
    return Console() if is_terminal(sys.stdin) else Piped()


def write_page(output: str, *, overwrite: bool, service_worker: bool) -> int:
    """Write the page, or the script for beside it; return the exit status."""
    from dcsend.serving.page import read_page
    from dcsend.serving.saving import save

    page = read_page()
    content = page.service_worker if service_worker else page.content
    if output == STDIO:
        rest = memoryview(content)
        try:
            with unbuffered_stdout() as file:
                while rest:
                    rest = rest[file.write(rest) :]
        except BrokenPipeError:
            pass  # whoever reads it has enough
        except OSError as exc:
            raise DestinationError(f"can't write to standard output: {exc.strerror}") from exc
    else:
        # Unlike Path.expanduser, it leaves the home of nobody as it is.
        save(content, Path(os.path.expanduser(output)), overwrite=overwrite)
    return 0


def _unanswerable(options: Options) -> str:
    """Say why no question can be asked; empty if one can."""
    if options.json or options.quiet:
        return f"{'--json' if options.json else '--quiet'} is given"
    if not is_terminal(sys.stdin):
        return "standard input is not a terminal"
    return "" if Stream.stderr().terminal else "standard error is not a terminal"


def _unbuffered_stdin() -> BinaryIO:
    """Open standard input anew: its own buffer is locked at exit while a read is stuck."""
    return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)


async def _accept(manifest: ManifestKnown) -> bool:
    return True


def _with_code(settings: Settings) -> Settings:
    """Read the code from where `@` points to."""
    if not settings.code:
        return settings
    if settings.code == "@-" and sys.stdin is None:
        raise UsageError("standard input is closed", "give the code itself, or @FILE")
    from dcsend.description import SdpType
    from dcsend.display.paste import resolve_code_argument
    from dcsend.signaling import blob, dialcode

    def check(text: str) -> None:
        """Refuse a text that is neither a dial code nor an offer."""
        if settings.signal is Signal.SDP or blob.is_blob(text):
            blob.decode(text, SdpType.OFFER)
        else:
            dialcode.decode(text)

    def complete(text: str) -> bool:
        try:
            check(text)
        except DcsendError:
            return False
        return True

    code = resolve_code_argument(settings.code, sys.stdin, complete=complete, stderr=sys.stderr)
    check(code)  # a damaged code is told before anything is opened
    return replace(settings, code=code)


@dataclass(slots=True)
class _Stage:
    """What a run needs of the world around it."""

    display: Display
    interrupt: asyncio.Future[int]
    keyboard: Keyboard | None
    qr_file: Path | None

    @property
    def lines(self) -> asyncio.Queue[str] | None:
        """What is typed."""
        return self.keyboard.lines if self.keyboard else None

    async def ask(self, wanted: SdpType | None, judge: Callable[[str], object]) -> str:
        """Ask for the other side's session description; see `Asker`."""
        from dcsend.display.asking import Asker

        if self.keyboard is not None:
            self.keyboard.pause()
        source = _source()
        try:
            asker = Asker(source, Stream.stderr(), interactive=is_terminal(sys.stdin))
            return await asker(wanted, judge)
        finally:
            if source is not None:
                source.close()
            if self.keyboard is not None:
                self.keyboard.resume()

    def show(self, event: Event) -> None:
        """Show an event; write the QR code to its file."""
        self.display.show(event)
        if isinstance(event, CodeReady) and self.qr_file is not None:
            from dcsend.display.qr import write_qr_file

            write_qr_file(event.link, self.qr_file)


def _run(
    run: Callable[[_Stage], Awaitable[Finished]],
    settings: Settings,
    options: Options,
    *,
    sends: bool = False,
    uses_stdin: bool = False,
) -> int:
    """Run one loop with its display and its signals; return the exit status."""
    qr_file = None if settings.code else options.qr_file
    if qr_file is not None:
        from dcsend.display.qr import check_qr_file

        check_qr_file(qr_file)
    # aiortc and asyncio log what peers do wrong; a person is told in our own words.
    logging.lastResort = None

    settle_in()

    async def main() -> int:
        interrupt: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with watch_for_the_end(interrupt):
            return await stage_run(interrupt)

    async def stage_run(interrupt: asyncio.Future[int]) -> int:
        keyboard = None if uses_stdin else _keyboard()
        display = _display(settings, options, keyboard, sends=sends)
        stage = _Stage(display, interrupt, keyboard, qr_file)
        try:
            return (await run(stage)).exit
        except DcsendError as exc:
            return exc.exit_status  # the display has told it
        finally:
            display.close()
            if keyboard is not None:
                keyboard.close()

    try:
        return asyncio.run(main())
    finally:
        # The interpreter would search everything for garbage, 0.2 s long, before it ends.
        gc.freeze()


def _keyboard() -> Keyboard | None:
    """Begin to read what is typed, if somebody can type."""
    if not is_terminal(sys.stdin):
        return None
    from dcsend.display.keyboard import Keyboard

    keyboard = Keyboard()
    keyboard.start()
    return keyboard


def _display(
    settings: Settings, options: Options, keyboard: Keyboard | None, *, sends: bool
) -> Display:
    """Choose the display; load no other, for the code is awaited."""
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
        dials=bool(settings.code),
        hosted=bool(settings.page_url),
        output=settings.output,
    )
    return TerminalDisplay(out, err, chosen, keyboard)
