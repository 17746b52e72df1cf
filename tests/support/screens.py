"""Terminals for tests: a pseudo-terminal whose screen is rendered, and real windows of tmux.

A test waits until the screen shows something, with a limit; it never waits for a time.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import shlex
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

import pyte

__all__ = ["DCSEND", "PATIENCE", "Pane", "Pty", "Tmux", "plain", "rendered", "tmux_server"]

T = TypeVar("T")

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE: Final = 150.0
"Seconds that a screen may take to show something, on a very busy machine."

_MARK: Final = "\0"
"Not visible."

DCSEND: Final = f"{shlex.quote(sys.executable)} -m dcsend"
"The command for `dcsend`."


def rendered(written: str, columns: int = 80, rows: int = 24) -> pyte.Screen:
    """Render the output of a program, with line ends as a terminal driver makes them."""
    screen = pyte.Screen(columns, rows)
    pyte.Stream(screen).feed(written.replace("\r\n", "\n").replace("\n", "\r\n"))
    return screen


def plain(screen: pyte.Screen) -> list[str]:
    """Return the rows of a screen, without trailing blanks and blank rows at the end."""
    rows = [row.rstrip() for row in screen.display]
    while rows and not rows[-1]:
        rows.pop()
    return rows


class Pty:
    """A pseudo-terminal of this process: what is written to `file` appears on `screen`."""

    def __init__(self, columns: int = 80, rows: int = 24, encoding: str = "utf-8") -> None:
        self.eyes, computer = os.openpty()
        self.file = open(computer, "w", encoding=encoding, newline="")  # noqa: SIM115 - closed below
        self._set_size(columns, rows)
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self.written = ""

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window; rows are cut."""
        self._set_size(columns, rows)
        self.screen.resize(rows, columns)

    def _set_size(self, columns: int, rows: int) -> None:
        import fcntl
        import struct
        import termios

        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.file.fileno(), termios.TIOCSWINSZ, size)

    def look(self) -> list[str]:
        """Return the rows that are shown now."""
        # The kernel delivers output later; all before the mark has arrived when the mark has.
        with contextlib.suppress(OSError):
            os.write(self.file.fileno(), _MARK.encode())
            self._receive(_MARK)
        return plain(self.screen)

    def during(self, work: Callable[[], None]) -> list[str]:
        """Return the rows that are shown after *work*, which may write more than fits.

        A terminal that is not read holds a few thousand characters; then writing to it waits.
        """

        def write() -> None:
            work()
            self.file.flush()
            os.write(self.file.fileno(), _MARK.encode())

        writing = threading.Thread(target=write)
        writing.start()
        self._receive(_MARK)
        writing.join()
        return plain(self.screen)

    def type(self, text: str) -> None:
        """Type keys; the program reads them when a line is complete."""
        os.write(self.eyes, text.encode())

    def type_and_see(self, text: str) -> None:
        """Press keys, and wait until the terminal has echoed them."""
        self.look()
        self.type(text)
        self._receive(text.replace("\n", "\r\n"))

    def _receive(self, wanted: str) -> None:
        """Read until the output ends with *wanted*."""
        came = ""
        while not came.endswith(wanted):
            ready, _, _ = select.select([self.eyes], [], [], PATIENCE)
            assert ready, f"{wanted!r} has not come, but {came!r}"
            came += self._decoder.decode(os.read(self.eyes, 65536))
        text = came.replace(_MARK, "")
        self.written += text
        self._stream.feed(text)

    def close(self) -> None:
        """Throw it away."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            os.close(self.eyes)


class Tmux:
    """A tmux server of its own, which ends with the test."""

    def __init__(self) -> None:
        self._socket = f"dcsend-test-{os.getpid()}-{uuid.uuid4().hex[:8]}"

    def run(self, *arguments: str) -> str:
        """Run a command of tmux and return what it prints."""
        return subprocess.run(
            ["tmux", "-L", self._socket, "-f", "/dev/null", *arguments],
            capture_output=True,
            check=True,
            timeout=PATIENCE,
            text=True,
        ).stdout

    def window(
        self,
        folder: Path,
        columns: int = 80,
        rows: int = 24,
        variables: Mapping[str, str] | None = None,
    ) -> Pane:
        """Open a window with a shell in *folder*."""
        name = f"w{uuid.uuid4().hex[:8]}"
        given = {
            "PS1": "$ ",
            "PYTHONPATH": str(ROOT),
            "DCSEND_ADDRESS": "127.0.0.1",
            "DCSEND_STUN": "none",
            "DCSEND_NO_PAGE": "1",
            "DCSEND_NO_MDNS": "1",
            "LC_ALL": "C.UTF-8",
            **(variables or {}),
        }
        # The window reports its size.
        shell = [
            "env",
            "-u",
            "COLUMNS",
            "-u",
            "LINES",
            *(f"{key}={value}" for key, value in given.items()),
            "sh",
        ]
        size = ("-x", str(columns), "-y", str(rows))
        self.run("new-session", "-d", *size, "-s", name, "-c", str(folder), shlex.join(shell))
        pane = Pane(self, name, columns, rows)
        pane.until(r"^\$")  # a line that is typed before the prompt is shown above it
        return pane

    def close(self) -> None:
        """End the server and all in it."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.run("kill-server")


