"""Real dcsend programs: a test starts them, reads their output and waits for their end.

Nothing here sleeps: a test waits for an event, for output or for an end, each with a limit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, TypedDict, Unpack

import pytest

from tests.support import forkserver
from tests.support.netns import Host

__all__ = ["PATIENCE", "Ended", "Event", "Program", "Stage", "digest", "stage", "tree"]

ROOT: Final = Path(__file__).resolve().parents[2]

PATIENCE: Final = 150.0
"Seconds after which a wait fails; enough for a very busy machine."

Event = dict[str, Any]
"One line of `--json`."

_CRASHES: Final = (
    *(b"Traceback", b"Exception ignored", b"Fatal Python error", b"Warning:"),
    b"No handlers could be found",  # of logging, for a record without a handler
)
"Texts that must never be on standard error."

_TERMINAL: Final = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], [sys.argv[1], "-m", "dcsend", *sys.argv[2:]])
"""
"Makes standard input the controlling terminal, as a shell does, and executes dcsend."


@dataclass(frozen=True, slots=True)
class Ended:
    """Exit status and output of a program that has ended."""

    status: int
    "Exit status; negative: killed by that signal."
    events: list[Event]
    "With `--json`: every line of standard output."
    out: bytes
    err: bytes

    def of(self, name: str) -> list[Event]:
        """Return all events of a name."""
        return [event for event in self.events if event["event"] == name]

    @property
    def done(self) -> Event:
        """The last event."""
        return self.events[-1]

    @property
    def files(self) -> dict[str, Event]:
        """The event `file` of each file, by path."""
        return {event["path"]: event for event in self.of("file")}

    @property
    def fatal(self) -> Event:
        """The fatal `error` event."""
        (event,) = (event for event in self.of("error") if event["fatal"])
        return event

    @property
    def notes(self) -> list[str]:
        """The messages of `error` events that are not fatal."""
        return [event["message"] for event in self.of("error") if not event["fatal"]]


class _Options(TypedDict):
    """What `Popen` and the fork server have in common."""

    stdin: int | IO[bytes]
    stdout: int
    stderr: int
    cwd: Path | None
    env: Mapping[str, str]
    start_new_session: bool


