"""Writing to standard output and standard error, which may go away at any time."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO, Final, TextIO

from dcsend.errors import UsageError

__all__ = [
    "Stream",
    "enable_escapes",
    "hurry",
    "in_haste",
    "is_terminal",
    "put",
    "release",
    "unbuffered_stdout",
]


_COLUMNS, _ROWS = 80, 24
"Of a window that does not tell."
_FEWEST = 10
"Columns or rows that are reckoned with at least."
_LAST_WORDS: Final = 0.2
"Seconds that writing may take, in all, once a signal has come."
_PIECE: Final = 512
"Bytes that are written at once then: where there is any room, there is room for so many."


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person sits at *stream*; False if it is closed or missing."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def unbuffered_stdout() -> BinaryIO:
    """Open standard output anew, for bytes: its own buffer is locked at exit by a stuck write.

    Raises:
        UsageError: the program was started without one.
    """
    if sys.stdout is None:
        raise UsageError("standard output is closed", "choose another place with --output")
    sys.stdout.flush()
    return open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)


class _GivenUpError(Exception):
    """A signal has come while a write waited for its reader."""


class _Haste:
    """Whether the process is about to end, so that no reader is waited for."""

    def __init__(self) -> None:
        self.left: float | None = None
        "Seconds that writing may still take; None as long as there is no hurry."
        self.writer = 0
        "The thread that writes just now, which a signal may interrupt."

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Let a signal end what is written herein, with _GivenUpError."""
        self.writer = threading.get_ident()
        try:
            yield
        finally:
            self.writer = 0


_haste: Final = _Haste()


def hurry(*, gives_up: bool = True) -> None:
    """Wait for no reader from now on; call it in a signal handler.

    Args:
        gives_up: leave the write that has been interrupted; its caller notices nothing.
    """
    if _haste.left is None:
        _haste.left = _LAST_WORDS
    if gives_up and _haste.writer == threading.get_ident():
        _haste.writer = 0
        raise _GivenUpError


def in_haste() -> bool:
    """Tell whether a signal has come, so that only last words are still to be written."""
    return _haste.left is not None


def put(descriptor: int, data: bytes) -> int:
    """Write *data* at once; return how many bytes of it nobody has taken, because of a signal.

    Raises:
        OSError: the system refused.
    """
    if _haste.left is not None:
        return len(data) - _put_in_haste(descriptor, data)
    written: list[int] = []
    with contextlib.suppress(_GivenUpError), _haste.writing():
        while (begun := sum(written)) < len(data):
            # In one step, so that what is written is counted whenever a signal comes.
            written.extend(map(os.write, (descriptor,), (memoryview(data)[begun:],)))
    return len(data) - sum(written)


def _put_in_haste(descriptor: int, data: bytes) -> int:
    """Write as far as there is room, within what is left of the time; return how many bytes."""
    written = 0
    while written < len(data):
        began = time.monotonic()
        left = _haste.left or 0.0
        if not left or not _has_room(descriptor, left):
            _haste.left = 0.0
            break
        written += os.write(descriptor, data[written : written + _PIECE])
        _haste.left = max(0.0, left - (time.monotonic() - began))
    return written


if sys.platform == "win32":

    def _has_room(descriptor: int, seconds: float) -> bool:
        """Windows doesn't tell of a console or a pipe."""
        return True

else:

    def _has_room(descriptor: int, seconds: float) -> bool:
        """Wait so long at most until something can be written."""
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))


class Stream:
    """A stream that never raises: a closed terminal must not end a transfer's clean-up."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._torn = False
        "What has been written last is not all that should have been."
        self._within_line = False
        "What has been written last does not end a line."

    @classmethod
    def stdout(cls) -> Stream:
        """What a program reads."""
        return cls(sys.stdout)

    @classmethod
    def stderr(cls) -> Stream:
        """What a person reads."""
        return cls(sys.stderr)

    @property
    def terminal(self) -> bool:
        """Whether a person looks at it."""
        return is_terminal(self._stream)

    @property
    def movable(self) -> bool:
        """Whether it is a terminal whose cursor can be moved, so that lines can be replaced."""
        return self.terminal and os.environ.get("TERM") != "dumb"

    @property
    def encoding(self) -> str:
        """The name of its encoding."""
        return getattr(self._stream, "encoding", None) or "ascii"

    @property
    def window(self) -> tuple[int, int]:
        """Columns and rows of the terminal; `COLUMNS` and `LINES` override."""
        try:
            size = os.get_terminal_size(self._stream.fileno() if self._stream else -1)
        except (OSError, ValueError):  # no terminal, or no file at all
            size = os.terminal_size((0, 0))
        columns = _number("COLUMNS") or size.columns or _COLUMNS
        rows = _number("LINES") or size.lines or _ROWS
        return max(columns, _FEWEST), max(rows, _FEWEST)

    def can_show(self, text: str) -> bool:
        """Tell whether its encoding has every character of *text*."""
        try:
            text.encode(self.encoding)
        except (LookupError, UnicodeEncodeError):
            return False
        return True

    def tear(self) -> None:
        """Note that the last line will have no more than it has: what follows begins a new one."""
        self._torn = True

    def line(self, text: str = "") -> None:
        """Write a line at once."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Write at once; what the encoding lacks is escaped."""
        if self._stream is None:
            return
        safe = text.encode(self.encoding, "backslashreplace")
        try:
            descriptor = self._descriptor()
            if descriptor is None:
                self._stream.write(safe.decode(self.encoding))
                self._stream.flush()
                return
            if self._torn and self._within_line:
                safe = b"\n" + safe
            left = put(descriptor, safe)
            if left < len(safe):
                self._within_line = not safe[: len(safe) - left].endswith(b"\n")
            self._torn = left > 0
        except BlockingIOError:
            return  # somebody made it non-blocking and it is full: this text is lost, no more
        except (OSError, ValueError):
            self._stream = None  # a closed pipe, a hung-up terminal: nobody reads any more

    def _descriptor(self) -> int | None:
        """Return what can be written to directly; None: in memory, or a console of Windows."""
        if self._stream is None or sys.platform == "win32":
            return None
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError, AttributeError):
            return None
        self._stream.flush()  # what others have written before
        return descriptor


def release() -> None:
    """Write out what is left; Python would else complain at its end, and exit with 120."""
    if _haste.left is not None:
        return  # nothing is, but what nobody takes
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            _divert(stream)


def enable_escapes() -> None:
    """Make an older Windows console understand escape sequences; elsewhere, do nothing."""
    if sys.platform == "win32":
        import colorama  # comes with tqdm, on Windows

        colorama.just_fix_windows_console()


def _number(variable: str) -> int:
    value = os.environ.get(variable, "")
    return int(value) if value.isascii() and value.isdigit() else 0


def _divert(stream: TextIO) -> None:
    """Let what is still buffered go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
