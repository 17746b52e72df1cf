"""A program of the fork server is what a new interpreter would be."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from tests.support import command_line, forkserver
from tests.support.processes import PATIENCE, Program, Stage

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(sys.platform != "linux", reason="the fork server needs Linux"),
]

STATUS: Final = ("Umask", "Uid", "Gid", "Groups", "SigBlk", "SigIgn", "SigCgt", "CapEff")
"Lines of /proc/PID/status that do not depend on the memory of a process or its id."


OWN: Final = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFSOCK)
"""Kinds of descriptors that a program opens for a moment: a new interpreter still loads libraries
when it has shown a code."""


def descriptors(place: Path) -> list[tuple[int, str]]:
    """Return the kind and the name of each open descriptor of the process with this folder."""
    found = []
    for fd in (place / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            found.append((stat.S_IFMT(fd.stat().st_mode), os.readlink(fd)))
    return found


def sleeping(place: Path) -> dict[str, str]:
    """Return the lines of the status of a process while its main thread waits.

    While it begins a thread, which a new interpreter may do after it has shown a code, all signals
    are blocked for a moment (glibc, `pthread_create`).
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        lines = (place / "status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        if status["State"].strip().startswith("S"):
            return status
        assert time.monotonic() < deadline, status["State"]


def described(program: Program) -> dict[str, object]:
    """Describe a program that has shown a code, as the kernel does."""
    place = Path(f"/proc/{program.process.pid}")
    status = sleeping(place)
    numbers = (place / "stat").read_text().rpartition(")")[2].split()
    opened = descriptors(place)
    kinds = [re.sub(r"\[?\d+\]?$", "", link) for kind, link in opened if kind not in OWN]
    parent, session, terminal = (int(numbers[number]) for number in (1, 3, 4))
    return {
        "folder": os.readlink(place / "cwd"),
        "leads its session": session == program.process.pid,
        "has a controlling terminal": terminal > 0,
        "descriptors": sorted(kinds),
        "sockets of its parent": [
            link
            for kind, link in set(opened) & set(descriptors(Path(f"/proc/{parent}")))
            if kind == stat.S_IFSOCK
        ],
        **{name: status[name] for name in STATUS},
    }


@pytest.mark.parametrize("terminal", [False, True])
def test_program_has_the_same_descriptors_signals_and_session(
    stage: Stage, tmp_path: Path, terminal: bool
) -> None:
    (tmp_path / "note").touch()
    pair = [
        stage.send("note", cwd=tmp_path, terminal=terminal, cold=cold) for cold in (False, True)
    ]
    assert isinstance(pair[0].process, forkserver.Forked)
    assert isinstance(pair[1].process, subprocess.Popen)
    for program in pair:
        program.event("code")
    assert described(pair[0]) == described(pair[1])


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (("--help",), {"COLUMNS": "60"}),
        (("send", "missing"), {}),
        (("receive", "-y", "--no-such"), {}),
        (("receive", "-y", "-o", "."), {"DCSEND_CODE": command_line.OLD_CODE}),
    ],
)
def test_program_writes_the_same_and_ends_with_the_same_status(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], variables: dict[str, str]
) -> None:
    copied = command_line.run(*arguments, env=variables)
    monkeypatch.setattr(forkserver, "usable", lambda *_: False)
    assert copied == command_line.run(*arguments, env=variables)


def test_signal_that_kills_a_program_is_its_status(stage: Stage) -> None:
    program = stage.send("--text", "hello")
    program.event("code")
    assert program.process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        program.process.wait(0)
    program.process.kill()
    assert program.process.wait() == -signal.SIGKILL
    program.process.kill()  # as of Popen: a program that has ended is not signalled


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONUTF8", "LC_ALL", "LD_PRELOAD"])
def test_variable_of_the_interpreter_needs_a_new_one(name: str) -> None:
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    assert forkserver.usable(variables)
    assert not forkserver.usable({**variables, name: "other"})