class Program:
    """One running dcsend.

    Args:
        arguments: of the command line.
        stdin: as for `subprocess.Popen`.
        listen: read standard output in a thread; otherwise the test reads it, or leaves it unread.
        cwd: its current folder.
        terminal: connect standard input and standard error to a new pseudo-terminal.
        before: Python source that runs before dcsend, for instance to make a call fail.
        launcher: a command in place of `python -m dcsend`.
        host: run it on this host of a test network, without `DCSEND_ADDRESS`.
        environment: variables added to those of this process.
        cold: start a new interpreter, also where a copy of one that has loaded dcsend would do.
    """

    def __init__(
        self,
        *arguments: str,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        listen: bool = True,
        cwd: Path | None = None,
        terminal: bool = False,
        before: str = "",
        launcher: Sequence[str] = (),
        host: Host | None = None,
        environment: Mapping[str, str] | None = None,
        cold: bool = False,
    ) -> None:
        self._json = "--json" in arguments
        self._out = bytearray()
        self._err = bytearray()
        self._events: list[Event] = []
        self._changed = threading.Condition()
        self._over = False
        self.over_at = 0.0
        "End of its standard output; seconds of the monotonic clock."
        self.started_at = time.monotonic()
        "Its start; seconds of the monotonic clock."
        self._times: list[float] = []
        given = {"DCSEND_ADDRESS": "127.0.0.1"} if host is None else {}
        variables = {**os.environ, **given, "PYTHONPATH": str(ROOT)}
        self._terminal = os.openpty() if terminal else None
        theirs = self._terminal[1] if self._terminal else None
        if theirs is not None:
            import termios

            # No row depends on the length of the path of a temporary folder.
            termios.tcsetwinsize(theirs, (24, 240))
        options: _Options = {
            "stdin": stdin if theirs is None else theirs,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE if theirs is None else theirs,
            "cwd": cwd,
            "env": {**variables, **(environment or {})},
            "start_new_session": terminal,
        }
        self.process: subprocess.Popen[bytes] | forkserver.Forked
        namespace = host.namespace if host else ""
        if cold or before or launcher or not forkserver.usable(options["env"], namespace):
            start = ["-c", _TERMINAL, sys.executable] if terminal else ["-m", "dcsend"]
            if before:
                start = ["-c", f"{before}\nfrom dcsend.cli import main\nmain()"]
            command = [*(launcher or [sys.executable, *start]), *arguments]
            self.process = subprocess.Popen(
                command if host is None else host.command(command), bufsize=0, **options
            )
        else:
            self.process = forkserver.fork(arguments, namespace=namespace, **options)
        assert self.process.stdout is not None
        self.stdout: IO[bytes] = self.process.stdout
        if self._terminal:
            ours, theirs = self._terminal
            os.close(theirs)
            self._stderr: IO[bytes] = os.fdopen(ours, "r+b", buffering=0)
        else:
            assert self.process.stderr is not None
            self._stderr = self.process.stderr
        readers = [self._read_err, self._read_out] if listen else [self._read_err]
        self._threads = [threading.Thread(target=reader, daemon=True) for reader in readers]
        for thread in self._threads:
            thread.start()

    @property
    def code(self) -> str:
        """The dial code that it publishes."""
        return str(self.event("code")["code"])

    def event(self, name: str, **fields: object) -> Event:
        """Wait for the first event of this name with these fields."""
        return self.until(
            lambda event: event["event"] == name and fields.items() <= event.items(),
            f"event {name} {fields or ''}",
        )

    def until(
        self, wanted: Callable[[Event], bool], what: str, patience: float = PATIENCE
    ) -> Event:
        """Wait at most *patience* seconds for the first event that *wanted* accepts."""
        event = self.find(wanted, patience)
        if event is None:
            shown = self._err.decode(errors="replace")
            pytest.fail(f"no {what}; last events: {self._events[-8:]}; stderr: {shown}")
        return event

    def find(self, wanted: Callable[[Event], bool], patience: float) -> Event | None:
        """Like `until`, but return None at the end of the program or of the time."""

        def found() -> Event | None:
            return next(filter(wanted, self._events), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._over, patience)
            return found()

    def at(self, event: Event) -> float:
        """Return the time of arrival of an event; seconds of the monotonic clock."""
        with self._changed:
            return next(
                when for when, one in zip(self._times, self._events, strict=True) if one is event
            )

    def steps(self) -> list[tuple[float, int]]:
        """Return each progress event so far: its time of arrival, and the bytes of files."""
        with self._changed:
            pairs = list(zip(self._times, self._events, strict=True))
        return [(when, event["bytes"]) for when, event in pairs if event["event"] == "progress"]

    def so_far(self, name: str) -> list[Event]:
        """Return all events of this name so far."""
        with self._changed:
            return [event for event in self._events if event["event"] == name]

    def quiet(self, name: str, seconds: float) -> None:
        """Wait until no event of this name has arrived for *seconds*."""
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            count = -1
            while count != (now := sum(event["event"] == name for event in self._events)):
                count = now
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    self._changed.wait(until - time.monotonic())
                assert time.monotonic() < deadline, f"{name} events never stop"

    def until_shown(self, words: bytes, times: int = 1) -> None:
        """Wait until standard error contains *words*, *times* times."""
        with self._changed:
            self._changed.wait_for(lambda: self._err.count(words) >= times or self._over, PATIENCE)
        assert self._err.count(words) >= times, self._err

    @property
    def shown(self) -> bytes:
        """Standard error so far."""
        with self._changed:
            return bytes(self._err)

    def read(self, most: int) -> bytes:
        """Read from its standard output (`listen=False`); b"" at its end."""
        ready, _, _ = select.select([self.stdout], [], [], PATIENCE)
        assert ready, "nothing on standard output"
        return os.read(self.stdout.fileno(), most)

    def write(self, data: bytes) -> None:
        """Write to its standard input."""
        stdin = self._stderr if self._terminal else self.process.stdin
        assert stdin is not None
        stdin.write(data)

    def end_input(self) -> None:
        """Close its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def end(self, timeout: float = PATIENCE) -> Ended:
        """Wait for its end, and check the invariants of each end."""
        ended = self.reap(timeout)
        for crash in _CRASHES:
            assert crash not in ended.err, ended.err.decode(errors="replace")
        assert self._terminal or b"\x1b" not in ended.err
        assert ended.status >= 0, (ended.status, ended.err)
        if self._json:
            assert [event["v"] for event in ended.events] == [1] * len(ended.events)
            assert [event["event"] for event in ended.events].count("done") == 1
            assert ended.done["event"] == "done"
            assert ended.done["exit"] == ended.status
            assert ended.done["ok"] == (ended.status == 0)
        return ended

    def reap(self, timeout: float = PATIENCE) -> Ended:
        """Wait for its end, without checks."""
        status = self.process.wait(timeout)
        for thread in self._threads:
            thread.join(timeout)
        return Ended(status, self._events, bytes(self._out), bytes(self._err))

    def kill(self) -> None:
        """Kill it if it runs; may be called again."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for thread in self._threads:
            thread.join(PATIENCE)
        for pipe in (self.process.stdin, self.stdout, self._stderr):
            if pipe is not None:
                pipe.close()

    def report(self) -> None:
        """Print its command, status and last output, which pytest shows if the test fails."""
        last = "".join(f"{event}\n" for event in self._events[-8:])
        shown = f"{last}{self._err.decode(errors='replace')}"
        sys.stdout.write(f"{self.process.args!r}: exit status {self.process.returncode}\n{shown}\n")

    def _read_err(self) -> None:
        with contextlib.suppress(OSError):  # the end of a terminal whose other side is closed
            while chunk := os.read(self._stderr.fileno(), 65536):
                with self._changed:
                    self._err += chunk
                    self._changed.notify_all()

    def _read_out(self) -> None:
        rest = b""
        while chunk := os.read(self.stdout.fileno(), 65536):
            with self._changed:
                self._out += chunk
                if self._json:
                    *lines, rest = (rest + chunk).split(b"\n")
                    self._events += map(json.loads, lines)
                    self._times += [time.monotonic()] * len(lines)
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self.over_at = time.monotonic()
            self._changed.notify_all()


