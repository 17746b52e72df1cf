"""A test run that is ended leaves no processes, and inherits no ignored signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support import netns
from tests.support.guard import unmarked, wait_until_ended
from tests.support.processes import PATIENCE, ROOT

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

RUN = """
import contextlib, json, subprocess, sys, time
from tests.support import guard, netns
guard.watch()
forever = [sys.executable, "-c", "import time; time.sleep(1000)"]
started = [subprocess.Popen(forever, start_new_session=True)]
namespaces = []
with contextlib.ExitStack() as stack:
    if sys.argv[1] == "namespaces":
        hosts = netns.make_lan(stack, 1, ipv4=True, ipv6=False).hosts
        started += [host.popen(forever) for host in hosts]
        namespaces += [host.namespace for host in hosts]
    print(json.dumps([[one.pid for one in started], namespaces]), flush=True)
    time.sleep(1000)
"""

INHERITED = """
import subprocess, sys
from tests import conftest
conftest.handle_ignored_signals()
asked = "from signal import *; print(*(getsignal(one) is SIG_IGN for one in (SIGINT, SIGHUP)))"
subprocess.run([sys.executable, "-c", asked], check=True)
"""


@pytest.mark.full
@on_linux
def test_killed_run_leaves_neither_a_process_nor_a_namespace() -> None:
    what = "" if netns.missing() else "namespaces"
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, what], cwd=ROOT, env=unmarked(), stdout=subprocess.PIPE
    )
    assert run.stdout is not None
    pids, namespaces = json.loads(run.stdout.readline())
    started = [psutil.Process(pid) for pid in pids]
    (guard,) = (
        c for c in psutil.Process(run.pid).children() if "tests.support.guard" in c.cmdline()
    )
    run.kill()
    run.communicate()
    assert wait_until_ended(started, PATIENCE) == []
    wait_until_ended([guard], PATIENCE)
    assert not any(Path("/run/netns", name).exists() for name in namespaces)


@pytest.mark.full
@on_linux
def test_programs_that_a_test_starts_ignore_no_signal_whatever_the_tests_inherit() -> None:
    """As under nohup, and behind an & in a script."""

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    shown = subprocess.run(
        [sys.executable, "-c", INHERITED],
        cwd=ROOT,
        preexec_fn=ignore,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "False False\n"
