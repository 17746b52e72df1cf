"""Codes from files, pipes and terminals; the terminal is a real one, with a real process at it."""

from __future__ import annotations

import functools
import io
import json
import operator
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import pytest

import dcsend
from dcsend.display.editing import MORE
from dcsend.display.paste import MAX_INPUT, PROMPT, Reading, read_code_lines, resolve_code_argument
from dcsend.errors import DcsendError, Interrupted
from dcsend.signaling.dialcode import Address, DialCode, decode

CODE = DialCode(
    bytes(range(16)), bytes(range(32)), 40417, (Address("192.0.2.7", 40417),), 2_000_000_000
)

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(dcsend.__file__).parents[1])}

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")

Test = TypeVar("Test", bound=Callable[..., None])


def at_terminal(test: Test) -> Test:
    """Mark a test with a process at a terminal."""
    marked: Test = on_posix(pytest.mark.full(test))
    return marked


READER = """
import json, sys
from dcsend.display.paste import resolve_code_argument
from dcsend.errors import DcsendError, Interrupted
from dcsend.signaling.dialcode import decode

def complete(text):
    try:
        decode(text)
    except DcsendError:
        return False
    return True

try:
    text = resolve_code_argument("@-", sys.stdin, complete=complete, stderr=sys.stderr)
    print(json.dumps(text))
except KeyboardInterrupt:
    print(json.dumps("KeyboardInterrupt"))
except DcsendError as error:
    print(json.dumps([type(error).__name__, error.message, error.exit_status]))
"""

TAKE_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"

# What a shell does with a job: give it the terminal, see it stop, wake it again.
SHELL = (
    TAKE_TERMINAL
    + """
import os, signal, subprocess, sys

def give_terminal(group):
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, group)
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)

job = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1]],
    process_group=0,
    preexec_fn=lambda: give_terminal(os.getpid()),
)
_, status = os.waitpid(job.pid, os.WUNTRACED)
give_terminal(os.getpid())
print("stopped" if os.WIFSTOPPED(status) else "ended", flush=True)
sys.stdin.readline()
give_terminal(job.pid)
os.killpg(job.pid, signal.SIGCONT)
os.waitpid(job.pid, 0)
"""
)


class Terminal:
    """A terminal with a program at its other end that asks for a code."""

    def __init__(self, program: str = TAKE_TERMINAL + READER, *arguments: str) -> None:
        self._keyboard, self._computer_side = os.openpty()
        self.settings_before = self.settings()
        self._screen = bytearray()
        self._written = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=self._computer_side,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        self._eyes = threading.Thread(target=self._watch)
        self._eyes.start()

    def __enter__(self) -> Terminal:
        assert self.next_message() == PROMPT
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._process.wait()
        os.close(self._computer_side)
        self._eyes.join()
        os.close(self._keyboard)

    def settings(self) -> list[object]:
        """Return the settings of the terminal."""
        import termios

        return termios.tcgetattr(self._computer_side)

    def type(self, text: str) -> None:
        """Type or paste *text*."""
        rest = text.encode()
        while rest:
            rest = rest[os.write(self._keyboard, rest) :]

    def type_and_see(self, text: str) -> None:
        """Type *text*, and wait until it is echoed."""
        self.type(text)
        with self._written:
            assert self._written.wait_for(lambda: self.screen.endswith(text), 150)

    def next_message(self) -> str:
        """Wait for a line on the program's stderr."""
        assert self._process.stderr is not None
        return self._process.stderr.readline().decode().strip()

    def next_output(self) -> str:
        """Wait for a line on the program's stdout."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def outcome(self) -> object:
        """Wait for the end of the program and return what it printed."""
        output, errors = self._process.communicate(timeout=150)
        assert self._process.returncode == 0, errors.decode()
        assert self.settings() == self.settings_before
        return json.loads(output)

    @property
    def screen(self) -> str:
        """What was written to the terminal; complete only after `__exit__`."""
        return self._screen.decode().replace("\r\n", "\n")

    def _watch(self) -> None:
        # Without an open other end Linux reports EIO, macOS the end of the file.
        try:
            while seen := os.read(self._keyboard, 4096):
                with self._written:
                    self._screen += seen
                    self._written.notify_all()
        except OSError:
            pass


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Give a terminal at which the program has asked."""
    with Terminal() as found:
        yield found