class Options(TypedDict, total=False):
    """Options of `Program`."""

    stdin: int | IO[bytes]
    listen: bool
    cwd: Path | None
    terminal: bool
    before: str
    launcher: Sequence[str]
    host: Host | None
    environment: Mapping[str, str] | None
    cold: bool


class Stage:
    """Starts programs, and ends them with the test."""

    def __init__(self) -> None:
        self._programs: list[Program] = []

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for program in self._programs:
            program.kill()
            program.report()

    def run(self, *arguments: str | Path, **options: Unpack[Options]) -> Program:
        """Start a program."""
        program = Program(*map(str, arguments), **options)
        self._programs.append(program)
        return program

    def send(self, *arguments: str | Path, **options: Unpack[Options]) -> Program:
        """Start a sender with `--json`."""
        return self.run("send", *arguments, "--json", **options)

    def receive(
        self, code: str, output: Path, *arguments: str, **options: Unpack[Options]
    ) -> Program:
        """Start a receiver with `-y --json`."""
        given = [code] if code else []
        return self.run("receive", *given, "-o", output, "-y", "--json", *arguments, **options)

    def transfer(
        self, *sources: str | Path, output: Path, receiving: tuple[str, ...] = ()
    ) -> tuple[Ended, Ended]:
        """Send from one program to another; return the results of both."""
        sender = self.send(*sources)
        receiver = self.receive(sender.code, output, *receiving)
        return sender.end(), receiver.end()


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Start programs that end with the test."""
    with Stage() as programs:
        yield programs


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree(folder: Path) -> dict[str, str]:
    """Return the contents of a folder by relative path: digest, target of a link, or `/`."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = "/" if path.is_dir() else digest(path)
    return found
