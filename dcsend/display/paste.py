"""A code from a file, from a pipe, or pasted into the terminal (`@FILE`, `@-`).

A secret on a command line is visible to every user of the computer (`ps`) and stays in the
history of the shell.

In cooked mode (ICANON) a terminal discards everything after 4096 characters of a line on Linux,
1024 on macOS. So the terminal is in cbreak mode while a code is pasted, and `typed.Typed` edits
the text. Ctrl-C, Ctrl-Z and other signals restore the terminal first. Windows has neither that
limit nor termios: there, lines are read until the code is complete.

Must not import anything of dcsend but leaves and other modules of `display`.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import BinaryIO, Final, TextIO

from dcsend.display.editing import ENTER, MORE, PAUSE, Complete
from dcsend.display.modes import restore
from dcsend.display.streams import echo
from dcsend.display.typed import Completed, Typed
from dcsend.errors import Interrupted, UsageError
from dcsend.printable import printable, system_reason

__all__ = ["MAX_INPUT", "PROMPT", "Reading", "read_code_lines", "resolve_code_argument"]

MAX_INPUT: Final = 65536
"Bytes that are read at most; more is not a code but a wrong file."

PROMPT: Final = "paste the code or link, then press Enter"
"The prompt on stderr."


def resolve_code_argument(
    argument: str,
    stdin: TextIO,
    *,
    complete: Complete,
    stderr: TextIO,
    wrong: Callable[[str], str] = lambda text: "",
    completed: Completed = lambda text: (),
) -> str:
    """Return the text for *argument*.

    To be called in the main thread, which alone can handle signals, before an event loop runs.

    Args:
        argument: `@-` for *stdin*, `@PATH` for the content of a file; other texts are returned.
        stdin: a terminal, on which the user is asked to paste, or another file, which is read
            to its end.
        complete: returns whether a text is a complete code; called when a paste pauses.
        stderr: the stream for prompts.
        wrong: returns why a text on a terminal can't become a code, which is shown before the user
            is asked again; empty if it can.
        completed: for the Tab key on a terminal.

    Returns:
        The text as read; it may contain no code.

    Raises:
        UsageError: the file can't be read, or is too large to be a code.
        KeyboardInterrupt: Ctrl-C was pressed; the terminal is restored.
        Interrupted: another signal came; the terminal is restored.
    """
    if not argument.startswith("@"):
        return argument
    if argument == "@-":
        if stdin.isatty():
            return _read_terminal(stdin, Reading(complete, wrong, completed), stderr)
        return _decoded(_limited(stdin.buffer, "standard input"))
    return _decoded(_read_file(argument[1:]))


def _read_file(name: str) -> bytes:
    """Return the content of a file, which may be a pipe such as `/dev/fd/63`."""
    shown = printable(name)
    if not name:
        raise UsageError("@ has no file name after it", "write @FILE, or @- for standard input")
    try:
        with open(os.path.expanduser(name), "rb") as file:
            return _limited(file, shown)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unreadable(shown, error) from error


def _limited(file: BinaryIO, shown: str) -> bytes:
    """Read *file* to its end, at most MAX_INPUT bytes."""
    try:
        content = file.read(MAX_INPUT + 1)
    except OSError as error:
        raise _unreadable(shown, error) from error
    if len(content) > MAX_INPUT:
        raise UsageError(f"{shown} is too large to be a code: more than {MAX_INPUT} bytes")
    return content


def _unreadable(shown: str, error: Exception) -> UsageError:
    """Return the error for a file that can't be read."""
    reason = system_reason(error, str(error))
    return UsageError(f"can't read the code from {shown}: {reason}")