class Pane:
    """One window of tmux, with a shell in it."""

    def __init__(self, tmux: Tmux, name: str, columns: int, rows: int) -> None:
        self._tmux = tmux
        self._name = name
        self._columns = columns
        self._rows = rows

    def look(self, *, joined: bool = False, back: int = 0) -> list[str]:
        """Return the rows shown now, or, *joined*, lines as they were before they were wrapped.

        Args:
            joined: undo the wrapping.
            back: rows above the window to return, too.
        """
        options = ("-J",) if joined else ()
        seen = self._tmux.run(
            "capture-pane", "-p", *options, "-S", str(-back), "-t", self._name
        ).split("\n")
        rows = [row.rstrip() for row in seen]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    @property
    def cursor(self) -> int:
        """The column of the cursor, from 0."""
        return int(self._tmux.run("display-message", "-p", "-t", self._name, "#{cursor_x}"))

    def painted(self) -> pyte.Screen:
        """Return the current screen, with its colours."""
        seen = self._tmux.run("capture-pane", "-p", "-e", "-N", "-t", self._name)
        return rendered(seen.rstrip("\n"), self._columns, self._rows)

    def until(self, pattern: str, *, joined: bool = True) -> re.Match[str]:
        """Wait until a line matches, and return the last match."""
        expected = re.compile(pattern)

        def found() -> re.Match[str] | None:
            matches = [expected.search(line) for line in self.look(joined=joined, back=300)]
            return next((match for match in reversed(matches) if match), None)

        return _await(found, lambda: f"{pattern!r} is not shown; instead:\n" + self._all())

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window."""
        self._columns, self._rows = columns, rows
        self._tmux.run("resize-window", "-t", self._name, "-x", str(columns), "-y", str(rows))

    def type(self, text: str) -> None:
        """Press keys."""
        self._tmux.run("send-keys", "-t", self._name, "-l", text)

    def enter(self, text: str = "") -> None:
        """Type a line."""
        if text:
            self.type(text)
        self.key("Enter")

    def key(self, name: str) -> None:
        """Press a key that tmux has a name for, such as `C-c`."""
        self._tmux.run("send-keys", "-t", self._name, name)

    def dcsend(self, *arguments: str, after: str = "") -> None:
        """Type a command line of dcsend; its exit status is shown at its end."""
        self.enter(f"{DCSEND} {shlex.join(arguments)} {after}; echo status=$?")

    def ended(self) -> int:
        """Wait for the end of a command and return its exit status."""
        return int(self.until(r"^status=(\d+)$")[1])

    def code(self) -> str:
        """Wait for the code on the screen."""
        return self.until(r"^dcsend (?:receive|send PATH --to) (dc[0-9a-z]+)$")[1]

    def close(self) -> None:
        """Close the window, as a click on its cross does."""
        self._tmux.run("kill-session", "-t", self._name)

    def _all(self) -> str:
        return "\n".join(self.look(back=300))


def _await(found: Callable[[], T | None], otherwise: Callable[[], str]) -> T:
    """Repeat *ask* until it returns a result, with a limit."""
    limit = time.monotonic() + PATIENCE
    while (answer := found()) is None:
        assert time.monotonic() < limit, otherwise()
        time.sleep(0.02)  # tmux has no event for it; leaves the processor to the programs
    return answer


@contextlib.contextmanager
def tmux_server() -> Iterator[Tmux]:
    """Start a server, and end it."""
    tmux = Tmux()
    try:
        yield tmux
    finally:
        tmux.close()