def complete(text: str) -> bool:
    """Return whether *text* is a whole code."""
    try:
        decode(text)
    except DcsendError:
        return False
    return True


def wrapped(text: str, size: int, columns: int) -> str:
    """Return *text* in lines of *columns*, indented so that it has *size* characters."""
    lines = [text[place : place + columns] for place in range(0, len(text), columns)]
    indent, rest = divmod(size - len("\n".join(lines)), len(lines))
    return " " * rest + "\n".join(" " * indent + line for line in lines)


@at_terminal
@pytest.mark.parametrize("columns", [10, 9000], ids=["wrapped", "one-line"])
def test_paste_longer_than_a_terminal_line_arrives_whole(terminal: Terminal, columns: int) -> None:
    pasted = wrapped(CODE.link("https://dcsend.example/"), 9000, columns)
    assert len(pasted) == 9000
    terminal.type(pasted + "\n")
    assert terminal.outcome() == pasted + "\n"


@at_terminal
def test_code_needs_no_enter(terminal: Terminal) -> None:
    terminal.type(CODE.text())
    assert terminal.outcome() == CODE.text()


@at_terminal
def test_enter_after_a_code_ends_the_input_without_a_pause() -> None:
    patient = "import dcsend.display.paste\ndcsend.display.paste.PAUSE = 1e6\n"
    with Terminal(TAKE_TERMINAL + patient + READER) as terminal:
        terminal.type_and_see(CODE.text())
        terminal.type("\r")
        assert terminal.outcome() == CODE.text() + "\n"


@at_terminal
def test_code_may_come_in_pieces(terminal: Terminal) -> None:
    terminal.type(CODE.text()[:40] + "\n")
    assert terminal.next_message() == MORE
    terminal.type(CODE.text()[40:])
    assert terminal.outcome() == CODE.text()[:40] + "\n" + CODE.text()[40:]


@at_terminal
@pytest.mark.parametrize("typed", ["\n", "hello\n\n", "hello\r\r", "a\n \t\n"])
def test_enter_on_an_empty_line_ends_the_input(terminal: Terminal, typed: str) -> None:
    terminal.type(typed)
    assert terminal.outcome() == typed.replace("\r", "\n")


@at_terminal
def test_empty_line_within_a_paste_does_not_end_it(terminal: Terminal) -> None:
    pasted = "\n\n   \n" + CODE.text()
    terminal.type(pasted)
    assert terminal.outcome() == pasted


@at_terminal
def test_control_d_ends_the_input(terminal: Terminal) -> None:
    terminal.type("hello\x04")
    assert terminal.outcome() == "hello"


@at_terminal
def test_backspace_and_control_u_take_back_what_was_typed(terminal: Terminal) -> None:
    terminal.type("ä€\x7f\x08\x7fhellx\x7fo\nwrong\x15world\x04")
    assert terminal.outcome() == "hello\nworld"


@at_terminal
def test_what_is_typed_is_seen_but_nothing_else_is_sent_to_the_terminal() -> None:
    with Terminal() as terminal:
        terminal.type("hellx\x7fo\x1b[2J\x07\n\n")
        terminal.outcome()
    assert terminal.screen == "hellx\b \bo\n\n"


@at_terminal
def test_control_c_raises_and_puts_the_terminal_back(terminal: Terminal) -> None:
    terminal.type("hello")
    terminal.type("\x03")
    assert terminal.outcome() == "KeyboardInterrupt"


