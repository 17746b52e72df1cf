"""Writing to standard output and standard error, which may be closed or block at any time."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO

from dcsend.errors import UsageError
from dcsend.printable import printable, system_reason

if TYPE_CHECKING:
    from dcsend.display.outlets import Outlets, Write

__all__ = [
    "Stream",
    "echo",
    "enable_escapes",
    "end_row",
    "hurry",
    "is_hurrying",
    "is_terminal",
    "open_output",
    "ordinary_files",
    "release",
    "unbuffered_stdin",
    "unbuffered_stdout",
    "write_now",
    "written_aside",
]


_COLUMNS, _ROWS = 80, 24
"Assumed if the terminal does not report its size."
_FEWEST = 10
"Columns or rows; smaller windows are treated as this large."


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether *stream* is a terminal; False if it is closed or None."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def unbuffered_stdout() -> BinaryIO:
    """Open standard output for bytes, without the buffer, which a blocked write locks at exit.

    Raises:
        UsageError: the process has no standard output.
    """
    if sys.stdout is None:
        raise UsageError("standard output is closed", "choose another place with --output")
    sys.stdout.flush()
    return open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)


def unbuffered_stdin() -> BinaryIO:
    """Open standard input for bytes, without the buffer, which a blocked read locks at exit."""
    return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)


def open_output(target: str, option: str, what: str, *, stdout_taken: bool) -> Stream:
    """Open the target of `--json-to` or `--debug`: an open descriptor, or a file to append to.

    A new file has mode 0600, because events contain the code, which is a secret.

    Args:
        target: the number of the descriptor, or the file's path; `./3` is a file.
        option: the name of the option, for messages.
        what: what is written there, for messages.
        stdout_taken: whether `--json` or `-o -` uses standard output.

    Raises:
        UsageError: *target* can't be written to.
    """
    if not target:
        raise UsageError(f"the value of {option} is empty", "give a file or a descriptor")
    number = int(target) if target.isascii() and target.isdecimal() else None
    if number == 1 and stdout_taken:
        raise UsageError(
            f"{option} 1 is standard output, which --json or -o - already uses",
            "give another descriptor or a file",
        )
    try:
        if number is None:
            path = os.path.expanduser(target)
            made = "" if os.path.exists(path) else path
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        else:
            made = ""
            descriptor = os.dup(number)
            os.write(descriptor, b"")  # fails if the descriptor is read-only
        file = os.fdopen(descriptor, "w", encoding="utf-8")
    except (OSError, OverflowError, ValueError) as exc:
        reason = system_reason(exc, "neither a descriptor nor a path")
        shown = printable(target) if number is None else f"descriptor {number}"
        raise UsageError(
            f"can't write {what} to {shown}: {reason}",
            "give a file, or a descriptor that is open for writing, such as 2 or 3>FILE",
        ) from exc
    return Stream(file, made)


def ordinary_files(events: Stream | None, log: Stream | None) -> dict[tuple[int, int], str]:
    """Return device and inode of each regular file that is written to, with its description."""
    streams = {
        "standard output": Stream.stdout(),
        "standard error": Stream.stderr(),
        "the events": events,
        "the log": log,
    }
    return {s.file: what for what, s in streams.items() if s is not None and s.file is not None}


class _Run:
    """The state of the current run; a singleton."""

    def __init__(self) -> None:
        self.hurries = False
        "Whether a signal has come, so that the process must not wait for readers."
        self.outlets: Outlets | None = None
        "The queues of the event loop; None before and after the loop."


_run: Final = _Run()


def hurry() -> None:
    """Stop waiting for readers from now on; can be called in a signal handler."""
    _run.hurries = True


def is_hurrying() -> bool:
    """Return whether a signal has come, so that long output must be truncated."""
    return _run.hurries


@contextlib.contextmanager
def written_aside() -> Iterator[Outlets]:
    """Let streams write in threads (`outlets`), so that the running event loop does not block.

    Await `Outlets.finish` before the end of the context.
    """
    from dcsend.display.outlets import Outlets  # not needed by commands such as --version

    _run.outlets = Outlets()
    try:
        yield _run.outlets
    finally:
        _run.outlets = None


def echo(descriptor: int, text: str) -> None:
    """Write typed *text* to its terminal, in order with the output of streams to that.

    Not to stderr, which may be a file, and would keep the secret.
    """
    write, data = partial(_write, descriptor), text.encode("utf-8", "replace")
    with contextlib.suppress(OSError):  # opened for reading only, or closed
        if _run.outlets is None:
            write(data)
        else:
            _run.outlets.of(descriptor).put(write, [data], len(data), passing=False)


def write_now(text: str) -> None:
    """Write a line to the terminal on standard error, unless it blocks; for signal handlers."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        descriptor = sys.stderr.fileno()
        if os.isatty(descriptor) and _has_room(descriptor, 0.1):
            os.write(descriptor, f"\r\n{text}\r\n".encode("ascii", "backslashreplace"))


