"""Writing to standard output and standard error, which may go away at any time."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import BinaryIO, TextIO

from dcsend.errors import UsageError

__all__ = ["Stream", "enable_escapes", "is_terminal", "release", "unbuffered_stdout"]


_COLUMNS, _ROWS = 80, 24
"Of a window that does not tell."
_FEWEST = 10
"Columns or rows that are reckoned with at least."


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


class Stream:
    """A stream that never raises: a closed terminal must not end a transfer's clean-up."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

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

    def line(self, text: str = "") -> None:
        """Write a line at once."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Write at once; what the encoding lacks is escaped."""
        if self._stream is None:
            return
        safe = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        try:
            self._stream.write(safe)
            self._stream.flush()
        except BlockingIOError:
            return  # somebody made it non-blocking and it is full: this text is lost, no more
        except (OSError, ValueError):
            self._stream = None  # a closed pipe, a hung-up terminal: nobody reads any more


def release() -> None:
    """Write out what is left; Python would else complain at its end, and exit with 120."""
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