def _decoded(content: bytes) -> str:
    """Return the text of a file: UTF-8, or UTF-16, which `>` of Windows PowerShell writes."""
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if utf16 else "utf-8-sig", "replace")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a code on a terminal is read; see `resolve_code_argument`."""

    complete: Complete
    wrong: Callable[[str], str] = lambda text: ""
    completed: Completed = lambda text: ()


def read_code_lines(stdin: TextIO, reading: Reading, stderr: TextIO) -> str:
    """Read a code line by line, up to an empty line: what Windows consoles permit."""
    print(PROMPT, file=stderr, flush=True)
    text = ""
    while not reading.complete(text) and len(text) <= MAX_INPUT:
        if message := reading.wrong(text):
            print(message, file=stderr, flush=True)
            text = ""
        line = stdin.readline()
        text += line
        if not line.strip():
            break
    return text


if sys.platform == "win32":

    def _read_terminal(stdin: TextIO, reading: Reading, stderr: TextIO) -> str:
        """Read a code from a Windows console."""
        return read_code_lines(stdin, reading, stderr)

else:
    import select
    import termios

    from dcsend.display.modes import switch_to_cbreak

    _Handler = Callable[[int, FrameType | None], object] | int | None
    _ENDING_SIGNALS: Final = (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM)

    def _read_terminal(stdin: TextIO, reading: Reading, stderr: TextIO) -> str:
        """Read a code from a terminal."""
        descriptor = stdin.fileno()
        with _characterwise(descriptor), _woken_by_signals() as waker:
            print(PROMPT, file=stderr, flush=True)
            keys = _Input(descriptor, waker)
            text = _read_paste(keys, reading, stderr)
            if not text.endswith("\n"):
                keys.echo("\n")
            return text

    class _Input:
        """The input of a terminal."""

        def __init__(self, descriptor: int, waker: int) -> None:
            self._descriptor = descriptor
            self._waker = waker

        def wait(self, seconds: float | None = None) -> bool:
            """Wait for input, at most *seconds*; return whether there is any.

            A signal interrupts the wait, so that its handler runs, even if it arrives after the
            interpreter's last check for signals and before the system call.
            """
            while True:
                ready = select.select([self._descriptor, self._waker], [], [], seconds)[0]
                if self._waker not in ready:
                    return bool(ready)
                os.read(self._waker, 4096)

        def read(self) -> bytes:
            """Return the input that has arrived; empty if the terminal is closed."""
            try:
                return os.read(self._descriptor, 4096)
            except OSError:
                return b""

        def swallow(self) -> None:
            """Discard the rest of a paste, so that the shell does not run it."""
            while self.wait(PAUSE) and self.read():
                pass

        def echo(self, text: str) -> None:
            """Write *text* to the terminal."""
            echo(self._descriptor, text)

    def _read_paste(keys: _Input, reading: Reading, stderr: TextIO) -> str:
        """Collect input until it is a complete code or the user ends it."""
        typed = Typed(reading.completed)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        prompted = False
        while True:
            keys.wait()
            arrived = keys.read()
            keys.echo(typed.type(decoder.decode(arrived)))
            if not arrived:
                return typed.text
            if len(typed.text) > MAX_INPUT:
                keys.swallow()
                raise UsageError(f"this is too large to be a code: more than {MAX_INPUT} bytes")
            pressed = arrived in ENTER and reading.complete(typed.text)
            if not pressed and keys.wait(PAUSE):
                continue
            if pressed or reading.complete(typed.text) or typed.stopped:
                return typed.text
            if message := reading.wrong(typed.text):
                print(message, file=stderr, flush=True)
                typed = Typed(reading.completed)
            if typed.text.endswith("\n") and not prompted:
                print(MORE, file=stderr, flush=True)
                prompted = True

    @contextlib.contextmanager
    def _characterwise(descriptor: int) -> Iterator[None]:
        """Switch a terminal to cbreak mode without echo; restore it at the end."""
        saved = termios.tcgetattr(descriptor)
        previous: dict[int, _Handler] = {}

        def switch() -> None:
            switch_to_cbreak(descriptor, saved, termios.TCSADRAIN)

        def end(number: int, _frame: FrameType | None) -> None:
            raise Interrupted(number)

        def stop(number: int, _frame: FrameType | None) -> None:
            restore(descriptor)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)  # returns after the shell's `fg`
            signal.signal(number, stop)
            switch()

        handlers: dict[int, _Handler] = dict.fromkeys(_ENDING_SIGNALS, end)
        handlers[signal.SIGTSTP] = stop
        try:
            _handle(handlers, previous)
            switch()
            yield
        finally:
            restore(descriptor)
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def _woken_by_signals() -> Iterator[int]:
        """Yield a descriptor that becomes readable when a signal arrives."""
        waker, writer = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(writer, False)
        is_main = threading.current_thread() is threading.main_thread()
        previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False) if is_main else -1
        try:
            yield waker
        finally:
            if is_main:
                signal.set_wakeup_fd(previous)
            os.close(waker)
            os.close(writer)

    def _handle(handlers: dict[int, _Handler], previous: dict[int, _Handler]) -> None:
        """Install *handlers* and store the previous ones in *previous*."""
        if threading.current_thread() is not threading.main_thread():
            return  # Python allows handlers in the main thread only
        for number, handler in handlers.items():
            # An ignored signal (nohup) stays ignored; an installed handler ends the run as well.
            if signal.getsignal(number) is signal.SIG_DFL:
                previous[number] = signal.signal(number, handler)
