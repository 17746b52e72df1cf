"""Peers for chats: dcsend itself, Pion and libwebrtc, as processes that say what happens in lines.

`pion` builds the Go program of tests/demo/pion, from Debian's packages, in a folder of its own:
without them a test is skipped, and under CI=true it fails.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

__all__ = ["PATIENCE", "Cast", "Talker", "cast", "pion"]

PATIENCE: Final = 60.0
"Seconds to wait for what must come; never waited in full when all is well."
_ROOT: Final = Path(__file__).resolve().parent.parent
_DEMO: Final = _ROOT / "tests" / "demo"
_GOCODE: Final = Path("/usr/share/gocode/src")
"Where Debian keeps the sources of Go packages."
_NEEDED: Final = _GOCODE / "github.com" / "pion" / "webrtc"
_DESCRIPTION: Final = re.compile(r"(?:eyJ[A-Za-z0-9+/=]{100,}|ds[0-9a-z]{80,}|dc[0-9a-z]{80,})")


class Talker:
    """A running program whose lines are kept."""

    def __init__(self, argv: list[str], *, stdin: bool = True) -> None:
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._news = threading.Condition()
        self._over = False
        environment = {
            **os.environ,
            "PYTHONPATH": str(_ROOT),
        }
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        )
        self._threads = [
            threading.Thread(target=self._read, args=args, daemon=True)
            for args in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))
        ]
        for thread in self._threads:
            thread.start()

    def until(
        self, pattern: str, *, seconds: float = PATIENCE, count: int = 1, errors: bool = False
    ) -> re.Match[str]:
        """Wait for the *count*th line, of standard output or error, that has *pattern*."""
        lines = self.errors if errors else self.lines

        def found() -> list[re.Match[str]]:
            matches = (re.search(pattern, line) for line in lines)
            return [match for match in matches if match]

        with self._news:
            self._news.wait_for(lambda: len(found()) >= count or self._over, seconds)
            matches = found()
        if len(matches) < count:
            told = "\n".join([*self.lines, "--- standard error:", *self.errors])
            pytest.fail(f"no line {pattern!r} ({count}) in:\n{told}")
        return matches[count - 1]

    def description(self) -> str:
        """Wait for the code, of either kind, that it shows."""
        return self.until(_DESCRIPTION.pattern)[0]

    def say(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self, seconds: float = PATIENCE) -> int:
        """Wait for its end; return its status."""
        status = self.process.wait(seconds)
        for thread in self._threads:
            thread.join(seconds)
        assert "Traceback" not in "\n".join(self.errors), "\n".join(self.errors)
        return status

    def kill(self) -> None:
        """End it, whatever it does."""
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


class Cast:
    """Everybody in one test; killed at its end."""

    def __init__(self) -> None:
        self.talkers: list[Talker] = []

    def run(self, *argv: str | Path) -> Talker:
        """Start a program."""
        talker = Talker([str(part) for part in argv])
        self.talkers.append(talker)
        return talker

    def dcsend(self, *arguments: str | Path, interval: str = "0.3") -> Talker:
        """Start `dcsend chat`; a variable of every test has it ask nobody outside."""
        options = ["--interval", interval]
        return self.run(sys.executable, "-m", "dcsend", "chat", *options, *arguments)

    def libwebrtc(self, *arguments: str) -> Talker:
        """Start the peer that speaks libwebrtc."""
        script = _DEMO / "libwebrtc_peer.py"
        return self.run(sys.executable, script, "--interval", "0.3", *arguments)

    def introduce(self, offerer: Talker, answerer: Talker) -> None:
        """Carry both descriptions over, as people do by copy and paste."""
        answerer.say(offerer.description())
        offerer.say(answerer.description())


@pytest.fixture
def cast() -> Iterator[Cast]:
    """Give programs that end with the test."""
    everybody = Cast()
    yield everybody
    for talker in everybody.talkers:
        talker.kill()


@pytest.fixture(scope="session")
def pion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the Go program; return it. Takes 12 s on two cores, from nothing."""
    if shutil.which("go") is None or not _NEEDED.exists():
        message = "needs Debian's golang-go and golang-github-pion-webrtc.v3-dev"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("go")
    sources = folder / "src"
    # Without modules, Go finds a package by its path alone; Debian leaves out the `/v3` in it.
    shutil.copytree(_GOCODE, sources, ignore=shutil.ignore_patterns("*_test.go"))
    for module in sorted(_GOCODE.rglob("go.mod")):
        name = re.search(r"^module\s+(\S+)", module.read_text(encoding="utf-8"), re.MULTILINE)
        if name is not None and not (sources / name[1]).exists():
            shutil.copytree(module.parent, sources / name[1])
    shutil.copytree(_DEMO / "pion", sources / "peer")
    program = folder / "peer"
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "GOPATH": str(folder),
        "GOCACHE": str(folder / "cache"),
        "CGO_ENABLED": "0",
    }
    built = subprocess.run(
        ["go", "build", "-o", program, "peer"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return program
