"""Networks for tests with several hosts: Linux network namespaces.

`lan` makes hosts that are joined by a bridge, which is in a namespace, too: the network of the
machine is not changed. Needs Linux, root and iproute2: without them a test is
skipped; with CI=true it fails.

Namespaces carry the id of the process that made them. They are removed with all that runs in them
when the test ends; where the process was killed before, by the guard (`tests.support.guard`), and
where the guard was killed, too, by the next process that makes namespaces.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.guard import watch

__all__ = ["Host", "Lan", "MakeLan", "enter", "lan", "missing", "remove_abandoned"]

PREFIX = os.environ.get("TEST_NAMESPACES_OF_DCSEND", "dcsend")
"""Start of every namespace's name; the process id follows. A test of what is left sets another one,
so that no other run removes it."""

_FOLDER = Path("/run/netns")
"Where iproute2 keeps the named namespaces."

_SETTINGS = Path("/etc/netns")
"""Where `ip netns exec` looks for a namespace's own files of /etc: `resolv.conf`, `hosts`; see
ip-netns(8)."""

_CLONE_NEWNET = 0x40000000
"From sched.h: the network namespace."

_RUN_SECONDS = 60.0
"What `Host.run` grants a program."

NUMBERS = itertools.count(1)


@dataclass(slots=True)
class Host:
    """A namespace with one network interface, `eth0`, and loopback."""

    namespace: str
    ipv4: str
    "Its address in 10.77.n.0/24, or empty."
    ipv6: str
    "Its address in fd77:n::/64, or empty."
    _started: list[subprocess.Popen[Any]] = field(default_factory=list, repr=False)

    def popen(self, argv: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:  # noqa: ANN401 - those of Popen
        """Start a program on this host; it is killed at the end of the test at the latest."""
        process = subprocess.Popen(self.command(argv), **options)
        self._started.append(process)
        return process

    def run(
        self, argv: Sequence[str | Path], *, check: bool = True, timeout: float = _RUN_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on this host to its end and return what it printed."""
        return subprocess.run(
            self.command(argv), check=check, timeout=timeout, capture_output=True, text=True
        )

    def inside(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run *main* to its end in a thread whose sockets are those of this host."""
        failed: list[BaseException] = []

        def run() -> None:
            try:
                enter(self.namespace)
                asyncio.run(main())
            except BaseException as exc:  # noqa: BLE001 - raised again below
                failed.append(exc)

        thread = threading.Thread(target=run, name=f"inside {self.namespace}")
        thread.start()
        thread.join()
        if failed:
            raise failed[0]

    def command(self, argv: Sequence[str | Path]) -> list[str]:
        """Return what runs *argv* on this host; `ip` becomes it, with the same process id."""
        return ["ip", "netns", "exec", self.namespace, *map(str, argv)]

    def end(self) -> None:
        """Kill its programs and remove its namespace."""
        for process in self._started:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
        remove_namespace(self.namespace)


@dataclass(frozen=True, slots=True)
class Lan:
    """Hosts that reach each other only."""

    hosts: tuple[Host, ...]
    bridge: str
    "The namespace of the bridge; its ports `p0`, `p1`, … lead to the hosts."


MakeLan = Callable[..., Lan]
"Type of the fixture `lan`: `lan(hosts=2, ipv4=True, ipv6=True)`; may be called again."


@pytest.fixture
def lan() -> Iterator[MakeLan]:
    """Make networks; they are removed with their processes at the end of the test."""
    require_namespaces()
    with contextlib.ExitStack() as cleanup:

        def make(hosts: int = 2, *, ipv4: bool = True, ipv6: bool = True) -> Lan:
            return make_lan(cleanup, hosts, ipv4=ipv4, ipv6=ipv6)

        yield make


def enter(namespace: str) -> None:
    """Move this thread, and no other, into a network namespace made by iproute2."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (_FOLDER / namespace).open("rb") as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"can't enter the namespace {namespace}")


def missing() -> str:
    """Return what this machine lacks for network namespaces, as a sentence; "" if nothing.

    Also removes what killed processes left behind, and has the guard started.
    """
    lacking = ""
    if sys.platform != "linux":
        lacking = "network namespaces need Linux"
    elif os.geteuid() != 0:
        lacking = "network namespaces need root"
    elif shutil.which("ip") is None:
        lacking = "network namespaces need ip (iproute2)"
    elif not _allowed():
        lacking = "this machine, perhaps a container, permits no network namespaces"
    else:
        remove_abandoned()
        watch()
    return lacking


def require_namespaces() -> None:
    if not (lacking := missing()):
        return
    if os.environ.get("CI") == "true":
        pytest.fail(lacking)
    pytest.skip(lacking)


def _allowed() -> bool:
    """Try it: root in a container often may not."""
    name = f"{PREFIX}-{os.getpid()}-try{next(NUMBERS)}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return False
    remove_namespace(name)
    return True


def make_lan(cleanup: contextlib.ExitStack, count: int, *, ipv4: bool, ipv6: bool) -> Lan:
    number = next(NUMBERS)
    start = f"{PREFIX}-{os.getpid()}-{number}"
    # Addresses need to be unique within one bridge only; the number makes them easier to read.
    net = number % 250
    bridge = f"{start}-br"
    cleanup.callback(remove_namespace, bridge)
    add_namespace(bridge, ipv6=False)
    batch(
        bridge,
        "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        "link set br0 up",
    )
    made = []
    for index in range(count):
        host = Host(
            f"{start}-h{index}",
            f"10.77.{net}.{index + 1}" if ipv4 else "",
            f"fd77:{net:x}::{index + 1:x}" if ipv6 else "",
        )
        cleanup.callback(host.end)
        add_namespace(host.namespace, ipv6=ipv6)
        batch(
            bridge,
            f"link add p{index} type veth peer name eth0 netns {host.namespace}",
            f"link set p{index} master br0 up",
        )
        batch(
            host.namespace,
            *([f"address add {host.ipv4}/24 dev eth0"] if ipv4 else []),
            *([f"address add {host.ipv6}/64 dev eth0 nodad"] if ipv6 else []),
            "link set eth0 up",
        )
        made.append(host)
    return Lan(tuple(made), bridge)


def add_namespace(namespace: str, *, ipv6: bool) -> None:
    """Make a namespace in which IPv6 addresses are usable at once, or absent."""
    _ip("netns", "add", namespace)
    # Duplicate address detection holds an address back for a second or more. `default` is what
    # interfaces made later start with, `all` switches those that exist.
    settings = ["default/accept_dad=0", "default/dad_transmits=0"]
    if not ipv6:
        settings += ["default/disable_ipv6=1", "all/disable_ipv6=1"]
    script = "\n".join(
        f"echo {value} > /proc/sys/net/ipv6/conf/{name}"
        for name, value in (setting.split("=") for setting in settings)
    )
    # A kernel without IPv6 does not have this file.
    script = f"test -d /proc/sys/net/ipv6 || exit 0\nset -e\n{script}"
    _ip("netns", "exec", namespace, "sh", "-c", script)
    batch(namespace, "link set lo up")


def remove_namespace(namespace: str) -> None:
    """Kill what runs in a namespace and delete it; an absent one is fine."""
    if not (_FOLDER / namespace).exists():
        return
    for word in _ip("netns", "pids", namespace).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(word), signal.SIGKILL)
    _ip("netns", "delete", namespace)
    shutil.rmtree(_SETTINGS / namespace, ignore_errors=True)


def remove_abandoned(ended: int = 0) -> None:
    """Remove the namespaces of ended test processes, and of the process *ended*."""
    for entry in _FOLDER.glob(f"{PREFIX}-*-*"):
        owner = entry.name.split("-")[1]
        gone = owner == str(ended) or not Path("/proc", owner).exists()
        if owner.isdecimal() and gone:
            # Another test process may do the same just now.
            with contextlib.suppress(AssertionError):
                remove_namespace(entry.name)


def settle(namespace: str, **files: str) -> None:
    """Give the programs of a namespace files of /etc of their own: `resolv_conf`, `hosts`."""
    folder = _SETTINGS / namespace
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content, encoding="utf-8")


def batch(namespace: str, *commands: str) -> None:
    """Run `ip` commands in a namespace, in one process."""
    _ip("-n", namespace, "-batch", "-", stdin="\n".join(commands) + "\n")


def _ip(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["ip", *arguments], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr.strip()}\n{stdin}"
    return done.stdout
