"""Bare data channels of aiortc, libwebrtc and Pion, without a program for files around them.

Each is a program with a sender and a receiver; `bench.bare` describes their input and output.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench.contenders.base import Contender
from bench.hosts import Hosts
from bench.results import MEGABYTE, Result, progress
from bench.running import PATIENCE, ROOT, Running

__all__ = ["CONTENDERS", "PROGRAMS", "outcome"]

_GOCODE: Final = Path("/usr/share/gocode/src")
"The sources of Go packages in Debian."

_PION: Final = ROOT / "build" / "bench-pion" / "pion"

_GRACE: Final = 10.0
"Seconds after the limit within which a sender prints its result."

PROGRAMS: Final[dict[str, Sequence[str]]] = {
    "aiortc": (sys.executable, "-m", "bench.bare"),
    "libwebrtc": (sys.executable, "-m", "bench.bare_webrtc"),
    "pion": (str(_PION),),
}
"By contender: the command of both sides, without arguments."


def _measure(program: Sequence[str]) -> Callable[[Hosts, int, float, Path], Result]:
    def measure(hosts: Hosts, megabytes: int, limit: float, folder: Path) -> Result:
        total = str(megabytes * MEGABYTE)
        with (
            Running(Hosts.on(hosts.left, *program, "send", total, str(limit))) as sender,
            Running(Hosts.on(hosts.right, *program, "receive", total)) as receiver,
        ):
            receiver.write_line(sender.until('"sdp"')[0].text)
            sender.write_line(receiver.until('"sdp"')[0].text)
            return outcome(sender, receiver, int(total), limit)

    return measure


def outcome(sender: Running, receiver: Running, total: int, limit: float) -> Result:
    """Wait for the end of a connected sender; return the result."""
    line, _ = sender.until('"seconds"', PATIENCE + limit + _GRACE)
    result = json.loads(line.text)
    started = line.at - result["seconds"]
    costs = sender.end(), receiver.end()
    events = ((one.at, json.loads(one.text)) for one in receiver.lines)
    points = [(at, event["arrived"]) for at, event in events if "arrived" in event]
    done = result["bytes"] == total
    note = "" if done else f"not done in {limit:g} s"
    # The receiver confirms whole megabytes to the sender; its own lines are more precise.
    arrived = max([result["bytes"], *(count for at, count in points if at <= line.at)])
    series = progress(started, points)
    return Result(arrived, result["seconds"], done, *costs, series, started, note)


def _no_wrtc() -> str:
    return "" if importlib.util.find_spec("webrtc") else "wrtc isn't installed; see pyproject.toml"


def _no_pion() -> str:
    """Build the Go program, as tests/support/demo_peers.py does; 12 s on two cores, once."""
    source = ROOT / "bench" / "pion" / "main.go"
    if _PION.exists() and _PION.stat().st_mtime > source.stat().st_mtime:
        return ""
    if shutil.which("go") is None or not (_GOCODE / "github.com" / "pion" / "webrtc").exists():
        return "needs Debian's golang-go and golang-github-pion-webrtc.v3-dev"
    folder = _PION.parent
    shutil.rmtree(folder, ignore_errors=True)
    # Without modules, Go finds a package by its path only, and Debian omits the `/v3` in it.
    shutil.copytree(_GOCODE, folder / "src", ignore=shutil.ignore_patterns("*_test.go"))
    for module in sorted(_GOCODE.rglob("go.mod")):
        name = re.search(r"^module\s+(\S+)", module.read_text(encoding="utf-8"), re.MULTILINE)
        if name is not None and not (folder / "src" / name[1]).exists():
            shutil.copytree(module.parent, folder / "src" / name[1])
    shutil.copytree(source.parent, folder / "src" / "bare")
    environment = {
        **{"GO111MODULE": "off", "GOFLAGS": "", "GOPATH": str(folder), "CGO_ENABLED": "0"},
        **{"GOCACHE": str(folder / "cache"), "PATH": "/usr/local/bin:/usr/bin:/bin"},
    }
    command = ["go", "build", "-o", str(_PION), "bare"]
    built = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return "" if built.returncode == 0 else f"it doesn't build: {built.stderr.strip()[-300:]}"


_TIMING: Final = (
    "bare channel: from the first message sent until the receiver has confirmed the last byte; "
    "no disk and no digests"
)

CONTENDERS: Final = (
    Contender("aiortc", f"aiortc's {_TIMING}", _measure(PROGRAMS["aiortc"])),
    Contender("libwebrtc", f"libwebrtc's {_TIMING}", _measure(PROGRAMS["libwebrtc"]), _no_wrtc),
    Contender("pion", f"Pion's {_TIMING}", _measure(PROGRAMS["pion"]), _no_pion),
)
"The three implementations."
