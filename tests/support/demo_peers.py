"""Peers for chats: dcsend, Pion and libwebrtc, as processes that print lines of text.

The fixture `pion` builds the Go program of tests/demo/pion.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support import forkserver
from tests.support.golang import build_go
from tests.support.netns import Host

__all__ = ["PATIENCE", "LineProgram", "Programs", "pion", "programs"]

PATIENCE: Final = 150.0
"Seconds after which a wait fails."
_ROOT: Final = Path(__file__).resolve().parents[2]
_DEMO: Final = _ROOT / "tests" / "demo"
_DESCRIPTION: Final = re.compile(r"(?:eyJ[A-Za-z0-9+/=]{100,}|ds[0-9a-z]{80,}|dc[0-9a-z]{80,})")


def _variables() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_ROOT)}


class LineProgram:
    """A running program, with its lines of output."""

    def __init__(self, process: subprocess.Popen[str] | forkserver.Forked) -> None:
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._news = threading.Condition()
        self._over = False
        self.process = process
        self._threads = [
            threading.Thread(target=self._read, args=args, daemon=True)
            for args in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))
        ]
        for thread in self._threads:
            thread.start()

    def until(
        self, pattern: str, *, seconds: float = PATIENCE, count: int = 1, errors: bool = False
    ) -> re.Match[str]:
        """Wait for the *count*th line of standard output, or error, that matches *pattern*."""
        lines = self.errors if errors else self.lines

        def found() -> list[re.Match[str]]:
            matches = (re.search(pattern, line) for line in lines)
            return [match for match in matches if match]

        with self._news:
            self._news.wait_for(lambda: len(found()) >= count or self._over, seconds)
            matches = found()
        if len(matches) < count:
            output = "\n".join([*self.lines, "--- standard error:", *self.errors])
            pytest.fail(f"no line {pattern!r} ({count}) in:\n{output}")
        return matches[count - 1]

    def description(self) -> str:
        """Wait for the dial code or the description that the program prints."""
        return self.until(_DESCRIPTION.pattern)[0]

    def write_line(self, line: str) -> None:
        """Write a line to standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self, seconds: float = PATIENCE) -> int:
        """Wait for its end; return its exit status."""
        status = self.process.wait(seconds)
        for thread in self._threads:
            thread.join(seconds)
        assert "Traceback" not in "\n".join(self.errors), "\n".join(self.errors)
        return status

    def kill(self) -> None:
        """Kill it; may be called again."""
        self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue

    def _read(self, stream: object, lines: list[str]) -> None:
        for line in stream:  # type: ignore[attr-defined]
            with self._news:
                lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._over = stream is self.process.stdout or self._over
            self._news.notify_all()


class Programs:
    """The programs of one test; killed at its end."""

    def __init__(self) -> None:
        self.programs: list[LineProgram] = []

    def run(self, *argv: str | Path, host: Host | None = None) -> LineProgram:
        """Start a program, on *host* if one is given."""
        command = [str(word) for word in argv]
        process = subprocess.Popen(
            host.command(command) if host else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_variables(),
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        )
        return self._started(process)

    def dcsend(self, *arguments: str | Path, host: Host | None = None) -> LineProgram:
        """Start dcsend with these arguments."""
        namespace = host.namespace if host else ""
        if not forkserver.usable(_variables(), namespace):
            return self.run(sys.executable, "-m", "dcsend", *arguments, host=host)
        process = forkserver.fork(
            [str(word) for word in arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_variables(),
            text=True,
            namespace=namespace,
        )
        return self._started(process)

    def chat(
        self, *arguments: str | Path, interval: str = "0.3", host: Host | None = None
    ) -> LineProgram:
        """Start `dcsend chat`; `DCSEND_STUN` is `none` in each test, so it uses no server."""
        return self.dcsend("chat", "--interval", interval, *arguments, host=host)

    def libwebrtc(self, *arguments: str, host: Host | None = None) -> LineProgram:
        """Start the peer on libwebrtc."""
        script = _DEMO / "libwebrtc_peer.py"
        return self.run(sys.executable, script, "--interval", "0.3", *arguments, host=host)

    def _started(self, process: subprocess.Popen[str] | forkserver.Forked) -> LineProgram:
        self.programs.append(program := LineProgram(process))
        return program

    def exchange(self, offerer: LineProgram, answerer: LineProgram) -> None:
        """Give each program the description that the other one prints."""
        answerer.write_line(offerer.description())
        offerer.write_line(answerer.description())


@pytest.fixture
def programs() -> Iterator[Programs]:
    """Start programs that end with the test."""
    started = Programs()
    yield started
    for program in started.programs:
        program.kill()


@pytest.fixture(scope="session")
def pion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the Go program; return its path."""
    return build_go(tmp_path_factory, "peer", _DEMO / "pion")
