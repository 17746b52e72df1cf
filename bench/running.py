"""A measured program: its lines with their times, its processor time, its memory.

Both are those of exactly this process: processor time from `os.wait4`; memory is the kernel's own
high-water mark, sampled until the end, since the memory of `wait4` includes that of the process
from which it was forked.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

__all__ = ["ROOT", "Cost", "Failed", "Line", "Running"]

ROOT: Final = Path(__file__).resolve().parent.parent

PATIENCE: Final = 60.0
"Seconds for a step of the set-up and of the end; the far paths take some."

_CHUNK: Final = 1 << 16
"Bytes of its output that are taken at once."

_LOOK: Final = 100
"Milliseconds between two samples of the memory of a process; costs 0.1 % of a processor."

_PEAK: Final = re.compile(rb"^VmHWM:\s+(\d+) kB", re.MULTILINE)


class Failed(Exception):
    """A contender has failed; the message has its name and output. The round counts as 0."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process used, from its start to its end."""

    cpu_seconds: float
    "User and system."
    peak_rss: int
    "Bytes of memory, resident, at most."
    elapsed: float = 0.0
    "Seconds that it took; 0 if not measured."


class Line(NamedTuple):
    """A line of output."""

    at: float
    "Seconds of the monotonic clock."
    text: str


class Running:
    """A started program; a context manager that ends it.

    Args:
        argv: the command, see `Hosts.on`.
        environment: variables added to ours.
        errors: read standard error as output; otherwise it is kept for `Failed`.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        errors: bool = False,
    ) -> None:
        self.lines: list[Line] = []
        self.cost: Cost | None = None
        "Known once it has ended."
        self.status: int | None = None
        "Exit status; negative: killed by that signal. Known once it has ended."
        self._name = " ".join(Path(word).name for word in argv[4:8])
        self._errors: list[str] = []
        self._news = threading.Condition()
        self._over = False
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # As in the background of a script; a child would inherit that SIGINT is ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._begun = time.monotonic()
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if errors else subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        )
        self._descriptor = os.pidfd_open(self._process.pid)
        targets = [self._read, self._watch] + ([] if errors else [self._read_errors])
        self._threads = [threading.Thread(target=one, daemon=True) for one in targets]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.end(0)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def write_line(self, line: str) -> None:
        """Write a line to standard input."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.rstrip("\n") + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self.failure("has ended") from None

    def until(self, pattern: str, seconds: float = PATIENCE) -> tuple[Line, re.Match[str]]:
        """Wait for the first line with *pattern*; TimeoutError, or `Failed` if it has ended."""
        found: list[tuple[Line, re.Match[str]]] = []
        seen = 0

        def look() -> bool:
            nonlocal seen
            while not found and seen < len(self.lines):
                if match := re.search(pattern, self.lines[seen].text):
                    found.append((self.lines[seen], match))
                seen += 1
            return bool(found) or self._over

        with self._news:
            if not self._news.wait_for(look, seconds):
                raise TimeoutError(f"{self._name}: no {pattern!r} in {seconds:g} s")
        if not found:
            raise self.failure(f"ended without {pattern!r}")
        return found[0]

    def end(self, seconds: float = PATIENCE, *, interrupt: bool = False) -> Cost:
        """Close its input, wait for its end, then kill it; return its cost.

        Args:
            seconds: limit of the wait.
            interrupt: send SIGINT first.
        """
        if interrupt and self.status is None:
            self._signal(signal.SIGINT)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._threads[1].join(seconds)
        if self.status is None:
            self._signal(signal.SIGKILL)
        for thread in self._threads:
            thread.join(PATIENCE)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        assert self.cost is not None
        return self.cost

    def failure(self, what: str) -> Failed:
        """Return an error with *what* has failed, and the last lines of output."""
        self._threads[-1].join(1)
        said = (self._errors or [line.text for line in self.lines])[-3:]
        return Failed(f"{self._name} {what}: {' / '.join(said)}")

    def _signal(self, which: signal.Signals) -> None:
        # Popen.send_signal would reap the process first, which only `_watch` may do.
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, which)

    def _read(self) -> None:
        # Large reads: ten thousand small files give as many lines, and the measurement should not
        # take processor time from the measured programs.
        assert self._process.stdout is not None
        rest = b""
        while data := os.read(self._process.stdout.fileno(), _CHUNK):
            at = time.monotonic()
            # A progress display returns to the start of its line.
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            *lines, rest = (rest + data).split(b"\n")
            self._add_lines(at, lines)
        self._add_lines(time.monotonic(), [rest] if rest else [])
        with self._news:
            self._over = True
            self._news.notify_all()

    def _add_lines(self, at: float, lines: Sequence[bytes]) -> None:
        with self._news:
            self.lines += (Line(at, line.decode("utf-8", "backslashreplace")) for line in lines)
            self._news.notify_all()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self._errors += (line.rstrip("\n") for line in self._process.stderr)

    def _watch(self) -> None:
        peak = 0
        ended = select.poll()
        ended.register(self._descriptor, select.POLLIN)
        while not ended.poll(_LOOK):
            peak = _peak(self._process.pid) or peak
        _, status, usage = os.wait4(self._process.pid, 0)
        # It ended before the first sample: an upper bound instead.
        peak = peak or usage.ru_maxrss * 1024
        elapsed = time.monotonic() - self._begun
        self.cost = Cost(round(usage.ru_utime + usage.ru_stime, 3), peak, round(elapsed, 3))
        self._process.returncode = self.status = os.waitstatus_to_exitcode(status)


def _peak(process: int) -> int:
    try:
        found = _PEAK.search(Path("/proc", str(process), "status").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) * 1024 if found else 0