@at_terminal
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT"])
def test_signal_raises_and_puts_the_terminal_back(terminal: Terminal, name: str) -> None:
    import signal

    number = signal.Signals[name]
    terminal.signal(number)
    assert terminal.outcome() == ["Interrupted", "interrupted", 128 + number]


@at_terminal
def test_control_z_puts_the_terminal_back_until_the_program_goes_on() -> None:
    with Terminal(SHELL, READER) as terminal:
        terminal.type(CODE.text()[:40] + "\n")
        assert terminal.next_message() == MORE
        assert terminal.settings() != terminal.settings_before
        terminal.type("\x1a")
        assert terminal.next_output() == "stopped"
        assert terminal.settings() == terminal.settings_before
        terminal.type("fg\n")
        terminal.type(CODE.text()[40:])
        assert terminal.outcome() == CODE.text()[:40] + "\n" + CODE.text()[40:]


@on_posix
def test_signal_just_before_the_wait_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # The interpreter checks for signals between two of its instructions. `map` makes both calls
    # in one of them: the signal arrives, and then the system call begins.
    import ctypes
    import select
    import signal

    arrive = functools.partial(ctypes.CDLL(None)["raise"], int(signal.SIGTERM))
    wait = select.select

    def select_after_signal(
        inputs: list[int], outputs: list[int], errors: list[int], _seconds: float = 0
    ) -> object:
        calls = (arrive, functools.partial(wait, inputs, outputs, errors))
        _, ready = map(operator.call, calls)
        return ready

    keyboard, computer_side = os.openpty()
    with open(computer_side, encoding="utf-8") as stdin, os.fdopen(keyboard, "wb"):
        monkeypatch.setattr(select, "select", select_after_signal)
        with pytest.raises(Interrupted):
            resolve_code_argument("@-", stdin, complete=complete, stderr=io.StringIO())


@at_terminal
def test_endless_paste_is_refused_and_swallowed(terminal: Terminal) -> None:
    # The second half would stay in the terminal, for the shell, if it were not swallowed.
    terminal.type("no code\n" * (MAX_INPUT // 4))
    message = "this is too large to be a code: more than 65536 bytes"
    assert terminal.outcome() == ["UsageError", message, 2]


@on_posix
def test_signal_handlers_are_put_back() -> None:
    import signal

    keyboard, computer_side = os.openpty()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)
    before = [signal.getsignal(number) for number in numbers]
    os.write(keyboard, b"hello\n\n")
    with open(computer_side, encoding="utf-8") as stdin:
        errors = io.StringIO()
        text = resolve_code_argument("@-", stdin, complete=complete, stderr=errors)
    os.close(keyboard)
    assert (text, errors.getvalue()) == ("hello\n\n", PROMPT + "\n")
    assert [signal.getsignal(number) for number in numbers] == before


@at_terminal
def test_directory_as_standard_input_is_refused(tmp_path: Path) -> None:
    # Python itself refuses a directory when it starts, so that one is opened later.
    program = f"import os; os.dup2(os.open({str(tmp_path)!r}, os.O_RDONLY), 0)\n{READER}"
    found = subprocess.run(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=ENVIRONMENT,
        check=True,
    )
    name, message, status = json.loads(found.stdout)
    assert (name, status) == ("UsageError", 2)
    assert message == "can't read the code from standard input: is a directory"


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (CODE.text() + "\nrest\n", CODE.text() + "\n"),
        (CODE.text()[:9] + "\n" + CODE.text()[9:] + "\n", None),
        ("hello\n\nrest\n", "hello\n\n"),
        ("hello", "hello"),
        ("", ""),
    ],
)
def test_console_without_termios_is_read_line_by_line(typed: str, read: str | None) -> None:
    errors = io.StringIO()
    assert read_code_lines(io.StringIO(typed), Reading(complete), errors) == (read or typed)
    assert errors.getvalue() == PROMPT + "\n"
