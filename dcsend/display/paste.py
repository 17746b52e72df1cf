"""A code that is read instead of given: from a file, a pipe, or pasted into the terminal.

Secrets on a command line are seen by every user of the computer (`ps`) and stay in the shell's
history, hence `@FILE` and `@-`.

A terminal that collects lines ("cooked", ICANON) drops everything behind 4096 characters of a
line on Linux, 1024 on macOS, without a word. So while a code is pasted, line collection is off
and this module does what the terminal else does: echo, backspace, Ctrl-D. Ctrl-C, Ctrl-Z and
the other signals put the terminal back first.

Windows has no such limit worth speaking of and no termios: there, lines are simply read until
the code is whole.

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
from types import FrameType
from typing import BinaryIO, Final, TextIO

from dcsend.display.editing import MORE, PAUSE, Complete, Typed
from dcsend.display.modes import borrow, put_back
from dcsend.display.streams import put
from dcsend.errors import Interrupted, UsageError
from dcsend.printable import printable

__all__ = ["MAX_INPUT", "PROMPT", "resolve_code_argument"]

MAX_INPUT: Final = 65536
"Bytes that are read at most: many times a code, so that a wrong file is noticed at once."

PROMPT: Final = "paste the code or link, then press Enter"
"What a person is asked, on stderr."


def resolve_code_argument(
    argument: str, stdin: TextIO, *, complete: Complete, stderr: TextIO
) -> str:
    """Return the text that *argument* stands for.

    Call it in the main thread, before an event loop runs: only there can signals be handled.

    Args:
        argument: `@-` for *stdin*, `@PATH` for the content of a file, anything else for itself.
        stdin: a terminal, on which the user is asked to paste, or anything else, which is read
            to its end.
        complete: whether a text is a whole code; asked when a paste pauses.
        stderr: where the user is asked.

    Returns:
        The text as it came; it may hold no code at all.

    Raises:
        UsageError: the file can't be read, or is too large to be a code.
        KeyboardInterrupt: Ctrl-C was pressed; the terminal is as it was.
        Interrupted: another signal came; the terminal is as it was.
    """
    if not argument.startswith("@"):
        return argument
    if argument == "@-":
        if stdin.isatty():
            return _read_terminal(stdin, complete, stderr)
        return _decoded(_limited(stdin.buffer, "the standard input"))
    return _decoded(_read_file(argument[1:]))


def _read_file(name: str) -> bytes:
    """Return the content of the file, which may be a pipe such as `/dev/fd/63`."""
    shown = printable(name)
    if not name:
        raise UsageError("@ needs the name of a file behind it, or - for the standard input")
    try:
        with open(os.path.expanduser(name), "rb") as file:
            return _limited(file, shown)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unreadable(shown, error) from error


def _limited(file: BinaryIO, shown: str) -> bytes:
    """Read *file* to its end, but not without end."""
    try:
        content = file.read(MAX_INPUT + 1)
    except OSError as error:
        raise _unreadable(shown, error) from error
    if len(content) > MAX_INPUT:
        raise UsageError(f"{shown} is too large to be a code: more than {MAX_INPUT} bytes")
    return content


def _unreadable(shown: str, error: Exception) -> UsageError:
    """Return the refusal of a file that the system refuses."""
    reason = getattr(error, "strerror", None) or str(error)
    return UsageError(f"can't read the code from {shown}: {reason}")


def _decoded(content: bytes) -> str:
    """Return the text of a file; `>` of Windows PowerShell writes UTF-16."""
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if utf16 else "utf-8-sig", "replace")


def _read_lines(stdin: TextIO, complete: Complete, stderr: TextIO) -> str:
    """Ask for a code where lines are all that can be had."""
    print(PROMPT, file=stderr, flush=True)
    text = ""
    while not complete(text) and len(text) <= MAX_INPUT:
        line = stdin.readline()
        text += line
        if not line.strip():
            break
    return text


if sys.platform == "win32":  # mypy looks at one branch only, as does the computer

    def _read_terminal(stdin: TextIO, complete: Complete, stderr: TextIO) -> str:
        """Ask for a code on a Windows console."""
        return _read_lines(stdin, complete, stderr)

else:
    import select
    import termios

    _Handler = Callable[[int, FrameType | None], object] | int | None
    _ENDING_SIGNALS: Final = (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM)

    def _read_terminal(stdin: TextIO, complete: Complete, stderr: TextIO) -> str:
        """Ask for a code on a terminal."""
        descriptor = stdin.fileno()
        with _characterwise(descriptor):
            print(PROMPT, file=stderr, flush=True)
            text = _read_paste(descriptor, complete, stderr)
            if not text.endswith("\n"):
                _echo(descriptor, "\n")
            return text

    def _read_paste(descriptor: int, complete: Complete, stderr: TextIO) -> str:
        """Collect what is typed and pasted until it is complete or the user stops."""
        typed = Typed()
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        told = False
        while True:
            select.select([descriptor], [], [])
            arrived = _read(descriptor)
            _echo(descriptor, typed.type(decoder.decode(arrived)))
            if not arrived:
                return typed.text
            if len(typed.text) > MAX_INPUT:
                _swallow(descriptor)
                raise UsageError(f"this is too large to be a code: more than {MAX_INPUT} bytes")
            if select.select([descriptor], [], [], PAUSE)[0]:
                continue
            if complete(typed.text) or typed.stopped:
                return typed.text
            if typed.text.endswith("\n") and not told:
                print(MORE, file=stderr, flush=True)
                told = True

    def _read(descriptor: int) -> bytes:
        """Wait for input; empty when the terminal has gone."""
        try:
            return os.read(descriptor, 4096)
        except OSError:
            return b""

    def _swallow(descriptor: int) -> None:
        """Throw away the rest of a paste, so that the shell does not run it."""
        while select.select([descriptor], [], [], PAUSE)[0] and _read(descriptor):
            pass

    def _echo(descriptor: int, text: str) -> None:
        """Show *text* on the terminal itself: stderr may be a file that keeps the secret."""
        with contextlib.suppress(OSError):  # opened for reading only, or gone
            put(descriptor, text.encode("utf-8", "replace"))

    @contextlib.contextmanager
    def _characterwise(descriptor: int) -> Iterator[None]:
        """Turn line collection and the terminal's own echo off; put all back at the end."""
        saved, mode = termios.tcgetattr(descriptor), termios.tcgetattr(descriptor)
        mode[3] &= ~(termios.ICANON | termios.ECHO)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        previous: dict[int, _Handler] = {}

        def switch() -> None:
            borrow(descriptor, saved)
            termios.tcsetattr(descriptor, termios.TCSADRAIN, mode)

        def end(number: int, _frame: FrameType | None) -> None:
            raise Interrupted(number)

        def stop(number: int, _frame: FrameType | None) -> None:
            put_back(descriptor)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)  # returns when the shell's `fg` wakes us
            signal.signal(number, stop)
            switch()

        handlers: dict[int, _Handler] = dict.fromkeys(_ENDING_SIGNALS, end)
        handlers[signal.SIGTSTP] = stop
        try:
            _handle(handlers, previous)
            switch()
            yield
        finally:
            put_back(descriptor)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _handle(handlers: dict[int, _Handler], previous: dict[int, _Handler]) -> None:
        """Install *handlers*, noting in *previous* what was there."""
        if threading.current_thread() is not threading.main_thread():
            return  # Python allows handlers in the main thread only
        for number, handler in handlers.items():
            # An ignored signal (nohup) stays ignored, and one that is caught already ends us, too.
            if signal.getsignal(number) is signal.SIG_DFL:
                previous[number] = signal.signal(number, handler)