def end_row(descriptor: int) -> None:
    """End the row of the cursor at once, unless the terminal blocks: the program is stopped."""
    with contextlib.suppress(OSError):
        if _has_room(descriptor, 0.1):
            os.write(descriptor, b"\n")


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another program has made it non-blocking
            _has_room(descriptor)


if sys.platform == "win32":

    def _has_room(descriptor: int, seconds: float | None = None) -> bool:
        """Return True: Windows can't poll a console or a pipe."""
        return True

else:

    def _has_room(descriptor: int, seconds: float | None = None) -> bool:
        """Wait, at most *seconds*, until the descriptor is writable; return whether it is."""
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        return bool(poll.poll(None if seconds is None else seconds * 1000))


class Stream:
    """A text stream whose methods never raise, so that a closed terminal can't prevent clean-up."""

    def __init__(self, stream: TextIO | None, made: str = "") -> None:
        """Prepare.

        Args:
            stream: the underlying stream; None to discard all output.
            made: the path of the file, if it was created for this stream.
        """
        self._stream = stream
        self._made = made

    def remove_if_unused(self) -> None:
        """Remove the file if it was created for this stream and is empty."""
        with contextlib.suppress(OSError):
            if self._made and not os.path.getsize(self._made):
                os.unlink(self._made)

    @classmethod
    def stdout(cls) -> Stream:
        """Return standard output."""
        return cls(sys.stdout)

    @classmethod
    def stderr(cls) -> Stream:
        """Return standard error."""
        return cls(sys.stderr)

    @property
    def terminal(self) -> bool:
        """Whether the stream is a terminal."""
        return is_terminal(self._stream)

    @property
    def file(self) -> tuple[int, int] | None:
        """Device and inode, if it is a regular file."""
        try:
            status = os.fstat(self._stream.fileno() if self._stream else -1)
        except (OSError, ValueError):
            return None
        return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None

    @property
    def movable(self) -> bool:
        """Whether it is a terminal with a movable cursor, so that lines can be redrawn."""
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
        except (OSError, ValueError):  # not a terminal, or no file descriptor
            size = os.terminal_size((0, 0))
        columns = _number("COLUMNS") or size.columns or _COLUMNS
        rows = _number("LINES") or size.lines or _ROWS
        return max(columns, _FEWEST), max(rows, _FEWEST)

    def can_show(self, text: str) -> bool:
        """Return whether the encoding has every character of *text*."""
        try:
            text.encode(self.encoding)
        except (LookupError, UnicodeEncodeError):
            return False
        return True

    def line(self, text: str = "") -> None:
        """Write a line; see `write`."""
        self.write(text + "\n")

    def write(self, text: str, *, passing: bool = False) -> None:
        """Write text, at once or after queued output.

        Characters that the encoding lacks are escaped.

        Args:
            text: the output.
            passing: whether it replaces queued text that is *passing*, too.
        """
        self._put([text], len(text), passing=passing)

    def feed(self, pieces: Iterable[str]) -> None:
        """Write text from an iterator, which may run in another thread."""
        self._put(pieces, 0)

    def _put(self, pieces: Iterable[str], size: int, *, passing: bool = False) -> None:
        if self._stream is None:
            return
        try:
            write, descriptor = self._writer(self._stream)
            encoded = (piece.encode(self.encoding, "backslashreplace") for piece in pieces)
            if descriptor is None or _run.outlets is None:
                for piece in encoded:
                    write(piece)
            else:
                _run.outlets.of(descriptor).put(write, encoded, size, passing=passing)
        except (OSError, ValueError):
            self._stream = None  # a closed pipe or terminal

    def _writer(self, stream: TextIO) -> tuple[Write, int | None]:
        """Return a function that writes to *stream*, and its descriptor unless it is in memory."""
        descriptor: int | None = None
        with contextlib.suppress(OSError, AttributeError):  # io.UnsupportedOperation is an OSError
            descriptor = stream.fileno()
        if descriptor is None or sys.platform == "win32":
            # On Windows, Unicode reaches a console only through Python's own stream.
            return partial(_write_text, stream), descriptor
        stream.flush()  # earlier output of others
        return partial(_write, descriptor), descriptor


def _write_text(stream: TextIO, data: bytes) -> None:
    stream.write(data.decode(stream.encoding or "ascii"))
    stream.flush()


def release() -> None:
    """Flush the standard streams; if that failed at exit, Python would exit with 120."""
    if _run.hurries:
        return
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            _divert(stream)


def enable_escapes() -> None:
    """Enable escape sequences in an older Windows console; elsewhere, do nothing."""
    if sys.platform == "win32":
        import colorama  # comes with tqdm, on Windows

        colorama.just_fix_windows_console()


def _number(variable: str) -> int:
    value = os.environ.get(variable, "")
    return int(value) if value.isascii() and value.isdigit() else 0


def _divert(stream: TextIO) -> None:
    """Redirect the descriptor to the null device, so that the buffered rest is discarded."""
    with contextlib.suppress(OSError, ValueError):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
