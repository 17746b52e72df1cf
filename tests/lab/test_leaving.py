"""A laboratory is removed, even if its process was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from tests.support import netns
from tests.support.guard import unmarked, wait_until_ended
from tests.support.processes import PATIENCE, ROOT

_KEEPING = """
import sys
from tests.lab import DISTANT, Lab
with Lab("restricted-restricted", delays=DISTANT) as lab:
    asleep = lab.a.popen(["sleep", "1000"])
    print(asleep.pid, flush=True)
    sys.stdin.read()
"""


def left(pid: int) -> list[str]:
    """Return the namespaces of a process, and their files."""
    found = []
    for folder in ("/run/netns", "/etc/netns"):
        found += [str(path) for path in Path(folder).glob(f"dcsendleft-{pid}-*")]
    return found


def test_nothing_is_left_of_a_laboratory_whose_process_is_killed() -> None:
    netns.require_namespaces()
    process = subprocess.Popen(
        [sys.executable, "-c", _KEEPING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # A run of its own, with a guard of its own.
        env={**unmarked(), "TEST_NAMESPACES_OF_DCSEND": "dcsendleft"},
    )
    with process:
        assert process.stdout is not None
        asleep = psutil.Process(int(process.stdout.readline()))
        # Its own child processes: the guard, links, and what runs in the namespaces.
        children = psutil.Process(process.pid).children(recursive=True)
        assert asleep in children
        assert left(process.pid)
        process.kill()
    assert not wait_until_ended(children, PATIENCE)
    assert left(process.pid) == []
